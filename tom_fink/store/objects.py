"""Objects: found or made, locked for the batch, and their summaries kept up to date."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

import polars as pl
from django.db.models import QuerySet

from tom_fink.models import FinkObject
from tom_fink.store.bulk import insert_missing, insert_or_update
from tom_fink.store.lookups import any_of
from tom_fink.store.times import Microseconds

Key = tuple[str, str]  # (survey, object's key)
KEY = ["survey", "object_id"]
TIMES = ["first_seen", "last_seen", "summary_at"]
# Of the alert that speaks for the object
SPEAKING = ["ra_deg", "dec_deg", "mag_ab", "is_positive", "band", "fink_class"]
SUMMARY = ["target_id", "alert_count", *TIMES, *SPEAKING]


@dataclass(slots=True)
class LockedObject:
    """The row of a `FinkObject` that this transaction has locked, times in microseconds since 1970 (UTC).

    The writer has hundreds of them at once and needs none of what a model can do.
    """

    survey: str
    object_id: str
    pk: int
    target_id: int | None
    alert_count: int
    first_seen_us: int | None
    last_seen_us: int | None
    summary_us: int | None
    ra_deg: float | None
    dec_deg: float | None
    mag_ab: float | None
    is_positive: bool | None
    band: str
    fink_class: str

    def add(self, observed_us: int, speaking: Sequence[Any]) -> None:
        """Count an alert, which may become the one that speaks for the object (SPEAKING)."""
        self.alert_count += 1
        if self.first_seen_us is None or observed_us < self.first_seen_us:
            self.first_seen_us = observed_us
        if self.last_seen_us is None or observed_us > self.last_seen_us:
            self.last_seen_us = observed_us
        mag_ab = speaking[SPEAKING.index("mag_ab")]
        if self.summary_us is None or _rank(mag_ab, observed_us) > _rank(self.mag_ab, self.summary_us):
            self.summary_us = observed_us
            self.ra_deg, self.dec_deg, self.mag_ab, self.is_positive, self.band, self.fink_class = speaking


ROW = {
    **dict.fromkeys(KEY, pl.String),
    **dict.fromkeys(("pk", "target_id", "alert_count", *TIMES), pl.Int64),
    **dict.fromkeys(("ra_deg", "dec_deg", "mag_ab"), pl.Float64),
    "is_positive": pl.Boolean,
    **dict.fromkeys(("band", "fink_class"), pl.String),
}
_values = attrgetter(*(field.name for field in fields(LockedObject)))  # `astuple` copies each value, deeply
COLUMNS = [*KEY, "pk", "target_id", "alert_count", *map(Microseconds, TIMES), *SPEAKING]


def alert_counts(alerts: pl.DataFrame) -> dict[Key, int]:
    """How many alerts the database has of each object of these alerts that it has; nothing is locked.

    Whoever stores alerts counts them in the same transaction: an object that has the same number when it is locked
    has the same alerts.
    """
    counted = _found(FinkObject.objects.values_list(*KEY, "alert_count"), _keys(alerts))
    return {(survey, object_id): count for survey, object_id, count in counted}


def lock_objects(alerts: pl.DataFrame, there: Collection[Key] | None = None) -> dict[Key, LockedObject]:
    """The objects of these alerts, made where new, each locked until the transaction ends.

    First what is missing is inserted, then all are locked, each in the order of the keys: two readers
    never hold what the other waits for. Locking the known ones before inserting the others would break
    that order. there: those that the database has, if that is known already.
    """
    keys = _keys(alerts)
    if not keys:
        return {}
    known = alert_counts(alerts) if there is None else there
    missing = [key for key in keys if key not in known]
    insert_missing(FinkObject, pl.DataFrame(missing, schema=KEY, orient="row"))
    # no_key, because a delivery of another reader may refer to an object that it does not lock itself.
    locked = FinkObject.objects.select_for_update(no_key=True).order_by("object_id").values_list(*COLUMNS)
    return {row[: len(KEY)]: LockedObject(*row) for row in _found(locked, keys)}


def with_links(alerts: pl.DataFrame, objects: Mapping[Key, LockedObject]) -> pl.DataFrame:
    """Alerts with `fink_object_id` and `target_id`, the keys of their object and its target."""
    rows = [(*key, found.pk, found.target_id) for key, found in objects.items()]
    schema = {
        "object_survey": pl.String,
        "object_key": pl.String,
        "fink_object_id": pl.Int64,
        "target_id": pl.Int64,
    }
    links = pl.DataFrame(rows, schema=schema, orient="row")
    return alerts.join(links, on=["object_survey", "object_key"], how="left", maintain_order="left")


def with_targets(stored: pl.DataFrame, objects: Mapping[Key, LockedObject]) -> pl.DataFrame:
    """Alerts that the database had (alerts.LINKS) with the targets that their objects, where locked, have now."""
    if stored.is_empty():
        return stored
    rows = [(found.pk, found.target_id) for found in objects.values()]
    targets = pl.DataFrame(rows, schema={"fink_object_id": pl.Int64, "target_id": pl.Int64}, orient="row")
    return stored.update(targets, on="fink_object_id")


def _keys(alerts: pl.DataFrame) -> list[Key]:
    """The keys of the objects of these alerts, sorted."""
    return sorted(alerts.unique(["object_survey", "object_key"]).select("object_survey", "object_key").rows())


def _found(objects: QuerySet, keys: list[Key]) -> Iterator[Any]:
    """Those of `objects` that have one of the keys, survey by survey."""
    by_survey: dict[str, list[str]] = {}
    for survey, object_id in keys:
        by_survey.setdefault(survey, []).append(object_id)
    for survey, object_ids in sorted(by_survey.items()):
        yield from objects.filter(any_of("object_id", object_ids), survey=survey)


def update_objects(alerts: pl.DataFrame, objects: Mapping[Key, LockedObject]) -> None:
    """Write the objects with their targets, their summaries with these new alerts in them."""
    told = alerts.with_columns(pl.col("observed_at").dt.epoch("us"), pl.col("band").fill_null(""))
    told = told.select("object_survey", "object_key", "observed_at", *SPEAKING)
    for survey, object_key, observed_us, *speaking in told.iter_rows():
        objects[survey, object_key].add(observed_us, speaking)
    rows = pl.DataFrame([_values(found) for found in objects.values()], schema=ROW, orient="row")
    times = pl.col(TIMES).cast(pl.Datetime("us", "UTC"))
    insert_or_update(FinkObject, rows.drop("pk").with_columns(times), KEY, SUMMARY)


def _rank(mag_ab: float | None, observed_us: int) -> tuple:
    """Which of two alerts speaks for the object, whatever order they come in.

    One with a brightness before one without (a multi-messenger alert), then the newer, then the brighter.
    """
    return mag_ab is not None, observed_us, -(mag_ab or 0.0)
