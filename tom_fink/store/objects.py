"""Objects: found or made, locked for the batch, and their summaries kept up to date."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import polars as pl
from django.db.models import QuerySet

from tom_fink.models import FinkObject
from tom_fink.store.bulk import insert_missing, insert_or_update
from tom_fink.store.lookups import any_of

Key = tuple[str, str]  # (survey, object's key)

# Of the alert that speaks for the object
SPEAKING = ["ra_deg", "dec_deg", "mag_ab", "is_positive", "band", "fink_class"]
SUMMARY = ["target_id", "alert_count", "first_seen", "last_seen", "summary_at", *SPEAKING]
ROW = {
    "survey": pl.String,
    "object_id": pl.String,
    "target_id": pl.Int64,
    "alert_count": pl.Int64,
    **dict.fromkeys(("first_seen", "last_seen", "summary_at"), pl.Datetime("us", "UTC")),
    **dict.fromkeys(("ra_deg", "dec_deg", "mag_ab"), pl.Float64),
    "is_positive": pl.Boolean,
    "band": pl.String,
    "fink_class": pl.String,
}


def lock_objects(alerts: pl.DataFrame) -> dict[Key, FinkObject]:
    """The objects of these alerts, made where new, each locked until the transaction ends.

    First what is missing is inserted, then all are locked, each in the order of the keys: two readers
    never hold what the other waits for. Locking the known ones before inserting the others would break
    that order.
    """
    keys = sorted(alerts.unique(["object_survey", "object_key"]).select("object_survey", "object_key").rows())
    if not keys:
        return {}
    known = set(_found(FinkObject.objects.values_list("survey", "object_id"), keys))
    missing = [key for key in keys if key not in known]
    insert_missing(FinkObject, pl.DataFrame(missing, schema=["survey", "object_id"], orient="row"))
    # no_key, because a delivery of another reader may refer to an object that it does not lock itself.
    locked = FinkObject.objects.select_for_update(no_key=True).order_by("object_id")
    return {(found.survey, found.object_id): found for found in _found(locked, keys)}


def with_links(alerts: pl.DataFrame, objects: dict[Key, FinkObject]) -> pl.DataFrame:
    """Alerts with `fink_object_id` and `target_id`, the keys of their object and its target."""
    rows = [(*key, found.pk, found.target_id) for key, found in objects.items()]
    schema = {
        "object_survey": pl.String,
        "object_key": pl.String,
        "fink_object_id": pl.Int64,
        "target_id": pl.Int64,
    }
    links = pl.DataFrame(rows, schema=schema, orient="row")
    return alerts.join(links, on=["object_survey", "object_key"], how="left", maintain_order="left")


def _found(objects: QuerySet, keys: list[Key]) -> Iterator[Any]:
    """Those of `objects` that have one of the keys, survey by survey."""
    by_survey: dict[str, list[str]] = {}
    for survey, object_id in keys:
        by_survey.setdefault(survey, []).append(object_id)
    for survey, object_ids in sorted(by_survey.items()):
        yield from objects.filter(any_of("object_id", object_ids), survey=survey)


def update_objects(alerts: pl.DataFrame, objects: dict[Key, FinkObject]) -> None:
    """Add new alerts to the summaries of their objects, which this transaction has locked."""
    rows = alerts.with_columns(pl.col("band").fill_null("")).select(
        "object_survey", "object_key", "observed_at", *SPEAKING
    )
    for row in rows.iter_rows(named=True):
        found, observed_at = objects[row["object_survey"], row["object_key"]], row["observed_at"]
        found.alert_count += 1
        found.first_seen = min(found.first_seen or observed_at, observed_at)
        found.last_seen = max(found.last_seen or observed_at, observed_at)
        if found.summary_at is None or _rank(row["mag_ab"], observed_at) > _rank(
            found.mag_ab, found.summary_at
        ):
            found.summary_at = observed_at
            for name in SPEAKING:
                setattr(found, name, row[name])
    changed = [
        [getattr(found, name) for name in ("survey", "object_id", *SUMMARY)] for found in objects.values()
    ]
    insert_or_update(
        FinkObject, pl.DataFrame(changed, schema=ROW, orient="row"), ["survey", "object_id"], SUMMARY
    )


def _rank(mag_ab: float | None, observed_at: datetime) -> tuple:
    """Which of two alerts speaks for the object, whatever order they come in.

    One with a brightness before one without (a multi-messenger alert), then the newer, then the brighter.
    """
    return mag_ab is not None, observed_at, -(mag_ab or 0.0)
