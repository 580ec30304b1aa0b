"""The group's offsets at the broker, committed behind what is stored."""

import logging
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from tom_fink.decoding.decode import Message
from tom_fink.errors import StreamError
from tom_fink.gaps import Place
from tom_fink.kafka.complaints import LOST_PARTITION, is_refusal
from tom_fink.stream.patience import Patience
from tom_fink.stream.waiting import Waiting

logger = logging.getLogger("tom_fink.stream.reader")


class Commits:
    """Commits and looks at each partition's answer. A broker that is away is asked again until it is back."""

    def __init__(
        self, consumer: Consumer, url: str, waiting: Waiting, on_error: Callable[[KafkaError], None]
    ):
        """`on_error` is told of each error that passes, before it is waited out."""
        self._consumer = consumer
        self._url = url
        self._waiting = waiting
        self._on_error = on_error

    def commit(self, messages: list[Message]) -> None:
        """Commit the offsets behind the messages, whose rows are stored: nothing is lost if it fails.

        Raises `StreamError` if the broker refuses, `GivenBack` if the reader is to stop or has lost its partitions.
        """
        ends: dict[Place, int] = {}
        for message in messages:
            place = message.topic, message.partition
            ends[place] = max(ends.get(place, 0), message.offset + 1)
        places, patience = self._try(ends), Patience()
        while places:
            self._waiting.wait(patience.wait_s(StreamError(f"{self._url} takes no offsets.")))
            places = self._try(places)

    def _try(self, ends: dict[Place, int]) -> dict[Place, int]:
        """Commit once; what is to be tried again."""
        offsets = [TopicPartition(*place, end) for place, end in ends.items()]
        try:
            answers = self._consumer.commit(offsets=offsets, asynchronous=False) or []
        except KafkaException as error:
            return ends if self._is_passing(error.args[0], "the batch's offsets") else {}
        again = {}
        for answer in answers:
            place = answer.topic, answer.partition
            if answer.error and self._is_passing(answer.error, f"{answer.topic} [{answer.partition}]"):
                again[place] = ends[place]
        return again

    def _is_passing(self, error: KafkaError, what: str) -> bool:
        """Whether it is of use to try again. Raises `StreamError` for a refusal."""
        if error.code() in LOST_PARTITION:
            # The rows are stored; whoever reads the messages again finds them there.
            logger.warning("%s: not committed, another reader has the partition now (%s)", what, error.str())
            return False
        if is_refusal(error):
            raise StreamError(f"{self._url} did not take {what}: {error.str()}")
        self._on_error(error)
        return True
