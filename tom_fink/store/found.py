"""What a search found, into the rows that the stream's alerts have: one writer's steps, in the writer's order.

An alert that a search brought has no topic of its own. If the stream brings it later, it becomes the stream's, and
the history that the message tells is stored then: see `brought_by_search` and `adopt`.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import polars as pl
from django.db import transaction
from django.db.models import QuerySet
from tom_dataproducts.models import PhotometryReducedDatum
from tom_targets.models import BaseTarget, TargetList, TargetName

from tom_fink.decoding.decode import MESSAGE
from tom_fink.frames import DETECTIONS, Tidy
from tom_fink.models import Alert, FinkObject
from tom_fink.store.alerts import ALERT, known_alerts, store_alerts, without
from tom_fink.store.bulk import insert_missing, prefer_indexes
from tom_fink.store.cutouts import cutouts_kept
from tom_fink.store.known import remember_more
from tom_fink.store.objects import Key, LockedObject, lock_objects, update_objects, with_links, with_targets
from tom_fink.store.photometry import insert_points, linked_points
from tom_fink.store.targets import announce, assign_targets
from tom_fink.store.topics import add_to_lists, topics_named

NO_TOPIC = ""
MAX_ALIAS = TargetName._meta.get_field("name").max_length


@dataclass(frozen=True)
class Stored:
    """What became of what was found. Targets are told by their keys in the database."""

    targets: dict[str, int] = field(
        default_factory=dict
    )  # by `object_key`: the body's name, else the object's id
    new_targets: tuple[int, ...] = ()
    alerts: int = 0  # new ones
    points: int = 0  # new ones
    taken: dict[str, int] = field(default_factory=dict)  # names that another target has already, by name


def store_found(
    tidy: Tidy,
    aliases: Mapping[str, tuple[str, ...]] | None = None,
    *,
    topic: str = NO_TOPIC,
    target_list: TargetList | None = None,
    permission: str | None = None,
) -> Stored:
    """Store alerts and points that a search found; what is there already is passed over. One transaction.

    tidy: frames.ALERTS and frames.DETECTIONS, as `Found.tidy` and `Whole.tidy` have them. Each object gets a
    target, found by its name or made, as from the stream. aliases: further names of objects, by `object_key`; one
    that is another target's name is not taken. topic: count the alerts as of this topic, whose list then has their
    targets; without one they are in no list but `target_list`. permission: who may see the targets that are made;
    without, what FINK_TARGET_PERMISSION says. Raises the database's errors; then nothing is stored.
    """
    if tidy.alerts.is_empty():
        return Stored()
    with transaction.atomic():
        prefer_indexes()
        arrived = _arrived(tidy.alerts)
        topics = topics_named([(topic, arrived["survey"].first())]) if topic else {}
        objects = lock_objects(arrived)
        known = known_alerts(arrived)
        created = assign_targets(arrived, objects, permission)
        linked = with_links(arrived, objects)
        new = without(linked, known)
        stored = pl.concat([with_targets(known, objects), store_alerts(new)])
        if topics:
            # The alert's own topic stays empty: no message has brought it, nor told its history.
            add_to_lists(arrived.with_columns(pl.lit(topic).alias("topic")), stored, topics, new)
        targets = dict(linked.select("object_key", "target_id").rows())
        if target_list is not None:
            _add_to_list(target_list, targets.values())
        new_targets = tuple(target.pk for target in created)
        with cutouts_kept(linked, objects):
            points = _store_points(tidy.detections, linked, objects, new_targets)
            update_objects(new, objects)
        taken = _store_aliases(aliases or {}, targets)
        # A caller may take all of this back; a hook cannot be.
        transaction.on_commit(lambda: announce(created))
    return Stored(targets, new_targets, new.height, points, taken)


def store_light_curve(target: BaseTarget, points: pl.DataFrame, survey: str, url: str = "") -> int:
    """Store points (frames.DETECTIONS) of a target, whatever its name; returns how many were new. One transaction.

    survey: ztf or lsst. url: the object's page in Fink's portal. Raises `BaseTarget.DoesNotExist` for a target
    that was deleted.
    """
    with transaction.atomic():
        prefer_indexes()
        # A reader of the stream that stores points of this target holds one of these rows.
        list(_locked(FinkObject.objects.filter(target_id=target.pk)).order_by("survey", "object_id"))
        _locked(BaseTarget.objects).get(pk=target.pk)
        before = _count_points([target.pk])
        insert_points(
            points.select(
                *(name for name in DETECTIONS if name != MESSAGE),
                pl.lit(target.pk, pl.Int64).alias("target_id"),
                pl.lit(survey).alias("survey"),
                pl.lit(url).alias("url"),
            )
        )
        return _count_points([target.pk]) - before


def brought_by_search(arrived: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """Those of the stream's alerts that only a search has brought so far: their histories are not stored.

    new: those of `arrived` that the database does not have.
    """
    if new.height == arrived.height:
        return new.clear()
    rows = []
    known = arrived.select(ALERT).join(new.select(ALERT), on=ALERT, how="anti")
    for (survey,), group in known.group_by("survey"):
        found = Alert.objects.filter(survey=survey, alert_id__in=group["alert_id"].to_list(), topic=NO_TOPIC)
        rows += found.values_list(*ALERT)
    if not rows:
        return new.clear()
    of_search = pl.DataFrame(rows, schema=dict.fromkeys(ALERT, pl.String), orient="row")
    return arrived.join(of_search, on=ALERT, how="semi", maintain_order="left")


def adopt(alerts: pl.DataFrame) -> None:
    """Have alerts that a search brought be of the messages that brought them now."""
    names = ("topic", "partition", "offset", "received_at", "broker_end_at")
    for survey, alert_id, fink_values, *values in alerts.select(*ALERT, "fink_values", *names).rows():
        changes = dict(zip(names, values, strict=True)) | {"fink_values": json.loads(fink_values)}
        Alert.objects.filter(survey=survey, alert_id=alert_id).update(**changes)


def _arrived(alerts: pl.DataFrame) -> pl.DataFrame:
    """Each alert once, the oldest first: an object's first alert gives its target the position."""
    return (
        alerts.filter(pl.col("problem").is_null())
        .unique(ALERT, keep="first", maintain_order=True)
        .sort("observed_at", "alert_id")
        .with_columns(
            pl.coalesce("body", "object_id").alias("object_key"),
            pl.lit(NO_TOPIC).alias("topic"),
            pl.lit(None, pl.Int32).alias("partition"),
            pl.lit(None, pl.Int64).alias("offset"),
            pl.lit(datetime.now(UTC)).alias("received_at"),
        )
    )


def _store_points(
    detections: pl.DataFrame,
    alerts: pl.DataFrame,
    objects: dict[Key, LockedObject],
    new_targets: tuple[int, ...],
) -> int:
    """Insert what is new of the points of these alerts, known ones or not; returns how many there were."""
    points, fresh = linked_points(detections, alerts, objects)
    targets = fresh["target_id"].unique().to_list()
    before = _count_points(targets)
    insert_points(fresh, new_targets)
    remember_more(points, list(objects.values()))
    return _count_points(targets) - before


def _store_aliases(aliases: Mapping[str, tuple[str, ...]], targets: dict[str, int]) -> dict[str, int]:
    """Keep further names of these targets; returns those that are another target's, with its key."""
    wanted = {
        name: targets[key]
        for key, names in aliases.items()
        if key in targets
        for name in names
        if len(name) <= MAX_ALIAS
    }
    has = dict(TargetName.objects.filter(name__in=wanted).values_list("name", "target_id"))
    has |= dict(BaseTarget.objects.filter(name__in=wanted).values_list("name", "pk"))
    TargetName.objects.bulk_create(
        [TargetName(target_id=wanted[name], name=name) for name in sorted(wanted.keys() - has.keys())],
        ignore_conflicts=True,
    )
    return {name: key for name, key in has.items() if wanted[name] != key}


def _add_to_list(target_list: TargetList, targets: Collection[int]) -> None:
    keys = sorted({key for key in targets if key is not None})
    members = pl.DataFrame({"targetlist_id": [target_list.pk] * len(keys), "basetarget_id": keys})
    insert_missing(TargetList.targets.through, members)


def _count_points(targets: list[int]) -> int:
    return PhotometryReducedDatum.objects.filter(target__in=targets).count()


def _locked(rows: QuerySet) -> QuerySet:
    # no_key, because a point of another reader may refer to a row that it does not lock itself.
    return rows.select_for_update(no_key=True)
