"""A broker that dies with the reader's offsets on their way, which librdkafka keeps until it is back."""

from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from tests.services.accounts import assert_nothing_twice, broker_ends, group_offsets, ledger_sums
from tests.services.moulds import moulds
from tests.services.needs import wait_until
from tests.services.processes import Process
from tests.services.publishing import Sent, make_topics, publish
from tom_fink.models import Alert

pytestmark = [pytest.mark.services, pytest.mark.timeout(420)]

ALERTS, PARTITIONS = 2000, 4


@pytest.fixture
def full_topic(kafka, unique) -> str:
    """A topic with some batches of alerts."""
    make_topics(kafka, {unique: PARTITIONS})
    made = moulds("ztf", 60)
    alerts = [made[number % len(made)].cast(number) for number in range(ALERTS)]
    publish(
        kafka,
        [Sent(unique, number % PARTITIONS, alert.key, alert.value) for number, alert in enumerate(alerts)],
    )
    return unique


@contextmanager
def unanswered(kafka, postgres, reader: Process) -> Iterator[None]:
    """The broker stands still, and the reader has sent it the offsets of a batch since."""
    reader.until_it_says("Reading ")
    broker = psutil.Process(kafka._process.pid)
    with postgres.frozen():
        reader.until_it_is_quiet()
        broker.suspend()
        batches = reader.said.count("Batch of")
    try:
        wait_until(lambda: reader.said.count("Batch of") > batches, lambda: reader.said[-3000:])
        yield
    finally:
        if broker.is_running():
            broker.resume()


@contextmanager
def dead_with_its_question(kafka, postgres, reader: Process) -> Iterator[None]:
    """The broker has died without an answer, and the reader has said so."""
    with unanswered(kafka, postgres, reader):
        kafka.kill()
        try:
            reader.until_it_says("cannot be reached, trying again")
            yield
        finally:
            kafka.start()


def assert_read_to_the_end(kafka, topic: str, reader: Process) -> None:
    """By this reader: nothing is lost, nothing twice."""
    ends, group = broker_ends(kafka.address, topic), f"group-{topic}"
    wait_until(lambda: group_offsets(kafka.address, group, topic) == ends, lambda: reader.said[-3000:])
    assert reader.end() == 0
    assert "Traceback" not in reader.said
    sums = ledger_sums(group)
    assert sums.stored == Alert.objects.count() == ALERTS
    assert (sums.rejected, sums.lost, sums.skipped) == (0, 0, 0)
    assert_nothing_twice()


def test_a_reader_goes_on_when_a_broker_is_back_that_died_with_its_question(
    kafka, postgres, full_topic, command
):
    reader = command("readstreams")
    with dead_with_its_question(kafka, postgres, reader):
        assert reader.popen.poll() is None
    assert_read_to_the_end(kafka, full_topic, reader)


def test_a_reader_ends_though_a_broker_died_with_its_question(kafka, postgres, full_topic, command):
    reader = command("readstreams")
    with dead_with_its_question(kafka, postgres, reader):
        assert reader.end() == 0
        assert "does not finish its batch" not in reader.said, "it was stored"
    assert_read_to_the_end(kafka, full_topic, command("readstreams"))


def test_a_broker_that_stands_still_is_told_from_one_with_no_alerts(kafka, postgres, full_topic, command):
    """It takes connections and answers nothing, as a machine that swaps does."""
    reader = command("readstreams")
    with unanswered(kafka, postgres, reader):
        reader.until_it_says("it does not answer to the group's offsets")
    assert_read_to_the_end(kafka, full_topic, reader)
