"""A batch of messages, or of alerts that are decoded already, into the database."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl
from django.db import DataError, IntegrityError, transaction

from tom_fink.decode import MESSAGE, Message, decode, frame_of_records
from tom_fink.errors import BadMessage
from tom_fink.frames import Tidy
from tom_fink.store.alerts import known_alerts, store_alerts
from tom_fink.store.cutouts import store_cutouts
from tom_fink.store.objects import lock_objects, update_objects
from tom_fink.store.photometry import store_photometry
from tom_fink.store.rejected import store_rejected
from tom_fink.store.targets import announce, assign_targets
from tom_fink.store.topics import add_to_lists, topics_named
from tom_fink.surveys import normalise

logger = logging.getLogger(__name__)


@dataclass
class Outcome:
    """What became of a batch: its messages by fate, the points offered, and the alerts (frames.ALERTS
    with their topic) for those who want to say more."""

    stored: int = 0
    duplicate: int = 0
    rejected: int = 0
    handled: int = 0  # by a handler of the user's
    points: int = 0
    alerts: pl.DataFrame | None = None

    def __iadd__(self, other: "Outcome") -> "Outcome":
        for name in ("stored", "duplicate", "rejected", "handled", "points"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.alerts is not None:
            self.alerts = other.alerts if self.alerts is None else pl.concat([self.alerts, other.alerts])
        return self

    @property
    def messages(self) -> int:
        """How many messages the batch had."""
        return self.stored + self.duplicate + self.rejected + self.handled


def store_messages(messages: list[Message]) -> Outcome:
    """Store what the messages hold; what holds no alert becomes a `RejectedMessage`. One transaction.

    A message whose alert the database refuses (a text too long, say) is rejected by itself, so that
    it cannot hold up the others for ever. Faults of the database itself are raised.
    """
    decoded = decode(messages)
    tidy, errors = normalise(decoded.frames)
    errors |= decoded.errors
    try:
        with transaction.atomic():
            store_rejected([(messages[index], str(error)) for index, error in sorted(errors.items())])
            outcome = _write(tidy, messages)
    except (DataError, IntegrityError) as error:
        if len(messages) == 1:
            store_rejected([(messages[0], f"The database refuses the alert: {error}")])
            return Outcome(rejected=1)
        logger.warning(
            "A batch of %d is stored one by one, since the database said: %s", len(messages), error
        )
        outcome = Outcome()
        with transaction.atomic():
            for message in messages:
                outcome += store_messages([message])
        return outcome
    outcome.rejected = len(errors)
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


def _write(tidy: Tidy, messages: list[Message]) -> Outcome:
    alerts = tidy.alerts
    if alerts.is_empty():
        return Outcome(alerts=alerts)
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
    alerts = alerts.join(origins, on=MESSAGE, how="left", maintain_order="left").with_columns(
        pl.coalesce("body", "object_id").alias("object_key")
    )
    topics = topics_named(alerts.unique("topic").select("topic", "survey").rows())

    arrived = alerts.unique(["survey", "alert_id"], keep="first", maintain_order=True)
    unknown = _without_known(arrived)
    objects = lock_objects(unknown)
    unknown = _without_known(unknown)  # another reader may have stored some while this one waited
    created = assign_targets(unknown, objects)
    store_alerts(unknown, objects)
    stored = known_alerts(arrived)
    add_to_lists(alerts, stored, topics)
    points = store_photometry(tidy.detections, unknown, objects)
    store_cutouts(unknown, objects, stored)
    update_objects(unknown, objects)
    announce(created)
    return Outcome(
        stored=unknown.height, duplicate=alerts.height - unknown.height, points=points, alerts=alerts
    )


def _without_known(alerts: pl.DataFrame) -> pl.DataFrame:
    known = known_alerts(alerts)
    is_known = [key in known for key in alerts.select("survey", "alert_id").iter_rows()]
    return alerts.filter(~pl.Series(is_known, dtype=pl.Boolean))
