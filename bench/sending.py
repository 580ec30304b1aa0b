"""Alerts into the broker."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from confluent_kafka import Producer

from bench.errors import BenchError
from bench.messages import Moulds
from tests.services.kafka import Kafka
from tests.services.publishing import SETTINGS, delete_topics, make_topics

PARTITIONS = 4
SENT_WITHIN_S = 120


@dataclass(frozen=True)
class Alerts:
    """Which alerts are sent to a topic, in order: pairs of an object's number and which of its alerts."""

    topic: str
    moulds: Moulds
    order: list[tuple[int, int]]
    at_random: bool = False  # to partitions, as Fink sends Rubin's; else they take turns

    def partitions(self) -> Iterator[int]:
        """The partition of each alert.

        Where they take turns, two alerts of an object go to the same one if there is a multiple of PARTITIONS
        between them.
        """
        if self.at_random:
            yield from np.random.default_rng(1).integers(0, PARTITIONS, len(self)).tolist()
        else:
            yield from (place % PARTITIONS for place in range(len(self)))

    def __len__(self) -> int:
        return len(self.order)

    @property
    def points(self) -> int:
        """How many rows of photometry they add; an object's alerts come in order, its first one first."""
        history = self.moulds.history
        return sum(history.rows() if repeat == 0 else history.added for _, repeat in self.order)


@contextmanager
def topics(kafka: Kafka, *names: str, **settings: str) -> Iterator[None]:
    """Topics, deleted afterwards: a night's alerts are gigabytes."""
    make_topics(kafka, dict.fromkeys(names, PARTITIONS), **settings)
    try:
        yield
    finally:
        delete_topics(kafka, *names)


def send(address: str, *several: Alerts) -> None:
    """Send alerts, cast as they go, and wait until the broker has all. Those of several topics take turns."""
    refused: list[str] = []

    def on_delivery(error, _) -> None:
        if error:
            refused.append(str(error))

    producer = Producer(SETTINGS | {"bootstrap.servers": address, "linger.ms": 20})
    in_turns = itertools.zip_longest(
        *(
            [(alerts, *sent) for sent in zip(alerts.order, alerts.partitions(), strict=True)]
            for alerts in several
        )
    )
    for alerts, which, partition in filter(None, itertools.chain.from_iterable(in_turns)):
        value = alerts.moulds.cast(*which)
        while True:
            try:
                producer.produce(alerts.topic, value, alerts.moulds.key, partition, on_delivery=on_delivery)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    if producer.flush(SENT_WITHIN_S) or refused:
        raise BenchError(f"The broker does not take the alerts: {refused[:3]}")
