"""The client of a long run: it keeps a rate, and waits for a service that is away."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from tom_fink.api import answers
from tom_fink.api.answers import Answer
from tom_fink.api.client import FinkClient
from tom_fink.api.options import ApiOptions
from tom_fink.api.query import Query
from tom_fink.backfill.pace import RateLimit
from tom_fink.errors import ServiceUnavailable
from tom_fink.stopping import Stop

logger = logging.getLogger(__name__)

FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 120.0
GIVE_UP_AFTER_S = 900.0

Read = TypeVar("Read")


class GentleClient(FinkClient):
    """A client that asks `limit` first, and asks again for up to `give_up_after_s` while the service is away.

    `stop` ends the waiting: what is in hand is then asked without pauses, so that it is soon done.
    """

    def __init__(
        self,
        options: ApiOptions,
        limit: RateLimit,
        stop: Stop,
        give_up_after_s: float = GIVE_UP_AFTER_S,
        first_wait_s: float = FIRST_WAIT_S,
    ):
        """Take what `FinkClient` takes, and how patient to be."""
        super().__init__(options)
        self.asked = 0
        self._limit = limit
        self._stop = stop
        self._give_up_after_s = give_up_after_s
        self._first_wait_s = first_wait_s

    def get(self, query: Query, read: Callable[[Query, Answer], Read] = answers.rows) -> Any:
        """As `FinkClient.get`; `ServiceUnavailable` only when it was waited for in vain, or `stop` is set."""
        left_s, wait_s = self._give_up_after_s, self._first_wait_s
        while True:
            self._stop.wait(self._limit.reserve())
            self.asked += 1
            try:
                return super().get(query, read)
            except ServiceUnavailable as error:
                if left_s <= 0 or self._stop.is_set():
                    raise
                wait_s = min(wait_s, left_s)
                logger.warning("%s Asking again in %.0f s.", error, wait_s)
            if self._stop.wait(wait_s):
                continue  # once more, and then it is raised
            left_s -= wait_s
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
