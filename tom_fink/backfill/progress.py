"""How far a long run is: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable
from shutil import get_terminal_size

from django.core.management.base import OutputWrapper

WIDTH = 30
LINE_EVERY_S = 30.0


class Progress:
    """Writes to `out`, which is a terminal if it says so. `clock` counts seconds."""

    def __init__(self, out: OutputWrapper, clock: Callable[[], float] = time.monotonic):
        """Show nothing yet."""
        self._out = out
        self._clock = clock
        self._is_terminal = out.isatty()
        self._length = 0
        self._said_at = clock()

    def show(self, done: float, text: str) -> None:
        """Tell that `done` of it (0 to 1) is done, with a word on what."""
        done = min(max(done, 0.0), 1.0)
        if self._is_terminal:
            full = round(done * WIDTH)
            line = f"[{'#' * full}{'.' * (WIDTH - full)}] {done:4.0%} {text}"
            line = line[: get_terminal_size().columns - 1]  # a line that wraps cannot be written over
            self._out.write("\r" + line.ljust(self._length), ending="")
            self._out.flush()
            self._length = len(line)
        elif self._clock() - self._said_at >= LINE_EVERY_S:
            self._said_at = self._clock()
            self._out.write(f"{done:4.0%} {text}\n")
            self._out.flush()

    def end(self) -> None:
        """Leave the line of the bar."""
        if self._length:
            self._out.write("\n")
            self._length = 0
