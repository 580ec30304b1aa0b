"""The client of a page: a page has to be there before the web server gives its worker up."""

import time
from dataclasses import replace

from tom_fink.api.answers import Answer
from tom_fink.api.client import FinkClient
from tom_fink.api.options import ApiOptions
from tom_fink.api.query import Query
from tom_fink.errors import ServiceUnavailable

QUESTION_S = 25.0  # of a page's question; gunicorn's workers are given up after 60 s


class TimedClient(FinkClient):
    """A client all of whose questions together end in time."""

    def __init__(self, options: ApiOptions, total_s: float):
        """Start the clock."""
        super().__init__(options)
        self._at_most_s = options.timeout_s
        self.ends_at = time.monotonic() + total_s

    def send(self, query: Query) -> Answer:
        """As the client does. Raises `ServiceUnavailable` for a question there is no time left for, too."""
        left_s = int((self.ends_at - time.monotonic()) * 10) / 10
        if left_s <= 0:
            said = query.problem(
                "but the time that a page may take was over", "Ask for less, or ask the same again."
            )
            raise ServiceUnavailable(said)
        self.options = replace(self.options, timeout_s=min(self._at_most_s, left_s))
        return super().send(query)


def page_client(total_s: float) -> TimedClient:
    """A client for a page, whose questions together take no longer than this. Raises `ConfigurationError`."""
    options = ApiOptions.from_settings()
    return TimedClient(replace(options, timeout_s=min(options.timeout_s, QUESTION_S)), total_s)


def command_client() -> FinkClient:
    """A client for a command, as patient as the settings say. Raises `ConfigurationError`."""
    return FinkClient(ApiOptions.from_settings())
