"""How long to wait for something that is away."""

import random
import time
from dataclasses import dataclass, field

from tom_fink.errors import GaveUp

FIRST_S = 0.5
LONGEST_S = 30.0


@dataclass
class Patience:
    """Growing waits, each up to a quarter shorter by chance, so that several readers do not come at once.

    Time is the monotonic clock's: setting the machine's clock changes nothing.
    """

    give_up_after_s: float = float("inf")
    _since: float = field(default_factory=lambda: time.monotonic())
    _next_s: float = FIRST_S

    @property
    def waited_s(self) -> float:
        """Seconds since the waiting began."""
        return time.monotonic() - self._since

    def wait_s(self, error: Exception) -> float:
        """How long to wait now. Raises `GaveUp`, caused by `error`, if it has been long enough."""
        left_s = self.give_up_after_s - self.waited_s
        if left_s <= 0:
            raise GaveUp(
                f"Gave up after {self.waited_s:.0f} s. What was read is not committed, and is read again: {error}"
            ) from error
        wait_s = self._next_s * random.uniform(0.75, 1.0)  # noqa: S311 - no secret
        self._next_s = min(2 * self._next_s, LONGEST_S)
        return min(wait_s, left_s)
