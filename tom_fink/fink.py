"""The broker class for TOM_ALERT_CLASSES."""


class FinkBroker:
    """Fink, as TOM Toolkit's older alert pages know a broker."""

    name = "Fink"
