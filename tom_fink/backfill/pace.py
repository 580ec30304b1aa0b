"""A limit on how often a service is asked."""

import time
from collections.abc import Callable

MINUTE_S = 60.0
PER_MINUTE = 60.0


class RateLimit:
    """Even distances between questions, of which none is saved up: after a pause there is no burst.

    clock: seconds of a clock that only goes forward.
    """

    def __init__(self, per_minute: float = PER_MINUTE, clock: Callable[[], float] = time.monotonic):
        """Take the most questions in a minute. Raises ValueError for what is no positive number."""
        if not 0 < per_minute < float("inf"):
            raise ValueError(f"a rate is a positive number, not {per_minute}")
        self._interval_s = MINUTE_S / per_minute
        self._clock = clock
        self._next_at: float | None = None

    def reserve(self) -> float:
        """Take the next place; returns how many seconds from now it is."""
        now = self._clock()
        place = now if self._next_at is None else max(now, self._next_at)
        self._next_at = place + self._interval_s
        return place - now
