"""One row for each alert."""

import json

import polars as pl

from tom_fink.models import Alert, FinkObject

COPIED = (
    "survey", "alert_id", "object_id", "observed_at", "ra_deg", "dec_deg", "mag_ab", "mag_err", "flux_njy",
    "flux_err_njy", "is_positive", "fink_class", "url", "broker_end_at", "topic", "partition", "offset", "received_at",
)  # fmt: skip


def known_alerts(alerts: pl.DataFrame) -> dict[tuple[str, str], Alert]:
    """Those of the alerts that the database has, by (survey, alert_id); only what links them is loaded."""
    found = {}
    for (survey,), group in alerts.group_by("survey"):
        rows = Alert.objects.filter(survey=survey, alert_id__in=group["alert_id"].to_list())
        for row in rows.only("survey", "alert_id", "fink_object", "target", "observed_at"):
            found[survey, row.alert_id] = row
    return found


def store_alerts(alerts: pl.DataFrame, objects: dict[tuple[str, str], FinkObject]) -> None:
    """Insert alerts that the database does not have."""
    rows = []
    for row in alerts.sort("survey", "alert_id").iter_rows(named=True):
        fink_object = objects[row["object_survey"], row["object_key"]]
        rows.append(
            Alert(
                fink_object=fink_object,
                target_id=fink_object.target_id,
                band=row["band"] or "",
                fink_values=json.loads(row["fink_values"]),
                **{name: row[name] for name in COPIED},
            )
        )
    Alert.objects.bulk_create(rows)
