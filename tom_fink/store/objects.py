"""Objects: found or made, locked for the batch, and their summaries kept up to date."""

from collections.abc import Iterator
from datetime import datetime

import polars as pl

from tom_fink.models import FinkObject

Key = tuple[str, str]  # (survey, object's key)

# Of the alert that speaks for the object
SPEAKING = ["ra_deg", "dec_deg", "mag_ab", "is_positive", "band", "fink_class"]
SUMMARY = ["target", "alert_count", "first_seen", "last_seen", "summary_at", *SPEAKING]


def lock_objects(alerts: pl.DataFrame) -> dict[Key, FinkObject]:
    """The objects of these alerts, made where new, each locked until the transaction ends.

    First what is missing is inserted, then all are locked, each in the order of the keys: two readers
    never hold what the other waits for. Locking the known ones before inserting the others would break
    that order.
    """
    keys = sorted(alerts.unique(["object_survey", "object_key"]).select("object_survey", "object_key").rows())
    if not keys:
        return {}
    known = {(found.survey, found.object_id) for found in _found(FinkObject.objects, keys)}
    FinkObject.objects.bulk_create(
        [
            FinkObject(survey=survey, object_id=object_id)
            for survey, object_id in keys
            if (survey, object_id) not in known
        ],
        ignore_conflicts=True,
    )
    # no_key, because a delivery of another reader may refer to an object that it does not lock itself.
    locked = FinkObject.objects.select_for_update(no_key=True).order_by("object_id")
    return {(found.survey, found.object_id): found for found in _found(locked, keys)}


def _found(objects, keys: list[Key]) -> Iterator[FinkObject]:
    """Those of the keys that there are, survey by survey."""
    by_survey: dict[str, list[str]] = {}
    for survey, object_id in keys:
        by_survey.setdefault(survey, []).append(object_id)
    for survey, object_ids in sorted(by_survey.items()):
        yield from objects.filter(survey=survey, object_id__in=object_ids)


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
    FinkObject.objects.bulk_create(
        objects.values(), update_conflicts=True, unique_fields=["survey", "object_id"], update_fields=SUMMARY
    )


def _rank(mag_ab: float | None, observed_at: datetime) -> tuple:
    """Which of two alerts speaks for the object, whatever order they come in.

    One with a brightness before one without (a multi-messenger alert), then the newer, then the brighter.
    """
    return mag_ab is not None, observed_at, -(mag_ab or 0.0)
