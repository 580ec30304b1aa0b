"""What the commands that send or store alerts have in common: their options, their stop, their count."""

import signal
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

from django.core.management.base import CommandError

from tom_fink.kafka.producer import AlertProducer, Pace
from tom_fink.stopping import Stop


def add_sending_arguments(parser) -> None:
    """Add --rate and --count."""
    parser.add_argument("--rate", type=float, metavar="N", help="alerts per second (default: no limit)")
    add_count_argument(parser)


def add_count_argument(parser) -> None:
    """Add --count."""
    parser.add_argument("--count", type=int, metavar="N", help="stop after this many alerts")


def check_sending_options(options: dict) -> None:
    """Raise CommandError unless --rate and --count, where given, are positive."""
    rate = options["rate"]
    if rate is not None and not 0 < rate < float("inf"):
        raise CommandError(f"--rate must be a number above 0, not {rate:g}")
    check_count(options["count"])


def check_count(count: int | None) -> None:
    """Raise CommandError unless --count, where given, is positive."""
    if count is not None and count <= 0:
        raise CommandError(f"--count must be above 0, not {count}")


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Give an event that SIGINT (Ctrl-C) and SIGTERM set, instead of breaking off what is under way.

    The first signal gives the old handlers back, so a second one ends at once.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # Python lets only the main thread handle signals
        return
    earlier = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in earlier.items():
            signal.signal(number, handler)

    def on_signal(*_) -> None:
        restore()
        stop.set()

    for number in earlier:
        signal.signal(number, on_signal)
    try:
        yield stop
    finally:
        restore()


def send_all(
    messages: Iterable[tuple[str, bytes | None, bytes | None]], bootstrap: str, options: dict, stop: Stop
) -> Counter:
    """Send (topic, key, value) messages to `bootstrap` until they end, --count is reached or `stop` is set.

    Returns the number of alerts delivered to each topic; raises StreamError if one was not.
    """
    sent: Counter = Counter()
    pace = Pace(options["rate"])
    with AlertProducer(bootstrap) as producer:
        for topic, key, value in islice(messages, options["count"]):
            if not pace.wait(stop):
                break
            producer.send(topic, key, value)
            sent[topic] += 1
    return sent


def summary(sent: Counter) -> str:
    """One line: how many alerts went to which topics."""
    topics = ", ".join(f"{topic} {number}" for topic, number in sorted(sent.items()))
    return f"sent {sent.total()} alerts" + (f": {topics}" if topics else "")
