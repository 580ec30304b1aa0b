"""A batch of messages, or of alerts that are decoded already, into the database."""

import logging
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import polars as pl
from django.db import DataError, IntegrityError, transaction

from tom_fink.decoding.decode import MESSAGE, Message, decode, frame_of_records
from tom_fink.errors import BadMessage
from tom_fink.frames import Tidy
from tom_fink.store.alerts import ALERT, known_alerts, store_alerts, without
from tom_fink.store.bulk import prefer_indexes
from tom_fink.store.cutouts import cutouts_kept
from tom_fink.store.found import adopt, brought_by_search
from tom_fink.store.objects import alert_counts, lock_objects, update_objects, with_links, with_targets
from tom_fink.store.photometry import store_photometry
from tom_fink.store.rejected import Rejection, store_rejected
from tom_fink.store.targets import announce, assign_targets
from tom_fink.store.topics import add_to_lists, topics_named
from tom_fink.surveys import normalise
from tom_fink.text import printable

logger = logging.getLogger(__name__)


class Fate(StrEnum):
    """What became of a message. Each has exactly one."""

    STORED = "stored"
    DUPLICATE = "duplicate"  # its alert is in the database already
    REJECTED = "rejected"
    HANDLED = "handled"  # by a handler of the user's


@dataclass
class Outcome:
    """What became of a batch: the fate of each message by its index, the points offered, and the
    alerts (frames.ALERTS with their topic) for those who want to say more."""

    fates: dict[int, Fate] = field(default_factory=dict)
    points: int = 0
    alerts: pl.DataFrame | None = None

    def add(self, other: "Outcome") -> "Outcome":
        """Take in the outcome of other messages of the same batch."""
        self.fates |= other.fates
        self.points += other.points
        if other.alerts is not None:
            self.alerts = other.alerts if self.alerts is None else pl.concat([self.alerts, other.alerts])
        return self

    @property
    def counts(self) -> Counter:
        """How many messages had which fate."""
        return Counter(self.fates.values())

    @property
    def messages(self) -> int:
        """How many messages the batch had."""
        return len(self.fates)

    @property
    def stored(self) -> int:
        """How many messages brought a new alert."""
        return self.counts[Fate.STORED]

    @property
    def duplicate(self) -> int:
        """How many messages brought an alert that was known."""
        return self.counts[Fate.DUPLICATE]

    @property
    def rejected(self) -> int:
        """How many messages are kept as rejected ones."""
        return self.counts[Fate.REJECTED]

    @property
    def handled(self) -> int:
        """How many messages went to a handler of the user's."""
        return self.counts[Fate.HANDLED]


def store_messages(messages: list[Message]) -> Outcome:
    """Decode the messages in this process and store what they hold; see `store_tidy`."""
    decoded = decode(messages)
    tidy, errors = normalise(decoded.frames)
    return store_tidy(tidy, errors | decoded.errors, messages)


def store_tidy(tidy: Tidy, errors: dict[int, BadMessage], messages: list[Message]) -> Outcome:
    """Store alerts; what holds none, by `errors`, becomes a `RejectedMessage`. One transaction.

    The column `message` of the frames and the keys of `errors` are indices in `messages`; those in
    neither are somebody else's. An alert that the database refuses is rejected by itself, so that it
    cannot hold up the others for ever. Faults of the database itself are raised.
    """
    with transaction.atomic():
        outcome = reject(messages, errors)
        try:
            with transaction.atomic():
                return outcome.add(_write(tidy, messages))
        except (DataError, IntegrityError) as error:
            indices = tidy.alerts[MESSAGE].to_list()
            if len(indices) > 1:
                logger.warning(
                    "A batch of %d is stored one by one, since the database said: %s",
                    len(indices),
                    printable(str(error), 500),
                )
        for index in indices:
            try:
                with transaction.atomic():
                    outcome.add(_write(_only(tidy, index), messages))
            except (DataError, IntegrityError) as error:
                refusal = BadMessage(f"The database refuses the alert: {error}")
                refusal.__cause__ = error
                outcome.add(reject(messages, {index: refusal}))
        return outcome


def store_records(records: list[dict[str, Any]], topic: str) -> Outcome:
    """Store alerts that are decoded already, as if they had come in `topic`. One transaction.

    Raises `BadMessage` if one of them is not an alert; then none is stored.
    """
    now = datetime.now(UTC)
    messages = [Message(topic, None, None, None, None, now) for _ in records]
    indices = pl.Series(MESSAGE, range(len(records)), dtype=pl.UInt32)
    tidy, errors = normalise([frame_of_records(records).with_columns(indices)])
    for error in errors.values():
        raise BadMessage(str(error))
    with transaction.atomic():
        return _write(tidy, messages)


def reject(messages: list[Message], errors: dict[int, Exception]) -> Outcome:
    """Keep the messages at these indices as rejected ones, each for its reason."""
    store_rejected([Rejection(messages[index], error) for index, error in sorted(errors.items())])
    return Outcome(dict.fromkeys(errors, Fate.REJECTED))


def _write(tidy: Tidy, messages: list[Message]) -> Outcome:
    alerts = tidy.alerts
    if alerts.is_empty():
        return Outcome()
    prefer_indexes()
    origins = pl.DataFrame(
        {
            MESSAGE: range(len(messages)),
            "topic": [message.topic for message in messages],
            "partition": [message.partition for message in messages],
            "offset": [message.offset for message in messages],
            "received_at": [message.received_at for message in messages],
        },
        schema_overrides={MESSAGE: pl.UInt32, "partition": pl.Int32, "offset": pl.Int64},
    )
    # In the order of the messages, and not of their schemas: the first alert of an object gives its
    # target the position, wherever the batch was cut.
    alerts = (
        alerts.sort(MESSAGE)
        .join(origins, on=MESSAGE, how="left", maintain_order="left")
        .with_columns(pl.coalesce("body", "object_id").alias("object_key"))
    )
    topics = topics_named(alerts.unique("topic").select("topic", "survey").rows())

    arrived = alerts.unique(ALERT, keep="first", maintain_order=True)
    counts = alert_counts(arrived)
    known = known_alerts(arrived)
    unknown = without(arrived, known)
    searched = brought_by_search(arrived, unknown)
    objects = lock_objects(pl.concat([unknown, searched]), counts)
    # Another reader or a search may have stored some while this one waited.
    is_overtaken = any(found.alert_count != counts.get(key, 0) for key, found in objects.items())
    if is_overtaken:
        known = known_alerts(arrived)
        unknown = without(unknown, known)
    if is_overtaken or searched.height:
        searched = brought_by_search(arrived, unknown)
    with cutouts_kept(pl.concat([unknown, searched]), objects):
        created = assign_targets(unknown, objects)
        unknown = with_links(unknown, objects)
        stored = store_alerts(unknown)
        add_to_lists(alerts, pl.concat([with_targets(known, objects), stored]), topics, unknown)
        told = unknown
        if searched.height:
            searched = with_links(searched, objects).filter(pl.col("target_id").is_not_null())
            told = pl.concat([unknown, searched])
            adopt(searched)
        points = store_photometry(tidy.detections, told, objects, [target.pk for target in created])
        update_objects(unknown, objects)
    announce(created)
    fates = dict.fromkeys(alerts[MESSAGE], Fate.DUPLICATE) | dict.fromkeys(unknown[MESSAGE], Fate.STORED)
    return Outcome(fates, points, alerts)


def _only(tidy: Tidy, index: int) -> Tidy:
    return Tidy(*(frame.filter(pl.col(MESSAGE) == index) for frame in (tidy.alerts, tidy.detections)))
