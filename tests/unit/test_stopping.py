"""The request to stop, asked for in the middle of waiting for it."""

import signal
import threading
import time

from tom_fink.stopping import Stop


def test_a_signal_handler_may_set_what_its_thread_waits_for():
    """With `threading.Event` this hangs sooner or later: the handler waits for a lock of its own thread.

    With one long wait it would, too: a signal just before it is handled only after it.
    """
    previous = signal.getsignal(signal.SIGALRM)
    try:
        for attempt in range(200):
            stop = Stop()
            signal.signal(signal.SIGALRM, lambda *_, stop=stop: stop.set())
            signal.setitimer(signal.ITIMER_REAL, 1e-6 * (5 + attempt % 100))
            assert stop.wait(10)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def test_wait_ends_with_its_timeout():
    began = time.monotonic()
    assert Stop().wait(0.05) is False
    assert 0.04 < time.monotonic() - began < 5


def test_once_set_it_stays_set():
    stop = Stop()
    assert not stop.is_set()
    threading.Thread(target=stop.set).start()
    assert stop.wait(10)
    assert all(stop.wait() for _ in range(3))
    assert stop.is_set()
