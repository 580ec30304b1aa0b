"""Runs every configured stream in a thread of its own, and ends them together."""

import logging
import queue
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tom_fink.alertstream import FinkAlertStream
from tom_fink.errors import FinkError
from tom_fink.reader import Limits
from tom_fink.stopping import Stop

logger = logging.getLogger(__name__)

STOP_WITHIN_S = 9.0  # below the ten seconds that most process managers wait before they kill


@dataclass
class Supervisor:
    """The streams of this process. `run` gives the status that the process should end with."""

    streams: list[Any]
    limits: Limits
    _stop: Stop = field(default_factory=Stop)
    _ended: queue.SimpleQueue = field(default_factory=queue.SimpleQueue)

    def run(self) -> int:
        """Run until a signal, a limit or a death; 0, or 1 if a stream died or did not stop in time."""
        waiting = {}
        with self._signals():  # before anything starts that a signal would have to end
            for stream in self.streams:
                name = type(stream).__name__
                waiting[stream] = threading.Thread(target=self._listen, args=[stream], name=name, daemon=True)
                waiting[stream].start()
            status = self._watch(waiting)
            return self._end(waiting) or status

    def _watch(self, waiting: dict[Any, threading.Thread]) -> int:
        """Wait until it is time to end; takes streams that have ended out of `waiting`."""
        has_read = False  # a Fink stream has come to the end of what it was told to read
        while not self._stop.is_set():
            if not any(isinstance(stream, FinkAlertStream) for stream in waiting) and (
                has_read or self.limits != Limits()
            ):
                return 0  # streams of other brokers know no limits
            if not waiting:
                self._idle()
                return 0
            try:
                stream, error, outcome = self._ended.get(timeout=0.2)
            except queue.Empty:
                continue
            waiting.pop(stream)
            if error:
                return 1
            has_read = has_read or outcome is not None
        return 0

    def stop(self) -> None:
        """Ask for the end; may be called from a signal handler."""
        self._stop.set()

    def _listen(self, stream: Any) -> None:
        error = outcome = None
        try:
            outcome = stream.listen(self.limits) if isinstance(stream, FinkAlertStream) else stream.listen()
        except BaseException as caught:
            error = caught
            # An error of ours says what is wrong; an unknown one is worth its traceback.
            unknown = None if isinstance(caught, FinkError) else caught
            logger.critical("%s died: %s", type(stream).__name__, caught, exc_info=unknown)
        self._ended.put((stream, error, outcome))

    def _idle(self) -> None:
        """With nothing to read, wait: an end would have the container restarted for ever."""
        logger.warning("No stream is active; waiting for a signal. Set the variables above and start again.")
        self._stop.wait()

    def _end(self, waiting: dict[Any, threading.Thread]) -> int:
        """Stop the streams that can be stopped and wait for them; the others are left to end with the process."""
        ours = {stream: thread for stream, thread in waiting.items() if hasattr(stream, "stop")}
        for stream in ours:
            stream.stop()
        deadline = time.monotonic() + STOP_WITHIN_S
        for thread in ours.values():
            thread.join(max(0.0, deadline - time.monotonic()))
        late = [thread.name for thread in ours.values() if thread.is_alive()]
        if late:
            logger.error("Did not stop within %.0f s: %s", STOP_WITHIN_S, ", ".join(late))
        return 1 if late else 0

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT ask for the end; the first gives the old handlers back, so a second one ends at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

        def restore() -> None:
            for number, handler in previous.items():
                signal.signal(number, handler)

        def on_signal(number: int, _frame: Any) -> None:
            restore()
            logger.info("%s: ending after the batch in hand", signal.Signals(number).name)
            self.stop()

        for number in previous:
            signal.signal(number, on_signal)
        try:
            yield
        finally:
            restore()
