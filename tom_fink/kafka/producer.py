"""The sending side of a stream: a Kafka producer for alerts, its pace, and a cluster to try it on."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from tom_fink.errors import StreamError
from tom_fink.stopping import Stop

_MAX_MESSAGE_BYTES = 10_000_000
_QUEUED_KBYTES = 65_536  # memory that waiting messages may take
_LOG_LEVEL = 2  # librdkafka prints lesser faults on stderr, several times a second; error_cb tells them too
_log = logging.getLogger(__name__)


class AlertProducer:
    """Sends alerts to a Kafka cluster and answers for their delivery.

    `timeout_s` bounds the first contact, and the time that a message may wait for its delivery.
    Use it as a context manager: leaving the block delivers what is queued, or raises StreamError. When an
    error leaves the block, what was queued before it is delivered too, unless the error is a StreamError.
    """

    def __init__(self, bootstrap: str, timeout_s: float = 10.0):
        """Connect to `bootstrap` ("host:port,..."); raises StreamError when no broker answers."""
        self._timeout_s = timeout_s
        self._sent = 0
        self._delivered = 0
        self._refusal: KafkaError | None = None
        try:
            self._producer = Producer(
                {
                    "bootstrap.servers": bootstrap,
                    "compression.type": "zstd",  # the schema in each key is the same: batches shrink a lot
                    "linger.ms": 20,
                    "message.max.bytes": _MAX_MESSAGE_BYTES,
                    "message.timeout.ms": int(timeout_s * 1000),
                    "queue.buffering.max.kbytes": _QUEUED_KBYTES,
                    "error_cb": _log_error,
                    "log_level": _LOG_LEVEL,
                }
            )
            self._producer.list_topics(timeout=timeout_s)
        except KafkaException as error:
            reason = error.args[0].str()
            raise StreamError(f"no Kafka broker answers at {bootstrap}: {reason}") from error

    def send(self, topic: str, key: bytes, value: bytes) -> None:
        """Queue a message; waits while the queue is full.

        Raises StreamError if the message, or an earlier one, was refused.
        """
        deadline = time.monotonic() + 2 * self._timeout_s
        while True:
            try:
                self._producer.produce(topic, value=value, key=key, on_delivery=self._on_delivery)
                break
            except BufferError as error:
                # Delivery makes room, and so does the timeout of messages that cannot be delivered.
                self._producer.poll(0.1)
                self._raise_refusal()
                if time.monotonic() > deadline:
                    raise StreamError(f"{topic}: the queue stayed full; {self._undelivered()}") from error
            except KafkaException as error:
                raise StreamError(f"{topic}: message not accepted: {error.args[0].str()}") from error
        self._sent += 1
        self._producer.poll(0)
        self._raise_refusal()

    def close(self) -> None:
        """Deliver what is queued; raises StreamError if any message sent was not delivered."""
        # Messages time out by themselves, so their reports are in soon after.
        self._producer.flush(self._timeout_s + 2)
        self._raise_refusal()
        if self._delivered < self._sent:
            raise StreamError(self._undelivered())

    def __enter__(self) -> "AlertProducer":
        return self

    def __exit__(self, kind, error, traceback) -> None:
        if error is None:
            self.close()
        elif isinstance(error, StreamError):
            self._producer.purge()
        else:
            self._producer.flush(self._timeout_s)

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._delivered += 1
        else:
            self._refusal = self._refusal or error

    def _undelivered(self) -> str:
        return f"{self._sent - self._delivered} of {self._sent} alerts were not delivered"

    def _raise_refusal(self) -> None:
        if self._refusal is not None:
            raise StreamError(f"{self._undelivered()}: {self._refusal.str()}")


def _log_error(error: KafkaError) -> None:
    # Reports on connections; whether messages arrived is told by their delivery reports.
    _log.info("Kafka: %s", error.str())


class Pace:
    """Keeps a loop at `per_second` turns per second, however long its turns take; None is full speed."""

    def __init__(self, per_second: float | None):
        self._interval_s = None if per_second is None else 1 / per_second
        self._next = time.monotonic()

    def wait(self, stop: Stop) -> bool:
        """Wait for the next turn; False as soon as `stop` is set."""
        if self._interval_s is None:
            return not stop.is_set()
        stopped = stop.wait(max(0.0, self._next - time.monotonic()))
        # A slow turn is not made up for by a burst later.
        self._next = max(self._next, time.monotonic() - self._interval_s) + self._interval_s
        return not stopped


@contextmanager
def mock_cluster(brokers: int = 1) -> Iterator[str]:
    """Run librdkafka's mock Kafka cluster in this process; gives its bootstrap address ("host:port,...").

    It keeps messages in memory, makes topics (of 4 partitions) when they are first written to, and is gone
    after the block. Raises StreamError if it does not start.
    """
    owner = Producer({"test.mock.num.brokers": brokers, "error_cb": _log_error, "log_level": _LOG_LEVEL})
    try:
        found = owner.list_topics(timeout=10).brokers.values()
    except KafkaException as error:
        raise StreamError(f"the mock cluster did not start: {error.args[0].str()}") from error
    try:
        yield ",".join(f"{broker.host}:{broker.port}" for broker in found)
    finally:
        owner.close()
