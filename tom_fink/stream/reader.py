"""Reads a stream: poll a batch, decode it, store it, commit its offsets, in that order and never another.

The offsets are committed by hand, after the rows. A crash between any two steps brings the messages
again, and storing them again changes nothing. While a batch is stored, the next one is decoded; batches
are stored and committed one after the other.
"""

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import Message as KafkaMessage

from tom_fink.decoding.decode import Message
from tom_fink.errors import ArchiveError, ConfigurationError, StoreUnavailable, StreamError
from tom_fink.gaps import Gap
from tom_fink.kafka.complaints import LOST_PARTITION, Complaints, is_refusal
from tom_fink.kafka.options import StreamOptions
from tom_fink.kafka.security import hint
from tom_fink.stream.ahead import InHand
from tom_fink.stream.assignment import Assignment
from tom_fink.stream.batch import Batch, Limits, Sink
from tom_fink.stream.commits import Commits
from tom_fink.stream.news import say_batch, say_lost
from tom_fink.stream.waiting import GivenBack, Waiting

logger = logging.getLogger(__name__)

# A batch is due by count, by size or by age, whichever comes first. What a batch costs apart from its alerts is
# shared by some 380 of ZTF or 70 of Rubin; two of them are in memory at once, each several times. So the
# streams of a process share the size.
BATCH_MESSAGES = 600
BATCH_BYTES = 18_000_000
BATCH_AGE_S = 1.0
TAKEN_AT_ONCE = 20  # messages, between two looks at whether there is something else to do
LOOK_S = 0.02  # between two looks at whether the batch in hand is decoded
# A reader that is to stop has five seconds, see `Supervisor`.
CONFIRM_WITHIN_S = 1.0  # the last offsets
CLOSE_WITHIN_S = 3.0
JOINING_S = 15.0  # a group takes a few seconds to give out its partitions; that is not silence
BEAT_S = 10.0
# A member that does not poll for so long is thrown out. To store a batch takes seconds; what takes minutes is
# waited for by `Waiting`, which polls.
MAX_POLL_INTERVAL_MS = 15 * 60_000
SLOW_S = 3.0  # for a batch to be decoded; messages that hang the decoder may take minutes
SLOW_LOOK_S = 1.0  # between two looks at whether such a one is decoded
GIVE_UP_AFTER_S = 15 * 60.0


def share_of_batch(streams: int) -> int:
    """Bytes of a batch of each stream of a process. One more takes as much for itself as the batch of another."""
    return BATCH_BYTES // (2 * streams - 1)


@dataclass
class AlertReader:
    """One consumer of one stream. `run` reads until `stop` is called or a limit is reached."""

    options: StreamOptions
    sink: Sink
    limits: Limits = field(default_factory=Limits)
    give_up_after_s: float = GIVE_UP_AFTER_S
    total: Counter = field(default_factory=Counter)  # messages by fate
    _stop: threading.Event = field(default_factory=threading.Event, repr=False)
    _refusal: StreamError | None = field(default=None, repr=False)
    _consumer: Consumer | None = field(default=None, repr=False)
    _is_in_sink: bool = field(default=False, repr=False)
    _last_news: float = field(default=0.0, repr=False)
    _idle_polls: int = field(default=0, repr=False)
    _largest: int = field(default=0, repr=False)  # bytes of a message of the batch before
    _next_beat: float = field(default=0.0, repr=False)

    def __post_init__(self):
        self.assignment = Assignment(self.options.start_at)
        self._complaints = Complaints(logger)

    def stop(self) -> None:
        """End after the batch in hand. May be called from any thread, at any time."""
        self._stop.set()

    def abandon(self) -> None:
        """Leave the group for a reader that hangs in the database, so that another gets its partitions at once.

        The batch in hand is not committed. To be called after `stop`, when waiting was of no use; the
        process is about to end.
        """
        if self._is_in_sink and self._consumer is not None:
            self._close(self._consumer)

    def run(self) -> Counter:
        """Read; returns how many messages had which fate.

        Raises `StreamError` if the broker refuses the reader, `GaveUp` if the database stays away, and
        what the handlers raise: then the batch's offsets are not committed.
        """
        own = {
            "auto.offset.reset": "error",  # where to start is the assignment's to decide
            "log_level": 0,
            "error_cb": self._on_error,
            "on_commit": lambda error, answers: self._commits.on_answer(error, answers),
        }
        try:
            consumer = self._consumer = Consumer(
                {"max.poll.interval.ms": MAX_POLL_INTERVAL_MS} | self.options.kafka() | own
            )
        except KafkaException as error:
            raise ConfigurationError(f"The Kafka settings cannot be used: {error.args[0].str()}") from error
        self._waiting = Waiting(
            consumer,
            is_over=lambda: self._stop.is_set() or self.assignment.has_changed,
            on_message_error=self._on_message_error,
            give_up_after_s=self.give_up_after_s,
        )
        self._commits = Commits(consumer, self.options.url, self._waiting, self._on_error)
        try:
            consumer.subscribe(
                self.options.subscription(),
                on_assign=self.assignment.on_assign,
                on_revoke=self.assignment.on_revoke,
            )
            self._read(consumer)
            self._confirm()
        finally:
            self._close(consumer)
        return self.total

    def _read(self, consumer: Consumer) -> None:
        self._last_news = time.monotonic() + JOINING_S
        in_hand: InHand | None = None
        while not self._stop.is_set():
            wanted = self._wanted(in_hand)
            if wanted <= 0 and in_hand is None:
                return
            if self.assignment.has_changed:
                self._commits.forget()
                self.assignment.has_changed = False
            try:
                if in_hand and (wanted <= 0 or self.assignment.unsettled):
                    # Where partitions are to be settled, the ledger must have what they gave so far.
                    self._process(in_hand)
                    in_hand = None
                    continue
                self._settle(consumer)
                batch = self._poll(consumer, wanted, in_hand)
                if self._refusal:
                    raise self._refusal
                if not self.assignment.has_changed:
                    self._commits.look()
                following = InHand(batch, self.sink.decode) if batch.messages else None
                if in_hand and not self.assignment.has_changed:
                    self._process(in_hand)
                in_hand = following
            except GivenBack:
                in_hand = None
                continue
            self._beat()
            if in_hand:
                continue
            self._commits.complain_if_late()
            if (idle_s := time.monotonic() - self._last_news) >= (self.limits.idle_s or float("inf")):
                logger.info("No alert for %.0f s: the reader ends, as it was told.", idle_s)
                return
            if self.options.max_polls and idle_s >= self.options.timeout_s:
                logger.info("No alert within %.0f s.", idle_s)
                self._idle_polls, self._last_news = self._idle_polls + 1, time.monotonic()

    def _wanted(self, in_hand: InHand | None) -> int:
        read = self.total.total() + (len(in_hand.batch.messages) if in_hand else 0)
        limits = [BATCH_MESSAGES]
        if self.limits.messages is not None:
            limits.append(self.limits.messages - read)
        if self.options.max_polls is not None:
            limits.append(self.options.max_polls - self._idle_polls - read)
        return min(limits)

    def _settle(self, consumer: Consumer) -> None:
        """Find out where to start in the partitions that are new to this reader, and start there."""
        assignment = self.assignment
        try:
            assignment.note_topics(consumer, BATCH_AGE_S)
            if not assignment.unsettled:
                return
            places = [(p.topic, p.partition) for p in assignment.unsettled]
            accounted = self._waiting.insist(lambda: self.sink.positions(places), "The ledger")
            starts = assignment.ask(consumer, accounted)
            self._commits.insist(assignment.offsets(starts, new=True))
            found = dict(zip(places, starts, strict=True))
            begins = {place: start.gap.start if start.gap else start.offset for place, start in found.items()}
            made_anew = {place for place, start in found.items() if start.is_made_anew}
            self._waiting.insist(lambda: self.sink.open(begins, made_anew), "The ledger")
            gaps = [start.gap for start in starts if start.gap]
            if gaps:
                self._enter_gaps(gaps)
            self._commits.insist(assignment.offsets(starts, new=False))
            assignment.settle(consumer, starts)
            self._last_news, self._next_beat = time.monotonic(), 0.0
        except KafkaException as error:
            # The partitions stay unsettled, and it is tried again after a poll.
            if error.args[0].code() not in LOST_PARTITION:
                self._on_error(error.args[0])

    def _poll(self, consumer: Consumer, wanted: int, in_hand: InHand | None) -> Batch:
        """Up to `wanted` messages; as many as come while the batch in hand is decoded, if there is one.

        Those that came before a rebalance are left to be read again.
        """
        age_s = min(BATCH_AGE_S, self.options.timeout_s or BATCH_AGE_S)
        deadline = time.monotonic() + age_s
        batch, keys, left_bytes = Batch(), {}, share_of_batch(self.sink.streams)
        largest = self._largest or left_bytes  # of those that come, by those that came
        while len(batch.messages) < wanted and left_bytes > 0:
            left_s = LOOK_S if in_hand else max(0.0, deadline - time.monotonic())
            # So a batch is larger than it should be by one message at most.
            taken = min(wanted - len(batch.messages), TAKEN_AT_ONCE, max(1, left_bytes // largest))
            received = consumer.consume(taken, timeout=left_s)
            if self.assignment.has_changed:
                return Batch()
            now = datetime.now(UTC)
            for found in received:
                if found.error():
                    self._on_message_error(found)
                    continue
                place, key, value = (found.topic(), found.partition()), found.key(), found.value()
                batch.gaps += self.assignment.gaps(consumer, place, found.offset())
                key = keys.setdefault(key, key)  # a schema of tens of kB, the same in all of them
                batch.messages.append(Message(*place, found.offset(), key, value, now))
                left_bytes -= len(value or b"")
            largest = max((len(message.value or b"") for message in batch.messages), default=0) or largest
            if len(received) < taken and (in_hand is None or in_hand.is_decoded or self._stop.is_set()):
                break
        if batch.messages:
            self._largest = largest
        return batch

    def _process(self, in_hand: InHand) -> None:
        batch, began = in_hand.batch, time.monotonic()
        self._is_in_sink = True
        try:
            in_hand.wait(SLOW_S)
            while not in_hand.is_decoded:
                # librdkafka drops what it has fetched of a partition that is paused, so only now.
                self._waiting.wait(SLOW_LOOK_S)
                self._beat()
            decoded = in_hand.decoded()
            self._waiting.insist(lambda: self.sink.archive(batch.messages), "The archive")
            outcome = self._waiting.insist(lambda: self.sink.store(batch, decoded), "The database")
        finally:
            self._is_in_sink = False
        say_lost(batch.gaps)
        self._commits.commit(batch.messages)
        self.total += outcome.counts
        self._last_news = time.monotonic()
        say_batch(outcome, time.monotonic() - began)

    def _enter_gaps(self, gaps: list[Gap]) -> None:
        batch = Batch(gaps=gaps)
        self._waiting.insist(lambda: self.sink.store(batch, self.sink.decode([])), "The database")
        say_lost(gaps)

    def _beat(self) -> None:
        if time.monotonic() < self._next_beat:
            return
        self._next_beat = time.monotonic() + BEAT_S
        try:
            self.sink.beat(self.assignment.ends(self._consumer))
        except (StoreUnavailable, ArchiveError) as error:
            self._complaints.say("beat", "%s Nothing waits to be stored.", error)

    def _confirm(self) -> None:
        """Wait until the broker has taken the last offsets; not for long if the reader is to stop.

        It would do no harm if they got lost: the messages would be read again, and found in the database.
        """
        asked = time.monotonic()
        while not (self._commits.are_confirmed or self.assignment.has_changed):
            if self._stop.is_set() and time.monotonic() - asked > CONFIRM_WITHIN_S:
                return
            self._waiting.poll(LOOK_S)
            if self._refusal:
                raise self._refusal
            self._commits.look()
            self._commits.complain_if_late()
            self._beat()

    def _close(self, consumer: Consumer) -> None:
        """Leave the group; not for longer than `CLOSE_WITHIN_S`, which a broker that is away would have it wait."""
        closing = threading.Thread(target=consumer.close, name="close", daemon=True)
        closing.start()
        closing.join(CLOSE_WITHIN_S)
        if closing.is_alive():
            logger.warning(
                "%s does not answer; it will notice by itself that the reader is gone.", self.options.url
            )

    def _on_error(self, error: KafkaError) -> None:
        """librdkafka's errors about brokers: a refusal ends the reader, anything else is tried again."""
        if is_refusal(error):
            self._refusal = StreamError(f"{self.options.url} refuses the reader: {error.str()}")
        else:
            reason = error.str() + hint(error.str(), self.options.survey)
            self._complaints.say("broker", "%s cannot be reached, trying again: %s", self.options.url, reason)

    def _on_message_error(self, found: KafkaMessage) -> None:
        error = found.error()
        if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            # Fink makes a topic with its first alert.
            self._complaints.say(
                ("topic", found.topic()),
                "Topic %s does not exist yet; it is read as soon as it does.",
                found.topic(),
            )
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            self.assignment.unsettle(self._consumer)
        elif is_refusal(error):
            self._refusal = StreamError(f"{self.options.url} refuses the reader: {error.str()}")
        else:
            self._complaints.say(error.code(), "%s: %s", self.options.url, error.str())
