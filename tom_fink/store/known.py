"""The points of an object that are stored, as digests: what is new in a history that each alert repeats.

A digest is of all that a point has. A point that comes late, or that comes with another value, has a digest
that is not known, and is offered to the table, whose unique keys decide. So the digests only save work: where
they are missing, of another target or made by another version of Polars, every point is offered.

They are read and written under the lock of the object's row, in the transaction of the points.
"""

from collections.abc import Iterable

import numpy as np
import polars as pl

from tom_fink.decoding.decode import MESSAGE
from tom_fink.frames import DETECTIONS
from tom_fink.models import KnownPoints
from tom_fink.store.bulk import insert_or_update
from tom_fink.store.lookups import any_of
from tom_fink.store.objects import LockedObject

DIGEST = "digest"
DIGEST_BYTES = 8
SEED = 0x46696E6B  # "Fink"; any will do
DIGESTED = [name for name in DETECTIONS if name != MESSAGE]


def with_digest(points: pl.DataFrame) -> pl.DataFrame:
    """Points (frames.DETECTIONS and `fink_object_id`) with the column `digest` (UInt64)."""
    digests = points.select("fink_object_id", *DIGESTED).hash_rows(seed=SEED)
    return points.with_columns(digests.alias(DIGEST))


def known_digests(objects: list[LockedObject]) -> pl.Series:
    """The digests of these objects' points (UInt64).

    An object that had another target then has none, and neither has one whose digests are damaged.
    """
    kept = _kept(found for found in objects if found.alert_count)
    return pl.Series(DIGEST, np.frombuffer(b"".join(kept.values()), "<u8"), dtype=pl.UInt64)


def newest_alerts(alerts: pl.DataFrame, objects: list[LockedObject]) -> pl.DataFrame:
    """The newest of these alerts of each object, but for objects of which an earlier batch brought a newer one.

    alerts: `message`, `fink_object_id`, `target_id` and `observed_at` of the new alerts.
    """
    seen = pl.DataFrame(
        [(found.pk, found.last_seen_us) for found in objects],
        schema={"fink_object_id": pl.Int64, "last_seen_us": pl.Int64},
        orient="row",
    )
    return (
        alerts.select(MESSAGE, "fink_object_id", "target_id", "observed_at")
        .sort("observed_at")
        .unique("fink_object_id", keep="last", maintain_order=True)
        .join(seen, on="fink_object_id", how="left", maintain_order="left")
        .filter(
            pl.col("last_seen_us").is_null()
            | (pl.col("observed_at").dt.epoch("us") >= pl.col("last_seen_us"))
        )
        .select(MESSAGE, "fink_object_id", "target_id")
    )


def remember(points: pl.DataFrame, newest: pl.DataFrame) -> None:
    """Keep the digests of each object's newest alert.

    points: `message` and `digest`. newest: see `newest_alerts`. Those of older alerts are not needed: their
    points are in the newer one's history, or too old to come again.
    """
    kept = newest.join(points.select(MESSAGE, DIGEST), on=MESSAGE).sort("fink_object_id")
    counts = kept.group_by("fink_object_id", "target_id", maintain_order=True).len()
    ends = counts["len"].cum_sum().to_list()
    packed = kept[DIGEST].to_numpy().astype("<u8")
    digests = [packed[start:end].tobytes() for start, end in zip([0, *ends], ends, strict=False)]
    rows = counts.select("fink_object_id", "target_id", pl.Series("digests", digests, dtype=pl.Binary))
    insert_or_update(KnownPoints, rows, unique=["fink_object_id"], update=["target_id", "digests"])


def remember_more(points: pl.DataFrame, objects: list[LockedObject]) -> None:
    """Keep the digests of these points beside those that are kept of the same target.

    points: `fink_object_id` and `digest`. An alert that a search found has no history of its own: to keep its
    points alone would have the stream's next alert offer all that is stored already.
    """
    targets, kept = {found.pk: found.target_id for found in objects}, _kept(objects)
    changed = []
    for (key,), group in points.sort("fink_object_id").group_by("fink_object_id", maintain_order=True):
        before = np.frombuffer(kept.get(key, b""), "<u8")
        digests = np.union1d(before, group[DIGEST].to_numpy()).astype("<u8").tobytes()
        changed.append((key, targets[key], digests))
    schema = {"fink_object_id": pl.Int64, "target_id": pl.Int64, "digests": pl.Binary}
    rows = pl.DataFrame(changed, schema=schema, orient="row")
    insert_or_update(KnownPoints, rows, unique=["fink_object_id"], update=["target_id", "digests"])


def _kept(objects: Iterable[LockedObject]) -> dict[int, bytes]:
    """The digests that are kept of these objects' present targets and are whole, by the object's key."""
    targets = {found.pk: found.target_id for found in objects}
    rows = KnownPoints.objects.filter(any_of("fink_object_id", targets))
    return {
        key: bytes(digests)
        for key, target_id, digests in rows.values_list("fink_object_id", "target_id", "digests")
        if targets[key] == target_id and len(digests) % DIGEST_BYTES == 0
    }
