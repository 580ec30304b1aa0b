"""Which of the alerts that came fit what Fink was not asked for."""

import re
from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from tom_fink.api.columns import CLASS
from tom_fink.api.ztf import FINK_CLASSES
from tom_fink.decoding.decode import MESSAGE
from tom_fink.fields import label, number, pick
from tom_fink.frames import utc_from_jd, utc_from_mjd_tai
from tom_fink.search.search import Search

TNS, SIMBAD = "(TNS) ", "(SIMBAD) "
# Beside frames.ALERTS: what Fink's rows say of the object, and what criteria look at
TOLD = {
    "first_told": pl.Datetime("ms", "UTC"),
    "alerts_told": pl.Int64,
    "detections_told": pl.Int64,
    "event_at": pl.Datetime("ms", "UTC"),
    "anomaly_score": pl.Float64,
    **dict.fromkeys(("fink_label", "tns_label", "simbad_label", "tracklet"), pl.String),
}


@dataclass(frozen=True)
class Part:
    """What a criterion asks of an alert, and of which alerts that cannot be told."""

    fits: pl.Expr
    untold: pl.Expr | None = None
    note: str = ""


def told(survey: str, rows: pl.DataFrame) -> pl.DataFrame:
    """What rows of Fink's say beside the alert: `message` and TOLD, from columns by their bare names."""
    schema = rows.schema
    if survey == "ztf":
        first, detections = utc_from_jd(pick(schema, "jdstarthist", pl.Float64)), "ndethist"
        event = utc_from_jd(pick(schema, "jdstartgw", pl.Float64))
        labels = {"tns_label": "tns", "simbad_label": "cdsxmatch"}
    else:
        first = utc_from_mjd_tai(pick(schema, "firstDiaSourceMjdTaiFink", pl.Float64))
        detections = "nDiaSources"
        event = utc_from_mjd_tai(pick(schema, "startgwMjdTai", pl.Float64))
        labels = {"tns_label": "xm_tns_type", "simbad_label": "xm_simbad_otype"}
    found = {
        "first_told": first,
        "alerts_told": pick(schema, "nalerthist", pl.Int64),
        "detections_told": pick(schema, detections, pl.Int64),
        "event_at": event,
        # Here "Unknown" is told, and missing is not: `label` would take both for missing.
        "fink_label": pick(schema, CLASS, pl.String),
        # 0 is also what Fink's database has for "not computed".
        "anomaly_score": pl.when(number(schema, "anomaly_score") < 0).then(number(schema, "anomaly_score")),
        **{name: label(schema, column) for name, column in labels.items()},
        "tracklet": label(schema, "tracklet"),
    }
    missing = {name: pl.lit(None, dtype) for name, dtype in TOLD.items() if name not in found}
    return rows.select(
        MESSAGE, *((found | missing)[name].cast(dtype).alias(name) for name, dtype in TOLD.items())
    )


def separation(ra_deg: float | None, dec_deg: float | None) -> pl.Expr:
    """Arc seconds from a position (ICRS), haversine; null without one."""
    if ra_deg is None or dec_deg is None:
        return pl.lit(None, pl.Float64)
    ra, dec = pl.col("ra_deg").radians(), pl.col("dec_deg").radians()
    ra_0, dec_0 = pl.lit(ra_deg).radians(), pl.lit(dec_deg).radians()
    square = ((dec - dec_0) / 2).sin() ** 2 + dec.cos() * dec_0.cos() * ((ra - ra_0) / 2).sin() ** 2
    return 2 * square.clip(0, 1).sqrt().arcsin().degrees() * 3600


def parts(search: Search, left: frozenset[str]) -> list[Part]:
    """What the criteria in `left` ask of rows with frames.ALERTS, TOLD, `is_latest_only` and `separation_arcsec`.

    `event_at` has to be there in all rows, if one of them tells it.
    """
    found = []
    if "ids" in left:
        found.append(Part(pl.col("object_id").is_in(search.object_ids)))
    if "cone" in left:
        found.append(Part(pl.col("separation_arcsec") <= search.radius))
    if "classes" in left:
        found.append(_classes(search.classes))
    if "dates" in left:
        found.append(_dates(search))
    if "tracklet" in left:
        start = search.tracklet if search.tracklet.startswith("TRCK") else _tracklet_of_date(search.tracklet)
        found.append(Part(pl.col("tracklet").str.starts_with(start)))
    if "anomalies" in left:
        found.append(Part(pl.col("anomaly_score").is_not_null()))
    if search.bands:
        found.append(Part(pl.col("band").is_in(search.bands)))
    if search.survey == "lsst" and search.event:
        found.append(_days_of_event(search))
    return found


def _classes(labels: tuple[str, ...]) -> Part:
    fits = pl.any_horizontal(_is_of_class(label_) for label_ in labels)
    only_by_fink = [one for one in labels if one in FINK_CLASSES]
    untold = pl.col("fink_label").is_null() & pl.lit(bool(only_by_fink))
    note = f"Fink does not say of all that came whether it is {' or '.join(only_by_fink)}; such objects are shown."
    return Part(fits, untold, note)


def _is_of_class(wanted: str) -> pl.Expr:
    if wanted.startswith(TNS):
        return pl.col("tns_label") == wanted.removeprefix(TNS)
    if wanted.startswith(SIMBAD):
        return pl.col("simbad_label") == wanted.removeprefix(SIMBAD)
    told_or_ours = pl.coalesce("fink_label", "fink_class")
    return (told_or_ours == wanted) | (pl.col("simbad_label") == wanted).fill_null(False)


def _dates(search: Search) -> Part:
    first, last = pl.col("first_told").fill_null(pl.col("observed_at")), pl.col("observed_at")
    if search.dates_of == "first":
        last = first
    else:
        # Of an object whose last alert is all that came, it is known that it was seen from the first to that.
        first = pl.when("is_latest_only").then(first).otherwise("observed_at")
    fits = pl.lit(True)
    if search.start is not None:
        fits &= last >= search.start
    if search.stop is not None:
        fits &= first <= search.stop
    return Part(fits)


def _days_of_event(search: Search) -> Part:
    """Seen at some time in these, as `_dates` has it. ZTF's service picks them itself."""
    first = pl.when("is_latest_only").then(pl.col("first_told").fill_null(pl.col("observed_at")))
    fits = pl.col("observed_at") >= pl.col("event_at") - timedelta(days=search.days_before)
    fits &= first.otherwise("observed_at") <= pl.col("event_at") + timedelta(days=search.days_after)
    note = "Fink does not say when the event was; objects are shown whenever they were seen."
    return Part(fits, pl.col("event_at").is_null(), note)


def _tracklet_of_date(text: str) -> str:
    """'2021-10-22 07:29' begins the id TRCK_20211022_0729."""
    date, _, time = text.partition(" ")
    return f"TRCK_{re.sub('-', '', date)}_{re.sub(':', '', time)}"
