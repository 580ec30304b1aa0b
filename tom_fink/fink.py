"""Fink for TOM Toolkit's older alert pages (`tom_alerts`).

`FinkBroker` may stand in TOM_ALERT_CLASSES of any TOM, with `tom_alerts` installed or not: without
it, `tom_alerts.alerts` cannot be imported, since its model would belong to no application.
"""

from django.apps import apps

if apps.is_installed("tom_alerts"):
    from tom_alerts.alerts import GenericBroker, GenericQueryForm
else:
    GenericBroker, GenericQueryForm = object, None

NO_SEARCH = (
    "Fink's databases cannot be searched from here in this version. Alerts of the stream are under "
    "Fink in the navigation bar."
)


class FinkBroker(GenericBroker):
    """The broker's entry in TOM Toolkit's list. It answers a query with the reason why it has no results."""

    name = "Fink"
    form = GenericQueryForm

    def fetch_alerts(self, parameters):
        """No alerts, and the sentence that the results page shows."""
        return iter(()), NO_SEARCH

    def to_generic_alert(self, alert):
        """Never called: there are no results to show. Raises `ValueError`."""
        raise ValueError(NO_SEARCH)
