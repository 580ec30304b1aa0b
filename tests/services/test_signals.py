"""Real signals to a real reader: it ends with status 0 within ten seconds, whatever is away, and loses nothing."""

import os
import signal
import threading
import time
from contextlib import contextmanager, nullcontext

import psutil
import pytest

from tests.services.accounts import (
    assert_nothing_twice,
    broker_ends,
    group_offsets,
    ledger_sums,
    next_offsets,
)
from tests.services.moulds import moulds
from tests.services.needs import wait_until
from tests.services.processes import Process
from tests.services.publishing import Sent, make_topics, publish
from tom_fink.models import Alert
from tom_fink.stream import supervisor
from tom_fink.stream.batch import Limits

pytestmark = [pytest.mark.services, pytest.mark.timeout(420)]

ALERTS, PARTITIONS = 2000, 4
WITHIN_S = 10.0
AT_ONCE_S = 2.0


@pytest.fixture(scope="module")
def made():
    return moulds("ztf", 60)


@pytest.fixture
def topic(kafka, unique, made) -> str:
    """A topic full of alerts."""
    make_topics(kafka, {unique: PARTITIONS})
    alerts = [made[number % len(made)].cast(number) for number in range(ALERTS)]
    publish(
        kafka,
        [Sent(unique, number % PARTITIONS, alert.key, alert.value) for number, alert in enumerate(alerts)],
    )
    return unique


@pytest.fixture
def group(unique) -> str:
    return f"group-{unique}"


@contextmanager
def broker_away(kafka):
    kafka.kill()
    try:
        yield
    finally:
        kafka.start()


@contextmanager
def everything_away(kafka, postgres):
    """Neither broker nor database answer, and neither says no."""
    broker = psutil.Process(kafka._process.pid)
    with postgres.frozen():
        broker.suspend()
        try:
            yield
        finally:
            broker.resume()


def stop(reader: Process, number: int = signal.SIGTERM) -> float:
    """Send a signal; how many seconds the reader took to end with status 0."""
    began = time.monotonic()
    reader.popen.send_signal(number)
    status = reader.until_it_ends(WITHIN_S)
    took_s = time.monotonic() - began
    assert status == 0, reader.said[-3000:]
    assert "Traceback" not in reader.said, reader.said[-3000:]
    return took_s


def assert_read_to_the_end(kafka, topic: str, group: str, command) -> None:
    """Another reader gets the partitions and reads the rest; nothing is lost, nothing twice."""
    ends = broker_ends(kafka.address, topic)
    reader = command("readstreams")
    wait_until(lambda: next_offsets(group) == ends, lambda: reader.said[-3000:])
    wait_until(lambda: group_offsets(kafka.address, group, topic) == ends, lambda: reader.said[-3000:])
    assert reader.end() == 0
    sums = ledger_sums(group)
    assert sums.stored == Alert.objects.count() == ALERTS
    assert (sums.rejected, sums.lost, sums.skipped) == (0, 0, 0)
    assert_nothing_twice()


@pytest.mark.parametrize(
    ("away", "number"),
    [
        ("nothing", signal.SIGTERM),
        ("nothing", signal.SIGINT),
        ("the database", signal.SIGTERM),
        ("the database's answer", signal.SIGTERM),
        ("the broker", signal.SIGTERM),
        ("everything", signal.SIGTERM),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_signal_ends_the_reader_in_time(kafka, postgres, topic, group, command, figure, away, number):
    reader = command("readstreams")
    reader.until_it_says("Batch of")
    children = psutil.Process(reader.popen.pid).children()
    circumstances = {
        "nothing": nullcontext,
        "the database": postgres.crashed,
        "the database's answer": postgres.frozen,
        "the broker": lambda: broker_away(kafka),
        "everything": lambda: everything_away(kafka, postgres),
    }
    with circumstances[away]():
        match away:
            case "the database":
                reader.until_it_says("is kept; tried again")
            case "the database's answer" | "everything":
                reader.until_it_is_quiet()
            case "the broker":
                reader.until_it_says("cannot be reached, trying again")
        took_s = stop(reader, number)
    assert f"{number.name}: ending after the batch in hand" in reader.said
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive, "what decodes ends with the reader"
    figure(f"{number.name} while {away} is away: the reader ended after {took_s:.1f} s")
    if away == "nothing":
        assert 0 < Alert.objects.count() < ALERTS, "it was in the middle of its work"
    assert_read_to_the_end(kafka, topic, group, command)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_second_signal_ends_the_reader_at_once(kafka, postgres, topic, group, command, figure, number):
    """While the database does not answer: else the first would have ended it."""
    reader = command("readstreams")
    reader.until_it_says("Batch of")
    children = psutil.Process(reader.popen.pid).children()
    with postgres.frozen():
        reader.until_it_is_quiet()
        reader.popen.send_signal(number)
        reader.until_it_says("ending after the batch in hand")
        began = time.monotonic()
        reader.popen.send_signal(number)
        status = reader.until_it_ends(AT_ONCE_S)
        took_s = time.monotonic() - began
    assert status != 0
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive, "what decodes ends with the reader"
    figure(f"the second {number.name}: ended after {took_s:.2f} s with status {status}")
    assert_read_to_the_end(kafka, topic, group, command)


class DeafStream:
    """A stream that hangs, and hangs once more when it is to leave its group."""

    def __init__(self, may_end: threading.Event):
        self._may_end = may_end

    def listen(self) -> None:
        self._may_end.wait(60)

    def stop(self) -> None:
        """It does not hear."""

    def abandon(self) -> None:
        self._may_end.wait(60)


def test_streams_that_cannot_even_leave_their_groups_do_not_add_up(monkeypatch):
    """Neither one after the other nor any of them may keep the process longer than it has."""
    monkeypatch.setattr(supervisor, "FINISH_WITHIN_S", 0.2)
    monkeypatch.setattr(supervisor, "STOP_WITHIN_S", 0.6)
    may_end = threading.Event()
    running = supervisor.Supervisor([DeafStream(may_end) for _ in range(3)], Limits())
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        wait_until(lambda: len(running._threads) == 3, "the streams")
        running.stop()
        thread.join(5)
        assert not thread.is_alive()
    finally:
        may_end.set()
        thread.join(20)


class PatientStream:
    """A stream that reads until it is told to stop."""

    def __init__(self):
        self._is_over = threading.Event()

    def listen(self) -> None:
        self._is_over.wait(60)

    def stop(self) -> None:
        self._is_over.set()


def test_a_signal_is_not_lost_where_its_handler_is_slow(monkeypatch):
    """On a busy machine the handler takes longer than the supervisor waits for news of its streams."""
    stream = PatientStream()
    running = supervisor.Supervisor([stream], Limits())
    ending = supervisor.logger.info
    monkeypatch.setattr(supervisor.logger, "info", lambda *args: (time.sleep(0.5), ending(*args)))
    timers = [
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)),
        threading.Timer(8, stream.stop),  # else the test would hang where the reader would
    ]
    for timer in timers:
        timer.start()
    began = time.monotonic()
    assert running.run() == 0
    assert time.monotonic() - began < 5
    for timer in timers:
        timer.cancel()
