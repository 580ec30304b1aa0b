"""Reads a stream: poll a batch, hand it on, commit its offsets, in that order and never another.

The offsets are committed by hand, synchronously, after the rows. A crash between any two steps
brings the messages again, and storing them again changes nothing.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from tom_fink.decode import Message
from tom_fink.errors import StreamError
from tom_fink.options import EARLIEST, LATEST, StreamOptions
from tom_fink.store import Outcome

logger = logging.getLogger(__name__)

BATCH_MESSAGES = 200  # a batch is due by count or by age, whichever comes first
BATCH_AGE_S = 1.0
BROKER_TIMEOUT_S = 10.0
REPEAT_WARNING_S = 300.0
CLOSE_WITHIN_S = 5.0
JOINING_S = 15.0  # a group takes a few seconds to give out its partitions; that is not silence

# The broker will not change its mind about these; waiting would only hide them.
REFUSALS = {
    KafkaError._AUTHENTICATION,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
}
# The offsets of these belong to another reader now, who will read the messages again.
LOST_PARTITION = {
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError._ASSIGNMENT_LOST,
    KafkaError._NO_OFFSET,
}


@dataclass
class Limits:
    """When a reader ends by itself; None means never."""

    messages: int | None = None
    idle_s: float | None = None


@dataclass
class AlertReader:
    """One consumer of one stream. `run` reads until `stop` is called or a limit is reached."""

    options: StreamOptions
    handle: Callable[[list[Message]], Outcome]
    limits: Limits = field(default_factory=Limits)
    total: Outcome = field(default_factory=Outcome)
    _stop: threading.Event = field(default_factory=threading.Event, repr=False)
    _refusal: StreamError | None = field(default=None, repr=False)
    _warned: dict[object, float] = field(default_factory=dict, repr=False)
    _present: set[str] | None = field(default=None, repr=False)  # the topics at the first contact
    _group_is_new: bool | None = field(default=None, repr=False)
    _last_news: float = field(default=0.0, repr=False)

    def stop(self) -> None:
        """End after the batch in hand. May be called from a signal handler or any thread, at any time."""
        self._stop.set()

    def run(self) -> Outcome:
        """Read; returns what became of the messages.

        Raises `StreamError` if the broker refuses the reader, and what the handlers raise: then the
        batch's offsets are not committed.
        """
        consumer = Consumer(self.options.kafka() | {"log_level": 0, "error_cb": self._on_error})
        try:
            consumer.subscribe(self.options.subscription(), on_assign=self._on_assign)
            self._read(consumer)
        finally:
            self._close(consumer)
        return self.total

    def _read(self, consumer: Consumer) -> None:
        polls, self._last_news = 0, time.monotonic() + JOINING_S
        while not self._stop.is_set():
            wanted = self._wanted(polls)
            if wanted <= 0:
                return
            self._note_topics(consumer)
            messages = self._poll(consumer, wanted)
            if self._refusal:
                raise self._refusal
            if messages:
                self._process(consumer, messages)
                polls += len(messages)
                self._last_news = time.monotonic()
            elif (idle_s := time.monotonic() - self._last_news) >= (self.limits.idle_s or float("inf")):
                logger.info("No alert for %.0f s: the reader ends, as it was told.", idle_s)
                return
            elif self.options.max_polls and idle_s >= self.options.timeout_s:
                logger.info("No alert within %.0f s.", idle_s)
                polls, self._last_news = polls + 1, time.monotonic()

    def _note_topics(self, consumer: Consumer) -> None:
        """Note which topics there are at the first contact with the broker, before any is given to this reader."""
        if self._present is None and self.options.start_at != EARLIEST:
            try:
                self._present = set(consumer.list_topics(timeout=BATCH_AGE_S).topics)
            except KafkaException as error:
                self._on_error(error.args[0])

    def _wanted(self, polls: int) -> int:
        limits = [BATCH_MESSAGES]
        if self.limits.messages is not None:
            limits.append(self.limits.messages - self.total.messages)
        if self.options.max_polls is not None:
            limits.append(self.options.max_polls - polls)
        return min(limits)

    def _poll(self, consumer: Consumer, wanted: int) -> list[Message]:
        received = consumer.consume(wanted, timeout=min(BATCH_AGE_S, self.options.timeout_s or BATCH_AGE_S))
        now = datetime.now(UTC)
        messages = []
        for found in received:
            if found.error():
                self._on_message_error(found)
            else:
                messages.append(
                    Message(found.topic(), found.partition(), found.offset(), found.key(), found.value(), now)
                )
        return messages

    def _process(self, consumer: Consumer, messages: list[Message]) -> None:
        began = time.monotonic()
        outcome = self.handle(messages)
        self._commit(consumer, messages)
        self.total += Outcome(
            outcome.stored, outcome.duplicate, outcome.rejected, outcome.handled, outcome.points
        )
        logger.info(
            "Batch of %d: %d stored, %d duplicate, %d rejected, %d handled; %d points; %.2f s%s",
            len(messages),
            outcome.stored,
            outcome.duplicate,
            outcome.rejected,
            outcome.handled,
            outcome.points,
            time.monotonic() - began,
            _age(outcome),
        )

    def _commit(self, consumer: Consumer, messages: list[Message]) -> None:
        """Commit the offsets behind the batch and look at each partition's answer."""
        ends: dict[tuple[str, int], int] = {}
        for message in messages:
            place = message.topic, message.partition
            ends[place] = max(ends.get(place, 0), message.offset + 1)
        try:
            answers = consumer.commit(
                offsets=[TopicPartition(*place, end) for place, end in ends.items()], asynchronous=False
            )
        except KafkaException as error:
            self._on_commit_error(error.args[0], "the batch's offsets")
            return
        for answer in answers or ():
            if answer.error:
                self._on_commit_error(answer.error, f"{answer.topic} [{answer.partition}] {answer.offset}")

    def _close(self, consumer: Consumer) -> None:
        """Leave the group; not for longer than `CLOSE_WITHIN_S`, which a broker that is away would have it wait."""
        closing = threading.Thread(target=consumer.close, name="close", daemon=True)
        closing.start()
        closing.join(CLOSE_WITHIN_S)
        if closing.is_alive():
            logger.warning(
                "%s does not answer; it will notice by itself that the reader is gone.", self.options.url
            )

    def _on_commit_error(self, error: KafkaError, what: str) -> None:
        if error.code() not in LOST_PARTITION:
            raise StreamError(f"{self.options.url} did not take {what}: {error.str()}")
        # The rows are stored; whoever reads the messages again finds them there.
        logger.warning("%s: not committed, another reader has the partition now (%s)", what, error.str())

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Say where to start, the first time that a new group meets a partition.

        That place is committed at once. Otherwise a reader that starts at the end and stops before
        the first alert would start at the new end next time, and miss what came between.
        """
        committed = consumer.committed(partitions, timeout=BROKER_TIMEOUT_S)
        fresh = [p for p in committed if p.offset == OFFSET_INVALID]
        if self._group_is_new is None and partitions:
            self._group_is_new = len(fresh) == len(committed)
        # A topic that was not there at the first contact is new as a whole: it is read from its start.
        met = [p for p in fresh if self._group_is_new and p.topic in (self._present or ())]
        starts = self._starts(consumer, met) if met and self.options.start_at != EARLIEST else []
        if starts:
            consumer.commit(offsets=starts, asynchronous=False)
        offsets = {(p.topic, p.partition): p.offset for p in [*committed, *starts]}
        self._last_news = time.monotonic()
        consumer.assign(
            [TopicPartition(p.topic, p.partition, offsets[p.topic, p.partition]) for p in partitions]
        )
        counts = Counter(partition.topic for partition in partitions)
        logger.info(
            "Reading %s", ", ".join(f"{topic} ({n} partitions)" for topic, n in sorted(counts.items())) or "-"
        )

    def _starts(self, consumer: Consumer, partitions: list[TopicPartition]) -> list[TopicPartition]:
        if self.options.start_at == LATEST:
            ends = [consumer.get_watermark_offsets(p, timeout=BROKER_TIMEOUT_S)[1] for p in partitions]
            return [
                TopicPartition(p.topic, p.partition, end) for p, end in zip(partitions, ends, strict=True)
            ]
        wanted_ms = int(self.options.start_at.timestamp() * 1000)
        timed = consumer.offsets_for_times(
            [TopicPartition(p.topic, p.partition, wanted_ms) for p in partitions], timeout=BROKER_TIMEOUT_S
        )
        # Behind the last message there is no offset for the time: -1, which is "the end" to the broker.
        return [
            TopicPartition(
                p.topic,
                p.partition,
                p.offset if p.offset >= 0 else consumer.get_watermark_offsets(p, timeout=BROKER_TIMEOUT_S)[1],
            )
            for p in timed
        ]

    def _on_error(self, error: KafkaError) -> None:
        """librdkafka's errors about brokers: a refusal ends the reader, anything else is tried again."""
        if error.code() in REFUSALS or error.fatal():
            self._refusal = StreamError(f"{self.options.url} refuses the reader: {error.str()}")
        else:
            self._warn_once("broker", "%s cannot be reached, trying again: %s", self.options.url, error.str())

    def _on_message_error(self, found: KafkaMessage) -> None:
        error = found.error()
        if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            # Fink makes a topic with its first alert.
            self._warn_once(
                ("topic", found.topic()),
                "Topic %s does not exist yet; it is read as soon as it does.",
                found.topic(),
            )
        elif error.code() in REFUSALS or error.fatal():
            self._refusal = StreamError(f"{self.options.url} refuses the reader: {error.str()}")
        else:
            self._warn_once(error.code(), "%s: %s", self.options.url, error.str())

    def _warn_once(self, about: object, text: str, *args: object) -> None:
        now = time.monotonic()
        if now - self._warned.get(about, -REPEAT_WARNING_S) >= REPEAT_WARNING_S:
            self._warned[about] = now
            logger.warning(text, *args)


def _age(outcome: Outcome) -> str:
    if outcome.alerts is None or outcome.alerts.is_empty():
        return ""
    age_s = (datetime.now(UTC) - outcome.alerts["observed_at"].max()).total_seconds()
    return f"; newest alert {age_s:.0f} s old"
