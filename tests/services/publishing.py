"""Sending to the tests' broker: any bytes, any size, to a partition of one's choice."""

from collections.abc import Iterable
from dataclasses import dataclass

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.services.kafka import Kafka

SETTINGS = {"message.max.bytes": 20_000_000, "queue.buffering.max.kbytes": 512_000, "log_level": 0}


@dataclass
class Sent:
    """A message, and where it went: `offset` is known when the broker has taken it."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    what: str = ""  # for the test to know it by
    offset: int = -1


def publish(kafka: Kafka, messages: Iterable[Sent]) -> list[Sent]:
    """Send messages in order and wait until the broker has all; each has its offset then."""
    producer = Producer(SETTINGS | {"bootstrap.servers": kafka.address, "linger.ms": 20})
    sent, refused = [], []

    def taken(message: Sent):
        def on_delivery(error, report):
            if error:
                refused.append(f"{message.topic} {message.what}: {error}")
            else:
                message.offset = report.offset()

        return on_delivery

    for message in messages:
        while True:
            try:
                producer.produce(
                    message.topic, message.value, message.key, message.partition, on_delivery=taken(message)
                )
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
        sent.append(message)
    assert producer.flush(60) == 0, "the broker does not take them"
    assert not refused, refused[:3]
    return sent


def admin(kafka: Kafka) -> AdminClient:
    """For what only an administrator may do."""
    return AdminClient({"bootstrap.servers": kafka.address, "log_level": 0})


def make_topics(kafka: Kafka, partitions: dict[str, int], **settings: str) -> None:
    """Make topics with so many partitions, and wait until they are there."""
    wanted = [NewTopic(name, number, 1, config=settings) for name, number in partitions.items()]
    client = admin(kafka)  # what it is asked ends with it
    for made in client.create_topics(wanted).values():
        made.result(30)


def delete_topics(kafka: Kafka, *topics: str) -> None:
    """Delete topics, and wait until the broker says that it has."""
    client = admin(kafka)
    for deleted in client.delete_topics(list(topics)).values():
        deleted.result(30)
