"""1, 2 and 4 readers in one group: on two cores that cannot be faster, but it must not cost more."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import ConsumerGroupState, KafkaError, KafkaException

from bench import sending
from bench.errors import BenchError
from bench.lines import ONE
from bench.reading import (
    STARTS_WITHIN_S,
    Measured,
    batch_of,
    end,
    expect,
    group_of,
    start_reader,
    wait_for,
    watch,
)
from bench.run import Run, first_alerts, further_alerts, unique
from bench.sending import Alerts
from bench.site import Ledger, Site
from bench.usage import Readers
from tests.services.processes import Process
from tests.services.publishing import admin

SURVEY = "ztf"
WARM_UP = 50_000_000  # the first object of others than those measured
WARM_UP_BATCHES = 3
HELD_AT_MOST_S = 40  # librdkafka's session.timeout.ms is 45 s
NOT_YET = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)
LOCK_WAITS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


def scale_out(run: Run) -> None:
    """The same new objects and then further alerts of them, each alert to a partition at random.

    So two readers have the same object in hand now and then, and an object's alerts change places.
    """
    one = 0.0
    for count in (1, 2, 4):
        case = "1 reader" if count == 1 else f"{count} readers"
        # A site of its own, deleted before the next: its files take memory, and where that is new it costs time.
        with run.machine.site() as site:
            measured, waiting, deadlocks = _read(run, site, count)
        run.note(case, measured)
        cpu = (measured.cpu.reader + measured.cpu.postgresql) / measured.alerts * 1000
        if count == 1:
            one = cpu
        else:
            run.findings.add(case, "CPU s per 1,000 alerts", cpu, ONE, one)
        run.findings.add(case, "writers waiting for a lock", waiting)
        run.findings.add(case, "deadlocks", deadlocks)


def _read(run: Run, site: Site, count: int) -> tuple[Measured, float, int]:
    """What was measured, how many writers waited for a lock on average, how many deadlocks there were.

    The readers have their partitions and have stored some full batches before what is measured is sent: what a
    process needs once, memory most of all, would count the more the more readers share the alerts. They stand still
    while it is sent: more readers than the sender can keep busy would have smaller batches, and what a batch costs apart
    from its alerts would count for more.
    """
    objects = run.sizes.scale_objects
    order = first_alerts(0, objects) + further_alerts(0, objects)
    moulds, topic, group = run.moulds(SURVEY), unique(), unique()
    alerts = Alerts(topic, moulds, order, at_random=True)
    warm_up = WARM_UP_BATCHES * batch_of(moulds) * count
    first = Alerts(topic, moulds, first_alerts(WARM_UP, warm_up), at_random=True)
    machine, waits = run.machine, []

    def on_look(_: Ledger) -> None:
        waits.append(site.ask(LOCK_WAITS)[0][0])

    with sending.topics(machine.kafka, alerts.topic):
        processes = [start_reader(machine, site, group, (alerts,)) for _ in range(count)]
        try:
            wait_for(
                lambda: _has_members(run, group, count), "a group of all readers", STARTS_WITHIN_S, processes
            )
            readers = Readers([process.popen.pid for process in processes])
            sending.send(machine.kafka.address, first)
            expect(site, first)
            watch(site, readers, processes)
            with _held(processes):
                sending.send(machine.kafka.address, alerts)
            before, began = machine.cpu(readers), time.monotonic()
            expect(site, alerts)
            watch(site, readers, processes, on_look)
            took_s, used = time.monotonic() - began, machine.cpu(readers) - before
            for process in processes:
                end(process)
        finally:
            for process in processes:
                process.kill()
    site.check()
    measured = Measured(len(alerts), alerts.points, took_s, used, readers)
    return measured, sum(waits) / len(waits), site.ask(DEADLOCKS)[0][0]


@contextmanager
def _held(processes: list[Process]) -> Iterator[None]:
    """Readers that do nothing while the block runs, which is to be shorter than the group's patience with them."""
    began = time.monotonic()
    for process in processes:
        process.popen.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            process.popen.send_signal(signal.SIGCONT)
    if (held_s := time.monotonic() - began) > HELD_AT_MOST_S:
        raise BenchError(
            f"To send the alerts took {held_s:.0f} s: the group has given up its readers by then."
        )


def _has_members(run: Run, group: str, count: int) -> bool:
    """Whether the group is stable and each of so many members has a partition."""
    name = group_of(group, SURVEY)
    client = admin(run.machine.kafka)  # what it is asked ends with it
    try:
        found = client.describe_consumer_groups([name])[name].result(10)
    except KafkaException as error:
        if error.args[0].code() in NOT_YET:
            return False
        raise
    shares = [len(member.assignment.topic_partitions) for member in found.members]
    return found.state == ConsumerGroupState.STABLE and len(shares) == count and all(shares)
