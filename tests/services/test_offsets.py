"""fink_offsets on a real Apache Kafka: places and times, a group that is read, and the reader afterwards."""

import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from django.core.management import CommandError, call_command

from tests.services.needs import wait_until
from tests.services.test_kafka import PARTITIONS, ends, ids, send, spread, stored_ids
from tom_fink.models import Alert, PartitionLedger
from tom_fink.simulate import serialise, simulated_alerts

pytestmark = [
    pytest.mark.services,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(420),  # the first test waits for Kafka's jars, where they are not there yet
]

START = datetime(2026, 3, 22, 4, tzinfo=UTC)


@pytest.fixture
def name() -> str:
    """A name that no other test has, for topics and groups."""
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def alerts():
    """Messages of 12 alerts, three in each partition."""
    found = [
        simulated
        for simulated in simulated_alerts(1, START, 300)
        if simulated.topic == "fink_sn_candidates_ztf"
    ]
    return spread([serialise(simulated) for simulated in found[:12]])


@pytest.fixture(autouse=True)
def _stream(settings, kafka, name):
    options = {"URL": kafka.address, "GROUP_ID": f"group-{name}", "TOPIC": f"{name}*"}
    settings.ALERT_STREAMS = [{"NAME": "tom_fink.alertstream.FinkAlertStream", "OPTIONS": options}]


@pytest.fixture
def move(name, capsys):
    """A function that moves this test's group; what the command answers for each partition."""

    def run(to: str, **options) -> list[dict]:
        capsys.readouterr()
        call_command("fink_offsets", **{"topic": [name], "yes": True} | options, to=to, json=True)
        answer = json.loads(capsys.readouterr().out)
        assert answer["moved"]
        return answer["partitions"]

    return run


@pytest.fixture
def admin(kafka) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka.address, "log_level": 0})


def column(partitions: list[dict], key: str) -> list:
    return [partition[key] for partition in partitions]


def test_a_group_without_offsets_is_put_anywhere(alerts, kafka, name, move):
    send(kafka, name, alerts)
    found = move("latest")
    assert column(found, "committed") == [None] * PARTITIONS
    assert column(found, "skipped") == column(found, "to") == [3] * PARTITIONS
    assert ends(kafka, name, f"group-{name}") == (12, 12)
    found = move("earliest")
    assert column(found, "committed") == column(found, "again") == [3] * PARTITIONS
    assert ends(kafka, name, f"group-{name}") == (0, 12)


def test_a_time_is_the_first_message_at_or_after_it(alerts, kafka, name, move):
    now = datetime.now(UTC).replace(microsecond=0)
    for hours, sent in ((3, alerts[:4]), (2, alerts[4:8]), (1, alerts[8:])):
        send(kafka, name, sent, at=now - timedelta(hours=hours))
    two = now - timedelta(hours=2)
    places = {
        two: 1,
        two - timedelta(milliseconds=1): 1,
        two + timedelta(milliseconds=1): 2,
        now: 3,  # behind the last message
        now + timedelta(days=400): 3,
        now - timedelta(days=400): 0,
        datetime(1900, 1, 1, tzinfo=UTC): 0,
    }
    for time, place in places.items():
        assert column(move(time.isoformat()), "to") == [place] * PARTITIONS, time
        assert ends(kafka, name, f"group-{name}") == (place * PARTITIONS, 12)


def test_an_empty_topic_has_one_place_only(kafka, name, admin, move):
    admin.create_topics([NewTopic(name, 2, 1)])[name].result(30)
    for to in ("earliest", "latest", "2026-11-20"):
        found = move(to)
        assert column(found, "to") == column(found, "left") == [0, 0]


def test_what_retention_removed_is_told(alerts, kafka, name, admin, move):
    send(kafka, name, alerts)
    move("earliest")
    removed = admin.delete_records([TopicPartition(name, number, 2) for number in range(PARTITIONS)])
    assert [answer.result(30).low_watermark for answer in removed.values()] == [2] * PARTITIONS
    found = move("earliest")
    assert column(found, "low") == column(found, "to") == column(found, "lost") == [2] * PARTITIONS
    assert column(found, "again") == column(found, "skipped") == [0] * PARTITIONS


@pytest.mark.parametrize("to", ["earliest", "latest"])
def test_a_group_that_is_read_is_not_moved(alerts, kafka, name, processes, to):
    send(kafka, name, alerts)
    variables = {
        "FINK_CREDENTIAL_URL": kafka.address,
        "FINK_CREDENTIAL_GROUP_ID": f"group-{name}",
        "FINK_TOPIC": name,
    }
    reader = processes.manage("readstreams", **variables)
    wait_until(lambda: ends(kafka, name, f"group-{name}") == (12, 12), lambda: reader.said)
    with pytest.raises(
        CommandError, match=rf"^Group group-{name} is being read by tom_fink at 127\.0\.0\.1\. Stop"
    ):
        call_command("fink_offsets", topic=[name], to=to, yes=True)
    assert ends(kafka, name, f"group-{name}") == (12, 12)
    assert reader.end() == 0
    call_command("fink_offsets", topic=[name], to="earliest", yes=True)
    assert ends(kafka, name, f"group-{name}") == (0, 12)


def test_a_topic_that_is_not_there_is_named_with_those_that_are(alerts, kafka, name):
    send(kafka, f"{name}_a", alerts[:1])
    with pytest.raises(CommandError) as caught:
        call_command("fink_offsets", topic=[f"{name}_b"], to="latest", yes=True)
    assert str(caught.value) == f"{kafka.address} has no topic {name}_b; this stream's are: {name}_a."


def test_a_pattern_moves_every_topic_that_fits(alerts, kafka, name, move):
    for suffix in ("a", "b", "other"):
        send(kafka, f"{name}_{suffix}", alerts[:4])
    found = move("latest", topic=[f"{name}_[ab]"])
    assert {partition["topic"] for partition in found} == {f"{name}_a", f"{name}_b"}
    assert ends(kafka, f"{name}_b", f"group-{name}") == (4, 4)
    assert ends(kafka, f"{name}_other", f"group-{name}") == (0, 4)


def test_a_wrong_password_is_told_without_it(settings, kafka, name):
    settings.ALERT_STREAMS[0]["OPTIONS"] |= {
        "URL": kafka.sasl_address, "USERNAME": kafka.user, "PASSWORD": f"not-{kafka.password}",
    }  # fmt: skip
    with pytest.raises(CommandError, match=r"cannot be asked: .*uthentication failed") as caught:
        call_command("fink_offsets", topic=[name], to="latest", yes=True)
    assert kafka.password not in str(caught.value)


# --- And the reader ----------------------------------------------------------------------------


def test_a_group_that_was_moved_back_reads_again_and_stores_nothing_twice(alerts, kafka, name, move, caplog):
    caplog.set_level("INFO")
    send(kafka, name, alerts)
    call_command("readstreams", max_messages=12)
    move("earliest")
    call_command("readstreams", max_messages=12)
    assert "0 stored, 12 duplicate" in caplog.text
    assert stored_ids() == ids(alerts)
    assert ends(kafka, name, f"group-{name}") == (12, 12)


def test_a_group_that_was_moved_forward_goes_on_there_and_the_ledger_says_so(alerts, kafka, name, move):
    """The database knows less than the group has passed over; the reader does not go back for it."""
    send(kafka, name, alerts[:4])
    call_command("readstreams", max_messages=4)
    send(kafka, name, alerts[4:8])
    move("latest")
    send(kafka, name, alerts[8:])
    call_command("readstreams", max_messages=4)
    assert stored_ids() == ids(alerts[:4] + alerts[8:])
    assert Alert.objects.count() == 8
    rows = PartitionLedger.objects.filter(group_id=f"group-{name}", topic=name)
    assert [(row.read, row.stored, row.skipped, row.lost, row.next_offset) for row in rows] == [
        (2, 2, 1, 0, 3)
    ] * PARTITIONS
