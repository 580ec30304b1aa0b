"""Messages that hold no alert: kept whole, tried again on demand, and closed."""

import logging
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import F

from tom_fink.decoding.decode import Message
from tom_fink.models import RejectedMessage
from tom_fink.text import printable

logger = logging.getLogger(__name__)

UNIQUE = ["topic", "partition", "offset", "digest"]
MAX_ERROR, MAX_TRACEBACK = 2_000, 20_000  # characters; a handler may raise with a whole alert in its words


@dataclass(frozen=True)
class Rejection:
    """A message and the error that says why it holds no alert."""

    message: Message
    error: Exception

    @property
    def reason(self) -> str:
        """The error in words."""
        return printable(str(self.error), MAX_ERROR)

    @property
    def traceback(self) -> str:
        """Where the error came from; empty if it was made and never raised."""
        if self.error.__traceback__ is None and self.error.__cause__ is None:
            return ""
        return printable(
            "".join(traceback.format_exception(self.error))[-MAX_TRACEBACK:], MAX_TRACEBACK, lines=True
        )


def store_rejected(rejections: list[Rejection]) -> None:
    """Keep the messages; one that is kept already gets the reason of this time."""
    now = datetime.now(UTC)
    rows = []
    for rejection in rejections:
        message = rejection.message
        logger.warning(
            "Rejected a message of %s [%s] at offset %s: %s",
            message.topic,
            message.partition,
            message.offset,
            rejection.reason,
        )
        rows.append(
            RejectedMessage(
                topic=message.topic,
                partition=message.partition,
                offset=message.offset,
                digest=message.digest,
                key=message.key,
                value=message.value,
                error=rejection.reason,
                traceback=rejection.traceback,
                received_at=message.received_at,
                tried_at=now,
            )
        )
    # One message twice in a batch would have PostgreSQL update one row twice, which it refuses.
    rows = list({(row.topic, row.partition, row.offset, row.digest): row for row in rows}.values())
    RejectedMessage.objects.bulk_create(
        [row for row in rows if not _is_kept(row)],
        update_conflicts=True,
        unique_fields=UNIQUE,
        update_fields=["error", "traceback", "tried_at"],
    )


def _is_kept(row: RejectedMessage) -> bool:
    """Whether a message that came from no partition is there: to the database null equals nothing."""
    if row.offset is not None:
        return False
    return RejectedMessage.objects.filter(
        topic=row.topic, partition=None, offset=None, digest=row.digest
    ).exists()


def open_rejected(topic: str | None = None, ids: list[int] | None = None) -> list[int]:
    """The keys of the rejected messages that are open, oldest first; of one topic or of these keys."""
    found = RejectedMessage.objects.filter(closed_at=None)
    if topic is not None:
        found = found.filter(topic=topic)
    if ids is not None:
        found = found.filter(pk__in=ids)
    return list(found.order_by("pk").values_list("pk", flat=True))


def lock_rejected(key: int) -> RejectedMessage | None:
    """An open rejected message, locked until the transaction ends; None if it is closed by now."""
    return RejectedMessage.objects.select_for_update().filter(pk=key, closed_at=None).first()


def close_rejected(found: RejectedMessage, closed_as: str) -> None:
    """Close a rejected message: its alert is there, or somebody gave it up."""
    RejectedMessage.objects.filter(pk=found.pk).update(closed_at=datetime.now(UTC), closed_as=closed_as)


def count_try(key: int) -> None:
    """Note that a rejected message was tried again and stays open."""
    RejectedMessage.objects.filter(pk=key).update(tries=F("tries") + 1)


def prune_rejected(keep_days: float) -> int:
    """Delete messages that were closed more than so many days ago; returns how many."""
    before = datetime.now(UTC) - timedelta(days=keep_days)
    deleted, _ = RejectedMessage.objects.filter(closed_at__lt=before).delete()
    return deleted
