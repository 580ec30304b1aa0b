"""What a search found: an object a row, summed up over all its alerts that came."""

from dataclasses import dataclass

import polars as pl

from tom_fink.decoding.decode import MESSAGE
from tom_fink.frames import Tidy
from tom_fink.search.search import Search

UTC_MS = pl.Datetime("ms", "UTC")
POINT = pl.Struct({"observed_at": UTC_MS, "band": pl.String, "mag_ab": pl.Float64, "flux_njy": pl.Float64})

# A row of `Found.objects`
OBJECTS = {
    "object_key": pl.String,  # what the store calls the object: the body's name, else `object_id`
    "object_id": pl.String,  # of the newest alert; of a body ZTF has one for each alert
    "survey": pl.String,
    "is_body": pl.Boolean,
    "ra_deg": pl.Float64,  # of the newest alert
    "dec_deg": pl.Float64,
    "separation_arcsec": pl.Float64,  # of the nearest alert from the search's position; null without one
    "mag_ab": pl.Float64,  # of the newest alert that has a brightness, with the three that follow
    "mag_err": pl.Float64,
    "is_positive": pl.Boolean,  # sign of the difference flux, whose size `mag_ab` is
    "band": pl.String,
    "fink_class": pl.String,  # of the newest alert
    "alerts_came": pl.Int64,
    "alert_count": pl.Int64,  # of all times; null where Fink does not tell, see `counts.with_counts`
    "detection_count": pl.Int64,  # the same
    "first_seen": UTC_MS,
    "last_seen": UTC_MS,
    "anomaly_score": pl.Float64,  # the lowest
    "url": pl.String,  # the object's page in Fink's portal
    "points": pl.List(POINT),  # of the alerts that came, oldest first
}


@dataclass(frozen=True)
class Found:
    """What came. `search` is what was run: a name in it has become what that stands for."""

    search: Search
    objects: pl.DataFrame  # OBJECTS: by distance, strangeness, or newest first
    tidy: Tidy  # the alerts of these objects, with their own points
    has_more: bool  # the service, or what came, may have more than is shown
    notes: tuple[str, ...] = ()  # what to say of how it was searched
    problems: tuple[str, ...] = ()  # rows that came and hold no alert

    def __len__(self) -> int:
        return self.objects.height


def summary(rows: pl.DataFrame) -> pl.DataFrame:
    """Objects (OBJECTS) from alerts with their `object_key`, what is told of them, and `separation_arcsec`.

    `is_complete` says of an alert that all of its object came.
    """
    newest = ["observed_at", "alert_id"]
    by_time = rows.sort(*newest)
    # One with a brightness before one without, then the newer, as tom_fink.store.objects has it
    bright = pl.col("mag_ab").is_not_null()
    speaking = ("mag_ab", "mag_err", "is_positive", "band")
    last = ("object_id", "survey", "ra_deg", "dec_deg", "fink_class", "url")
    point = pl.struct(list(POINT.to_schema()))

    def is_told(name: str) -> pl.Expr:
        return pl.col(name).is_not_null().any() | pl.col("is_complete").any()

    def at_least_came(name: str) -> pl.Expr:
        return pl.max_horizontal(pl.len().cast(pl.Int64), pl.col(name).max())

    found = by_time.group_by("object_key", maintain_order=True).agg(
        *(pl.col(name).last() for name in last),
        *(pl.col(name).sort_by(bright, *newest).last() for name in speaking),
        pl.col("body").is_not_null().any().alias("is_body"),
        pl.col("separation_arcsec").min(),
        pl.len().alias("alerts_came"),
        pl.when(is_told("alerts_told")).then(at_least_came("alerts_told")).alias("alert_count"),
        pl.when(is_told("detections_told")).then(at_least_came("detections_told")).alias("detection_count"),
        pl.min_horizontal("observed_at", "first_told").min().alias("first_seen"),
        pl.col("observed_at").max().alias("last_seen"),
        pl.col("anomaly_score").min(),
        point.filter(bright).alias("points"),
    )
    return found.select(pl.col(name).cast(dtype) for name, dtype in OBJECTS.items())


def in_order(objects: pl.DataFrame, search: Search) -> pl.DataFrame:
    """Objects as they are shown: the nearest, else the strangest, else the newest first."""
    if search.has_cone:
        return objects.sort("separation_arcsec", "object_key", nulls_last=True)
    if search.anomalies:
        return objects.sort("anomaly_score", "object_key", nulls_last=True)
    return objects.sort("last_seen", "object_key", descending=[True, False])


def that_fit(objects: pl.DataFrame, search: Search) -> pl.DataFrame:
    """Objects that pass the cut on brightness; without a brightness none passes."""
    fits = pl.lit(True)
    if search.brightest_mag_ab is not None:
        fits &= pl.col("mag_ab") >= search.brightest_mag_ab
    if search.faintest_mag_ab is not None:
        fits &= pl.col("mag_ab") <= search.faintest_mag_ab
    return objects.filter(fits)


def of_objects(tidy: Tidy, rows: pl.DataFrame, keys: pl.Series) -> Tidy:
    """The alerts of these objects, and their points. `rows` has each alert's `object_key`."""
    messages = rows.filter(pl.col("object_key").is_in(keys.implode()))[MESSAGE].implode()
    return Tidy(*(frame.filter(pl.col(MESSAGE).is_in(messages)) for frame in (tidy.alerts, tidy.detections)))
