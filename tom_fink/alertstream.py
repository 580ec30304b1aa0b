"""The names that a TOM's ALERT_STREAMS and TOPIC_HANDLERS give: the stream and the alert handlers."""

import logging
from collections import Counter
from functools import cached_property

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from tom_alertstreams.alertstreams.alertstream import AlertStream

from tom_fink.conf import give_up_after_s
from tom_fink.errors import ConfigurationError, MissingCredentials
from tom_fink.kafka.options import StreamOptions, stream_options
from tom_fink.stream.batch import Limits
from tom_fink.stream.handlers import ANY_TOPIC, Handlers, alert_logger, alert_saver
from tom_fink.stream.memory import share_one_heap
from tom_fink.stream.reader import AlertReader
from tom_fink.stream.sink import DatabaseSink

__all__ = ["FinkAlertStream", "alert_logger", "alert_saver"]

logger = logging.getLogger(__name__)


class FinkAlertStream(AlertStream):
    """One Fink stream, with the options that Fink's TOM module has always had and a few more.

    New are SURVEY (ztf or lsst: whose finkctl file fills what is unset), PASSWORD, START_AT, and in
    TOPIC several topics and patterns. Constructing one connects to nothing.
    """

    required_keys = []
    allowed_keys = [
        "SURVEY", "URL", "USERNAME", "GROUP_ID", "PASSWORD", "TOPIC", "START_AT", "MAX_POLL_NUMBER", "TIMEOUT",
        "KAFKA", "TOPIC_HANDLERS",
    ]  # fmt: skip

    def __init__(self, **options):
        """Take the OPTIONS of an ALERT_STREAMS entry. Raises `ImproperlyConfigured` for a bad handler."""
        unknown = sorted(options.keys() - set(self.allowed_keys))
        if unknown:
            raise ImproperlyConfigured(
                f"FinkAlertStream knows no option {', '.join(unknown)}; it takes {', '.join(self.allowed_keys)}."
            )
        options.setdefault("TOPIC_HANDLERS", {ANY_TOPIC: "tom_fink.alertstream.alert_saver"})
        self.given = {name: value for name, value in options.items() if name != "TOPIC_HANDLERS"}
        try:
            super().__init__(**options)
        except ImportError as error:
            raise ImproperlyConfigured(f"TOPIC_HANDLERS names what cannot be imported: {error}.") from error
        self._reader: AlertReader | None = None
        self._stopped = False

    @cached_property
    def options(self) -> StreamOptions:
        """The options to read with. Raises `MissingCredentials` or `ConfigurationError`."""
        return stream_options(self.given)

    def listen(self, limits: Limits | None = None) -> Counter | None:
        """Read until stopped; works in any thread. How many messages had which fate.

        None if the stream is inactive or misconfigured. What cannot be configured away is raised:
        `StreamError`, `GaveUp`, and what storing raises.
        """
        try:
            options = self.options
            sink = DatabaseSink(options, Handlers(self.alert_handler))
            patience_s = give_up_after_s()
        except MissingCredentials as error:
            logger.warning("%s", error)
            return None
        except ConfigurationError as error:
            logger.error("%s", error)
            return None
        share_one_heap()
        self._reader = AlertReader(options, sink, limits or Limits(), patience_s)
        if self._stopped:
            self._reader.stop()
        logger.info(
            "FinkAlertStream.listen opening stream: %s with group_id: %s", options.url, options.group_id
        )
        try:
            return self._reader.run()
        finally:
            sink.close()
            connections.close_all()

    def stop(self) -> None:
        """End `listen` after the batch in hand, or before it begins."""
        self._stopped = True
        if self._reader is not None:
            self._reader.stop()

    def abandon(self) -> None:
        """Leave the group, when `stop` was of no use because the database does not answer."""
        if self._reader is not None:
            self._reader.abandon()
