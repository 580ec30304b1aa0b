"""Runs every configured stream in a thread of its own, starts it again if it dies, and ends them together."""

import logging
import queue
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tom_fink.alertstream import FinkAlertStream
from tom_fink.errors import FinkError, GaveUp
from tom_fink.stopping import Stop
from tom_fink.stream.batch import Limits

logger = logging.getLogger(__name__)

FINISH_WITHIN_S = 5.0  # for the batch in hand
STOP_WITHIN_S = 7.0  # most process managers kill after ten seconds, and Python's own end takes one
RESTART_WAITS_S = (1.0, 4.0, 16.0, 60.0)  # after the first death, the second …; one more is the end
HEALTHY_AFTER_S = 600.0  # who lived so long begins to count anew


@dataclass
class Supervisor:
    """The streams of this process. `run` gives the status that the process should end with."""

    streams: list[Any]
    limits: Limits
    _stop: Stop = field(default_factory=Stop)
    _ended: queue.SimpleQueue = field(default_factory=queue.SimpleQueue)
    _threads: dict[Any, threading.Thread] = field(default_factory=dict)
    _started: dict[Any, float] = field(default_factory=dict)  # monotonic, by stream
    _due: dict[Any, float] = field(default_factory=dict)  # of streams that died: when to start them again
    _deaths: Counter = field(default_factory=Counter)

    def run(self) -> int:
        """Run until a signal or a limit: 0. Until a stream has died too often or gave up: 1."""
        with self._signals():  # before anything starts that a signal would have to end
            for stream in self.streams:
                self._start(stream)
            status = self._watch()
            self._end()
        return status

    def _start(self, stream: Any) -> None:
        name = type(stream).__name__
        self._threads[stream] = threading.Thread(target=self._listen, args=[stream], name=name, daemon=True)
        self._started[stream] = time.monotonic()
        self._threads[stream].start()

    def _watch(self) -> int:
        """Wait until it is time to end; starts streams again that have died."""
        has_read = False  # a Fink stream has come to the end of what it was told to read
        while not self._stop.is_set():
            for stream in [found for found, due in self._due.items() if time.monotonic() >= due]:
                del self._due[stream]
                self._start(stream)
            alive = [*self._threads, *self._due]
            if not any(isinstance(stream, FinkAlertStream) for stream in alive) and (
                has_read or self.limits != Limits()
            ):
                return 0  # streams of other brokers know no limits
            if not alive:
                self._idle()
                return 0
            try:
                # Without a timeout: up to Python 3.12 SimpleQueue.get waits for ever if a signal's handler
                # takes longer than its timeout.
                stream, error, outcome = self._ended.get_nowait()
            except queue.Empty:
                self._stop.wait(0.2)
                continue
            del self._threads[stream]
            has_read = has_read or outcome is not None
            if error and not self._is_started_again(stream, error):
                return 1
        return 0

    def _is_started_again(self, stream: Any, error: BaseException) -> bool:
        name = type(stream).__name__
        if isinstance(error, GaveUp):
            return False  # it has waited long enough
        if time.monotonic() - self._started[stream] >= HEALTHY_AFTER_S:
            self._deaths[stream] = 0
        self._deaths[stream] += 1
        if self._deaths[stream] > len(RESTART_WAITS_S):
            logger.critical("%s died %d times in a row: the process ends.", name, self._deaths[stream])
            return False
        wait_s = RESTART_WAITS_S[self._deaths[stream] - 1]
        logger.error("%s is started again in %.0f s.", name, wait_s)
        self._due[stream] = time.monotonic() + wait_s
        return True

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

    def _end(self) -> None:
        """Stop the streams that can be stopped and wait for them; the others are left to end with the process.

        A batch that cannot be finished in time, because the database or a handler does not answer, is
        given up: the database takes it back when the process is gone, and it is read again.
        """
        ours = {stream: thread for stream, thread in self._threads.items() if hasattr(stream, "stop")}
        began = time.monotonic()
        for stream in ours:
            stream.stop()
        leaving = []  # in threads, because a broker that does not answer keeps each of them for seconds
        for stream, thread in ours.items():
            thread.join(max(0.0, began + FINISH_WITHIN_S - time.monotonic()))
            if thread.is_alive() and hasattr(stream, "abandon"):
                logger.warning(
                    "%s does not finish its batch; it is given up, not committed, and read again.",
                    thread.name,
                )
                leaving.append(threading.Thread(target=stream.abandon, name="leave", daemon=True))
                leaving[-1].start()
        for thread in [*leaving, *ours.values()]:
            thread.join(max(0.0, began + STOP_WITHIN_S - time.monotonic()))

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
