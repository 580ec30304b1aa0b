"""Waiting for what is away, without losing the place in the consumer group."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import Consumer
from confluent_kafka import Message as KafkaMessage

from tom_fink.errors import ArchiveError, StoreUnavailable
from tom_fink.stream.patience import Patience

logger = logging.getLogger("tom_fink.stream.reader")

SLICE_S = 0.2

T = TypeVar("T")


class GivenBack(Exception):  # noqa: N818 - not an error: the reader is to stop, or has lost its partitions
    """The batch in hand is not to be finished: it is read again, here or by another reader."""


class Waiting:
    """Keeps the batch in hand and polls paused partitions: a member that does not poll is thrown out."""

    def __init__(
        self,
        consumer: Consumer,
        is_over: Callable[[], bool],
        on_message_error: Callable[[KafkaMessage], None],
        give_up_after_s: float,
    ):
        """`is_over` says that the batch is not to be finished."""
        self._consumer = consumer
        self._is_over = is_over
        self._on_message_error = on_message_error
        self._give_up_after_s = give_up_after_s

    def insist(self, attempt: Callable[[], T], what: str) -> T:
        """Try until it works. Raises `GaveUp`, `GivenBack`, and what `attempt` raises but cannot be waited out."""
        patience = None
        while True:
            try:
                done = attempt()
            except (StoreUnavailable, ArchiveError) as error:
                patience = patience or Patience(self._give_up_after_s)
                wait_s = patience.wait_s(error)
                logger.warning("%s What was read is kept; tried again in %.1f s.", error, wait_s)
                self.wait(wait_s)
                continue
            if patience is not None:
                logger.info("%s is back after %.1f s.", what, patience.waited_s)
            return done

    def wait(self, seconds: float) -> None:
        """Poll for so long without taking messages. Raises `GivenBack`."""
        self._consumer.pause(self._consumer.assignment())
        deadline = time.monotonic() + seconds
        while not self._is_over():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                self._consumer.resume(self._consumer.assignment())
                return
            self._poll(min(left_s, SLICE_S))
        raise GivenBack

    def poll(self, seconds: float) -> None:
        """Poll once without taking messages; the partitions stay paused."""
        self._consumer.pause(self._consumer.assignment())
        self._poll(seconds)

    def _poll(self, seconds: float) -> None:
        found = self._consumer.poll(seconds)
        if found is None:
            return
        if not found.error():
            raise RuntimeError("A paused partition gave a message.")  # it would be lost
        self._on_message_error(found)
