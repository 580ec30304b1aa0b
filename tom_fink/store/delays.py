"""Delays of stored alerts, by topic, partition and hour, in the transaction of the rows."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import polars as pl

from tom_fink.decoding.decode import MESSAGE
from tom_fink.delays import STEPS, add, bins
from tom_fink.models import DelayHour

PLACE = ["topic", "partition", "hour"]
KEEP_DAYS = 90


def store_delays(alerts: pl.DataFrame | None, without: Collection[int] = ()) -> None:
    """Add the delays of a batch's alerts (frames.ALERTS with their origin), but for those messages.

    A partition belongs to one reader at a time, so readers seldom wait here for each other.
    """
    if alerts is None:
        return
    fresh = alerts.filter(~pl.col(MESSAGE).is_in(list(without)) & pl.col("partition").is_not_null())
    if fresh.is_empty():
        return
    timed = fresh.with_columns(
        pl.col("received_at").dt.truncate("1h").alias("hour"),
        pl.lit(datetime.now(UTC)).alias("stored_at"),
    )
    found: dict[tuple, dict[str, dict[str, int]]] = {}
    for step, (begin, end) in STEPS.items():
        delay_ms = (
            pl.col(end).cast(pl.Datetime("us", "UTC")) - pl.col(begin).cast(pl.Datetime("us", "UTC"))
        ).dt.total_milliseconds()
        counted = timed.group_by(*PLACE, bins(delay_ms).alias("bin")).len().drop_nulls("bin")
        for topic, partition, hour, number, count in counted.iter_rows():
            found.setdefault((topic, partition, hour), {}).setdefault(step, {})[str(number)] = count
    _merge(found)


def _merge(found: dict[tuple, dict[str, dict[str, int]]]) -> None:
    DelayHour.objects.bulk_create(
        [DelayHour(topic=topic, partition=partition, hour=hour) for topic, partition, hour in sorted(found)],
        ignore_conflicts=True,
    )
    there = DelayHour.objects.filter(
        topic__in={topic for topic, _, _ in found}, hour__in={hour for _, _, hour in found}
    )
    keys = [key for key, *place in there.values_list("pk", *PLACE) if tuple(place) in found]
    rows = DelayHour.objects.select_for_update(no_key=True).filter(pk__in=keys).order_by(*PLACE)
    changed = []
    for row in rows:
        new = found[row.topic, row.partition, row.hour]
        for step in STEPS:
            setattr(row, step, add(getattr(row, step), new.get(step, {})))
        changed.append(row)
    DelayHour.objects.bulk_update(changed, list(STEPS))


def prune_delays() -> int:
    """Delete the hours that are older than KEEP_DAYS; returns how many rows."""
    deleted, _ = DelayHour.objects.filter(hour__lt=datetime.now(UTC) - timedelta(days=KEEP_DAYS)).delete()
    return deleted
