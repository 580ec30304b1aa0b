"""The names that a TOM's ALERT_STREAMS and TOPIC_HANDLERS give: the stream and the alert handlers."""

import logging
from contextlib import contextmanager
from functools import cached_property

from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, close_old_connections, connections, reset_queries
from tom_alertstreams.alertstreams.alertstream import AlertStream

from tom_fink.errors import ConfigurationError, MissingCredentials
from tom_fink.handlers import ANY_TOPIC, Handlers, alert_logger, alert_saver
from tom_fink.options import StreamOptions, stream_options
from tom_fink.reader import AlertReader, Limits
from tom_fink.store import Outcome

__all__ = ["FinkAlertStream", "alert_logger", "alert_saver"]

logger = logging.getLogger(__name__)

DEADLOCK = "40P01"  # PostgreSQL's SQLSTATE for "deadlock detected"


class FinkAlertStream(AlertStream):
    """One Fink stream, with the options that Fink's TOM module has always had and a few more.

    New are SURVEY (ztf or lsst: whose finkctl file fills what is unset), PASSWORD, START_AT, and in
    TOPIC several topics and patterns. Constructing one connects to nothing.
    """

    required_keys = []
    allowed_keys = [
        "SURVEY", "URL", "USERNAME", "GROUP_ID", "PASSWORD", "TOPIC", "START_AT", "MAX_POLL_NUMBER", "TIMEOUT",
        "TOPIC_HANDLERS",
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

    def listen(self, limits: Limits | None = None) -> Outcome | None:
        """Read until stopped; works in any thread. None if the stream is inactive or misconfigured.

        What cannot be configured away is raised: `StreamError`, and what storing raises.
        """
        try:
            options = self.options
        except MissingCredentials as error:
            logger.warning("%s", error)
            return None
        except ConfigurationError as error:
            logger.error("%s", error)
            return None
        handlers = Handlers(self.alert_handler)
        self._reader = AlertReader(options, lambda messages: _handle(handlers, messages), limits or Limits())
        if self._stopped:
            self._reader.stop()
        logger.info(
            "FinkAlertStream.listen opening stream: %s with group_id: %s", options.url, options.group_id
        )
        try:
            return self._reader.run()
        finally:
            connections.close_all()

    def stop(self) -> None:
        """End `listen` after the batch in hand, or before it begins."""
        self._stopped = True
        if self._reader is not None:
            self._reader.stop()


def _handle(handlers: Handlers, messages: list) -> Outcome:
    """Hand on a batch; once more if PostgreSQL ended it as the victim of a deadlock.

    Our own writer takes its locks in one order. A handler of the user's, or somebody at work on the
    site, need not; nothing of the batch is stored then, and the other one is done by now.
    """
    with _fresh_connection():
        try:
            return handlers.handle(messages)
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) != DEADLOCK:
                raise
            logger.warning("A deadlock in the database; the batch is stored again: %s", error)
            return handlers.handle(messages)


@contextmanager
def _fresh_connection():
    """What Django does around a request, for a process that has none.

    A connection that the server closed is dropped before the batch; DEBUG's list of queries, which
    would grow for ever, is emptied.
    """
    close_old_connections()
    reset_queries()
    try:
        yield
    finally:
        close_old_connections()
