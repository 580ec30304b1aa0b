"""The signs of life of readers, in the database so that every part of the site can see them."""

from datetime import UTC, datetime, timedelta

from tom_fink.models import Reader

FORGET_AFTER = timedelta(days=1)


def beat(host: str, pid: int, stream: str, group_id: str, started_at: datetime) -> None:
    """Note that a reader is alive."""
    Reader.objects.bulk_create(
        [
            Reader(
                host=host,
                pid=pid,
                stream=stream,
                group_id=group_id,
                started_at=started_at,
                beat_at=datetime.now(UTC),
            )
        ],
        update_conflicts=True,
        unique_fields=["host", "pid", "stream"],
        update_fields=["group_id", "started_at", "beat_at"],
    )


def sign_off(host: str, pid: int, stream: str) -> None:
    """Take a reader that ends off the list, and those that were killed long ago."""
    Reader.objects.filter(host=host, pid=pid, stream=stream).delete()
    Reader.objects.filter(beat_at__lt=datetime.now(UTC) - FORGET_AFTER).delete()
