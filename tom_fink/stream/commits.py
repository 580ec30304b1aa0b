"""The group's offsets at the broker, committed behind what is stored."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from tom_fink.decoding.decode import Message
from tom_fink.errors import StreamError
from tom_fink.gaps import Place
from tom_fink.kafka.complaints import LOST_PARTITION, is_refusal
from tom_fink.stream.patience import Patience
from tom_fink.stream.waiting import Waiting

logger = logging.getLogger("tom_fink.stream.reader")

LATE_S = 5.0  # for an answer, which takes milliseconds
LOOK_S = 0.02  # between two looks at whether an answer is there
NO_ANSWER = KafkaError(KafkaError._TIMED_OUT, "it does not answer to the group's offsets")


@dataclass
class _Asked:
    """An offset that was sent and is not confirmed."""

    end: int
    since: float  # monotonic, seconds
    error: KafkaError | None = None  # the broker's answer, if it did not take it


class Commits:
    """Sends offsets, and looks at the broker's answers when they come; an offset that it did not take is sent again.

    Nothing is held up by an answer that does not come. librdkafka (2.16.0) gives none if the broker goes after it was
    asked, until it is back; a reader that waits for it does not poll so long, and does not hear that the broker
    is away. A later offset of a partition covers the earlier ones, so the answer about the latest counts.
    """

    def __init__(
        self, consumer: Consumer, url: str, waiting: Waiting, on_error: Callable[[KafkaError], None]
    ):
        """`on_error` is told of errors that pass."""
        self._consumer = consumer
        self._url = url
        self._waiting = waiting
        self._on_error = on_error
        self._asked: dict[Place, _Asked] = {}
        self._patience: Patience | None = None
        self._next_try = 0.0  # monotonic, seconds

    @property
    def are_confirmed(self) -> bool:
        """Whether the broker has taken everything that was sent."""
        return not self._asked

    def commit(self, messages: list[Message]) -> None:
        """Send the offsets behind the messages, whose rows are stored: nothing is lost if they do not arrive."""
        ends: dict[Place, int] = {}
        for message in messages:
            place = message.topic, message.partition
            ends[place] = max(ends.get(place, 0), message.offset + 1)
        now = time.monotonic()
        self._send({place: _Asked(end, now) for place, end in ends.items()})

    def insist(self, offsets: list[TopicPartition]) -> None:
        """Commit these and wait until all are confirmed, while nothing is assigned.

        Raises `KafkaException` if the broker does not take one of them in time, `GivenBack` as `Waiting` does.
        """
        now = time.monotonic()
        self._send({(found.topic, found.partition): _Asked(found.offset, now) for found in offsets})
        while not self.are_confirmed:
            error = next((asked.error for asked in self._asked.values() if asked.error), None)
            if error is None and time.monotonic() - now > LATE_S:
                error = NO_ANSWER
            if error is not None:
                self.forget()
                raise KafkaException(error)
            self._waiting.wait(LOOK_S)

    def on_answer(self, error: KafkaError | None, answers: list[TopicPartition]) -> None:
        """librdkafka's `on_commit`, called in a poll: `error` is about all of them, each has its own beside it."""
        for answer in answers:
            place = answer.topic, answer.partition
            asked = self._asked.get(place)
            if asked is None or asked.end != answer.offset:
                continue  # a later one is on its way
            asked.error = answer.error or error
            if asked.error is None:
                del self._asked[place]

    def look(self) -> None:
        """See what was not taken, and send it again after growing waits. Raises `StreamError` for a refusal."""
        for place, asked in list(self._asked.items()):
            if asked.error is None:
                continue
            name = "{} [{}]".format(*place)
            if asked.error.code() in LOST_PARTITION:
                # The rows are stored; whoever reads the messages again finds them there.
                logger.warning(
                    "%s: not committed, another reader has the partition now (%s)", name, asked.error.str()
                )
                del self._asked[place]
            elif is_refusal(asked.error):
                raise StreamError(f"{self._url} did not take {name}: {asked.error.str()}")
            else:
                self._on_error(asked.error)
        self._try_again({place: asked for place, asked in self._asked.items() if asked.error})

    def complain_if_late(self) -> None:
        """Tell `on_error` of an answer that does not come. To be called when no message is left to be polled before it."""
        if any(time.monotonic() - asked.since > LATE_S for asked in self._asked.values()):
            self._on_error(NO_ANSWER)

    def forget(self) -> None:
        """Send none of them again: the partitions may be another reader's now, who has read on."""
        self._asked.clear()

    def _send(self, asked: dict[Place, _Asked]) -> None:
        if asked:
            self._asked |= asked
            offsets = [TopicPartition(*place, found.end) for place, found in asked.items()]
            self._consumer.commit(offsets=offsets, asynchronous=True)

    def _try_again(self, failed: dict[Place, _Asked]) -> None:
        if not failed:
            self._patience = None
            return
        now = time.monotonic()
        if self._patience is None:
            self._patience = Patience()
        elif now < self._next_try:
            return
        self._next_try = now + self._patience.wait_s(StreamError(f"{self._url} takes no offsets."))
        for asked in failed.values():
            asked.error = None
        self._send(failed)
