"""Objects: found or made, locked for the batch, and their summaries kept up to date."""

import polars as pl

from tom_fink.models import FinkObject

Key = tuple[str, str]  # (survey, object's key)

SUMMARY = ["target", "alert_count", "first_seen", "last_seen", "mag_ab", "is_positive", "band", "fink_class"]


def lock_objects(alerts: pl.DataFrame) -> dict[Key, FinkObject]:
    """The objects of these alerts, made where new, each locked until the transaction ends.

    Both inserting and locking go through the keys in one order, so that two readers never hold what
    the other waits for.
    """
    keys = sorted(alerts.unique(["object_survey", "object_key"]).select("object_survey", "object_key").rows())
    if not keys:
        return {}
    known = _locked(keys)
    missing = [key for key in keys if key not in known]
    if missing:
        FinkObject.objects.bulk_create(
            [FinkObject(survey=survey, object_id=object_id) for survey, object_id in missing], ignore_conflicts=True
        )
        known |= _locked(missing)
    return known


def _locked(keys: list[Key]) -> dict[Key, FinkObject]:
    by_survey: dict[str, list[str]] = {}
    for survey, object_id in keys:
        by_survey.setdefault(survey, []).append(object_id)
    locked = FinkObject.objects.select_for_update().order_by("object_id")
    return {
        (survey, found.object_id): found
        for survey, object_ids in sorted(by_survey.items())
        for found in locked.filter(survey=survey, object_id__in=object_ids)
    }


def update_objects(alerts: pl.DataFrame, objects: dict[Key, FinkObject]) -> None:
    """Add new alerts to the summaries of their objects, which this transaction has locked."""
    columns = ("object_survey", "object_key", "observed_at", "mag_ab", "is_positive", "band", "fink_class")
    rows = alerts.sort("observed_at", "alert_id").select(columns).iter_rows()
    for survey, key, observed_at, mag_ab, is_positive, band, fink_class in rows:
        found = objects[survey, key]
        found.alert_count += 1
        found.first_seen = min(found.first_seen or observed_at, observed_at)
        if found.last_seen is None or observed_at >= found.last_seen:
            found.last_seen = observed_at
            found.mag_ab, found.is_positive, found.band = mag_ab, is_positive, band or ""
            found.fink_class = fink_class
    FinkObject.objects.bulk_create(
        objects.values(), update_conflicts=True, unique_fields=["survey", "object_id"], update_fields=SUMMARY
    )
