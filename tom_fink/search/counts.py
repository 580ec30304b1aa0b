"""How often objects were detected, where the rows of a search do not tell it: Rubin's are without their objects'."""

import polars as pl

from tom_fink.api import checks, lsst
from tom_fink.api.client import FinkClient
from tom_fink.fields import pick, text
from tom_fink.frames import utc_from_mjd_tai

COUNTS = ("alert_count", "detection_count")


def without_counts(objects: pl.DataFrame) -> pl.DataFrame:
    """Those of `Found.objects` whose numbers Rubin's service can be asked for."""
    return objects.filter(pl.col("survey") == "lsst", ~pl.col("is_body"), pl.col("detection_count").is_null())


def with_counts(objects: pl.DataFrame, client: FinkClient) -> pl.DataFrame:
    """Objects (`Found.objects`) with the numbers of alerts and detections, and the first time, that Rubin tells.

    A question for each 50 that lack them. Rubin sends an alert for each detection. Raises the client's errors.
    """
    ids = without_counts(objects)["object_id"].to_list()
    if not ids:
        return objects
    found = []
    for at in range(0, len(ids), checks.MAX_IDS):
        rows = client.get(lsst.summary(ids[at : at + checks.MAX_IDS])).frame
        schema = rows.schema
        found.append(
            rows.select(
                text(schema, "diaObjectId").alias("object_id"),
                pick(schema, "nDiaSources", pl.Int64).alias("told"),
                utc_from_mjd_tai(pick(schema, "firstDiaSourceMjdTaiFink", pl.Float64)).alias("first_told"),
            )
        )
    told = pl.concat(found).filter(pl.col("object_id").is_not_null()).unique("object_id")
    joined = objects.join(told, on="object_id", how="left", maintain_order="left")
    number = pl.when(pl.col("told") >= pl.col("alerts_came")).then("told").otherwise("alerts_came")
    counts = [
        pl.when(pl.col(name).is_null() & pl.col("told").is_not_null())
        .then(number)
        .otherwise(name)
        .alias(name)
        for name in COUNTS
    ]
    first = pl.min_horizontal("first_seen", "first_told").alias("first_seen")
    return joined.with_columns(*counts, first).select(objects.columns)
