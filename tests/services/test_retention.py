"""What the broker has removed before it was read is counted, said and shown; what is no message is no loss."""

import json
import re

import pytest
from confluent_kafka import Producer, TopicPartition

from tests.services.accounts import broker_ends, group_offsets, ledger_sums, next_offsets
from tests.services.moulds import moulds
from tests.services.needs import wait_until
from tests.services.publishing import Sent, admin, delete_topics, make_topics, publish
from tom_fink.models import Alert, PartitionLedger

pytestmark = [pytest.mark.services, pytest.mark.timeout(420)]

IDLE = ("readstreams", "--stop-when-idle", "2")


@pytest.fixture
def group(unique) -> str:
    """The consumer group of this test's commands."""
    return f"group-{unique}"


@pytest.fixture(scope="module")
def made():
    return moulds("ztf", 5)


@pytest.fixture
def topic(kafka, unique) -> str:
    """A topic of one partition."""
    make_topics(kafka, {unique: 1})
    return unique


def send(kafka, topic: str, made, numbers: range, partition: int = 0) -> set[str]:
    """Send alerts of these numbers; their ids."""
    alerts = [made[number % len(made)].cast(number) for number in numbers]
    publish(kafka, [Sent(topic, partition, alert.key, alert.value) for alert in alerts])
    return {alert.alert_id for alert in alerts}


def expire(kafka, topic: str, offset: int, partition: int = 0) -> None:
    """Have the broker remove what is before an offset, as its retention would."""
    client = admin(kafka)
    for removed in client.delete_records([TopicPartition(topic, partition, offset)]).values():
        assert removed.result(30).low_watermark == offset


def stored() -> set[str]:
    return set(Alert.objects.values_list("alert_id", flat=True))


def run(command, *arguments: str) -> str:
    """Run a command to its good end; what it said."""
    process = command(*arguments)
    assert process.until_it_ends() == 0, process.said
    assert "Traceback" not in process.said, process.said
    return process.said


def told_as_lost(said: str) -> list[tuple[str, int, int, int]]:
    """(topic, number, first, last offset) of the lines that tell of a loss, at error level."""
    found = re.findall(
        r"ERROR tom_fink\.stream\.reader: Lost to retention: (\d+) alerts of (\S+) \[0\], offsets (\d+) to (\d+)\.",
        said,
    )
    return [(topic, int(number), int(first), int(last)) for number, topic, first, last in found]


def assert_shown(command, topic: str, lost: int) -> None:
    """`fink_status` shows the loss to people and to programs."""
    said = run(command, "fink_status")
    assert f"Lost: {lost} alerts of {topic} were removed by the broker before being read" in said
    (entry,) = json.loads(run(command, "fink_status", "--json"))["topics"]
    assert (entry["lost"], entry["adds_up"]) == (lost, True)


def test_what_expired_while_nobody_read_is_lost_and_counted(kafka, topic, group, made, command):
    alerts = send(kafka, topic, made, range(5))
    run(command, "readstreams", "--max-messages", "5")
    send(kafka, topic, made, range(5, 12))
    alerts |= send(kafka, topic, made, range(12, 20))
    expire(kafka, topic, 12)
    said = run(command, *IDLE)
    assert told_as_lost(said) == [(topic, 7, 5, 11)]
    assert stored() == alerts
    sums = ledger_sums(group)
    assert (sums.read, sums.lost, sums.skipped, sums.replayed) == (13, 7, 0, 0)
    assert next_offsets(group) == {(topic, 0): 20}
    assert_shown(command, topic, 7)
    assert told_as_lost(run(command, *IDLE)) == [], "a loss is told once"
    assert ledger_sums(group) == sums


def test_what_expires_while_a_reader_waits_for_the_database_is_lost_and_counted(
    kafka, topic, group, made, command, postgres
):
    alerts = send(kafka, topic, made, range(10))
    reader = command("readstreams")
    wait_until(lambda: group_offsets(kafka.address, group, topic) == {(topic, 0): 10}, lambda: reader.said)
    with postgres.crashed():
        alerts |= send(kafka, topic, made, range(10, 11))
        reader.until_it_says("is kept; tried again")
        send(kafka, topic, made, range(11, 25))
        alerts |= send(kafka, topic, made, range(25, 30))
        expire(kafka, topic, 25)
    wait_until(lambda: stored() >= alerts, lambda: reader.said)
    wait_until(lambda: group_offsets(kafka.address, group, topic) == {(topic, 0): 30}, lambda: reader.said)
    assert reader.end() == 0
    assert told_as_lost(reader.said) == [(topic, 14, 11, 24)]
    assert stored() == alerts
    sums = ledger_sums(group)
    assert (sums.read - sums.replayed, sums.lost, sums.skipped) == (16, 14, 0)
    assert_shown(command, topic, 14)


@pytest.mark.parametrize("is_running", [False, True], ids=["stopped", "waiting for the database"])
def test_a_partition_of_which_everything_expired_is_told_without_a_new_alert(
    kafka, topic, group, made, command, postgres, is_running
):
    alerts = send(kafka, topic, made, range(3))
    if is_running:
        reader = command("readstreams")
        wait_until(lambda: stored() == alerts, lambda: reader.said)
        with postgres.crashed():
            alerts |= send(kafka, topic, made, range(3, 4))
            reader.until_it_says("is kept; tried again")
            send(kafka, topic, made, range(4, 9))
            expire(kafka, topic, 9)
        reader.until_it_says("Lost to retention")
        wait_until(lambda: next_offsets(group) == {(topic, 0): 9}, lambda: reader.said)
        assert reader.end() == 0
        said, lost = reader.said, 5
    else:
        run(command, "readstreams", "--max-messages", "3")
        send(kafka, topic, made, range(3, 9))
        expire(kafka, topic, 9)
        said, lost = run(command, *IDLE), 6
    assert told_as_lost(said) == [(topic, lost, 9 - lost, 8)]
    assert_shown(command, topic, lost)
    assert group_offsets(kafka.address, group, topic) == {(topic, 0): 9}

    alerts |= send(kafka, topic, made, range(9, 12))
    assert told_as_lost(run(command, *IDLE)) == []
    assert stored() == alerts
    sums = ledger_sums(group)
    assert (sums.read - sums.replayed, sums.lost, sums.skipped) == (12 - lost, lost, 0)


def test_partitions_that_expire_together_under_a_running_reader_are_read_on(
    kafka, unique, group, made, command, postgres
):
    """Each says so by itself, the second when the first has had them all settled anew."""
    make_topics(kafka, {unique: 3})
    alerts = set()
    for partition in range(3):
        alerts |= send(kafka, unique, made, range(10 * partition, 10 * partition + 2), partition)
    reader = command("readstreams")
    wait_until(lambda: stored() == alerts, lambda: reader.said)
    with postgres.crashed():
        alerts |= send(kafka, unique, made, range(2, 3))
        reader.until_it_says("is kept; tried again")
        for partition in range(3):
            send(kafka, unique, made, range(10 * partition + 3, 10 * partition + 7), partition)
            alerts |= send(kafka, unique, made, range(10 * partition + 7, 10 * partition + 9), partition)
            end = broker_ends(kafka.address, unique)[unique, partition]
            expire(kafka, unique, end - 2, partition)
    wait_until(lambda: stored() >= alerts, lambda: reader.said)
    wait_until(lambda: next_offsets(group) == broker_ends(kafka.address, unique), lambda: reader.said)
    assert reader.end() == 0
    assert stored() == alerts
    sums = ledger_sums(group)
    assert (sums.read - sums.replayed, sums.lost, sums.skipped) == (13, 12, 0)


@pytest.mark.parametrize("number", [4, 6, 9], ids=["shorter", "as long", "longer"])
def test_a_topic_that_was_deleted_and_made_anew_is_read_from_its_start(
    kafka, topic, group, made, command, number
):
    alerts = send(kafka, topic, made, range(6))
    run(command, *IDLE)
    delete_topics(kafka, topic)
    make_again(kafka, topic)
    alerts |= send(kafka, topic, made, range(6, 6 + number))
    said = run(command, *IDLE)
    assert stored() == alerts, said
    assert told_as_lost(said) == []
    sums = ledger_sums(group)
    assert (sums.read, sums.stored, sums.lost, sums.skipped) == (6 + number, 6 + number, 0, 0)
    assert next_offsets(group) == broker_ends(kafka.address, topic)


@pytest.mark.parametrize(
    "number",
    [
        4,
        pytest.param(
            9,
            marks=pytest.mark.xfail(
                reason="the same offsets mean other alerts, and nobody looks at a topic's id"
            ),
        ),
    ],
    ids=["shorter", "longer"],
)
def test_a_topic_that_is_made_anew_under_a_running_reader_is_read_from_its_start(
    kafka, topic, group, made, command, number
):
    alerts = send(kafka, topic, made, range(6))
    reader = command("readstreams")
    wait_until(lambda: group_offsets(kafka.address, group, topic) == {(topic, 0): 6}, lambda: reader.said)
    delete_topics(kafka, topic)
    make_again(kafka, topic)
    alerts |= send(kafka, topic, made, range(6, 6 + number))
    wait_until(lambda: stored() == alerts, lambda: f"{len(stored())} of {len(alerts)}: {reader.said}", 30)
    wait_until(lambda: next_offsets(group) == {(topic, 0): number}, lambda: reader.said)
    assert reader.end() == 0
    sums = ledger_sums(group)
    assert (sums.stored, sums.lost) == (6 + number, 0)


def make_again(kafka, topic: str) -> None:
    """Make a topic of one partition again, as soon as the broker has forgotten it."""
    client = admin(kafka)
    wait_until(lambda: topic not in client.list_topics(timeout=10).topics, "the end of the topic")
    make_topics(kafka, {topic: 1})


def test_the_marks_of_a_transaction_are_no_loss(kafka, topic, group, made, command):
    """Neither are the alerts of one that was taken back."""
    producer = Producer(
        {"bootstrap.servers": kafka.address, "transactional.id": f"t-{topic}", "log_level": 0}
    )
    producer.init_transactions(30)
    number, alerts = 0, set()
    for count, is_kept in ((3, True), (2, False), (4, True)):
        producer.begin_transaction()
        for _ in range(count):
            alert = made[0].cast(number)
            producer.produce(topic, alert.value, alert.key, 0)
            number += 1
            if is_kept:
                alerts.add(alert.alert_id)
        producer.flush(30)
        (producer.commit_transaction if is_kept else producer.abort_transaction)(30)
    alerts |= send(kafka, topic, made, range(20, 21))
    said = run(command, *IDLE)
    assert stored() == alerts
    assert told_as_lost(said) == []
    sums = ledger_sums(group)
    # Two alerts that were taken back, and the three marks.
    assert (sums.read, sums.stored, sums.skipped, sums.lost, sums.replayed) == (8, 8, 5, 0, 0)
    (row,) = PartitionLedger.objects.all()
    assert (row.first_offset, row.next_offset) == (0, 13)
