"""One row for each alert."""

from datetime import UTC, datetime

import polars as pl

from tom_fink.models import Alert
from tom_fink.store.bulk import insert
from tom_fink.store.keys import reserved_keys
from tom_fink.store.lookups import any_of
from tom_fink.store.times import Microseconds

ALERT = ["survey", "alert_id"]
COPIED = (
    "survey", "alert_id", "object_id", "fink_object_id", "target_id", "observed_at", "ra_deg", "dec_deg", "mag_ab",
    "mag_err", "flux_njy", "flux_err_njy", "is_positive", "fink_class", "fink_values", "url", "broker_end_at",
    "topic", "partition", "offset", "received_at",
)  # fmt: skip

# What links an alert to the rest, and what its key in the database is
LINKS = {
    "survey": pl.String,
    "alert_id": pl.String,
    "alert_pk": pl.Int64,
    "fink_object_id": pl.Int64,
    "target_id": pl.Int64,
    "observed_at": pl.Datetime("us", "UTC"),
}


def known_alerts(alerts: pl.DataFrame) -> pl.DataFrame:
    """Those of the alerts that the database has (columns: LINKS)."""
    rows = []
    for (survey,), group in alerts.group_by("survey"):
        found = Alert.objects.filter(any_of("alert_id", group["alert_id"].to_list()), survey=survey)
        names = ("survey", "alert_id", "pk", "fink_object_id", "target_id")
        rows += found.values_list(*names, Microseconds("observed_at"))
    return pl.DataFrame(rows, schema=LINKS | {"observed_at": pl.Int64}, orient="row").cast(LINKS)


def without(alerts: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Those of the alerts that are not among the known ones."""
    return alerts.join(known, on=ALERT, how="anti", maintain_order="left")


def store_alerts(alerts: pl.DataFrame) -> pl.DataFrame:
    """Insert alerts that the database does not have, linked by `fink_object_id` and `target_id`.

    Returns what links them to the rest (columns: LINKS).
    """
    keys = pl.Series("alert_pk", reserved_keys(Alert, alerts.height), pl.Int64)
    stored = alerts.sort(ALERT).with_columns(keys)
    rows = stored.select(
        pl.col("alert_pk").alias("id"),
        *COPIED,
        pl.col("band").fill_null(""),
        pl.lit(datetime.now(UTC)).alias("stored_at"),
    )
    insert(Alert, rows)
    return stored.select(pl.col(name).cast(dtype) for name, dtype in LINKS.items())
