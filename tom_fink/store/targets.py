"""Targets for objects that have none: found by name or alias, else made."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl
from django.conf import settings
from django.db import connection
from tom_common.hooks import run_hook
from tom_targets.models import BaseTarget, Target, TargetName

from tom_fink.conf import target_permission
from tom_fink.models import Alert
from tom_fink.store.bulk import insert
from tom_fink.store.keys import reserved_keys
from tom_fink.store.lookups import any_of
from tom_fink.store.objects import Key, LockedObject

J2000 = 2000.0  # `Target.epoch` is a Julian year

# Serialises the making of Solar System targets on PostgreSQL: two readers may know one body by two
# names, and the object's row, which has only one of them, cannot keep them apart.
BODIES_LOCK = 0x46696E6B  # "Fink"


def assign_targets(
    alerts: pl.DataFrame, objects: Mapping[Key, LockedObject], permission: str | None = None
) -> list[Target]:
    """Give a target to each object that has none, and bodies the orbit that their alerts bring.

    permission: who may see the targets that are made; without, what FINK_TARGET_PERMISSION says. Returns the targets
    that were made and whose `target_post_save` hook has not run.
    """
    if all(found.target_id is not None for found in objects.values()):
        _update_orbits(alerts, objects)  # as in most batches of a night: then there are no names to look for
        return []
    first = alerts.unique(["object_survey", "object_key"], keep="first", maintain_order=True)
    rows = first.select(
        "object_survey", "object_key", "object_id", "body", "body_aliases", "ra_deg", "dec_deg", "orbit"
    ).rows(named=True)
    rows = [row for row in rows if objects[row["object_survey"], row["object_key"]].target_id is None]
    if any(row["body"] for row in rows) and connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [BODIES_LOCK])
    known = _targets_named({name for row in rows for name in _names(row)})
    permission = permission or target_permission()

    made: dict[str, Target] = {}
    for row in rows:
        names = _names(row)
        target = next((group[name] for group in (known, made) for name in names if name in group), None)
        if target is None:
            target = Target(**_fields(row), permissions=permission)
        for name in names:
            if target.pk is None:
                made.setdefault(name, target)
        row["target"] = target
    created = list({id(row["target"]): row["target"] for row in rows if row["target"].pk is None}.values())
    unannounced = _insert(created)
    for row in rows:
        found = objects[row["object_survey"], row["object_key"]]
        found.target_id = row["target"].pk
        if found.alert_count:  # its target was deleted; the alerts are still there
            Alert.objects.filter(fink_object_id=found.pk).update(target_id=found.target_id)
    _store_aliases(rows)
    _update_orbits(alerts, objects)
    return unannounced


def announce(created: list[Target]) -> None:
    """Run TOM Toolkit's `target_post_save` hook for new targets, when all else about them is stored."""
    for target in created:
        run_hook("target_post_save", target=target, created=True)


def _names(row: dict[str, Any]) -> list[str]:
    if row["body"] is None:
        return [row["object_id"]]
    return [row["body"], *(row["body_aliases"] or ())]


def _targets_named(names: set[str]) -> dict[str, BaseTarget]:
    """Targets by name or alias, compared exactly: both columns are indexed, a fuzzy match is not."""
    found = {
        alias.name: alias.target
        for alias in TargetName.objects.filter(any_of("name", names)).select_related("target")
    }
    return found | {target.name: target for target in BaseTarget.objects.filter(any_of("name", names))}


def _fields(row: dict[str, Any]) -> dict[str, Any]:
    """A moving body has elements, not a position: where it was seen is in its alerts."""
    fields = {"name": _names(row)[0]}
    if row["body"] is not None:
        return {**fields, "type": Target.NON_SIDEREAL, **json.loads(row["orbit"] or "{}")}
    return {**fields, "type": Target.SIDEREAL, "ra": row["ra_deg"], "dec": row["dec_deg"], "epoch": J2000}


def _insert(targets: list[Target]) -> list[Target]:
    """Insert the targets; returns those whose hook has still to run.

    All at once where that does what `save` does. `save` it is for a target model of the site's own, which
    has a table of its own, and where targets get extra fields by default. A name is one target's alone.
    """
    needs_save = Target is not BaseTarget or any(
        extra.get("default") is not None for extra in settings.EXTRA_FIELDS
    )
    if needs_save:
        for target in targets:
            target.save()
        return []
    now = datetime.now(UTC)
    for target in targets:
        target.created = target.modified = now
    for target, key in zip(targets, reserved_keys(Target, len(targets)), strict=True):
        target.pk = key
    names = [field.attname for field in Target._meta.concrete_fields]
    insert(Target, pl.DataFrame({name: [getattr(target, name) for target in targets] for name in names}))
    for target in targets:
        target._state.adding, target._state.db = False, connection.alias
    return targets


def _store_aliases(rows: list[dict[str, Any]]) -> None:
    """Keep a body's other names; a name that is a target's already is not an alias too.

    A target that somebody made as a sidereal one gets none, though it has the body's name.
    """
    wanted = {
        name: row["target"].pk
        for row in rows
        if row["body"] is not None and row["target"].type == Target.NON_SIDEREAL
        for name in _names(row)
        if name != row["target"].name
    }
    if not wanted:
        return
    taken = set(BaseTarget.objects.filter(any_of("name", wanted)).values_list("name", flat=True))
    TargetName.objects.bulk_create(
        [TargetName(target_id=wanted[name], name=name) for name in sorted(wanted.keys() - taken)],
        ignore_conflicts=True,
    )


def _update_orbits(alerts: pl.DataFrame, objects: Mapping[Key, LockedObject]) -> None:
    """Bring the elements of known bodies up to date where an alert has newer ones."""
    columns = ("object_survey", "object_key", "orbit")
    orbits = {}
    for survey, key, orbit in (
        alerts.filter(pl.col("orbit").is_not_null()).sort("observed_at").select(columns).rows()
    ):
        orbits[objects[survey, key].target_id] = json.loads(orbit)
    for target in BaseTarget.objects.filter(pk__in=orbits, type=BaseTarget.NON_SIDEREAL).order_by("pk"):
        orbit = orbits[target.pk]
        is_older = (target.epoch_of_elements or 0) > orbit["epoch_of_elements"]
        if not is_older and any(getattr(target, name) != value for name, value in orbit.items()):
            BaseTarget.objects.filter(pk=target.pk).update(**orbit)
