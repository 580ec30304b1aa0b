"""What librdkafka complains of: what is final, what passes, and how often it is said."""

import logging
import time

from confluent_kafka import KafkaError

REPEAT_S = 300.0

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
    KafkaError.UNKNOWN_TOPIC_OR_PART,  # deleted meanwhile
    KafkaError._ASSIGNMENT_LOST,
    KafkaError._NO_OFFSET,
}


def is_refusal(error: KafkaError) -> bool:
    """Whether asking again is of no use."""
    return error.code() in REFUSALS or error.fatal()


class Complaints:
    """Says the same thing at most every `REPEAT_S` seconds."""

    def __init__(self, logger: logging.Logger):
        self._logger = logger
        self._said: dict[object, float] = {}

    def say(self, about: object, text: str, *args: object) -> None:
        """Log a warning, unless one about the same was logged lately."""
        now = time.monotonic()
        if now - self._said.get(about, -REPEAT_S) >= REPEAT_S:
            self._said[about] = now
            self._logger.warning(text, *args)
