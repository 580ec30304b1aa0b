"""Delays of stored alerts, by topic, partition and hour, in the transaction of the rows."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import polars as pl

from tom_fink.decoding.decode import MESSAGE
from tom_fink.delays import STEPS, add, bins
from tom_fink.models import DelayHour
from tom_fink.store.bulk import bring_up_to_date

PLACE = ["topic", "partition", "hour"]
TIMES = ["observed_at", "broker_end_at", "received_at"]
KEEP_DAYS = 90


def store_delays(alerts: pl.DataFrame | None, without: Collection[int] = ()) -> None:
    """Add the delays of a batch's alerts (frames.ALERTS with their origin), but for those messages.

    A partition belongs to one reader at a time, so readers seldom wait here for each other.
    """
    if alerts is None:
        return
    fresh = alerts.select(MESSAGE, *TIMES, "topic", "partition").filter(
        ~pl.col(MESSAGE).is_in(list(without)) & pl.col("partition").is_not_null()
    )
    if fresh.is_empty():
        return
    time = {name: pl.col(name).cast(pl.Datetime("us", "UTC")) for name in TIMES}
    time["stored_at"] = pl.lit(datetime.now(UTC))
    binned = fresh.select(
        "topic",
        "partition",
        pl.col("received_at").dt.truncate("1h").alias("hour"),
        *(
            bins((time[end] - time[begin]).dt.total_milliseconds()).alias(step)
            for step, (begin, end) in STEPS.items()
        ),
    )
    counted = binned.unpivot(list(STEPS), index=PLACE, variable_name="step", value_name="bin").drop_nulls(
        "bin"
    )
    found: dict[tuple, dict[str, dict[str, int]]] = {}
    for *place, step, number, count in counted.group_by(*PLACE, "step", "bin").len().iter_rows():
        found.setdefault(tuple(place), {}).setdefault(step, {})[str(number)] = count
    _merge(found)


def _merge(found: dict[tuple, dict[str, dict[str, int]]]) -> None:
    keys = _keys(found)
    if missing := sorted(found.keys() - keys.keys()):
        DelayHour.objects.bulk_create(
            [DelayHour(topic=topic, partition=partition, hour=hour) for topic, partition, hour in missing],
            ignore_conflicts=True,
        )
        keys = _keys(found)
    rows = DelayHour.objects.select_for_update(no_key=True).filter(pk__in=keys.values()).order_by(*PLACE)
    changed = []
    for row in rows:
        new = found[row.topic, row.partition, row.hour]
        for step in STEPS:
            setattr(row, step, add(getattr(row, step), new.get(step, {})))
        changed.append(row)
    bring_up_to_date(changed, list(STEPS))


def _keys(places: Collection[tuple]) -> dict[tuple, int]:
    """The keys of the rows of these (topic, partition, hour) that there are."""
    there = DelayHour.objects.filter(
        topic__in={topic for topic, _, _ in places}, hour__in={hour for _, _, hour in places}
    )
    found = {tuple(place): key for key, *place in there.values_list("pk", *PLACE)}
    return {place: key for place, key in found.items() if place in places}


def prune_delays() -> int:
    """Delete the hours that are older than KEEP_DAYS; returns how many rows."""
    deleted, _ = DelayHour.objects.filter(hour__lt=datetime.now(UTC) - timedelta(days=KEEP_DAYS)).delete()
    return deleted
