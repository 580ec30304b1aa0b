"""The partitions that the group has given a reader: where it starts, and whether messages are missing."""

import logging
from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaException, TopicPartition

from tom_fink.gaps import Gap, Place, gaps_before
from tom_fink.kafka.options import EARLIEST, LATEST
from tom_fink.stream.partitions import Found, Start, start_of

logger = logging.getLogger(__name__)

BROKER_TIMEOUT_S = 10.0
PROBE_TIMEOUT_S = 1.0


class Assignment:
    """Partitions are unsettled from when the group gives them until `settle`, and are not read so long.

    Settling asks the broker and the ledger, which may be away; so it is done in the reader's loop and
    not in librdkafka's callback.
    """

    def __init__(self, start_at: str | datetime):
        self.unsettled: list[TopicPartition] = []  # all that are given, or none
        self.has_changed = False  # given or taken away, since the reader looked last
        self.present: set[str] | None = None  # the topics at the first contact
        self.group_is_new: bool | None = None
        self._start_at = start_at
        self._given: list[TopicPartition] = []
        self._expected: dict[Place, int] = {}

    def note_topics(self, consumer: Consumer, timeout_s: float) -> None:
        """Note which topics there are at the first contact, before any is given. Raises `KafkaException`."""
        if self.present is None and self._start_at != EARLIEST:
            self.present = set(consumer.list_topics(timeout=timeout_s).topics)

    def on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Called by librdkafka: these are ours now."""
        # Not only in `on_revoke`: librdkafka does not call that while nothing is assigned, and what is being
        # settled then must not be given to other partitions.
        self.has_changed = True
        consumer.assign([])
        self._expected = {}
        self._given = self.unsettled = partitions
        if not partitions:
            logger.info("Reading -: the other readers of the group have all partitions")

    def on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Called by librdkafka: they are not ours any more."""
        self.has_changed = True
        self._expected = {}
        self._given = self.unsettled = []

    def unsettle(self, consumer: Consumer) -> None:
        """Stop reading until all partitions are settled anew: the broker does not have a wanted offset.

        Where several partitions expire together, each says so: the second when none is assigned any more. What
        came before is still taken, so what is expected next stays.
        """
        consumer.assign([])
        self.unsettled = self._given

    def ask(self, consumer: Consumer, accounted: Mapping[Place, int]) -> list[Start]:
        """Where to start in the unsettled partitions, in their order. Raises `KafkaException`."""
        committed = {
            (p.topic, p.partition): None if p.offset == OFFSET_INVALID else p.offset
            for p in consumer.committed(self.unsettled, timeout=BROKER_TIMEOUT_S)
        }
        if self.group_is_new is None and committed:
            self.group_is_new = not accounted and not any(offset is not None for offset in committed.values())
        # A topic that was not there at the first contact is new as a whole: it is read from its start.
        met = [p for p in self.unsettled if self.group_is_new and p.topic in (self.present or ())]
        begin = self._begin(consumer, [p for p in met if committed[p.topic, p.partition] is None])
        starts = []
        for partition in self.unsettled:
            place = partition.topic, partition.partition
            low, high = consumer.get_watermark_offsets(partition, timeout=BROKER_TIMEOUT_S)
            start = start_of(
                Found(place, committed[place], accounted.get(place), low, high, begin.get(place))
            )
            if start.remark:
                logger.warning("%s [%d] %s", *place, start.remark)
            starts.append(start)
        return starts

    def offsets(self, starts: list[Start], *, new: bool) -> list[TopicPartition]:
        """Where the reader starts, in the partitions that are new to the group or in the others; to be committed.

        Of a new group this comes first of all: else a reader that starts at the end and stops before the first
        alert would start at the new end next time, and miss what came between. Of others it comes last,
        when the ledger has what was lost.
        """
        return [
            place for place, start in zip(self._places(starts), starts, strict=True) if start.is_new == new
        ]

    def settle(self, consumer: Consumer, starts: list[Start]) -> None:
        """Begin to read there."""
        places = self._places(starts)
        consumer.assign(places)
        consumer.resume(places)  # librdkafka keeps them paused if they were when they were taken away
        self._expected = {(p.topic, p.partition): p.offset for p in places}
        self.unsettled = []
        counts = Counter(p.topic for p in places)
        logger.info(
            "Reading %s", ", ".join(f"{topic} ({n} partitions)" for topic, n in sorted(counts.items()))
        )

    def _places(self, starts: list[Start]) -> list[TopicPartition]:
        return [
            TopicPartition(p.topic, p.partition, start.offset)
            for p, start in zip(self.unsettled, starts, strict=True)
        ]

    def gaps(self, consumer: Consumer, place: Place, offset: int) -> list[Gap]:
        """What is missing before a message that has come. To be called for each message, in order."""
        expected = self._expected.get(place, offset)
        self._expected[place] = max(expected, offset + 1)
        if offset <= expected:
            return []
        try:
            low, _ = consumer.get_watermark_offsets(TopicPartition(*place), timeout=BROKER_TIMEOUT_S)
        except KafkaException:
            low = offset  # not to be known now, and a loss must not be passed over
        return gaps_before(place, expected, offset, low)

    def ends(self, consumer: Consumer) -> dict[Place, int]:
        """The broker's end of each partition that is read; nothing while the broker is away.

        It is asked for one of them. For the others its answers to the reader's own requests are new enough.
        """
        found: dict[Place, int] = {}
        for place in self._expected:
            try:
                asked = {"cached": True} if found else {"timeout": PROBE_TIMEOUT_S}
                _, high = consumer.get_watermark_offsets(TopicPartition(*place), **asked)
            except KafkaException:
                return found
            if high >= 0:
                found[place] = high
        return found

    def _begin(self, consumer: Consumer, partitions: list[TopicPartition]) -> dict[Place, int]:
        """Where START_AT says that a new group starts; nothing for the oldest alert."""
        if self._start_at == EARLIEST or not partitions:
            return {}
        if self._start_at == LATEST:
            wanted = [TopicPartition(p.topic, p.partition, -1) for p in partitions]
        else:
            time_ms = int(self._start_at.timestamp() * 1000)
            wanted = consumer.offsets_for_times(
                [TopicPartition(p.topic, p.partition, time_ms) for p in partitions], timeout=BROKER_TIMEOUT_S
            )
        # Behind the last message there is no offset for a time: -1, which is "the end" to the broker.
        return {
            (p.topic, p.partition): p.offset
            if p.offset >= 0
            else consumer.get_watermark_offsets(p, timeout=BROKER_TIMEOUT_S)[1]
            for p in wanted
        }
