"""Every error that tom_fink raises on purpose.

A message names the thing at fault and what to do. Anything that is not a `FinkError` is unknown
and stops the worker.
"""


class FinkError(Exception):
    """Base class of the errors below."""


class ConfigurationError(FinkError):
    """A setting or an option has a value that cannot be used; the message names it and what it takes."""


class MissingCredentials(ConfigurationError):  # noqa: N818 - a state to report, not a fault
    """A stream cannot be opened because variables are unset; the message lists them."""


class BadMessage(FinkError):  # noqa: N818 - named for the thing, as RejectedMessage is
    """A Kafka message holds no alert: it cannot be decoded, or lacks an id, a time or a position."""


class StreamError(FinkError):
    """The broker refused the reader for good (wrong password, no such user, no right to the group)."""


class DecoderError(FinkError):
    """The process that decodes cannot be started, or fails without any message; no message is at fault."""


class AlertFileError(FinkError):
    """A file given to a command is not an Avro container of alerts."""


class UnreadableCutout(FinkError):  # noqa: N818 - named for the thing, as BadMessage is
    """The bytes of a cutout are no FITS image that can be shown, or are larger than is allowed."""


class StoreUnavailable(FinkError):  # noqa: N818 - a state that is waited out
    """The database cannot be used at the moment; what was to be stored is kept and tried again."""


class GaveUp(FinkError):  # noqa: N818 - what the reader did, not what was wrong
    """What the reader waited for did not come back in time; nothing that it had read was committed."""


class ArchiveError(FinkError):
    """The archive of raw messages cannot be written; nothing of the batch is in it, and it can be written again."""


class ApiError(FinkError):
    """Fink's REST API did not give what was asked: the message says what was asked, what came, what to do."""


class BadQuery(ApiError):  # noqa: N818 - named for the thing, as BadMessage is
    """What Fink would not understand, found before it was sent; `field` names the parameter at fault."""

    def __init__(self, message: str = "", field: str = ""):
        """Keep `field` beside the message, for a form to show it there."""
        super().__init__(message)
        self.field = field


class QueryRefused(ApiError):  # noqa: N818 - named for the thing, as BadMessage is
    """Fink answered that it cannot do this: the same query will not help.

    `status` is 400 for what it does not know or take, 404 or 500 for what fails, 200 for an error text.
    """

    def __init__(self, message: str = "", status: int = 0):
        """Keep `status` beside the message."""
        super().__init__(message)
        self.status = status


class ServiceUnavailable(ApiError):  # noqa: N818 - a state that is waited out
    """Fink's service cannot be reached, is out of order or too slow; the same query may help later."""


class TooSlow(ServiceUnavailable):
    """Fink's service, or what is before it, gave up on this query: asked for less it may be in time."""


class BadAnswer(ApiError):  # noqa: N818 - named for the thing, as BadMessage is
    """What came back is no answer of Fink's API: no JSON, of another shape, too large, or a redirect."""
