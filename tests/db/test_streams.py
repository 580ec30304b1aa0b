"""Streams end to end on librdkafka's mock cluster: what is sent is stored, and how a reader ends."""

import signal
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connections

from tests.db.streams import (
    DEADLINE_S,
    TOPIC,
    committed,
    ids,
    of_topic,
    read_until,
    readstreams,
    wait_until,
)
from tom_fink.alertstream import FinkAlertStream, alert_logger
from tom_fink.decoding.decode import decode_one
from tom_fink.kafka.producer import AlertProducer
from tom_fink.models import Alert, RejectedMessage
from tom_fink.stream import supervisor
from tom_fink.stream.batch import Limits

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("short_sessions")]


@pytest.fixture(autouse=True)
def _no_second_life(monkeypatch):
    """A stream that dies is not started again, so that its error can be looked at."""
    monkeypatch.setattr(supervisor, "RESTART_WAITS_S", ())


def test_every_topic_ends_in_the_database(simulated_messages, send, published):
    messages = simulated_messages[:100]
    prefix = send(messages)
    published(f"{prefix}*", TOPIC_HANDLERS={"fink.stream": "tom_fink.alertstream.alert_saver"})
    call_command("readstreams", max_messages=len(messages))
    assert set(Alert.objects.values_list("topic", flat=True)) <= {prefix + m.topic for m in messages}
    expected = len({(m.value, m.topic == "fink_grb_bronze") for m in messages})
    assert Alert.objects.count() == expected
    assert RejectedMessage.objects.count() == 0


def test_the_published_configuration_logs_and_stores(simulated_messages, send, published, caplog):
    caplog.set_level("INFO")
    messages = of_topic(simulated_messages)[:3]
    topic = send(messages) + TOPIC
    options = published(topic)
    call_command("readstreams", max_messages=3)
    alert = decode_one(messages[0])
    assert (
        f"FinkAlertStream.listen opening stream: {options['URL']} with group_id: {options['GROUP_ID']}"
        in caplog.text
    )
    assert f"fink.alert_logger topic: {topic}" in caplog.text
    assert f"fink.alert_logger value: {alert['objectId']} emitted {alert['timestamp'][:19]}" in caplog.text
    assert ids(messages) == set(Alert.objects.values_list("alert_id", flat=True))
    assert committed(options, topic) == 3


def test_max_poll_number_ends_the_reader(simulated_messages, send, published):
    messages = of_topic(simulated_messages)[:5]
    topic = send(messages) + TOPIC
    options = published(topic, MAX_POLL_NUMBER="2")
    call_command("readstreams")
    assert Alert.objects.count() == 2
    assert committed(options, topic) == 2
    call_command("readstreams")
    assert Alert.objects.count() == 4, "the next run goes on where this one ended"


def test_an_empty_poll_counts_too(simulated_messages, send, published):
    """As it always has: two polls of a silent topic end the reader."""
    send(of_topic(simulated_messages)[:1])
    published("nothing_here", MAX_POLL_NUMBER=2, TIMEOUT=1)
    call_command("readstreams")
    assert Alert.objects.count() == 0


def test_stop_when_idle(simulated_messages, send, published):
    messages = of_topic(simulated_messages)[:4]
    published(send(messages) + TOPIC)
    call_command("readstreams", stop_when_idle=2.0)
    assert ids(messages) == set(Alert.objects.values_list("alert_id", flat=True))


def test_the_command_of_tom_alertstreams_works_too(simulated_messages, send, published):
    """Where tom_alertstreams stands first in INSTALLED_APPS, its command starts `listen` in a thread and returns."""
    from tom_alertstreams.management.commands.readstreams import Command

    messages = of_topic(simulated_messages)[:2]
    published(send(messages) + TOPIC, MAX_POLL_NUMBER=2)
    Command().handle()
    for thread in threading.enumerate():
        if thread.name == "FinkAlertStream":
            thread.join(DEADLINE_S)
            assert not thread.is_alive()
    assert ids(messages) == set(Alert.objects.values_list("alert_id", flat=True))


def test_a_bad_message_is_kept_and_reading_goes_on(simulated_messages, send, published, cluster):
    messages = of_topic(simulated_messages)[:2]
    topic = send(messages[:1]) + TOPIC
    with AlertProducer(cluster) as producer:
        producer.send(topic, messages[0].key, messages[0].value[:100])
        producer.send(topic, b"1_1", b"")
        producer.send(topic, messages[1].key, messages[1].value)
    options = published(topic)
    call_command("readstreams", max_messages=4)
    assert ids(messages) == set(Alert.objects.values_list("alert_id", flat=True))
    assert RejectedMessage.objects.count() == 2
    assert committed(options, topic) == 4


received: list[tuple] = []


def my_handler(alert, topic):
    """A handler as a user writes one."""
    received.append((alert["objectId"], topic))
    alert_logger(alert, topic)
    if alert["objectId"] == my_handler.fails_on:
        raise ZeroDivisionError("by a user's mistake")


def test_a_handler_of_the_user_s_own_gets_the_decoded_alert(simulated_messages, send, published):
    messages = of_topic(simulated_messages)[:3]
    received.clear()
    my_handler.fails_on = None
    topic = send(messages) + TOPIC
    published(topic, TOPIC_HANDLERS={"t*_sn_*": f"{__name__}.my_handler"})
    call_command("readstreams", max_messages=3)
    assert {object_id for object_id, _ in received} == {decode_one(m)["objectId"] for m in messages}
    assert {topic_name for _, topic_name in received} == {topic}
    assert Alert.objects.count() == 3


def test_a_handler_that_raises_loses_nothing(simulated_messages, send, published, caplog):
    """Its alert is rejected with the reason, what it wrote is taken back, and the others go on."""
    messages = of_topic(simulated_messages)[:6]
    victim = decode_one(messages[0])["objectId"]
    others = [m for m in messages if decode_one(m)["objectId"] != victim]
    my_handler.fails_on = victim
    published(send(messages) + TOPIC, TOPIC_HANDLERS={"fink.stream": f"{__name__}.my_handler"})
    call_command("readstreams", max_messages=len(messages))
    assert ids(others) == set(Alert.objects.values_list("alert_id", flat=True))
    assert RejectedMessage.objects.count() == len(messages) - len(others)
    assert "ZeroDivisionError: by a user's mistake" in RejectedMessage.objects.first().error
    assert "Traceback" in caplog.text


def test_offsets_stay_where_storing_failed(simulated_messages, send, published, monkeypatch):
    """An unknown error ends the reader with status 1; the next one gets the messages again."""
    messages = of_topic(simulated_messages)[:3]
    topic = send(messages) + TOPIC
    options = published(topic)

    def crash(*_):
        raise RuntimeError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("tom_fink.store.batch.update_objects", crash)
        with pytest.raises(SystemExit) as ended:
            call_command("readstreams", max_messages=3)
        assert ended.value.code == 1
    assert (Alert.objects.count(), committed(options, topic)) == (0, 0)
    call_command("readstreams", max_messages=3)
    assert (Alert.objects.count(), committed(options, topic)) == (3, 3)


def test_a_crash_before_the_commit_stores_nothing_twice(
    simulated_messages, send, published, monkeypatch, row_counts
):
    messages = of_topic(simulated_messages)[:3]
    topic = send(messages) + TOPIC
    options = published(topic)

    def crash(*_):
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("tom_fink.stream.commits.Commits.commit", crash)
        with pytest.raises(SystemExit):
            call_command("readstreams", max_messages=3)
    counts = row_counts()
    assert (Alert.objects.count(), committed(options, topic)) == (3, 0)
    call_command("readstreams", max_messages=3)
    assert row_counts() == counts
    assert committed(options, topic) == 3


def test_latest_starts_at_the_end_and_misses_nothing_after(simulated_messages, send, published):
    messages = of_topic(simulated_messages)[:4]
    topic = send(messages[:2]) + TOPIC
    published(topic, START_AT="latest")
    call_command("readstreams", stop_when_idle=2.0)
    assert Alert.objects.count() == 0
    # The reader is not running when these come. It has noted where it was.
    cluster = FinkAlertStream(**_options()).options.url
    with AlertProducer(cluster) as producer:
        for message in messages[2:]:
            producer.send(topic, message.key, message.value)
    call_command("readstreams", stop_when_idle=2.0)
    assert ids(messages[2:]) == set(Alert.objects.values_list("alert_id", flat=True))


def _options() -> dict:
    from django.conf import settings

    return settings.ALERT_STREAMS[0]["OPTIONS"]


def test_a_topic_that_appears_later_is_read_from_its_start(simulated_messages, send, published):
    first, later = (
        of_topic(simulated_messages)[:2],
        of_topic(simulated_messages, "fink_sso_ztf_candidates_ztf")[:2],
    )
    prefix = send(first)
    published(f"{prefix}*", START_AT="latest")
    stream = FinkAlertStream(**_options())
    thread = threading.Thread(target=stream.listen, args=[Limits()])
    thread.start()
    try:
        wait_until(lambda: stream._reader is not None and stream._reader.assignment.group_is_new is not None)
        send(later)
        wait_until(lambda: Alert.objects.count() == 2)
    finally:
        stream.stop()
        thread.join(DEADLINE_S)
    assert ids(later) == set(Alert.objects.values_list("alert_id", flat=True))


def test_the_first_topic_that_fits_a_pattern_is_read_from_its_start(simulated_messages, send, published):
    """START_AT=latest is about what was there when the reader came, and then there was nothing."""
    prefix = send([])
    published(f"{prefix}*", START_AT="latest")
    stream = FinkAlertStream(**_options())
    thread = threading.Thread(target=stream.listen, args=[Limits()])
    thread.start()
    try:
        wait_until(lambda: stream._reader is not None and stream._reader.assignment.present is not None)
        later = of_topic(simulated_messages)[:2]
        send(later)
        wait_until(lambda: Alert.objects.count() == 2)
    finally:
        stream.stop()
        thread.join(DEADLINE_S)


def test_stop_before_listen_is_not_lost(published):
    published("some_topic")
    stream = FinkAlertStream(**_options())
    stream.stop()
    began = time.monotonic()
    stream.listen()
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_reader_within_ten_seconds(simulated_messages, send, cluster, number):
    """The real process: status 0, and everything that was sent is stored."""
    messages = of_topic(simulated_messages)[:5]
    topic = send(messages) + TOPIC
    with readstreams(
        FINK_CREDENTIAL_URL=cluster, FINK_CREDENTIAL_GROUP_ID=topic, FINK_TOPIC=topic
    ) as process:
        read_until(process, "5 stored")
        process.send_signal(number)
        assert process.wait(10) == 0
    assert Alert.objects.count() == 5


def test_a_signal_ends_a_reader_whose_broker_is_away():
    with readstreams(
        FINK_CREDENTIAL_URL="127.0.0.1:1", FINK_CREDENTIAL_GROUP_ID="g", FINK_TOPIC="t"
    ) as process:
        assert "127.0.0.1:1 cannot be reached, trying again" in read_until(process, "cannot be reached")
        process.terminate()
        assert process.wait(10) == 0


def test_without_credentials_the_reader_says_so_and_waits():
    with readstreams() as process:
        said = read_until(process, "waiting for a signal")
        assert "set FINK_CREDENTIAL_URL, FINK_CREDENTIAL_GROUP_ID, FINK_TOPIC" in said
        assert "FINK_LSST_CREDENTIAL_URL" in said
        assert "Traceback" not in said
        process.terminate()
        assert process.wait(10) == 0


# --- Configuration -----------------------------------------------------------------------------


def test_a_bad_option_is_one_line(published):
    published("t", URL="http://broker")
    with pytest.raises(
        CommandError, match=r"FINK_CREDENTIAL_URL='http://broker' cannot be used: it takes HOST:PORT"
    ):
        call_command("readstreams")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"TOPIC_HANDLERS": {"fink.stream": "no.such.handler"}}, "no"),
        ({"TOPICS": "a"}, "knows no option TOPICS"),
    ],
)
def test_a_handler_or_option_that_is_not_there_is_one_line(published, changes, says):
    published("t", **changes)
    with pytest.raises(CommandError, match=says):
        call_command("readstreams")


@pytest.mark.parametrize("argument", ["--max-messages=0", "--max-messages=x", "--stop-when-idle=-1"])
def test_a_limit_must_be_positive(argument):
    with pytest.raises(CommandError):
        call_command("readstreams", argument)


def test_constructing_a_stream_touches_neither_network_nor_database(published, django_assert_num_queries):
    published("t", URL="127.0.0.1:1")
    with django_assert_num_queries(0):
        FinkAlertStream(**_options())
    with pytest.raises(ImproperlyConfigured):
        FinkAlertStream(**_options(), NONSENSE=1)


class GcnStream:
    """A stream of another broker, as tom_alertstreams starts them: it never returns, and knows no `stop`."""

    def __init__(self, **options):
        self.options = options

    def listen(self):
        if self.options.get("DIES"):
            raise ConnectionError("gone")
        threading.Event().wait()


def test_streams_of_other_brokers_run_beside_ours(simulated_messages, send, published, settings):
    messages = of_topic(simulated_messages)[:2]
    published(send(messages) + TOPIC)
    settings.ALERT_STREAMS.append({"NAME": f"{__name__}.GcnStream", "OPTIONS": {}})
    call_command("readstreams", max_messages=2)
    assert Alert.objects.count() == 2


def test_a_stream_that_dies_ends_the_command_with_status_1(published, settings, caplog):
    published("silent_topic")
    settings.ALERT_STREAMS.append({"NAME": f"{__name__}.GcnStream", "OPTIONS": {"DIES": True}})
    with pytest.raises(SystemExit) as ended:
        call_command("readstreams")
    assert ended.value.code == 1
    assert "GcnStream died: gone" in caplog.text


@pytest.mark.parametrize(
    "start_at", [datetime(2000, 1, 1, tzinfo=UTC), datetime.now(UTC) + timedelta(days=1)]
)
def test_start_times_are_understood(published, start_at):
    published("t", START_AT=start_at.isoformat())
    assert FinkAlertStream(**_options()).options.start_at == start_at


@pytest.fixture(autouse=True)
def _close_connections():
    yield
    connections.close_all()
