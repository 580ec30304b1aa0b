"""Cutouts of each object's first and latest alert; those between are not kept."""

import polars as pl

from tom_fink.models import Alert, Cutout
from tom_fink.packing import packed
from tom_fink.store.alerts import LINKS
from tom_fink.store.bulk import insert
from tom_fink.store.lookups import any_of

KINDS = [kind.value for kind in Cutout.Kind]
IMAGES = [f"cutout_{kind}" for kind in KINDS]
PLACE = ["alert_pk", "fink_object_id", "observed_at"]


def store_cutouts(alerts: pl.DataFrame, stored: pl.DataFrame) -> None:
    """Store the cutouts of new alerts that are now their object's first or latest with cutouts.

    `stored` has their links (alerts.LINKS). Alerts may come in any order, and an alert may have no cutouts
    (a multi-messenger alert).
    """
    images = alerts.filter(pl.any_horizontal(pl.col(IMAGES).is_not_null())).select(
        "survey", "alert_id", *IMAGES
    )
    fresh = images.join(stored, on=["survey", "alert_id"])
    if fresh.is_empty():
        return
    before = _with_cutouts(fresh["fink_object_id"].unique().to_list())
    order = pl.struct("observed_at", "alert_pk")
    ends = (
        pl.concat([before, fresh.select(PLACE)])
        .group_by("fink_object_id")
        .agg(
            pl.col("alert_pk").sort_by(order).first().alias("first"),
            pl.col("alert_pk").sort_by(order).last().alias("latest"),
        )
    )
    kept = pl.concat([ends["first"], ends["latest"]]).implode()
    Cutout.objects.filter(
        any_of("alert_id", before.filter(~pl.col("alert_pk").is_in(kept))["alert_pk"].to_list())
    ).delete()
    rows = (
        fresh.filter(pl.col("alert_pk").is_in(kept))
        .select(
            pl.col("alert_pk").alias("alert_id"), *(pl.col(f"cutout_{kind}").alias(kind) for kind in KINDS)
        )
        .unpivot(KINDS, index="alert_id", variable_name="kind", value_name="fits")
        .drop_nulls("fits")
        .sort("alert_id", "kind")
    )
    insert(Cutout, rows, {"fits": packed})


def _with_cutouts(object_keys: list[int]) -> pl.DataFrame:
    """The alerts of these objects that have cutouts (columns: PLACE)."""
    found = Alert.objects.filter(any_of("fink_object_id", object_keys), cutouts__isnull=False).distinct()
    rows = list(found.values_list("pk", "fink_object_id", "observed_at"))
    return pl.DataFrame(rows, schema={name: LINKS[name] for name in PLACE}, orient="row")
