"""Moves a stopped consumer group: what that would mean for each partition, and the move itself.

The group is never joined. The broker has the last word: it takes offsets from outside of a group only
while the group has no reader.
"""

import re
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from tom_fink.errors import ConfigurationError, StreamError
from tom_fink.kafka.options import EARLIEST, LATEST, OTHER_FAMILIES, StreamOptions, fits
from tom_fink.kafka.security import hint

TIMEOUT_S = 10.0
# For a moment after a start of the broker, or of its first group, nobody answers for groups.
COORDINATOR_MOVES = {
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
}

NO_ANSWER = {KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN}


@dataclass(frozen=True)
class Move:
    """A partition: where the group is (None: nowhere yet), what the broker holds (`low` up to `high`), where to."""

    topic: str
    partition: int
    committed: int | None
    low: int
    high: int
    to: int

    @property
    def again(self) -> int:
        """How many messages the group would read again."""
        return 0 if self.committed is None else max(0, min(self.committed, self.high) - self.to)

    @property
    def skipped(self) -> int:
        """How many messages that the broker holds the group would never read."""
        return max(0, self.to - max(self.committed or 0, self.low))

    @property
    def lost(self) -> int:
        """How many messages the broker had removed before the group read them: not the move's fault."""
        return 0 if self.committed is None else max(0, self.low - self.committed)

    @property
    def left(self) -> int:
        """How many messages are to be read afterwards."""
        return self.high - self.to

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        sums = {"again": self.again, "skipped": self.skipped, "lost": self.lost, "left": self.left}
        return asdict(self) | sums


def parse_to(text: str) -> str | datetime:
    """`earliest`, `latest`, or a time (ISO 8601, UTC unless it says otherwise). Raises `ConfigurationError`."""
    if text.lower() in (EARLIEST, LATEST):
        return text.lower()
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(
            f"--to {text!r} cannot be used: it takes earliest, latest or an ISO time such as 2026-11-20T00:00:00Z."
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def choose_stream(
    streams: Iterable[StreamOptions], wanted: Iterable[str], survey: str | None = None
) -> StreamOptions:
    """The one stream that reads all of the `wanted` topics or patterns. Raises `ConfigurationError` unless it is one."""
    streams, wanted = list(streams), list(wanted)
    found = [
        stream
        for stream in streams
        if survey in (None, stream.survey) and all(_reads(stream, topic) for topic in wanted)
    ]
    if len(found) == 1:
        return found[0]
    there = "; ".join(_described(stream) for stream in found or streams) or "none is active"
    asked = " and ".join(wanted)
    if found:
        raise ConfigurationError(f"Several streams read {asked}; choose one with --survey: {there}.")
    of = f" {survey.upper()}" if survey else ""
    raise ConfigurationError(f"No{of} stream reads {asked}. The streams: {there}.")


class Group:
    """A consumer group as the broker knows it. To be closed; a context manager does."""

    def __init__(self, options: StreamOptions, group_id: str = ""):
        """Of the stream's own group, or of `group_id`; asks nothing yet."""
        self.options = options
        self.group_id = group_id or options.group_id
        self._errors: list[KafkaError] = []
        settings = options.kafka() | {"group.id": self.group_id, "log_level": 0}
        self._consumer = Consumer(settings | {"error_cb": self._errors.append})
        self._admin = AdminClient(settings | {"error_cb": lambda error: None})

    def __enter__(self) -> "Group":
        return self

    def __exit__(self, *_) -> None:
        self._consumer.close()

    def topics(self, wanted: Iterable[str]) -> list[str]:
        """The stream's topics at the broker that are `wanted` or fit it.

        Raises `ConfigurationError` if there is none for one of them, `StreamError` if the broker does not answer.
        """
        try:
            there = sorted(self._consumer.list_topics(timeout=TIMEOUT_S).topics)
        except KafkaException as error:
            raise self._fault(error) from error
        there = [
            topic
            for topic in there
            if not any(re.match(family, topic) for family in OTHER_FAMILIES)
            and any(fits(topic, pattern) for pattern in self.options.topics)
        ]
        chosen: dict[str, None] = {}
        for pattern in wanted:
            found = [topic for topic in there if fits(topic, pattern)]
            if not found:
                raise ConfigurationError(
                    f"{self.options.url} has no topic {pattern}; this stream's are: {', '.join(there) or 'none'}."
                )
            chosen |= dict.fromkeys(found)
        return list(chosen)

    def readers(self) -> list[str] | None:
        """Who reads in the group now, as client and host; None if the broker cannot say. Raises `StreamError`."""
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            try:
                answer = self._admin.describe_consumer_groups([self.group_id], request_timeout=TIMEOUT_S)
                members = answer[self.group_id].result().members
                return [f"{member.client_id} at {member.host.lstrip('/')}" for member in members]
            except KafkaException as error:
                code = error.args[0].code()
                if code == KafkaError.GROUP_ID_NOT_FOUND:
                    return []
                if code == KafkaError._UNSUPPORTED_FEATURE:  # librdkafka's mock cluster
                    return None
                if code not in COORDINATOR_MOVES or time.monotonic() > deadline:
                    raise self._fault(error) from error
                time.sleep(0.2)

    def check_stopped(self) -> None:
        """Raises `StreamError` if somebody reads in the group."""
        if readers := self.readers():
            raise StreamError(
                f"Group {self.group_id} is being read by {', '.join(readers)}. Stop every reader of the group "
                "first; one that was killed counts until its session has run out, 45 s if that was not changed."
            )

    def plan(self, topics: Iterable[str], to: str | datetime) -> list[Move]:
        """What a move of these topics would mean, partition by partition. Raises `StreamError`."""
        try:
            places = [
                TopicPartition(topic, number)
                for topic in topics
                for number in sorted(
                    self._consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions
                )
            ]
            committed = self._committed(places)
            ends = {
                (place.topic, place.partition): self._consumer.get_watermark_offsets(place, timeout=TIMEOUT_S)
                for place in places
            }
            targets = self._targets(ends, to)
        except KafkaException as error:
            raise self._fault(error) from error
        return [Move(*place, committed[place], *ends[place], targets[place]) for place in ends]

    def apply(self, moves: Iterable[Move]) -> dict[tuple[str, int], int | None]:
        """Commit the moves; gives what the broker holds for the group afterwards.

        Raises `StreamError` if the broker does not take one, or holds something else then.
        """
        wanted = {(move.topic, move.partition): move.to for move in moves}
        try:
            answers = self._consumer.commit(
                offsets=[TopicPartition(*place, to) for place, to in wanted.items()], asynchronous=False
            )
            refused = [answer for answer in answers if answer.error]
            if refused:
                places = ", ".join(f"{answer.topic} [{answer.partition}]" for answer in refused)
                raise StreamError(f"{self.options.url} did not take {places}: {refused[0].error.str()}")
            held = self._committed([TopicPartition(*place) for place in wanted])
        except KafkaException as error:
            if error.args[0].code() in (KafkaError.UNKNOWN_MEMBER_ID, KafkaError.REBALANCE_IN_PROGRESS):
                raise StreamError(
                    f"{self.options.url} did not take the move: somebody reads in group {self.group_id}. Stop "
                    "every reader of the group first."
                ) from error
            raise self._fault(error) from error
        others = [
            f"{topic} [{number}]" for (topic, number), to in wanted.items() if held[topic, number] != to
        ]
        if others:
            raise StreamError(
                f"{self.options.url} took the move, but holds another offset of {', '.join(others)}."
            )
        return held

    def _committed(self, places: list[TopicPartition]) -> dict[tuple[str, int], int | None]:
        found = {}
        for place in self._consumer.committed(places, timeout=TIMEOUT_S) if places else ():
            if place.error:
                raise KafkaException(place.error)
            found[place.topic, place.partition] = None if place.offset == OFFSET_INVALID else place.offset
        return found

    def _targets(self, ends: dict[tuple[str, int], tuple[int, int]], to: str | datetime) -> dict:
        if not isinstance(to, datetime):
            return {place: low if to == EARLIEST else high for place, (low, high) in ends.items()}
        # Negative numbers are no times to Kafka, but names of places.
        wanted_ms = max(0, int(to.timestamp() * 1000))
        timed = self._consumer.offsets_for_times(
            [TopicPartition(*place, wanted_ms) for place in ends], timeout=TIMEOUT_S
        )
        found = {}
        for place in timed:
            if place.error:
                raise KafkaException(place.error)
            # Behind the last message there is no offset for the time: -1, the end.
            found[place.topic, place.partition] = (
                place.offset if place.offset >= 0 else ends[place.topic, place.partition][1]
            )
        return found

    def _fault(self, error: KafkaException) -> StreamError:
        """That the broker cannot be asked, and why: its connections report more than that a request failed."""
        reason = error.args[0]
        if reason.code() in NO_ANSWER:
            self._consumer.poll(0)  # hands over the reports
            told = [found for found in self._errors if found.code() != KafkaError._ALL_BROKERS_DOWN]
            reason = (told or self._errors or [reason])[0]
        text = f"{reason.str()} ({reason.name()})"
        return StreamError(f"{self.options.url} cannot be asked: {text}{hint(text, self.options.survey)}")


def _reads(stream: StreamOptions, topic: str) -> bool:
    return any(fits(topic, pattern) or fits(pattern, topic) for pattern in stream.topics)


def _described(stream: StreamOptions) -> str:
    return f"{stream.survey} reads {', '.join(stream.topics)} at {stream.url} as group {stream.group_id}"
