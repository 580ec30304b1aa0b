"""Fink as data services of TOM Toolkit: searches, results, targets with their light curves.

`services` and `forms` are what a web worker imports at its start, and load nothing of the client's; the other
modules are imported when there is something to ask.
"""

from tom_fink.dataservices.services import FinkDataService, FinkRubinDataService, FinkZtfDataService

__all__ = ["FinkDataService", "FinkRubinDataService", "FinkZtfDataService"]
