"""A crash between every two steps of the reader's loop, one by one: the next start gives the same rows.

Each step is made to fail once, right before and right after its work, on the mock cluster.
"""

import threading
from dataclasses import replace
from itertools import product

import pytest
from confluent_kafka import Producer, TopicPartition
from django.db import connections
from django.utils.module_loading import import_string
from tom_targets.models import BaseTarget, TargetList

from tests.contents import contents, undisturbed
from tests.db.streams import committed, wait_until
from tom_fink.kafka.options import stream_options
from tom_fink.models import Alert, FinkObject, PartitionLedger, RejectedMessage, Topic
from tom_fink.stream.handlers import Handlers
from tom_fink.stream.reader import AlertReader
from tom_fink.stream.sink import DatabaseSink

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("short_sessions")]

STEPS = [
    "tom_fink.stream.assignment.Assignment.settle",
    "tom_fink.stream.reader.AlertReader._poll",
    "tom_fink.stream.sink.DatabaseSink.decode",
    "tom_fink.files.archive.Archive.write",
    "tom_fink.stream.sink.DatabaseSink.store",
    "tom_fink.stream.handlers.store_tidy",
    "tom_fink.store.batch.reject",
    "tom_fink.store.batch.topics_named",
    "tom_fink.store.batch.lock_objects",
    "tom_fink.store.batch.assign_targets",
    "tom_fink.store.batch.store_alerts",
    "tom_fink.store.batch.add_to_lists",
    "tom_fink.store.batch.store_photometry",
    "tom_fink.cutoutfile.CutoutFile.keep",
    "tom_fink.store.batch.update_objects",
    "tom_fink.store.batch.announce",
    "tom_fink.store.ledger.account",
    "tom_fink.stream.sink.store_delays",
    "tom_fink.stream.commits.Commits.commit",
    "tom_fink.stream.sink.DatabaseSink.beat",
]


class CrashError(BaseException):
    """The end of a process, as far as its own code can tell."""


@pytest.fixture(autouse=True)
def _close_connections():
    yield
    connections.close_all()


@pytest.fixture
def messages(simulated_messages):
    """Twelve alerts, one of them twice, and two messages that hold none, over four partitions."""
    found = [m for m in simulated_messages if m.topic == "fink_sn_candidates_ztf"][:12]
    poisoned = [replace(found[0], value=found[0].value[:100]), replace(found[1], key=b"1_1")]
    return [
        replace(message, partition=number % 4, offset=number // 4)
        for number, message in enumerate([*found, found[3], *poisoned])
    ]


class Crasher:
    """Makes one step fail once, right before or right after its work."""

    def __init__(self, monkeypatch):
        self.step = self.when = ""
        self.crashed = True
        for step in STEPS:
            monkeypatch.setattr(step, self._wrapped(step, _attribute(step)))

    def arm(self, step: str, when: str) -> None:
        self.step, self.when, self.crashed = step, when, False

    def _wrapped(self, step, work):
        def attempt(*arguments, **named):
            if step.endswith("_poll"):
                found = work(*arguments, **named)  # may have begun before the crash was armed
                if self.crashed or step != self.step or not found.messages:
                    return found
            elif self.crashed or step != self.step:
                return work(*arguments, **named)
            elif self.when == "after":
                work(*arguments, **named)
            self.crashed = True
            raise CrashError(step)

        return attempt


class RebornReader(AlertReader):
    """After a crash it begins again as a new process would, but for its place in the group.

    To join again takes seconds on the mock cluster.
    """

    new_sink = None

    def _read(self, consumer):
        while not self._stop.is_set():
            try:
                super()._read(consumer)
            except CrashError:
                self.forget_all(consumer)

    def forget_all(self, consumer):
        """Everything that is in memory is gone; the partitions are given as at the start."""
        self.sink.close()
        self.sink = self.new_sink()
        self._is_in_sink, self._next_beat = False, 0.0
        consumer.assign([])
        self.assignment.on_assign(consumer, [TopicPartition(self.options.topics[0], n) for n in range(4)])


@pytest.mark.timeout(600)
def test_a_crash_changes_nothing(messages, send, published, settings, monkeypatch, tmp_path):
    settings.FINK_ARCHIVE_DIR = str(tmp_path)
    topic = f"{send([])}crash"
    options = stream_options(published(topic))
    expected = undisturbed(messages, topic, len(messages) - 3)
    producer = Producer({"bootstrap.servers": options.url, "log_level": 0})

    def send_all():
        for message in messages:
            producer.produce(topic, value=message.value, key=message.key, partition=message.partition)
        assert producer.flush(10) == 0

    RebornReader.new_sink = lambda self: DatabaseSink(options, Handlers({}))
    monkeypatch.setattr("tom_fink.stream.reader.BATCH_AGE_S", 0.2)
    crasher = Crasher(monkeypatch)
    reader = RebornReader(options, DatabaseSink(options, Handlers({})))

    def run():
        try:
            reader.run()
        finally:
            reader.sink.close()
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        for round_number, (step, when) in enumerate(product(STEPS, ["before", "after"])):
            crasher.arm(step, when)
            if step.endswith(("settle", "beat")):
                reader._next_beat = 0.0
                reader.assignment.unsettled = reader.assignment.unsettled or [
                    TopicPartition(topic, n) for n in range(4)
                ]
            send_all()
            total = (round_number + 1) * len(messages)
            wait_until(
                lambda total=total: crasher.crashed and _is_read(options, topic, total),
                f"the end of a crash {when} {step}",
            )
            assert thread.is_alive()
            found = contents()
            for label, rows in expected.items():
                assert found[label] == rows, f"{label} after a crash {when} {step}"
            ledger = {row.partition: row for row in PartitionLedger.objects.all()}
            assert sum(row.read - row.replayed for row in ledger.values()) >= len(messages), step
            assert sum(row.lost + row.skipped for row in ledger.values()) == 0, step
            _empty_tables()
    finally:
        reader.stop()
        thread.join(30)
    assert not thread.is_alive()


def _is_read(options, topic: str, messages: int) -> bool:
    """Whether the group has committed all of them."""
    return committed({"URL": options.url, "GROUP_ID": options.group_id}, topic) == messages


def _empty_tables() -> None:
    """As a new database, but that it knows how far it has read."""
    for model in (RejectedMessage, Alert, FinkObject, Topic, BaseTarget, TargetList):
        model.objects.all().delete()


def _attribute(path: str):
    """`package.module.Class.method`, or `package.package.module.function`."""
    owner, _, name = path.rpartition(".")
    try:
        return import_string(path)
    except ImportError:
        return getattr(import_string(owner), name)
