"""Offsets that are committed: what is sent, and what becomes of the broker's answers."""

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from tom_fink.decoding.decode import Message
from tom_fink.errors import StreamError
from tom_fink.stream import commits as commits_module
from tom_fink.stream import patience as patience_module
from tom_fink.stream.commits import LATE_S, Commits
from tom_fink.stream.waiting import GivenBack

TOPIC = "fink_sn_candidates_ztf"
URL = "127.0.0.1:9092"


class Clock:
    """A monotonic clock that stands still until it is moved."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Consumer:
    """Notes what is committed; answers when the test says so."""

    def __init__(self):
        self.sent: list[dict[int, int]] = []  # by partition

    def commit(self, offsets, asynchronous):
        assert asynchronous
        self.sent.append({found.partition: found.offset for found in offsets})


class Waiting:
    """Moves the clock, and does what the test says happens in a poll."""

    def __init__(self, clock: Clock):
        self.clock, self.in_poll = clock, lambda: None

    def wait(self, seconds):
        self.clock.now += seconds
        self.in_poll()


@pytest.fixture
def clock(monkeypatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(commits_module, "time", found)
    monkeypatch.setattr(patience_module, "time", found)
    return found


@pytest.fixture
def consumer() -> Consumer:
    return Consumer()


@pytest.fixture
def waiting(clock) -> Waiting:
    return Waiting(clock)


@pytest.fixture
def told() -> list[int]:
    """The codes of what `on_error` was told."""
    return []


@pytest.fixture
def commits(consumer, waiting, told) -> Commits:
    return Commits(consumer, URL, waiting, lambda error: told.append(error.code()))


def message(partition: int, offset: int) -> Message:
    return Message(TOPIC, partition, offset, b"key", b"value", None)


class Answer:
    """One of the places in librdkafka's answer, whose `error` Python cannot set."""

    topic = TOPIC

    def __init__(self, partition: int, offset: int, code: int | None = None):
        self.partition, self.offset = partition, offset
        self.error = None if code is None else KafkaError(code)


def test_what_is_behind_the_messages_is_sent_and_not_waited_for(commits, consumer):
    commits.commit([message(0, 4), message(2, 9), message(0, 6), message(0, 5)])
    assert consumer.sent == [{0: 7, 2: 10}]
    assert not commits.are_confirmed
    commits.on_answer(None, [Answer(0, 7)])
    assert not commits.are_confirmed
    commits.on_answer(None, [Answer(2, 10)])
    assert commits.are_confirmed


def test_a_batch_without_messages_sends_nothing(commits, consumer):
    commits.commit([])
    assert (consumer.sent, commits.are_confirmed) == ([], True)


def test_only_the_answer_about_the_latest_counts(commits, consumer, told):
    """A later offset covers the earlier one, whatever became of that."""
    commits.commit([message(0, 4)])
    commits.commit([message(0, 9)])
    commits.on_answer(None, [Answer(0, 5)])
    assert not commits.are_confirmed
    commits.on_answer(KafkaError(KafkaError._WAIT_COORD), [Answer(0, 5)])
    commits.look()
    assert (consumer.sent, told) == ([{0: 5}, {0: 10}], [])
    commits.on_answer(None, [Answer(0, 10)])
    assert commits.are_confirmed


@pytest.mark.parametrize("is_of_all", [True, False], ids=["the question", "a partition"])
def test_what_the_broker_did_not_take_is_sent_again_after_growing_waits(
    commits, consumer, clock, told, is_of_all
):
    def refuse():
        answers = [Answer(0, 5, None if is_of_all else code)]
        commits.on_answer(KafkaError(code) if is_of_all else None, answers)
        commits.look()

    code = KafkaError.COORDINATOR_LOAD_IN_PROGRESS
    commits.commit([message(0, 4), message(1, 7)])
    commits.on_answer(None, [Answer(1, 8)])
    refuse()
    assert consumer.sent[1:] == [{0: 5}], "the first time at once, and without what was taken"
    waits = []
    for _ in range(4):
        began, number = clock.now, len(consumer.sent)
        refuse()
        while len(consumer.sent) == number:
            clock.now += 0.01
            commits.look()
        waits.append(clock.now - began)
    # Each wait is up to a quarter shorter than 0.5, 1, 2 and 4 s.
    assert all(
        0.74 * whole <= wait <= whole + 0.02 for wait, whole in zip(waits, (0.5, 1, 2, 4), strict=True)
    )
    assert set(told) == {code}
    commits.on_answer(None, [Answer(0, 5)])
    assert commits.are_confirmed


def test_after_a_success_the_waits_begin_anew(commits, consumer, clock):
    for end in (5, 6):
        commits.commit([message(0, end - 1)])
        for _ in range(6):
            commits.on_answer(KafkaError(KafkaError._TRANSPORT), [Answer(0, end)])
            clock.now += 60
            commits.look()
        commits.on_answer(None, [Answer(0, end)])
        commits.look()
    commits.commit([message(0, 6)])
    commits.on_answer(KafkaError(KafkaError._TRANSPORT), [Answer(0, 7)])
    number = len(consumer.sent)
    commits.look()
    assert consumer.sent[number:] == [{0: 7}]


def test_a_partition_that_another_reader_has_is_not_asked_for_again(commits, consumer, caplog):
    commits.commit([message(0, 4), message(1, 4)])
    commits.on_answer(None, [Answer(0, 5, KafkaError.ILLEGAL_GENERATION), Answer(1, 5)])
    commits.look()
    assert (len(consumer.sent), commits.are_confirmed) == (1, True)
    assert f"{TOPIC} [0]: not committed, another reader has the partition now" in caplog.text


def test_a_refusal_ends_the_reader(commits):
    commits.commit([message(3, 4)])
    commits.on_answer(None, [Answer(3, 5, KafkaError.GROUP_AUTHORIZATION_FAILED)])
    with pytest.raises(StreamError, match=rf"{URL} did not take {TOPIC} \[3\]"):
        commits.look()


def test_what_is_forgotten_is_not_sent_again(commits, consumer, told):
    """Its partition may be another reader's, and further: the offset would go back."""
    commits.commit([message(0, 4)])
    commits.forget()
    assert commits.are_confirmed
    commits.on_answer(KafkaError(KafkaError._TRANSPORT), [Answer(0, 5)])
    commits.look()
    assert (len(consumer.sent), told) == (1, [])


def test_an_answer_that_does_not_come_is_said(commits, clock, told):
    commits.commit([message(0, 4)])
    clock.now += LATE_S - 1
    commits.complain_if_late()
    assert told == []
    clock.now += 2
    commits.complain_if_late()
    assert told == [KafkaError._TIMED_OUT]
    commits.on_answer(None, [Answer(0, 5)])
    commits.complain_if_late()
    assert len(told) == 1


def test_where_a_reader_starts_is_waited_for(commits, consumer, waiting):
    commits.insist([])
    assert consumer.sent == []
    waiting.in_poll = lambda: commits.on_answer(None, [Answer(0, 50), Answer(1, 60)])
    commits.insist([TopicPartition(TOPIC, 0, 50), TopicPartition(TOPIC, 1, 60)])
    assert consumer.sent == [{0: 50, 1: 60}]
    assert commits.are_confirmed


def test_where_a_reader_starts_and_the_broker_does_not_take_it(commits, waiting):
    waiting.in_poll = lambda: commits.on_answer(None, [Answer(0, 50, KafkaError.REBALANCE_IN_PROGRESS)])
    with pytest.raises(KafkaException) as caught:
        commits.insist([TopicPartition(TOPIC, 0, 50)])
    assert caught.value.args[0].code() == KafkaError.REBALANCE_IN_PROGRESS
    assert commits.are_confirmed, "it is settled anew"


def test_where_a_reader_starts_and_the_broker_does_not_answer(commits, clock):
    began = clock.now
    with pytest.raises(KafkaException) as caught:
        commits.insist([TopicPartition(TOPIC, 0, 50)])
    assert caught.value.args[0].code() == KafkaError._TIMED_OUT
    assert clock.now - began == pytest.approx(LATE_S, abs=0.1)
    assert commits.are_confirmed


def test_where_a_reader_starts_and_the_partitions_change(commits, waiting):
    def give_back():
        raise GivenBack

    waiting.in_poll = give_back
    with pytest.raises(GivenBack):
        commits.insist([TopicPartition(TOPIC, 0, 50)])
