"""Photometric points as TOM Toolkit's `PhotometryReducedDatum` rows."""

from typing import Any

import polars as pl
from tom_dataproducts.models import PhotometryReducedDatum

from tom_fink.decoding.decode import MESSAGE
from tom_fink.models import FinkObject

UNIT = "AB mag"
SOURCE = "Fink"
INSTRUMENTS = {"ztf": ("Palomar 48-inch", "ZTF"), "lsst": ("Simonyi Survey Telescope", "LSSTCam")}

# A forced point below 3 sigma is stored as its 5 sigma limit, as the ZTF forced-photometry guide
# advises (Masci et al. 2023, arXiv:2305.16279); its flux is kept either way.
DETECTED_SIGMA = 3.0

PART = 2000  # points in hand at once
SOURCE_LOCATION_LENGTH = PhotometryReducedDatum._meta.get_field("source_location").max_length

# What TOM Toolkit's unique constraints look at, beside the instrument
IDENTITY = ["target_id", "band", "observed_at", "brightness", "limit", "version"]


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
    detections: pl.DataFrame, alerts: pl.DataFrame, objects: dict[tuple[str, str], FinkObject]
) -> int:
    """Insert the points of these alerts that the database does not have; returns how many were offered."""
    origin = alerts.select(MESSAGE, "survey", "object_survey", "object_key", "url").with_columns(
        pl.struct("object_survey", "object_key")
        .map_elements(
            lambda key: objects[key["object_survey"], key["object_key"]].target_id, return_dtype=pl.Int64
        )
        .alias("target_id")
    )
    rows = (
        with_brightness(detections)
        .join(origin, on=MESSAGE, how="inner", maintain_order="left")
        .unique([*IDENTITY, "survey"], keep="first", maintain_order=True)
    )
    for part in rows.iter_slices(PART):  # rows of the database are many times as large as those of the frame
        PhotometryReducedDatum.objects.bulk_create(
            [_datum(row) for row in part.iter_rows(named=True)], ignore_conflicts=True
        )
    return rows.height


def _datum(row: dict[str, Any]) -> PhotometryReducedDatum:
    telescope, instrument = INSTRUMENTS[row["survey"]]
    value = {
        name: row[name] for name in ("kind", "flux_njy", "flux_err_njy", "source_id") if row[name] is not None
    }
    return PhotometryReducedDatum(
        target_id=row["target_id"],
        timestamp=row["observed_at"],
        bandpass=row["band"],
        brightness=row["brightness"],
        brightness_error=row["mag_err"] if row["brightness"] is not None else None,
        limit=row["limit"],
        unit=UNIT,
        telescope=telescope,
        instrument=instrument,
        source_name=SOURCE,
        source_location=row["url"] if len(row["url"]) <= SOURCE_LOCATION_LENGTH else "",
        reduction_version=row["version"],
        value=value,
    )
