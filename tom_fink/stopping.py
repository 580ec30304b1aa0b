"""A request to stop that a signal handler may make."""

import time

SLICE_S = 0.1


class Stop:
    """Like `threading.Event`, but safe to set in a signal handler while the main thread waits for it.

    Python runs a handler in the main thread, between any two steps of whatever runs there. `Event.set`
    takes a lock; if the main thread is inside `Event.wait` and holds it, both wait for ever. And a
    signal that comes just before a wait begins is handled only when the wait is over, so a wait is
    made of short ones.
    """

    def __init__(self):
        self._is_set = False

    def set(self) -> None:
        """Ask for the end; more than once does no harm."""
        self._is_set = True

    def is_set(self) -> bool:
        """Whether the end was asked for."""
        return self._is_set

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the end is asked for, or `timeout` seconds; whether it was."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._is_set:
            rest = SLICE_S if deadline is None else deadline - time.monotonic()
            if rest <= 0:
                return False
            time.sleep(min(rest, SLICE_S))
        return True
