"""Cutouts of each object's first and latest alert, kept in their file while the database takes all else."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Thread

import polars as pl

from tom_fink.conf import cutout_file
from tom_fink.cutoutfile import ALERT, KINDS, OBJECT, Key
from tom_fink.store.objects import LockedObject

IMAGES = [f"cutout_{kind}" for kind in KINDS]


@contextmanager
def cutouts_kept(alerts: pl.DataFrame, objects: Mapping[Key, LockedObject]) -> Iterator[None]:
    """Keep the cutouts of these alerts that are now their object's first or latest with any, while the block runs.

    They are on the disk when the block ends, which is to be before the database commits; see `CutoutFile.keep` for what
    holds if it does not. objects: locked, and not yet told of these alerts. Alerts may come in any order, and may have
    no cutouts (a multi-messenger alert). Raises StoreUnavailable.
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
    seen = {
        key: (found.first_seen_us, found.last_seen_us)
        for key, found in objects.items()
        if found.first_seen_us is not None and found.last_seen_us is not None
    }
    file, kept = cutout_file(), Future()

    def keep() -> None:
        try:
            kept.set_result(file.keep(images, seen))
        except BaseException as error:  # noqa: BLE001 - raised by `result`
            kept.set_exception(error)

    # No executor: it takes no work once the main thread has ended, and tom_alertstreams' command reads on from there.
    thread = Thread(target=keep, name="cutouts", daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    kept.result()
