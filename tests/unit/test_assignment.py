"""Partitions that change while a reader still finds out where to start in them."""

import pytest
from confluent_kafka import KafkaError, TopicPartition

from tom_fink.errors import StoreUnavailable
from tom_fink.gaps import Gap
from tom_fink.kafka.options import StreamOptions
from tom_fink.store.batch import Outcome
from tom_fink.stream.commits import Commits
from tom_fink.stream.reader import AlertReader
from tom_fink.stream.waiting import GivenBack, Waiting

TOPIC = "fink_sn_candidates_ztf"


class Broker:
    """A consumer to which the group gives other partitions at its first poll, without taking any away.

    So librdkafka does while nothing is assigned.
    """

    def __init__(self, on_assign, low=0):
        self.on_assign, self.low = on_assign, low
        self.assigned, self.commits, self.messages = [], [], []

    def poll(self, timeout):
        self.on_assign(self, [TopicPartition(TOPIC, 7)])

    def assign(self, places):
        self.assigned = places

    def assignment(self):
        return self.assigned

    def consume(self, number, timeout):
        messages, self.messages = self.messages[:number], self.messages[number:]
        return messages

    def pause(self, places):
        pass

    resume = pause

    def committed(self, places, timeout):
        return [TopicPartition(p.topic, p.partition, 50) for p in places]

    def get_watermark_offsets(self, place, timeout):
        return self.low, 1000

    def commit(self, offsets, asynchronous):
        assert asynchronous, "a broker that is away would be waited for without end"
        self.commits += [(p.partition, p.offset) for p in offsets]
        self.on_commit(None, offsets)


class Found:
    """A message of a partition, or that the broker does not have the offset that is wanted there."""

    def __init__(self, partition, offset=None):
        self._partition, self._offset = partition, offset

    def error(self):
        return KafkaError(KafkaError._AUTO_OFFSET_RESET) if self._offset is None else None

    def topic(self):
        return TOPIC

    def partition(self):
        return self._partition

    def offset(self):
        return self._offset

    def key(self):
        return b"key"

    value = key


class Sink:
    """A ledger that is away at first, and notes what it is told."""

    streams = 1

    def __init__(self, accounted=None, away=0):
        self.accounted, self.away, self.told = accounted, away, []

    def positions(self, places):
        return dict.fromkeys(places, self.accounted) if self.accounted is not None else {}

    def open(self, starts, made_anew):
        if self.away:
            self.away -= 1
            raise StoreUnavailable("away")
        self.told.append(("open", starts, made_anew))

    def decode(self, messages):
        return messages

    def store(self, batch, decoded):
        self.told.append(("gaps", batch.gaps))
        return Outcome()


def reader_of(sink: Sink, low=0, partitions=1) -> tuple[AlertReader, Broker]:
    reader = AlertReader(StreamOptions("127.0.0.1:1", "group", (TOPIC,)), sink)
    broker = Broker(reader.assignment.on_assign, low)
    reader._waiting = Waiting(broker, lambda: reader.assignment.has_changed, reader._on_message_error, 60)
    reader._commits = Commits(broker, "127.0.0.1:1", reader._waiting, reader._on_error)
    broker.on_commit = reader._commits.on_answer
    reader._consumer = broker
    broker.on_assign(broker, [TopicPartition(TOPIC, number) for number in range(partitions)])
    reader.assignment.has_changed = False  # as at the beginning of each turn
    return reader, broker


def test_partitions_given_meanwhile_do_not_get_the_offsets_of_others():
    reader, broker = reader_of(Sink(away=1))
    with pytest.raises(GivenBack):
        reader._settle(broker)
    assert (broker.assigned, broker.commits) == ([], [])
    assert [p.partition for p in reader.assignment.unsettled] == [7]
    reader.assignment.has_changed = False
    reader._settle(broker)
    assert [(p.partition, p.offset) for p in broker.assigned] == [(7, 50)]
    assert broker.commits == [(7, 50)]


@pytest.mark.parametrize(("accounted", "made_anew"), [(None, set()), (40, set()), (5000, {(TOPIC, 0)})])
def test_an_account_is_open_before_a_loss_is_entered(accounted, made_anew):
    """Else the loss would fall behind the old place of a topic that was made anew, and be counted as nothing."""
    sink = Sink(accounted)
    reader, broker = reader_of(sink, low=90)
    reader._settle(broker)
    lost_from = 50 if accounted != 40 else 40
    assert sink.told == [
        ("open", {(TOPIC, 0): lost_from}, made_anew),
        ("gaps", [Gap(TOPIC, 0, lost_from, 90, is_lost=True)]),
    ]
    assert [(p.partition, p.offset) for p in broker.assigned] == [(0, 90)]


def test_partitions_that_expire_together_are_all_settled_anew():
    """Each of them says so, the second when none is assigned any more."""
    reader, broker = reader_of(Sink(), partitions=3)
    reader._settle(broker)
    broker.low = 90
    broker.messages = [Found(0, 50), Found(0), Found(2), Found(1, 50), Found(1, 53)]
    batch = reader._poll(broker, 100, None)
    assert broker.assigned == []
    assert [(message.partition, message.offset) for message in batch.messages] == [(0, 50), (1, 50), (1, 53)]
    assert batch.gaps == [Gap(TOPIC, 1, 51, 53, is_lost=True)]
    reader._settle(broker)
    assert [(p.partition, p.offset) for p in broker.assigned] == [(0, 90), (1, 90), (2, 90)]


def test_partitions_that_expire_while_others_are_settled_are_settled_with_them():
    reader, broker = reader_of(Sink(away=1), partitions=2)
    broker.poll = lambda timeout: Found(1)
    reader._settle(broker)
    assert [(p.partition, p.offset) for p in broker.assigned] == [(0, 50), (1, 50)]
