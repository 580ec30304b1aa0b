"""The reader's loop without a broker: what is due when, what is read ahead, and in what order it is stored."""

import threading
from collections import Counter

import pytest
from confluent_kafka import KafkaError

from tom_fink.decoding.decode import Message
from tom_fink.errors import DecoderError, StoreUnavailable, StreamError
from tom_fink.kafka.options import StreamOptions
from tom_fink.store.batch import Fate, Outcome
from tom_fink.stream import reader as reader_module
from tom_fink.stream.batch import Limits
from tom_fink.stream.reader import AlertReader
from tom_fink.stream.waiting import Waiting

TOPIC = "fink_sn_candidates_ztf"
DEADLINE_S = 30


class Broker:
    """A consumer of one partition. `at` has what happens before the message of this offset is given."""

    def __init__(self, messages: int, size: int = 10, at=None):
        self.values = [b"x" * size] * messages
        self.place, self.at, self.asked = 0, at or {}, []
        self.on_asked = lambda: None

    def consume(self, count, timeout):
        self.asked.append((count, timeout))
        self.on_asked()
        for offset in range(self.place, self.place + count):
            if happens := self.at.pop(offset, None):
                happens()
        found = [Found(n, self.values[n]) for n in range(self.place, len(self.values))][:count]
        self.place += len(found)
        return found

    def poll(self, timeout):
        return None

    def assignment(self):
        return []

    def pause(self, places):
        pass

    resume = pause

    def get_watermark_offsets(self, place, **how):
        return 0, len(self.values)


class Found:
    """A message of Kafka's."""

    def __init__(self, offset, value):
        self.offset, self.value = lambda: offset, lambda: value

    def error(self):
        return None

    def topic(self):
        return TOPIC

    def partition(self):
        return 0

    def key(self):
        return b"schema"


class Sink:
    """Notes what is asked of it, in order; `on_store` is called while a batch is stored, with its first offset."""

    def __init__(self, on_store=lambda first: None, on_decode=lambda first: None):
        self.told, self.on_store, self.on_decode = [], on_store, on_decode
        self.decoding = {}  # by first offset: set when decoding has begun
        self.decoded = []  # first offsets
        self.told_commits = []
        self.are_confirmed = True
        self.streams = 1

    def decode(self, messages):
        first = messages[0].offset
        self.decoding.setdefault(first, threading.Event()).set()
        self.decoded.append(first)
        self.on_decode(first)
        return first

    def archive(self, messages):
        self.told.append(("archive", messages[0].offset, len(messages)))

    def store(self, batch, decoded):
        assert decoded == batch.messages[0].offset, "what was decoded is of this batch"
        self.on_store(decoded)
        self.told.append(("store", decoded, len(batch.messages)))
        return Outcome(dict.fromkeys(range(len(batch.messages)), Fate.STORED))

    def commit(self, messages: list[Message]):
        self.told.append(("commit", messages[0].offset, len(messages)))

    def look(self):
        self.told_commits.append("look")

    def forget(self):
        self.told_commits.append("forget")

    def complain_if_late(self):
        pass

    def beat(self, ends):
        pass

    def of(self, what: str) -> list[tuple[int, int]]:
        return [(first, count) for told, first, count in self.told if told == what]


def reader_of(sink: Sink, broker: Broker, monkeypatch, **limits) -> AlertReader:
    """A reader of four messages a batch that ends when there is nothing more to read."""
    monkeypatch.setattr(reader_module, "BATCH_MESSAGES", 4)
    monkeypatch.setattr(reader_module, "TAKEN_AT_ONCE", 2)
    monkeypatch.setattr(reader_module, "JOINING_S", 0.0)
    reader = AlertReader(
        StreamOptions("127.0.0.1:1", "group", (TOPIC,)), sink, Limits(**({"idle_s": 1e-9} | limits))
    )
    is_over = lambda: reader._stop.is_set() or reader.assignment.has_changed  # noqa: E731
    reader._waiting = Waiting(broker, is_over, lambda found: None, 60)
    reader._commits = sink
    reader._consumer = broker
    return reader


def three_steps(*batches: tuple[int, int]) -> list[tuple]:
    return [(step, *batch) for batch in batches for step in ("archive", "store", "commit")]


def test_batches_are_stored_and_committed_one_after_the_other(monkeypatch):
    sink, broker = Sink(), Broker(10)
    reader = reader_of(sink, broker, monkeypatch)
    reader._read(broker)
    assert sink.told == three_steps((0, 4), (4, 4), (8, 2))
    assert reader.total == Counter({Fate.STORED: 10})


def test_while_a_full_batch_is_stored_the_next_is_decoded(monkeypatch):
    def on_store(first):
        if first < 8:
            following = sink.decoding.setdefault(first + 4, threading.Event())
            assert following.wait(DEADLINE_S), "the next one waits for this one"

    sink, broker = Sink(on_store), Broker(12)
    reader_of(sink, broker, monkeypatch)._read(broker)
    assert sink.told == three_steps((0, 4), (4, 4), (8, 4))


def test_no_more_than_two_batches_are_in_hand(monkeypatch):
    read = []
    sink, broker = Sink(lambda first: read.append(broker.place - first)), Broker(40)
    reader_of(sink, broker, monkeypatch)._read(broker)
    assert len(read) == 10
    assert max(read) == 8


def test_it_reads_on_for_as_long_as_decoding_takes(monkeypatch):
    """What is read then is no delay: the batch in hand cannot be stored before."""
    has_read_on = threading.Event()

    def on_decode(first):
        assert has_read_on.wait(DEADLINE_S), "nothing is read while the first batch is decoded"

    sink, broker = Sink(on_decode=on_decode), Broker(8)
    broker.on_asked = lambda: has_read_on.set() if len(broker.asked) > 3 else None
    reader_of(sink, broker, monkeypatch)._read(broker)
    assert sink.told == three_steps((0, 4), (4, 4))
    assert broker.asked[0][1] == pytest.approx(reader_module.BATCH_AGE_S, abs=0.5)
    assert broker.asked[3][1] == reader_module.LOOK_S, "the first batch took three questions"


def test_a_few_messages_are_stored_though_no_more_come(monkeypatch):
    sink, broker = Sink(), Broker(3)
    reader_of(sink, broker, monkeypatch)._read(broker)
    assert sink.told == three_steps((0, 3))


def test_a_batch_is_due_by_size(monkeypatch):
    """It is larger by one message at most, however large messages are."""
    monkeypatch.setattr(reader_module, "BATCH_BYTES", 1000)
    for size, counts in ((333, [4, 4]), (499, [3, 3, 2]), (500, [2, 2, 2, 2]), (5000, [1] * 8)):
        sink, broker = Sink(), Broker(8, size)
        reader_of(sink, broker, monkeypatch)._read(broker)
        assert [count for _, count in sink.of("store")] == counts, size


def test_streams_of_one_process_share_the_size_of_a_batch(monkeypatch):
    """Two have a third each: the second one's queue and thread take as much as a batch."""
    monkeypatch.setattr(reader_module, "BATCH_BYTES", 3000)
    sink, broker = Sink(), Broker(8, 500)
    sink.streams = 2
    reader_of(sink, broker, monkeypatch)._read(broker)
    assert [count for _, count in sink.of("store")] == [2, 2, 2, 2]


def test_keys_that_are_the_same_are_one_object(monkeypatch):
    broker = Broker(4)
    batch = reader_of(Sink(), broker, monkeypatch)._poll(broker, 4, None)
    assert len(batch.messages) == 4
    assert len({id(message.key) for message in batch.messages}) == 1


@pytest.mark.parametrize("wanted", [1, 4, 5, 7, 8, 9, 20])
def test_a_limit_is_kept_though_it_reads_ahead(monkeypatch, wanted):
    sink, broker = Sink(), Broker(20)
    reader = reader_of(sink, broker, monkeypatch, messages=wanted, idle_s=None)
    reader._read(broker)
    assert reader.total[Fate.STORED] == broker.place == sum(count for _, count in sink.of("commit")) == wanted


def settling(reader: AlertReader, broker: Broker, settled: list, monkeypatch) -> None:
    """Have the reader begin where `settled` says that the group is."""

    def settle(consumer):
        if reader.assignment.unsettled:
            reader.assignment.unsettled = []
            broker.place = settled[-1][0] + settled[-1][1] if settled else 0

    monkeypatch.setattr(reader, "_settle", settle)


@pytest.mark.parametrize("meanwhile", [2, 6, 9])
def test_partitions_that_change_while_it_reads_leave_what_is_in_hand_to_be_read_again(monkeypatch, meanwhile):
    def rebalance():
        stored.append(list(sink.told))
        reader.assignment.has_changed, reader.assignment.unsettled = True, ["a partition"]

    def look():
        assert not reader.assignment.has_changed, "what another reader may have is not sent again"

    stored, sink, broker = [], Sink(), Broker(12, at={meanwhile: rebalance})
    sink.look = look
    reader = reader_of(sink, broker, monkeypatch, messages=12, idle_s=None)
    settling(reader, broker, [] if meanwhile < 8 else [(0, 4)], monkeypatch)
    reader._read(broker)
    assert stored == [three_steps((0, 4)) if meanwhile == 9 else []]
    assert sink.told == three_steps((0, 4), (4, 4), (8, 4)), "nothing of before the change is stored"
    assert sink.told_commits == ["forget"]


def test_partitions_that_change_while_the_store_is_away_do_the_same(monkeypatch):
    def away(first):
        if not gone:
            gone.append(first)
            reader.assignment.has_changed, reader.assignment.unsettled = True, ["a partition"]
            raise StoreUnavailable("The database cannot be used: away.")

    gone = []
    sink, broker = Sink(away), Broker(10)
    reader = reader_of(sink, broker, monkeypatch, messages=10, idle_s=None)
    settling(reader, broker, [], monkeypatch)
    reader._read(broker)
    assert gone == [0]
    assert sink.of("commit") == [(0, 4), (4, 4), (8, 2)]


def test_what_is_in_hand_is_stored_before_partitions_are_settled(monkeypatch):
    """They are asked of the ledger, which must have what was read of them so far."""

    def expire():
        reader.assignment.unsettled = ["a partition"]

    def settle(consumer):
        if reader.assignment.unsettled:
            settled_after.append(sink.of("commit"))
            reader.assignment.unsettled = []

    settled_after = []
    sink, broker = Sink(), Broker(12, at={6: expire})
    reader = reader_of(sink, broker, monkeypatch)
    monkeypatch.setattr(reader, "_settle", settle)
    reader._read(broker)
    assert settled_after == [[(0, 4), (4, 4)]]
    assert sink.of("commit") == [(0, 4), (4, 4), (8, 4)]


def test_asked_to_stop_it_ends_behind_the_batch_that_is_stored(monkeypatch):
    sink, broker = Sink(lambda first: reader.stop()), Broker(12)
    reader = reader_of(sink, broker, monkeypatch)
    reader._read(broker)
    assert sink.told == three_steps((0, 4))
    assert broker.place == 8, "the one that was read ahead is read again"


@pytest.mark.parametrize("meanwhile", ["it ends", "the partitions change", "a signal"])
def test_it_polls_while_a_batch_is_decoded_for_minutes(monkeypatch, meanwhile):
    """Else the group would throw it out, and the same batch would be read again for ever."""
    ended, polls, settled = threading.Event(), [], []

    def on_decode(first):
        assert ended.wait(DEADLINE_S) or first

    def poll(timeout):
        polls.append(timeout)
        if len(polls) == 5:
            ended.set()
            if meanwhile == "a signal":
                reader.stop()
            elif meanwhile == "the partitions change":
                reader.assignment.has_changed, reader.assignment.unsettled = True, ["a partition"]

    sink, broker = Sink(on_decode=on_decode), Broker(4)
    broker.poll = poll
    reader = reader_of(sink, broker, monkeypatch, messages=4, idle_s=None)
    settling(reader, broker, settled, monkeypatch)
    monkeypatch.setattr(reader_module, "SLOW_S", 0.0)
    monkeypatch.setattr(reader_module, "SLOW_LOOK_S", 1e-6)
    reader._read(broker)
    assert len(polls) >= 5
    assert sink.told == ([] if meanwhile == "a signal" else three_steps((0, 4)))
    assert sink.decoded == ([0, 0] if meanwhile == "the partitions change" else [0])


def test_an_error_in_decoding_ahead_comes_when_its_turn_comes(monkeypatch):
    def on_decode(first):
        if first == 4:
            raise DecoderError("cannot be started")

    sink, broker = Sink(on_decode=on_decode), Broker(12)
    reader = reader_of(sink, broker, monkeypatch)
    with pytest.raises(DecoderError):
        reader._read(broker)
    assert sink.told == three_steps((0, 4))


class Unconfirmed(Sink):
    """Commits whose last answer comes with a poll, or never."""

    def __init__(self, broker: Broker, polls: float):
        super().__init__()
        self.are_confirmed, self.polls = False, 0
        broker.poll = lambda timeout: self.polled(polls)

    def polled(self, needed: float) -> None:
        self.polls += 1
        self.are_confirmed = self.polls >= needed


def test_in_the_end_the_last_offsets_are_waited_for(monkeypatch):
    broker = Broker(0)
    sink = Unconfirmed(broker, polls=200)
    monkeypatch.setattr(reader_module, "CONFIRM_WITHIN_S", 0.0)
    reader_of(sink, broker, monkeypatch)._confirm()
    assert (sink.polls, sink.told_commits) == (200, ["look"] * 200)


def test_a_reader_that_is_to_stop_does_not_wait_long_for_them(monkeypatch):
    broker = Broker(0)
    sink = Unconfirmed(broker, polls=float("inf"))
    monkeypatch.setattr(reader_module, "CONFIRM_WITHIN_S", 0.01)
    reader = reader_of(sink, broker, monkeypatch)
    reader.stop()
    reader._confirm()
    assert sink.polls > 0


def test_partitions_that_change_in_the_end_have_no_answer_to_be_waited_for(monkeypatch):
    broker = Broker(0)
    reader = reader_of(Unconfirmed(broker, polls=float("inf")), broker, monkeypatch)
    reader.assignment.has_changed = True
    reader._confirm()


def test_a_refusal_in_the_end_is_raised(monkeypatch):
    broker = Broker(0)
    reader = reader_of(Unconfirmed(broker, polls=float("inf")), broker, monkeypatch)
    broker.poll = lambda timeout: reader._on_error(KafkaError(KafkaError._AUTHENTICATION))
    with pytest.raises(StreamError, match="refuses the reader"):
        reader._confirm()
