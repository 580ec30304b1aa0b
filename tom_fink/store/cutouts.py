"""Cutouts of each object's first and latest alert, kept in their file while the database takes all else."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import polars as pl

from tom_fink.conf import cutout_file
from tom_fink.cutoutfile import ALERT, KINDS, OBJECT

IMAGES = [f"cutout_{kind}" for kind in KINDS]


@contextmanager
def cutouts_kept(alerts: pl.DataFrame) -> Iterator[None]:
    """Keep the cutouts of these alerts that are now their object's first or latest with any, while the block runs.

    They are on the disk when the block ends, which is to be before the database commits; see `CutoutFile.keep` for what
    holds if it does not. The objects are to be locked. Alerts may come in any order, and may have no cutouts (a
    multi-messenger alert). Raises StoreUnavailable.
    """
    images = alerts.filter(pl.any_horizontal(pl.col(IMAGES).is_not_null())).select(
        *OBJECT,
        pl.col("observed_at").dt.epoch("us").alias("observed_us"),
        *ALERT,
        *(pl.col(f"cutout_{kind}").alias(kind) for kind in KINDS),
    )
    if images.is_empty():
        yield
        return
    with ThreadPoolExecutor(1, thread_name_prefix="cutouts") as thread:
        kept = thread.submit(cutout_file().keep, images)
        yield
        kept.result()


def forget_cutouts(alerts: pl.DataFrame) -> None:
    """Remove the cutouts of alerts that the database refuses, lest they stand for their object's latest."""
    for survey, alert_id, *of in alerts.select(*ALERT, *OBJECT).rows():
        cutout_file().forget_alert(survey, alert_id, tuple(of))
