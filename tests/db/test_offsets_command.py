"""fink_offsets on librdkafka's mock cluster, which knows no times and cannot say who reads in a group."""

import json
import sys
import uuid
from datetime import UTC, datetime

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from django.core.management import CommandError, call_command

from tom_fink.kafka.producer import mock_cluster
from tom_fink.models import PartitionLedger
from tom_fink.store import ledger

# Transactions are the command's own, as in production
pytestmark = pytest.mark.django_db(transaction=True)

PARTITIONS = 4


@pytest.fixture(scope="module")
def cluster():
    """The address of a mock cluster."""
    with mock_cluster() as address:
        yield address


@pytest.fixture
def topic(cluster) -> str:
    """A topic with 5 messages in each of its partitions."""
    name = f"fink_t{uuid.uuid4().hex[:8]}"
    producer = Producer({"bootstrap.servers": cluster, "log_level": 0})
    for number in range(5 * PARTITIONS):
        producer.produce(name, b"x", partition=number % PARTITIONS)
    assert producer.flush(30) == 0
    return name


@pytest.fixture
def moved(monkeypatch) -> list:
    """What the ledger is told, and what the broker held for the group when it was."""
    told = []
    move = ledger.move

    def tell(group, places, lows):
        told.append((group, dict(places)))
        move(group, places, lows)

    monkeypatch.setattr(ledger, "move", tell)
    return told


@pytest.fixture(autouse=True)
def _streams(settings, cluster, topic):
    """One stream of the topic; a second that is inactive."""
    name = "tom_fink.alertstream.FinkAlertStream"
    options = {"URL": cluster, "GROUP_ID": f"group-{topic}", "TOPIC": f"{topic},fink_none"}
    inactive = {"SURVEY": "lsst", "GROUP_ID": "g"}
    settings.ALERT_STREAMS = [{"NAME": name, "OPTIONS": options}, {"NAME": name, "OPTIONS": inactive}]


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)


def committed(cluster: str, topic: str, group: str = "", to: int | None = None) -> list[int | None]:
    """Where a group is in each partition; with `to`, it is put there first."""
    settings = {"bootstrap.servers": cluster, "group.id": group or f"group-{topic}", "log_level": 0}
    consumer = Consumer(settings)
    try:
        if to is not None:
            places = [TopicPartition(topic, number, to) for number in range(PARTITIONS)]
            consumer.commit(offsets=places, asynchronous=False)
        places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        found = consumer.committed(places, timeout=10)
        return [place.offset if place.offset >= 0 else None for place in found]
    finally:
        consumer.close()


def test_without_yes_it_says_what_it_would_do_and_does_nothing(cluster, topic, moved, capsys):
    committed(cluster, topic, to=2)
    call_command("fink_offsets", topic=[topic], to="latest")
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"Group group-{topic} at {cluster}:"
    assert said[1:5] == [
        f"{topic} [{number}]: from 2 to 5 (the broker holds 0 to 5)" for number in range(PARTITIONS)
    ]
    assert said[5] == "0 messages would be read again, 12 left out; 0 to be read then."
    assert said[6] == "Nothing was moved. With --yes it would be."
    assert committed(cluster, topic) == [2] * PARTITIONS
    assert moved == []


@pytest.mark.parametrize(("to", "place"), [("earliest", 0), ("latest", 5)])
@pytest.mark.parametrize("before", [None, 3])
def test_with_yes_the_group_is_moved(cluster, topic, moved, capsys, to, place, before):
    committed(cluster, topic, to=before)
    call_command("fink_offsets", topic=[topic], to=to, yes=True)
    said = capsys.readouterr().out
    assert committed(cluster, topic) == [place] * PARTITIONS
    assert f"from {'nowhere yet' if before is None else before} to {place}" in said
    assert all(f"{topic} [{number}] is at {place}\n" in said for number in range(PARTITIONS))
    assert f"Moved group group-{topic}." in said
    assert moved == [(f"group-{topic}", {(topic, number): place for number in range(PARTITIONS)})]


def test_the_ledger_is_told_first(cluster, topic, monkeypatch):
    """Should the process end in between, the reader reads what the ledger has as skipped: nothing is missed."""
    committed(cluster, topic, to=2)

    def fail(group, places, lows):
        assert committed(cluster, topic) == [2] * PARTITIONS
        raise RuntimeError("the database is away")

    monkeypatch.setattr(ledger, "move", fail)
    with pytest.raises(RuntimeError, match="the database is away"):
        call_command("fink_offsets", topic=[topic], to="latest", yes=True)
    assert committed(cluster, topic) == [2] * PARTITIONS


@pytest.mark.parametrize(("to", "skipped", "next_offset"), [("latest", 3, 5), ("earliest", 0, 2)])
def test_the_ledger_counts_what_is_left_out(cluster, topic, to, skipped, next_offset):
    """Forward, or the reader would go back for it; backwards there is nothing to count."""
    for number in range(PARTITIONS):
        PartitionLedger.objects.create(
            group_id=f"group-{topic}", topic=topic, partition=number, first_offset=0, next_offset=2, read=2, stored=2,
            updated_at=datetime.now(UTC),
        )  # fmt: skip
    committed(cluster, topic, to=2)
    call_command("fink_offsets", topic=[topic], to=to, yes=True)
    rows = PartitionLedger.objects.filter(group_id=f"group-{topic}", topic=topic)
    assert {(row.read, row.skipped, row.lost, row.next_offset) for row in rows} == {
        (2, skipped, 0, next_offset)
    }
    assert len(rows) == PARTITIONS


def test_another_group_is_moved_and_the_stream_s_own_stays(cluster, topic, moved):
    committed(cluster, topic, to=2)
    call_command("fink_offsets", topic=[topic], to="latest", group=f"other-{topic}", yes=True)
    assert committed(cluster, topic, f"other-{topic}") == [5] * PARTITIONS
    assert committed(cluster, topic) == [2] * PARTITIONS
    assert [group for group, _ in moved] == [f"other-{topic}"]


@pytest.mark.parametrize(("answer", "place"), [("y", 5), ("YES ", 5), ("n", 2), ("", 2)])
def test_on_a_terminal_it_asks(cluster, topic, moved, monkeypatch, capsys, answer, place):
    committed(cluster, topic, to=2)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)

    def ask(question):
        assert "12 left out" in capsys.readouterr().out, "the plan comes first"
        return answer

    monkeypatch.setattr("builtins.input", ask)
    call_command("fink_offsets", topic=[topic], to="latest")
    assert committed(cluster, topic) == [place] * PARTITIONS


@pytest.mark.parametrize("yes", [False, True])
def test_json(cluster, topic, moved, capsys, yes):
    committed(cluster, topic, to=3)
    call_command("fink_offsets", topic=[topic], to="earliest", yes=yes, json=True)
    answer = json.loads(capsys.readouterr().out)
    assert (answer["group"], answer["moved"]) == (f"group-{topic}", yes)
    assert answer["partitions"][0] == {
        "topic": topic, "partition": 0, "committed": 3, "low": 0, "high": 5, "to": 0,
        "again": 3, "skipped": 0, "lost": 0, "left": 5,
    }  # fmt: skip
    assert committed(cluster, topic) == [0 if yes else 3] * PARTITIONS


def test_a_pattern_means_the_stream_s_topics_that_fit(cluster, topic, moved, capsys):
    call_command("fink_offsets", topic=[f"{topic[:-2]}*"], to="latest", yes=True)
    assert committed(cluster, topic) == [5] * PARTITIONS


@pytest.mark.parametrize(
    ("topics", "to", "told"),
    [
        (["fink_none"], "latest", "has no topic fink_none; this stream's are: fink_t"),
        (["fink_other"], "latest", "No stream reads fink_other. The streams: ztf reads fink_t"),
        (["fink_none"], "soon", "--to 'soon' cannot be used"),
    ],
)
def test_what_cannot_be_done_is_one_line(moved, topics, to, told):
    with pytest.raises(CommandError) as caught:
        call_command("fink_offsets", topic=topics, to=to, yes=True)
    assert told in str(caught.value)
    assert moved == []


def test_a_broker_that_does_not_answer_is_named(settings, topic, moved, monkeypatch):
    monkeypatch.setattr("tom_fink.kafka.offsets.TIMEOUT_S", 1.0)
    settings.ALERT_STREAMS[0]["OPTIONS"]["URL"] = "127.0.0.1:1"
    with pytest.raises(CommandError, match=r"^127\.0\.0\.1:1 cannot be asked: .*Connection refused"):
        call_command("fink_offsets", topic=[topic], to="latest", yes=True)
    assert moved == []


def test_a_group_that_is_read_is_not_moved(cluster, topic, moved):
    """The mock cluster does not say who reads; it refuses the move, as Kafka does."""
    reader = Consumer(
        {
            "bootstrap.servers": cluster,
            "group.id": f"group-{topic}",
            "log_level": 0,
            "session.timeout.ms": 6000,
        }
    )
    try:
        joined = []
        reader.subscribe([topic], on_assign=lambda _, partitions: joined.append(partitions))
        while not joined:
            reader.poll(0.2)
        with pytest.raises(CommandError, match=f"somebody reads in group group-{topic}. Stop every reader"):
            call_command("fink_offsets", topic=[topic], to="latest", yes=True)
    finally:
        reader.close()
