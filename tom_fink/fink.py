"""The names that a TOM's settings and code give: Fink's data services, and Fink for the older alert pages.

`FinkBroker` may stand in TOM_ALERT_CLASSES of any TOM, with `tom_alerts` installed or not. The data services
are `FinkZtfDataService` and `FinkRubinDataService`, with their base `FinkDataService`. Importing this module loads
neither the client nor Polars.
"""

from importlib import import_module
from typing import Any

from django.apps import apps

if apps.is_installed("tom_alerts"):
    from tom_fink.broker.broker import FinkBroker
else:
    # tom_alerts.alerts cannot be imported then: its model would belong to no application.
    class FinkBroker:
        """The broker's entry in a list of classes that nothing reads."""

        name = "Fink"


DATA_SERVICES = ("FinkDataService", "FinkRubinDataService", "FinkZtfDataService")

__all__ = ["FinkBroker", *DATA_SERVICES]


def __getattr__(name: str) -> Any:
    """A data service: these are imported when they are asked for, as they import TOM Toolkit's views."""
    if name in DATA_SERVICES:
        return getattr(import_module("tom_fink.dataservices"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
