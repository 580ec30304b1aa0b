"""Cutouts of each object's first and latest alert; those between are not kept."""

import polars as pl

from tom_fink.models import Alert, Cutout, FinkObject

KINDS = [kind.value for kind in Cutout.Kind]


def store_cutouts(
    alerts: pl.DataFrame, objects: dict[tuple[str, str], FinkObject], stored: dict[tuple[str, str], Alert]
) -> None:
    """Store the cutouts of new alerts that are now their object's first or latest with cutouts.

    Alerts may come in any order, and an alert may have none (a multi-messenger alert).
    """
    fresh = alerts.filter(pl.any_horizontal(pl.col(f"cutout_{kind}").is_not_null() for kind in KINDS))
    if fresh.is_empty():
        return
    times: dict[int, dict[int, tuple]] = {}  # by object: alert's key -> (observed_at, alert's key)
    touched = {objects[key].pk for key in fresh.select("object_survey", "object_key").iter_rows()}
    kept = Alert.objects.filter(fink_object__in=touched, cutouts__isnull=False).distinct()
    for pk, object_pk, observed_at in kept.values_list("pk", "fink_object", "observed_at"):
        times.setdefault(object_pk, {})[pk] = (observed_at, pk)
    before = {pk for of_object in times.values() for pk in of_object}
    for key in fresh.select("survey", "alert_id").iter_rows():
        alert = stored[key]
        times.setdefault(alert.fink_object_id, {})[alert.pk] = (alert.observed_at, alert.pk)
    after = {
        pk for of_object in times.values() for _, pk in (min(of_object.values()), max(of_object.values()))
    }

    Cutout.objects.filter(alert__in=before - after).delete()
    columns = ["survey", "alert_id", *(f"cutout_{kind}" for kind in KINDS)]
    Cutout.objects.bulk_create(
        Cutout(alert=stored[survey, alert_id], kind=kind, fits=image)
        for survey, alert_id, *images in fresh.select(columns).iter_rows()
        if stored[survey, alert_id].pk in after
        for kind, image in zip(KINDS, images, strict=True)
        if image is not None
    )
