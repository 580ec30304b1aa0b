"""The Fink streams of this site's ALERT_STREAMS, for what works without reading them."""

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from tom_fink.alertstream import FinkAlertStream
from tom_fink.errors import MissingCredentials
from tom_fink.kafka.options import fits
from tom_fink.stream.handlers import Handlers


def fink_streams() -> list[FinkAlertStream]:
    """The active ones, constructed; those of other brokers are not touched. Raises `ImproperlyConfigured`."""
    found = []
    for entry in getattr(settings, "ALERT_STREAMS", []):
        if not entry.get("ACTIVE", True):
            continue
        try:
            kind = import_string(entry["NAME"])
        except (ImportError, KeyError) as error:
            raise ImproperlyConfigured(f"ALERT_STREAMS names what cannot be imported: {error}.") from error
        if isinstance(kind, type) and issubclass(kind, FinkAlertStream):
            found.append(kind(**entry.get("OPTIONS", {})))
    return found


def handlers_of(topic: str, streams: list[FinkAlertStream]) -> Handlers:
    """The handlers of the first stream that reads the topic; if there is none, those that store."""
    for stream in streams:
        if any(fits(topic, pattern) for pattern in _topics(stream)):
            return Handlers(stream.alert_handler)
    return Handlers({})


def _topics(stream: FinkAlertStream) -> list[str]:
    try:
        return list(stream.options.topics)
    except MissingCredentials:  # inactive now; what it was told to read still counts
        return [part.strip() for part in str(stream.given.get("TOPIC") or "").split(",") if part.strip()]
