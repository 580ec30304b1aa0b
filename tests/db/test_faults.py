"""What goes wrong around a reader, on the mock cluster: nothing is lost, and nothing is there twice."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from django.core.management import CommandError, call_command
from django.db import IntegrityError, InterfaceError, OperationalError, connections

from tests.db.streams import TOPIC, committed, ids, of_topic, read_until, readstreams, wait_until
from tom_fink.alertstream import FinkAlertStream
from tom_fink.decoding.decoder import Decoder
from tom_fink.errors import ArchiveError, GaveUp
from tom_fink.files import archive
from tom_fink.kafka.producer import AlertProducer
from tom_fink.models import Alert, PartitionLedger, RejectedMessage
from tom_fink.store import Fate
from tom_fink.stream import patience, reader, supervisor
from tom_fink.stream.handlers import Handlers

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("short_sessions")]


@pytest.fixture(autouse=True)
def _close_connections():
    yield
    connections.close_all()


@pytest.fixture
def stream(published, settings):
    """A function that configures a stream of a topic and gives it, with changes to its OPTIONS."""

    def configure(topic: str, **changes) -> FinkAlertStream:
        published(topic, **changes)
        return FinkAlertStream(**settings.ALERT_STREAMS[0]["OPTIONS"])

    return configure


@contextmanager
def reading(found: FinkAlertStream) -> Iterator[threading.Thread]:
    """The stream is read in a thread, as the command does."""
    thread = threading.Thread(target=found.listen)
    thread.start()
    try:
        yield thread
    finally:
        found.stop()
        thread.join(30)
        assert not thread.is_alive()


def sums() -> dict[str, int]:
    """The ledger over all partitions."""
    rows = PartitionLedger.objects.all()
    names = ("read", "stored", "duplicate", "rejected", "handled", "replayed", "lost", "skipped")
    found = {name: sum(getattr(row, name) for row in rows) for name in names}
    return {name: number for name, number in found.items() if number}


class AwayError(Exception):
    """A database that is away, in the words of a driver."""


def away_for(tries: int, error: Exception, method=Handlers.store):
    """`method`, which fails so many times before it works."""
    left = [tries]

    def attempt(*arguments):
        if left[0] > 0:
            left[0] -= 1
            raise error
        return method(*arguments)

    attempt.left = left
    return attempt


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("connection to server failed:\n\tConnection refused"),
        OperationalError("deadlock detected"),
        InterfaceError("connection already closed"),
        IntegrityError(
            "violates foreign key constraint"
        ),  # at the commit, from somebody who deleted a target
    ],
)
def test_a_batch_waits_for_the_database(simulated_messages, send, stream, monkeypatch, caplog, error):
    caplog.set_level("INFO")
    messages = of_topic(simulated_messages)[:5]
    topic = send(messages) + TOPIC
    found = stream(topic)
    store = away_for(3, error)
    monkeypatch.setattr(Handlers, "store", store)
    with reading(found):
        wait_until(lambda: Alert.objects.count() == 5)
        wait_until(lambda: committed(found.given, topic) == 5)
    said = [record.message for record in caplog.records]
    waited = [line for line in said if "What was read is kept; tried again in" in line]
    assert len(waited) == 3
    assert f"The database cannot be used: {' '.join(str(error).split())}." in waited[0]
    assert any("The database is back after" in line for line in said)
    assert sums() == {"read": 5, "stored": 5}


def test_a_reader_that_waits_for_the_database_stays_in_its_group(
    simulated_messages, send, stream, monkeypatch
):
    """For longer than a member may be silent: it polls, and keeps its partitions and its batch."""
    messages = of_topic(simulated_messages)[:3]
    topic = send(messages) + TOPIC
    found = stream(topic, KAFKA={"max.poll.interval.ms": "7000", "session.timeout.ms": "6000"})
    away = threading.Event()
    away.set()
    store = Handlers.store
    calls = []

    def attempt(*arguments):
        calls.append(arguments)
        if away.is_set():
            raise OperationalError("away")
        return store(*arguments)

    monkeypatch.setattr(Handlers, "store", attempt)
    monkeypatch.setattr(patience, "LONGEST_S", 1.0)
    with reading(found):
        wait_until(lambda: len(calls) >= 12)  # at a second each, longer than the broker would wait
        assert Alert.objects.count() == 0
        assert committed(found.given, topic) == 0
        away.clear()
        wait_until(lambda: committed(found.given, topic) == 3)
    assert len({id(decoded) for _, decoded in calls}) == 1, "it was one batch all the time, decoded once"
    assert sums() == {"read": 3, "stored": 3}


def test_a_reader_gives_up_after_its_time(simulated_messages, send, stream, monkeypatch, settings):
    settings.FINK_GIVE_UP_AFTER = 1.0
    messages = of_topic(simulated_messages)[:3]
    topic = send(messages) + TOPIC
    found = stream(topic)
    monkeypatch.setattr(Handlers, "store", away_for(1000, OperationalError("away")))
    with pytest.raises(GaveUp, match=r"Gave up after 1 s.*The database cannot be used: away"):
        found.listen()
    assert committed(found.given, topic) == 0
    with pytest.raises(SystemExit) as ended:
        call_command("readstreams")
    assert ended.value.code == 1, "and it is not started again by its own process"


def test_stop_while_the_database_is_away(simulated_messages, send, stream, monkeypatch):
    messages = of_topic(simulated_messages)[:3]
    topic = send(messages) + TOPIC
    found = stream(topic)
    store = away_for(1000, OperationalError("away"))
    monkeypatch.setattr(Handlers, "store", store)
    with reading(found) as thread:
        wait_until(lambda: store.left[0] < 999)
        found.stop()
        thread.join(10)
        assert not thread.is_alive()
    assert committed(found.given, topic) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_reader_whose_database_is_away(simulated_messages, send, cluster, number):
    """The real process, with a database that was never there: status 0 within ten seconds."""
    topic = send(of_topic(simulated_messages)[:3]) + TOPIC
    with readstreams(
        FINK_CREDENTIAL_URL=cluster,
        FINK_CREDENTIAL_GROUP_ID=topic,
        FINK_TOPIC=topic,
        DATABASE_URL="postgres://tom:not-a-secret@127.0.0.1:1/tom",
    ) as process:
        said = read_until(process, "tried again in")
        assert "The database cannot be used" in said
        process.send_signal(number)
        assert process.wait(10) == 0
        assert "not-a-secret" not in said + process.stderr.read()


def test_the_archive_comes_first_and_is_waited_for(
    simulated_messages, send, stream, monkeypatch, settings, tmp_path
):
    settings.FINK_ARCHIVE_DIR = str(tmp_path)
    write = away_for(2, ArchiveError("No space left."), archive.Archive.write)
    monkeypatch.setattr(archive.Archive, "write", write)
    messages = of_topic(simulated_messages)[:3]
    topic = send(messages) + TOPIC
    found = stream(topic)
    with reading(found):
        wait_until(lambda: committed(found.given, topic) == 3)
    assert sums() == {"read": 3, "stored": 3}
    assert list(tmp_path.rglob("*.avro"))


def test_a_rebalance_in_the_middle_of_a_batch(simulated_messages, send, stream, monkeypatch, caplog):
    """The batch in hand is given back; whoever has the partitions then stores it, and nobody twice."""
    caplog.set_level("INFO")
    messages = of_topic(simulated_messages)[:12]
    topic = send([]) + TOPIC
    first = stream(topic)
    producer = Producer({"bootstrap.servers": first.options.url, "log_level": 0})
    for number, message in enumerate(messages):
        producer.produce(topic, value=message.value, key=message.key, partition=number % 4)
    assert producer.flush(10) == 0
    second = FinkAlertStream(
        **first.given, TOPIC_HANDLERS={"fink.stream": "tom_fink.alertstream.alert_saver"}
    )
    store = Handlers.store
    is_away = threading.Event()
    is_away.set()

    def attempt(handlers, decoded):
        if is_away.is_set():
            raise OperationalError("away")
        return store(handlers, decoded)

    monkeypatch.setattr(Handlers, "store", attempt)
    monkeypatch.setattr(patience, "LONGEST_S", 0.5)
    with reading(first):
        wait_until(lambda: first._reader is not None and first._reader._is_in_sink)
        before = len(first._reader.assignment._expected)
        assert before == 4
        with reading(second):
            wait_until(lambda: all(len(found._reader.assignment._expected) == 2 for found in (first, second)))
            is_away.clear()
            wait_until(lambda: committed(first.given, topic) == 12)
    assert ids(messages) == set(Alert.objects.values_list("alert_id", flat=True))
    assert sums() == {"read": 12, "stored": 12}


def test_a_handler_that_is_called_again_gets_the_alert_as_it_came(simulated_messages):
    """It may have changed its dictionary before the database went away."""

    def handler(alert, topic):
        seen.append(alert.pop("objectId"))
        if len(seen) == 1:
            raise OperationalError("away")

    seen, decoder = [], Decoder()
    try:
        handlers = Handlers({TOPIC: handler})
        decoded = handlers.decode(of_topic(simulated_messages)[:1], decoder)
        with pytest.raises(OperationalError):
            handlers.store(decoded)
        assert handlers.store(decoded).fates == {0: Fate.HANDLED}
    finally:
        decoder.close()
    assert len(seen) == 2
    assert len(set(seen)) == 1


def test_the_offset_of_a_group_is_ahead_of_a_database_that_was_restored(
    simulated_messages, send, stream, caplog, published
):
    """Yesterday's backup: what came since is read again, without anybody's doing."""
    messages = of_topic(simulated_messages)[:8]
    topic = send(messages) + TOPIC
    options = published(topic)
    call_command("readstreams", max_messages=8)
    assert Alert.objects.count() == 8
    rows = {(row.partition): row for row in PartitionLedger.objects.all()}
    busiest = max(rows.values(), key=lambda row: row.next_offset)
    Alert.objects.filter(partition=busiest.partition, offset__gte=1).delete()
    PartitionLedger.objects.filter(pk=busiest.pk).update(next_offset=1, read=1, stored=1)
    assert Alert.objects.count() < 8
    call_command("readstreams", stop_when_idle=2.0)
    assert ids(messages) == set(Alert.objects.values_list("alert_id", flat=True))
    assert "this database has the alerts before 1 only" in caplog.text
    assert committed(options, topic) == 8
    assert sums() == {"read": 8, "stored": 8}


def test_a_clock_that_jumps_changes_nothing(simulated_messages, send, stream, monkeypatch):
    """Back and forth by hours between the batches: only the times of receipt follow it."""
    messages = of_topic(simulated_messages)[:6]
    topic = send(messages[:2]) + TOPIC
    found = stream(topic)
    jump = [timedelta(0)]

    class Clock(datetime):
        @classmethod
        def now(cls, zone=None):
            return datetime.now(zone) + jump[0]

    monkeypatch.setattr(reader, "datetime", Clock)
    with reading(found):
        wait_until(lambda: Alert.objects.count() == 2)
        for n, hours in ((2, -5), (4, 5)):
            jump[0] = timedelta(hours=hours)
            with AlertProducer(found.options.url) as producer:
                for message in messages[n : n + 2]:
                    producer.send(topic, message.key, message.value)
            wait_until(lambda n=n: Alert.objects.count() == n + 2)
    assert sums() == {"read": 6, "stored": 6}
    ages = {
        round((alert.received_at - datetime.now(UTC)).total_seconds() / 3600) for alert in Alert.objects.all()
    }
    assert ages == {0, -5, 5}


class DyingStream(FinkAlertStream):
    """A stream that dies at once, a few times."""

    deaths = 0
    started = 0

    def listen(self, limits=None):
        type(self).started += 1
        if type(self).started <= type(self).deaths:
            raise RuntimeError("a bug")
        return super().listen(limits)


@pytest.mark.parametrize(("deaths", "status"), [(3, 0), (4, 1)])
def test_a_stream_that_dies_is_started_again_but_not_for_ever(
    simulated_messages, send, published, settings, monkeypatch, caplog, deaths, status
):
    monkeypatch.setattr(supervisor, "RESTART_WAITS_S", (0.1, 0.2, 0.3))
    messages = of_topic(simulated_messages)[:2]
    published(send(messages) + TOPIC)
    settings.ALERT_STREAMS[0]["NAME"] = f"{__name__}.DyingStream"
    DyingStream.deaths, DyingStream.started = deaths, 0
    if status:
        with pytest.raises(SystemExit) as ended:
            call_command("readstreams", max_messages=2)
        assert ended.value.code == status
        assert "DyingStream died 4 times in a row: the process ends." in caplog.text
    else:
        call_command("readstreams", max_messages=2)
        assert Alert.objects.count() == 2
    assert caplog.text.count("DyingStream died: a bug") == deaths


def test_one_stream_s_death_does_not_touch_the_others(
    simulated_messages, send, published, settings, monkeypatch
):
    monkeypatch.setattr(supervisor, "RESTART_WAITS_S", (60.0,))
    messages = of_topic(simulated_messages)[:2]
    published(send(messages) + TOPIC)
    dying = settings.ALERT_STREAMS[0] | {"NAME": f"{__name__}.DyingStream"}
    settings.ALERT_STREAMS.append(dying)
    DyingStream.deaths, DyingStream.started = 1, 0
    running = supervisor.Supervisor([_built(entry) for entry in settings.ALERT_STREAMS], supervisor.Limits())
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        wait_until(lambda: Alert.objects.count() == 2)
        assert thread.is_alive()
    finally:
        running.stop()
        thread.join(20)
    assert not thread.is_alive()


def _built(entry: dict) -> FinkAlertStream:
    kind = {"DyingStream": DyingStream}.get(entry["NAME"].rpartition(".")[2], FinkAlertStream)
    return kind(**entry["OPTIONS"])


def test_a_database_that_hangs_does_not_keep_the_process(
    simulated_messages, send, stream, monkeypatch, caplog
):
    """It neither answers nor fails: after the time for the batch the reader leaves its group."""
    monkeypatch.setattr(supervisor, "FINISH_WITHIN_S", 1.0)
    monkeypatch.setattr(supervisor, "STOP_WITHIN_S", 3.0)
    topic = send(of_topic(simulated_messages)[:2]) + TOPIC
    found = stream(topic)
    hangs, may_go_on = threading.Event(), threading.Event()

    def hang(*_):
        hangs.set()
        may_go_on.wait(60)
        raise OperationalError("at last")

    monkeypatch.setattr(Handlers, "store", hang)
    running = supervisor.Supervisor([found], supervisor.Limits())
    status = []
    thread = threading.Thread(target=lambda: status.append(running.run()))
    thread.start()
    assert hangs.wait(30)
    running.stop()
    thread.join(10)
    assert status == [0]
    assert "does not finish its batch; it is given up" in caplog.text
    assert committed(found.given, topic) == 0
    may_go_on.set()
    wait_until(lambda: not any(t.name == "FinkAlertStream" for t in threading.enumerate()))


def test_messages_before_the_broker_s_oldest_are_counted_and_said(
    stream, send, simulated_messages, monkeypatch, caplog
):
    """The mock cluster forgets nothing; what it would answer is put into its mouth."""
    messages = of_topic(simulated_messages)[:8]
    topic = send(messages) + TOPIC
    found = stream(topic)
    ask = Consumer.get_watermark_offsets

    class Forgetful(Consumer):
        def get_watermark_offsets(self, place, **options):
            _, high = ask(self, place, **options)
            return min(1, high), high

    consumer = Consumer({"bootstrap.servers": found.options.url, "group.id": found.options.group_id})
    ends = [ask(consumer, TopicPartition(topic, number), timeout=10)[1] for number in range(4)]
    consumer.commit(offsets=[TopicPartition(topic, number, 0) for number in range(4)], asynchronous=False)
    consumer.close()
    monkeypatch.setattr(reader, "Consumer", Forgetful)
    call_command("readstreams", stop_when_idle=2.0)
    lost = sum(min(1, end) for end in ends)
    assert lost > 0
    assert sums() == {"read": 8 - lost, "stored": 8 - lost, "lost": lost}
    said = [
        record for record in caplog.records if record.message.startswith("Lost to retention: 1 alerts of")
    ]
    assert [record.levelname for record in said] == ["ERROR"] * lost
    assert RejectedMessage.objects.count() == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FINK_GIVE_UP_AFTER", "soon"),
        ("FINK_KEEP_CLOSED_DAYS", -1),
        ("FINK_ARCHIVE_DIR", "relative/folder"),
        ("FINK_CUTOUTS_FILE", "relative/file"),
    ],
)
def test_a_setting_that_cannot_be_used_is_one_line(published, settings, caplog, name, value):
    published("t")
    setattr(settings, name, value)
    with pytest.raises(CommandError, match=rf"^{name}=.* cannot be used: it takes"):
        call_command("readstreams")
    assert FinkAlertStream(**settings.ALERT_STREAMS[0]["OPTIONS"]).listen() is None
    assert f"{name}=" in caplog.text
