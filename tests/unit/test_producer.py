"""Alerts sent to a mock Kafka cluster, read back by Fink's own client and by a plain consumer."""

import io
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import confluent_kafka
import fastavro
import pytest
from django.core.management import CommandError, call_command

from tom_fink.errors import StreamError
from tom_fink.kafka.producer import AlertProducer, Pace, mock_cluster
from tom_fink.simulate import serialise, simulated_alerts
from tom_fink.simulate.schemas import ZTF_SCHEMA

START = datetime(2026, 3, 22, 4, tzinfo=UTC)
DEADLINE_S = 40
NOWHERE = "127.0.0.1:1"


@pytest.fixture(scope="module")
def cluster():
    with mock_cluster() as bootstrap:
        yield bootstrap


def read_topics(bootstrap: str, topics: list[str], count: int) -> list[confluent_kafka.Message]:
    """The first `count` messages of the topics, read by a plain consumer."""
    # Without subscribing: joining a group takes seconds.
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "test", "enable.auto.commit": False}
    )
    consumer.assign(
        [
            confluent_kafka.TopicPartition(topic, partition, confluent_kafka.OFFSET_BEGINNING)
            for topic in topics
            for partition in consumer.list_topics(topic, timeout=10).topics[topic].partitions
        ]
    )
    messages, deadline = [], time.monotonic() + DEADLINE_S
    try:
        while len(messages) < count and time.monotonic() < deadline:
            message = consumer.poll(0.5)
            if message is not None and message.error() is None:
                messages.append(message)
    finally:
        consumer.close()
    assert len(messages) == count
    return messages


@pytest.fixture
def fink_consumer(monkeypatch, tmp_path):
    """Make Fink's AlertConsumer; its package reads HOME when it is imported."""
    monkeypatch.setenv("HOME", str(tmp_path))
    from fink_client.consumer import AlertConsumer

    opened = []

    def open_consumer(topics, bootstrap, survey):
        config = {"group.id": f"fink-{time.monotonic_ns()}", "bootstrap.servers": bootstrap}
        opened.append(AlertConsumer(topics, config, survey))
        return opened[-1]

    yield open_consumer
    for consumer in opened:
        consumer.close()


def read_alerts(consumer, count: int) -> list[tuple[str, dict]]:
    """The first `count` alerts that Fink's client decodes."""
    from fink_client.consumer import AlertError

    alerts, deadline = [], time.monotonic() + DEADLINE_S
    while len(alerts) < count and time.monotonic() < deadline:
        try:
            topic, alert, _ = consumer.poll(0.5)
        except AlertError:  # a topic's leader is not known at once
            continue
        if topic is not None:
            alerts.append((topic, alert))
    assert len(alerts) == count
    return alerts


def as_text(alerts) -> Counter:
    """Alerts as a multiset; repr holds NaN equal to itself. Key order is that of the schema."""
    return Counter((topic, repr(sorted_deep(alert))) for topic, alert in alerts)


def sorted_deep(value):
    if isinstance(value, dict):
        return {name: sorted_deep(value[name]) for name in sorted(value)}
    return [sorted_deep(one) for one in value] if isinstance(value, list) else value


def write_file(path: Path, alerts: list[dict]) -> Path:
    with path.open("wb") as target:
        fastavro.writer(target, ZTF_SCHEMA, alerts)
    return path


def test_messages_arrive_as_sent(cluster):
    with AlertProducer(cluster) as producer:
        producer.send("plain", b"key", b"value")
        producer.send("plain", b"key", b"x" * 3_000_000)
    messages = read_topics(cluster, ["plain"], 2)
    assert [(message.key(), len(message.value())) for message in messages] == [
        (b"key", 5),
        (b"key", 3_000_000),
    ]


def test_unreachable_broker_is_one_line_soon():
    begun = time.monotonic()
    with pytest.raises(StreamError, match=f"no Kafka broker answers at {NOWHERE}") as caught:
        AlertProducer(NOWHERE, timeout_s=1)
    assert time.monotonic() - begun < 5
    assert "\n" not in str(caught.value)


def test_too_large_message_is_refused(cluster):
    with pytest.raises(StreamError, match="message not accepted"), AlertProducer(cluster) as producer:
        producer.send("plain", b"key", b"x" * 11_000_000)


def test_lost_cluster_is_reported():
    with mock_cluster() as bootstrap:
        producer = AlertProducer(bootstrap, timeout_s=1)
        producer.send("lost", b"key", b"value")
        producer._producer.flush(10)
    producer.send("lost", b"key", b"value")
    with pytest.raises(StreamError, match="1 of 2 alerts were not delivered"):
        producer.close()


def test_full_queue_is_waited_for(cluster):
    with AlertProducer(cluster) as producer:
        for _ in range(50):  # more than the queue takes at once
            producer.send("large", b"key", bytes(3_000_000))
    assert len(read_topics(cluster, ["large"], 50)) == 50


def test_error_in_the_block_still_delivers_what_came_before(cluster):
    def send_and_fail():
        with AlertProducer(cluster) as producer:
            producer.send("partial", b"key", b"value")
            raise RuntimeError("later")

    with pytest.raises(RuntimeError, match="later"):
        send_and_fail()
    assert len(read_topics(cluster, ["partial"], 1)) == 1


def test_pace_keeps_the_rate():
    pace, stop = Pace(100), threading.Event()
    begun = time.monotonic()
    assert all(pace.wait(stop) for _ in range(11))
    assert time.monotonic() - begun >= 0.099


def test_pace_ends_when_stopped():
    stop = threading.Event()
    assert Pace(None).wait(stop)
    slow = Pace(0.001)
    assert slow.wait(stop)
    stop.set()
    assert not slow.wait(stop)
    assert not Pace(None).wait(stop)


def test_fink_client_reads_published_files(cluster, tmp_path, fink_consumer, capsys):
    alerts = [sent.alert for sent in simulated_alerts(2, START, 60) if sent.survey == "ztf"][:12]
    paths = [write_file(tmp_path / f"{n}.avro", alerts[n * 6 : n * 6 + 6]) for n in range(2)]
    topic = "fink_published_ztf"
    call_command("publish_alerts", *map(str, paths), "--bootstrap", cluster, "--topic", topic)
    assert capsys.readouterr().out == f"sent 12 alerts: {topic} 12\n"
    read = read_alerts(fink_consumer([topic], cluster, "ztf"), 12)
    assert as_text(read) == as_text((topic, alert) for alert in alerts)


@pytest.mark.parametrize("survey", ["ztf", "lsst"])
def test_fink_client_reads_simulated_alerts(fink_consumer, survey, capsys):
    with mock_cluster() as bootstrap:
        call_command("simulate_alerts", "--bootstrap", bootstrap, "--count", "80", "--seed", "4")
        assert capsys.readouterr().out.startswith("sent 80 alerts: fink_blazar_ztf ")
        # Multi-messenger alerts come with ZTF's, as on Fink's clusters.
        wanted = [
            (sent.topic, sent.alert)
            for sent in simulated_alerts(4, START, 80)
            if (sent.survey == "lsst") == (survey == "lsst")
        ]
        consumer = fink_consumer(sorted({topic for topic, _ in wanted}), bootstrap, survey)
        assert as_text(read_alerts(consumer, len(wanted))) == as_text(wanted)
        consumer.close()


def test_publish_stops_at_count(cluster, tmp_path, capsys):
    alerts = [sent.alert for sent in simulated_alerts(2, START, 30) if sent.survey == "ztf"][:5]
    path = write_file(tmp_path / "some.avro", alerts)
    options = {"bootstrap": cluster, "topic": "counted", "count": 3, "rate": 1000.0}
    call_command("publish_alerts", str(path), **options)
    assert capsys.readouterr().out == "sent 3 alerts: counted 3\n"
    messages = read_topics(cluster, ["counted"], 3)
    schema = fastavro.parse_schema(ZTF_SCHEMA)
    read = [fastavro.schemaless_reader(io.BytesIO(message.value()), schema, None) for message in messages]
    assert [alert["candid"] for alert in read] == [alert["candid"] for alert in alerts[:3]]


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        ("publish_alerts", ["x.avro", "--topic", "t", "--bootstrap", NOWHERE, "--rate", "0"], "--rate"),
        ("publish_alerts", ["x.avro", "--topic", "t", "--bootstrap", NOWHERE, "--rate", "nan"], "--rate"),
        ("simulate_alerts", ["--bootstrap", NOWHERE, "--count", "0"], "--count"),
        ("simulate_alerts", ["--bootstrap", NOWHERE, "--seed", "-1"], "seed"),
        ("simulate_alerts", ["--bootstrap", NOWHERE, "--start", "soon"], "--start"),
        ("simulate_alerts", ["--bootstrap", NOWHERE, "--start", "1999-01-01"], "2018 to 2041"),
        ("simulate_alerts", [], "one of the arguments"),
        ("simulate_alerts", ["--bootstrap", NOWHERE, "--mock"], "not allowed with"),
    ],
)
def test_bad_options_are_command_errors(command, arguments, message):
    with pytest.raises(CommandError, match=message) as caught:
        call_command(command, *arguments)
    assert "\n" not in str(caught.value)


def test_bad_file_is_a_command_error(cluster, tmp_path):
    with pytest.raises(CommandError, match=r"none\.avro: No such file"):
        call_command("publish_alerts", str(tmp_path / "none.avro"), bootstrap=cluster, topic="t")


@pytest.mark.parametrize("stop_signal", [signal.SIGTERM, signal.SIGINT])
def test_mock_serves_until_stopped(stop_signal):
    command = [sys.executable, "-m", "django", "simulate_alerts", "--mock", "--count", "12", "--seed", "5"]
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [*command, "--settings", "tests.settings", "--pythonpath", str(root)],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        first = process.stdout.readline()
        assert first.startswith("mock cluster at 127.0.0.1:"), process.stderr.read()
        assert process.stdout.readline().startswith("sent 12 alerts: ")
        wanted = [(sent.topic, *serialise(sent)) for sent in simulated_alerts(5, START, 12)]
        topics = sorted({topic for topic, _, _ in wanted})
        messages = read_topics(first.split()[-1], topics, 12)
        assert sorted((m.topic(), m.key(), m.value()) for m in messages) == sorted(wanted)
        process.send_signal(stop_signal)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0
    assert errors == ""
