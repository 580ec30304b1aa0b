"""Photometric points as TOM Toolkit's `PhotometryReducedDatum` rows."""

from collections.abc import Callable, Collection

import polars as pl
from tom_dataproducts.models import PhotometryReducedDatum

from tom_fink.decoding.decode import MESSAGE
from tom_fink.store.bulk import insert, insert_missing, insert_or_correct
from tom_fink.store.known import DIGEST, known_digests, newest_alerts, remember, with_digest
from tom_fink.store.objects import Key, LockedObject

UNIT = "AB mag"
SOURCE = "Fink"
TELESCOPES = {"ztf": "Palomar 48-inch", "lsst": "Simonyi Survey Telescope"}
INSTRUMENTS = {"ztf": "ZTF", "lsst": "LSSTCam"}

# A forced point below 3 sigma is stored as its 5 sigma limit, as the ZTF forced-photometry guide
# advises (Masci et al. 2023, arXiv:2305.16279); its flux is kept either way.
DETECTED_SIGMA = 3.0

# What TOM Toolkit's unique keys look at: one of brightness and limit is null, and the survey is the instrument
IDENTITY = ["target_id", "survey", "band", "observed_at", "brightness", "limit", "version"]
KEYS = {
    name: ["target_id", "bandpass", "timestamp", name, "instrument", "reduction_version"]
    for name in ("brightness", "limit")
}
BESIDE_THE_KEYS = ["brightness_error", "value"]

PART = 20_000  # points in hand as rows, which are several times as wide
SOURCE_LOCATION_LENGTH = PhotometryReducedDatum._meta.get_field("source_location").max_length


def with_brightness(detections: pl.DataFrame) -> pl.DataFrame:
    """Detections with `brightness` or `limit`, of which a row in TOM Toolkit has exactly one, and `version`.

    What is positive and measured has a brightness. A dip (a negative difference), a forced point
    below 3 sigma and an upper limit have a limit. What has neither cannot be told from another
    point by the database, and is left out.
    """
    measured = (pl.col("kind") != "forced") | (pl.col("flux_njy") >= DETECTED_SIGMA * pl.col("flux_err_njy"))
    brightness = pl.when(measured.fill_null(True)).then("mag_ab")
    return detections.with_columns(
        brightness.alias("brightness"),
        pl.when(brightness.is_null()).then("limit_mag_ab").alias("limit"),
        # Forced photometry at the time of a detection is another measurement of the same exposure.
        pl.when(pl.col("kind") == "forced")
        .then(pl.lit("forced"))
        .otherwise(pl.lit("difference"))
        .alias("version"),
    ).filter(pl.col("brightness").is_not_null() | pl.col("limit").is_not_null())


def store_photometry(
    detections: pl.DataFrame,
    alerts: pl.DataFrame,
    objects: dict[Key, LockedObject],
    new_targets: Collection[int] = (),
) -> int:
    """Insert the points of these alerts that the database does not have; returns how many were offered.

    new_targets: keys of targets that this transaction has made. They have no points yet, so that theirs need
    not be looked up in the unique keys before they are inserted, which halves the work.
    """
    points, fresh = linked_points(detections, alerts, objects)
    newest = newest_alerts(alerts, list(objects.values()))
    offered = insert_points(fresh, new_targets, newest[MESSAGE].to_list())
    remember(points, newest)
    return offered


def linked_points(
    detections: pl.DataFrame, alerts: pl.DataFrame, objects: dict[Key, LockedObject]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All points of these alerts with their links and `digest`, and those of them that are not known."""
    origin = alerts.select(MESSAGE, "fink_object_id", "target_id", "survey", "url")
    points = with_digest(detections.join(origin, on=MESSAGE, maintain_order="left"))
    return points, points.filter(~pl.col(DIGEST).is_in(known_digests(list(objects.values())).implode()))


def insert_points(
    points: pl.DataFrame, new_targets: Collection[int] = (), newest: Collection[int] = ()
) -> int:
    """Insert detections that have `target_id`, `survey` and `url`; returns how many were offered to the table.

    What is there is passed over. new_targets: see `store_photometry`. newest: messages of the newest alerts of
    their objects. Of a point of theirs that is there, what TOM Toolkit's unique keys do not look at is corrected:
    the signed flux of a limit, and errors.
    """
    is_newest = pl.col(MESSAGE).is_in(list(newest)) if newest else pl.lit(False)
    points = pl.concat([points.filter(is_newest), points.filter(~is_newest)])  # the newest word comes first
    points = with_brightness(points).unique(IDENTITY, keep="first", maintain_order=True)
    is_new = pl.col("target_id").is_in(list(new_targets))
    _in_parts(points.filter(is_new), insert)
    others = points.filter(~is_new)
    if _in_parts(others, insert_missing) < others.height:
        for name, key in KEYS.items():
            told = others.filter(is_newest & pl.col(name).is_not_null())
            _in_parts(told, insert_or_correct, key, BESIDE_THE_KEYS)
    return points.height


def _in_parts(points: pl.DataFrame, write: Callable[..., int], *how: list[str]) -> int:
    """How many rows were written."""
    return sum(write(PhotometryReducedDatum, _rows(part), *how) for part in points.iter_slices(PART))


def _rows(points: pl.DataFrame) -> pl.DataFrame:
    """Points as rows of the table."""
    return points.select(
        "target_id",
        pl.col("observed_at").alias("timestamp"),
        pl.col("band").alias("bandpass"),
        "brightness",
        pl.when(pl.col("brightness").is_not_null()).then("mag_err").alias("brightness_error"),
        "limit",
        pl.lit(UNIT).alias("unit"),
        pl.col("survey").replace_strict(TELESCOPES, return_dtype=pl.String).alias("telescope"),
        pl.col("survey").replace_strict(INSTRUMENTS, return_dtype=pl.String).alias("instrument"),
        pl.lit(SOURCE).alias("source_name"),
        pl.when(pl.col("url").str.len_chars() <= SOURCE_LOCATION_LENGTH)
        .then("url")
        .otherwise(pl.lit(""))
        .alias("source_location"),
        pl.col("version").alias("reduction_version"),
        _value().alias("value"),
    )


def _value() -> pl.Expr:
    """The JSON object of what TOM Toolkit has no column for, without nulls.

    Texts here are words of ours and digits, which need no escapes.
    """
    parts = [
        pl.lit(f'"{name}": "') + pl.col(name) + pl.lit('"')
        if name in ("kind", "source_id")
        else pl.lit(f'"{name}": ') + pl.col(name).cast(pl.String)
        for name in ("kind", "flux_njy", "flux_err_njy", "source_id")
    ]
    return pl.lit("{") + pl.concat_str(parts, separator=", ", ignore_nulls=True) + pl.lit("}")
