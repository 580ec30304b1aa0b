"""Streams end to end on a real Apache Kafka: what the mock cluster of the default tests cannot show.

Groups that share a topic, crashes of either side, passwords, times, and the clients that others wrote.
"""

import json
import threading
import uuid
from datetime import UTC, datetime, timedelta

import fastavro
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from django.core.management import call_command
from django.db import connections

from tests.conftest import SHARED_ALERTS
from tests.contents import assert_same, contents, undisturbed
from tests.db.test_real_alerts import ALERTS, check_stored_rows
from tests.services import short_sessions
from tests.services.needs import wait_until
from tom_fink.alertstream import FinkAlertStream
from tom_fink.decoding.decode import Message, decode_one
from tom_fink.models import Alert
from tom_fink.simulate import serialise, simulated_alerts
from tom_fink.simulate.schemas import SCHEMAS

pytestmark = [
    pytest.mark.services,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(420),  # the first test waits for Kafka's jars, where they are not there yet
]

PARTITIONS = 4
ZTF_TOPIC = "fink_sn_candidates_ztf"
START = datetime(2026, 3, 22, 4, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _close_connections():
    """The readers' threads have connections of their own, which would hold up the emptying of the tables."""
    yield
    connections.close_all()


@pytest.fixture
def name() -> str:
    """A name that no other test has, for topics and groups."""
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture
def stream(settings, kafka, name):
    """A function that makes this process read a topic, with changes to the OPTIONS as an ALERT_STREAMS entry has."""

    def configure(topic: str, **changes) -> FinkAlertStream:
        options = {"URL": kafka.address, "GROUP_ID": f"group-{name}", "TOPIC": topic} | changes
        settings.ALERT_STREAMS = [{"NAME": "tom_fink.alertstream.FinkAlertStream", "OPTIONS": options}]
        return FinkAlertStream(**options)

    return configure


@pytest.fixture
def credentials(kafka, name):
    """A function from a topic to the variables with which a process reads it."""

    def variables(topic: str, **changes: str) -> dict[str, str]:
        return {
            "FINK_CREDENTIAL_URL": kafka.address,
            "FINK_CREDENTIAL_USERNAME": "observer",
            "FINK_CREDENTIAL_GROUP_ID": f"group-{name}",
            "FINK_TOPIC": topic,
        } | changes

    return variables


@pytest.fixture(scope="module")
def crowded_messages() -> list[Message]:
    """300 messages of one night: most objects come several times, and some alerts twice.

    Evenly over the partitions of a topic. By themselves, all alerts of a survey would be in one, since
    the key of each is the same schema.
    """
    return spread([serialise(simulated) for simulated in simulated_alerts(7, START, 300)])


@pytest.fixture(scope="module")
def alerts() -> list[Message]:
    """Messages of 20 alerts, of which no two are the same, over the partitions of a topic."""
    found = [simulated for simulated in simulated_alerts(1, START, 400) if simulated.topic == ZTF_TOPIC]
    return spread([serialise(simulated) for simulated in found[:20]])


def spread(pairs: list[tuple[bytes, bytes]]) -> list[Message]:
    """Messages of (key, value), one partition after the other."""
    return [Message("", n % PARTITIONS, n // PARTITIONS, *pair, START) for n, pair in enumerate(pairs)]


def send(kafka, topic: str, messages: list[Message], at: datetime | None = None) -> None:
    """Send messages to their partitions of a topic, with the time `at` as their own."""
    refused = []
    producer = Producer({"bootstrap.servers": kafka.address, "message.max.bytes": 10_000_000, "log_level": 0})
    for message in messages:
        producer.produce(
            topic,
            value=message.value,
            key=message.key,
            partition=message.partition,
            timestamp=int(at.timestamp() * 1000) if at else 0,
            on_delivery=lambda error, _: refused.append(error) if error else None,
        )
    assert producer.flush(30) == 0
    assert not refused


def ends(kafka, topic: str, group: str) -> tuple[int, int]:
    """How many messages of a topic its group has committed, and how many there are."""
    consumer = Consumer({"bootstrap.servers": kafka.address, "group.id": group, "log_level": 0})
    try:
        partitions = [
            TopicPartition(topic, number)
            for number in consumer.list_topics(topic, timeout=10).topics[topic].partitions
        ]
        committed = sum(max(found.offset, 0) for found in consumer.committed(partitions, timeout=10))
        return committed, sum(consumer.get_watermark_offsets(found, timeout=10)[1] for found in partitions)
    finally:
        consumer.close()


def ids(messages: list[Message]) -> set[str]:
    """The ids of ZTF alerts, from the messages themselves."""
    return {str(decode_one(message)["candid"]) for message in messages}


def stored_ids() -> set[str]:
    """The ids of the alerts in the database."""
    return set(Alert.objects.values_list("alert_id", flat=True))


# --- Real alerts -------------------------------------------------------------------------------


def publish_real_alerts(kafka, name: str) -> list[str]:
    """Send the files of real alerts with the site's own command; the topics."""
    topics = {f"{name}_ztf": "ztf", f"{name}_lsst": "lsst"}
    for topic, survey in topics.items():
        files = [str(SHARED_ALERTS / file) for file in ALERTS if file.lower().startswith(survey)]
        call_command("publish_alerts", *files, bootstrap=kafka.address, topic=topic, verbosity=0)
    return list(topics)


def test_every_real_alert_is_stored_right(real_messages, kafka, name, stream, capsys):
    topics = publish_real_alerts(kafka, name)
    sent = capsys.readouterr().out
    assert f"sent 19 alerts: {topics[0]} 19" in sent
    assert f"sent 3 alerts: {topics[1]} 3" in sent
    stream(f"{name}_*")
    call_command("readstreams", max_messages=22)
    check_stored_rows()
    before = contents()
    assert ends(kafka, topics[0], f"group-{name}") == (19, 19)

    stream(f"{name}_*", GROUP_ID=f"another-{name}")
    call_command("readstreams", max_messages=22)
    assert_same(contents(), before)
    assert ends(kafka, topics[0], f"another-{name}") == (19, 19)


def test_every_real_alert_is_stored_right_by_the_site_s_own_processes_on_sqlite(
    real_messages, kafka, name, processes, credentials, tmp_path
):
    """The default of who has no PostgreSQL: a file, made by `migrate`, filled by `readstreams`."""
    publish_real_alerts(kafka, name)
    site = credentials(f"{name}_*", DATABASE_URL=f"sqlite:///{tmp_path / 'db.sqlite3'}")
    assert processes.manage("migrate", "--verbosity", "0", **site).until_it_ends(120) == 0
    for group in (f"group-{name}", f"another-{name}"):
        reader = processes.manage(
            "readstreams", "--max-messages", "22", **site | {"FINK_CREDENTIAL_GROUP_ID": group}
        )
        assert reader.until_it_ends() == 0, reader.said
        check = "import django; django.setup(); from tests.db.test_real_alerts import check_stored_rows as check; check()"
        checked = processes.python("-c", check, **site)
        assert checked.until_it_ends() == 0, checked.said


# --- Who may read ------------------------------------------------------------------------------


def test_a_reader_with_the_right_password_reads(alerts, kafka, name, stream):
    send(kafka, name, alerts[:3])
    stream(name, URL=kafka.sasl_address, USERNAME=kafka.user, PASSWORD=kafka.password)
    call_command("readstreams", max_messages=3)
    assert stored_ids() == ids(alerts[:3])


@pytest.mark.parametrize("wrong", ["password", "user"])
def test_a_reader_that_is_refused_says_so_in_one_line_and_ends(kafka, name, processes, credentials, wrong):
    """After some tries: what the broker refuses now may be put right there."""
    secret = f"not-{kafka.password}"
    reader = processes.python(
        short_sessions.__file__,
        "readstreams",
        **credentials(
            name,
            FINK_CREDENTIAL_URL=kafka.sasl_address,
            FINK_CREDENTIAL_USERNAME=kafka.user if wrong == "password" else "nobody",
            FINK_CREDENTIAL_PASSWORD=secret if wrong == "password" else kafka.password,
        ),
    )
    assert reader.until_it_ends() == 1
    said = [line for line in reader.said.splitlines() if "refuse" in line]
    assert len(said) == 5, reader.said
    assert all(f"{kafka.sasl_address} refuses the reader" in line for line in said)
    assert all("uthentication failed" in line for line in said)
    assert reader.said.count("FinkAlertStream died 5 times in a row: the process ends.") == 1
    assert "Traceback" not in reader.said
    assert kafka.password not in reader.said


# --- Readers that share, die and come back -----------------------------------------------------


def test_three_readers_of_one_group_share_a_topic(crowded_messages, kafka, name, processes, credentials):
    """Objects repeat over the partitions, so the readers meet at the same rows all the time."""
    expected = undisturbed(crowded_messages, name)
    send(kafka, name, crowded_messages[:PARTITIONS])
    readers = [processes.manage("readstreams", **credentials(name, LOG_LEVEL="DEBUG")) for _ in range(3)]
    # Together, and not the first one alone while the others still start.
    for reader in readers:
        reader.until_it_says(f"Reading {name}")
    send(kafka, name, crowded_messages[PARTITIONS:])
    total = len(crowded_messages)
    wait_until(
        lambda: ends(kafka, name, f"group-{name}") == (total, total),
        lambda: "\n".join(reader.said[-1500:] for reader in readers),
    )
    assert [reader.end() for reader in readers] == [0, 0, 0]
    said = "\n".join(reader.said for reader in readers)
    assert "deadlock" not in said.lower()
    assert "Traceback" not in said
    assert all("Batch of" in reader.said for reader in readers), "each had a share of the work"
    assert_same(contents(), expected)


def test_what_a_killed_reader_left_is_read_by_the_next_one(
    crowded_messages, kafka, name, processes, credentials
):
    """Killed (SIGKILL) with a part stored: nothing is lost, and nothing is there twice."""
    expected = undisturbed(crowded_messages, name)
    send(kafka, name, crowded_messages)
    first = processes.python(short_sessions.__file__, "readstreams", **credentials(name))
    wait_until(lambda: Alert.objects.exists(), lambda: first.said)
    first.kill()
    stored = Alert.objects.count()
    assert 0 < stored < expected["alerts"].total(), "it was killed too late to show anything"
    committed, total = ends(kafka, name, f"group-{name}")
    assert committed < total == len(crowded_messages)

    second = processes.python(short_sessions.__file__, "readstreams", **credentials(name))
    wait_until(lambda: ends(kafka, name, f"group-{name}") == (total, total), lambda: second.said)
    assert second.end() == 0
    assert_same(contents(), expected)


def test_a_reader_survives_its_broker(alerts, kafka, name, processes, credentials):
    """The broker crashes and comes back: the reader, never touched, reads what is sent afterwards."""
    before, after = alerts[:5], alerts[5:12]
    send(kafka, name, before)
    reader = processes.manage("readstreams", **credentials(name))
    wait_until(lambda: ends(kafka, name, f"group-{name}") == (5, 5), lambda: reader.said)
    kafka.kill()
    try:
        reader.until_it_says(f"{kafka.address} cannot be reached, trying again")
    finally:
        kafka.start()
    send(kafka, name, after)
    wait_until(lambda: ends(kafka, name, f"group-{name}") == (12, 12), lambda: reader.said)
    assert reader.popen.poll() is None
    assert stored_ids() == ids(before + after)
    assert reader.end() == 0
    assert "Traceback" not in reader.said


def test_a_group_goes_on_where_it_was(alerts, kafka, name, stream, caplog):
    caplog.set_level("INFO")
    send(kafka, name, alerts[:9])
    stream(name)
    call_command("readstreams", max_messages=4)
    assert ends(kafka, name, f"group-{name}") == (4, 9)
    kafka.restart()
    caplog.clear()
    call_command("readstreams", max_messages=5)
    assert ends(kafka, name, f"group-{name}") == (9, 9)
    assert "Batch of 5: 5 stored, 0 duplicate" in caplog.text


# --- From when, and which topics ---------------------------------------------------------------


def test_a_start_time_leaves_out_what_came_before(alerts, kafka, name, stream):
    now = datetime.now(UTC)
    early, late = alerts[:8], alerts[8:14]
    send(kafka, name, early, at=now - timedelta(hours=2))
    send(kafka, name, late, at=now - timedelta(hours=1))
    stream(name, START_AT=(now - timedelta(minutes=90)).isoformat())
    call_command("readstreams", max_messages=len(late))
    assert stored_ids() == ids(late)
    assert ends(kafka, name, f"group-{name}") == (14, 14)


def test_a_topic_that_is_made_later_is_read_where_a_pattern_fits(alerts, kafka, name, stream, caplog):
    """From its first alert on, even by a reader that starts at the end of the topics it finds."""
    caplog.set_level("INFO")
    send(kafka, f"{name}_first", alerts[:2])
    listening = stream(f"{name}_*", START_AT="latest")
    thread = threading.Thread(target=listening.listen)
    thread.start()
    try:
        wait_until(lambda: f"Reading {name}_first" in caplog.text, "the first topic")
        send(kafka, f"{name}_later", alerts[2:5])
        wait_until(lambda: Alert.objects.count() >= 3, "the later topic's alerts")
    finally:
        listening.stop()
        thread.join(20)
    assert not thread.is_alive()
    assert stored_ids() == ids(alerts[2:5])


# --- Clients of others -------------------------------------------------------------------------


@pytest.mark.parametrize("survey", ["ztf", "lsst"])
def test_fink_s_own_client_reads_what_publish_alerts_sends(kafka, name, tmp_path, monkeypatch, survey):
    """fink-client decodes the same alerts as those in the file: what we send is what Fink sends."""
    file = tmp_path / "alerts.avro"
    alerts = [found.alert for found in simulated_alerts(1, START, 60) if found.survey == survey][:5]
    with file.open("wb") as target:
        fastavro.writer(target, fastavro.parse_schema(SCHEMAS[survey]), alerts)
    with file.open("rb") as source:
        written = list(fastavro.reader(source))
    call_command("publish_alerts", str(file), bootstrap=kafka.address, topic=name, verbosity=0)

    monkeypatch.setenv("HOME", str(tmp_path))  # its credentials, which it looks for at import
    from fink_client.consumer import AlertConsumer

    config = {"bootstrap.servers": kafka.address, "group.id": f"group-{name}"}
    received = []
    with AlertConsumer([name], config, survey=survey) as consumer:
        wait_until(
            lambda: received.extend(consumer.consume(5, timeout=1)) or len(received) >= len(alerts),
            "the alerts",
        )
    assert {topic for topic, _, _ in received} == {name}
    assert [json.loads(key) for _, _, key in received] == [SCHEMAS[survey]] * len(alerts)
    # As text, because NaN is in them, which equals nothing.
    assert [repr(alert) for _, alert, _ in received] == [repr(alert) for alert in written]


PUBLISHED = """
import os

published = [{
    'ACTIVE': True,
    'NAME': 'tom_fink.alertstream.FinkAlertStream',
    'OPTIONS': {
        'URL': os.getenv('FINK_CREDENTIAL_URL', 'set FINK_CREDENTIAL_URL value in environment'),
        'USERNAME': os.getenv('FINK_CREDENTIAL_USERNAME', 'set FINK_CREDENTIAL_USERNAME value in environment'),
        'GROUP_ID': os.getenv('FINK_CREDENTIAL_GROUP_ID', 'set FINK_CREDENTIAL_GROUP_ID value in environment'),
        'TOPIC': os.getenv('FINK_TOPIC', 'set FINK_TOPIC value in environment'),
        'MAX_POLL_NUMBER': os.getenv('FINK_MAX_POLL_NUMBER', 1e10),
        'TIMEOUT': os.getenv('FINK_TIMEOUT', 10),
        'TOPIC_HANDLERS': {
            'fink.stream': 'tom_fink.alertstream.alert_logger',
        },
    },
}]

from fink_tom_site.settings import *

ALERT_STREAMS = published
others = [app for app in INSTALLED_APPS if app not in ('tom_fink', 'tom_alertstreams')]
INSTALLED_APPS = [*others, 'FIRST', 'SECOND']
"""


@pytest.fixture
def published_settings(tmp_path):
    """A function that writes the settings of a site with the published configuration; the variables to use it."""

    def write(first: str, second: str) -> dict[str, str | None]:
        text = PUBLISHED.replace("FIRST", first).replace("SECOND", second)
        (tmp_path / "published_settings.py").write_text(text)
        unset = ("FINK_CREDENTIAL_PASSWORD", "FINK_MAX_POLL_NUMBER", "FINK_TIMEOUT", "FINK_START_AT")
        return dict.fromkeys(unset) | {
            "DJANGO_SETTINGS_MODULE": "published_settings",
            "PYTHONPATH": str(tmp_path),
        }

    return write


@pytest.mark.parametrize("first", ["tom_alertstreams", "tom_fink"])
def test_the_published_configuration_reads_with_either_app_s_command(
    alerts, kafka, name, processes, credentials, published_settings, first
):
    """The first app that has `readstreams` gives it: tom_alertstreams' runs `listen` in a thread and returns."""
    second = {"tom_alertstreams": "tom_fink", "tom_fink": "tom_alertstreams"}[first]
    send(kafka, name, alerts[:3])
    site = published_settings(first, second) | credentials(name, FINK_MAX_POLL_NUMBER="2")
    reader = processes.manage("readstreams", **site)
    assert reader.until_it_ends() == 0, reader.said
    assert ("Command.handle() returning" in reader.said) == (first == "tom_alertstreams")
    assert (
        f"FinkAlertStream.listen opening stream: {kafka.address} with group_id: group-{name}" in reader.said
    )
    assert f"fink.alert_logger topic: {name}" in reader.said
    stored = Alert.objects.all()
    assert len(stored) == 2
    for alert in stored:
        emitted = alert.observed_at.strftime("%Y-%m-%d %H:%M:%S.%f")
        line = f"fink.alert_logger value: {alert.object_id} emitted {emitted} (received "
        assert line in reader.said
    assert "Traceback" not in reader.said
    assert ends(kafka, name, f"group-{name}") == (2, 3)


def test_tom_alertstreams_command_ends_where_no_variable_is_set(processes, published_settings):
    unset = ("FINK_CREDENTIAL_URL", "FINK_CREDENTIAL_USERNAME", "FINK_CREDENTIAL_GROUP_ID", "FINK_TOPIC")
    site = published_settings("tom_alertstreams", "tom_fink") | dict.fromkeys(unset)
    reader = processes.manage("readstreams", **site)
    assert reader.until_it_ends() == 0, reader.said
    said = [line for line in reader.said.splitlines() if "FINK_CREDENTIAL_URL" in line]
    assert len(said) == 1
    assert said[0].endswith(
        "The ZTF stream is inactive: set FINK_CREDENTIAL_URL, FINK_CREDENTIAL_GROUP_ID, FINK_TOPIC."
    )
    assert "Traceback" not in reader.said
