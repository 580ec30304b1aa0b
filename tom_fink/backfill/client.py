"""The client of a long run: it keeps a rate, and waits for a service that is away."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from tom_fink.api import answers
from tom_fink.api.answers import Answer
from tom_fink.api.client import FinkClient
from tom_fink.api.options import ApiOptions
from tom_fink.api.query import Query
from tom_fink.backfill.pace import RateLimit
from tom_fink.errors import ServiceUnavailable, TooSlow
from tom_fink.stopping import Stop

logger = logging.getLogger(__name__)

FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 120.0
GIVE_UP_AFTER_S = 900.0

Read = TypeVar("Read")


class GentleClient(FinkClient):
    """A client that asks `limit` first, and asks again for up to `give_up_after_s` while the service is away.

    That time counts from when a question failed first, with all that is asked again. An endpoint that was waited
    for in vain is asked once, until it answers. `stop` ends the waiting for the service, and no pause of the rate.
    """

    def __init__(
        self,
        options: ApiOptions,
        limit: RateLimit,
        stop: Stop,
        give_up_after_s: float = GIVE_UP_AFTER_S,
        first_wait_s: float = FIRST_WAIT_S,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ):
        """Take what `FinkClient` takes, and how patient to be. `clock` counts seconds, `sleep` waits for some."""
        # Each question is one request, or the rate would not be kept: what is tried again waits its turn here.
        super().__init__(replace(options, retries=0))
        self.asked = 0
        self._limit = limit
        self._stop = stop
        self._give_up_after_s = give_up_after_s
        self._first_wait_s = first_wait_s
        self._clock, self._sleep = clock, sleep
        self._given_up: set[tuple[str, str]] = set()

    def get(
        self,
        query: Query,
        read: Callable[[Query, Answer], Read] = answers.rows,
        *,
        can_be_less: bool = False,
    ) -> Any:
        """As `FinkClient.get`; `ServiceUnavailable` only when it was waited for in vain, or `stop` is set.

        can_be_less: raise `TooSlow` at once, as who asks can ask for less.
        """
        place, ends_at, wait_s = (query.survey, query.endpoint), None, self._first_wait_s
        while True:
            self._sleep(self._limit.reserve())
            self.asked += 1
            try:
                found = super().get(query, read)
            except ServiceUnavailable as error:
                if can_be_less and isinstance(error, TooSlow):
                    raise
                now = self._clock()
                if ends_at is None:
                    ends_at = now + (0.0 if place in self._given_up else self._give_up_after_s)
                if now >= ends_at or self._stop.is_set():
                    self._given_up.add(place)
                    raise
                wait_s = min(wait_s, ends_at - now)
                logger.warning("%s Asking again in %.0f s.", error, wait_s)
            else:
                self._given_up.discard(place)
                return found
            self._stop.wait(wait_s)  # if it is set: once more, and then it is raised
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
