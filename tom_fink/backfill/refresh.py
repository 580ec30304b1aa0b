"""Targets brought up to date: all that Fink's databases have of them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl
from django.db import transaction
from tom_targets.models import BaseTarget, TargetName

from tom_fink.api.client import FinkClient
from tom_fink.backfill.fill import add, count_names
from tom_fink.backfill.report import Report
from tom_fink.errors import ApiError, BadAnswer, BadQuery, QueryRefused
from tom_fink.frames import Tidy
from tom_fink.models import FinkObject
from tom_fink.search import fetch, identify, light_curve
from tom_fink.search.fetch import IDS
from tom_fink.store import store_found, store_light_curve
from tom_fink.surveys import lsst, ztf
from tom_fink.surveys._names import OBJECT_ID
from tom_fink.text import printable

SURVEYS = {"ztf": ztf, "lsst": lsst}
REFUSALS = (QueryRefused, BadAnswer, BadQuery)  # of one target, which the others do not suffer from


MAX_NAMES = 5  # of a body, which are asked for one after the other
NUMBERED = re.compile(r"\(([0-9]{1,9})\) *(.*)|([0-9]{1,9}) +([A-Z][a-z].*)")  # (433) Eros, and not 2004 JQ12


@dataclass
class Chunk:
    """Some targets, and what of them Fink is to be asked for."""

    targets: list[BaseTarget]
    names: dict[str, dict[str, int]] = field(default_factory=dict)  # by survey: objects with their target
    near: list[tuple[str, list[str], BaseTarget]] = field(
        default_factory=list
    )  # survey, its names there, target
    answered: set[tuple[str, int]] = field(
        default_factory=set
    )  # survey and target, where a name of it led to more
    failed: set[int] = field(default_factory=set)  # targets that could not be asked for
    known: set[int] = field(default_factory=set)  # targets of which Fink has something


def refresh(targets: Iterable[BaseTarget], client: FinkClient, report: Report) -> Chunk:
    """Fetch and store what Fink has of some targets, each request's objects in a transaction.

    An object of Fink's that is linked to a target, or whose id is the target's name or alias, is stored whole: its
    alerts, light curve and names. Where a survey has no such object, what is at a target's place there, or the body
    of its names, gives its light curve. Counts in `report` what is new. What Fink refuses is a problem of its
    target. Raises the client's other errors, and the database's.
    """
    chunk = Chunk(list(targets))
    aliases = _look_up(chunk)
    for survey, names in chunk.names.items():
        ids = [name for name in names if re.fullmatch(IDS[survey][1], name)]
        if ids:
            _fetch(chunk, survey, ids, client, report)
        for body in names.keys() - set(ids):
            _fetch(chunk, survey, [body], client, report)
    for target in chunk.targets:
        for survey in SURVEYS:
            if (survey, target.pk) not in chunk.answered:
                _look_at(chunk, survey, target, aliases.get(target.pk, []), client, report)
    for survey, names, target in chunk.near:
        _light_curve(chunk, survey, names, target, client, report)
    return chunk


def _look_up(chunk: Chunk) -> dict[int, list[str]]:
    """Find which of Fink's objects the targets are by link, name or alias; returns the aliases by target."""
    keys = [target.pk for target in chunk.targets]
    chunk.names = {survey: {} for survey in SURVEYS}
    linked = FinkObject.objects.filter(target__in=keys, survey__in=SURVEYS).order_by("pk")
    for survey, object_id, key in linked.values_list("survey", "object_id", "target_id"):
        chunk.names[survey][object_id] = key
    aliases: dict[int, list[str]] = {}
    for key, name in (
        TargetName.objects.filter(target__in=keys).order_by("pk").values_list("target_id", "name")
    ):
        aliases.setdefault(key, []).append(name)
    for target in chunk.targets:
        for name in [target.name, *aliases.get(target.pk, [])]:
            for survey, (_, form) in IDS.items():
                if re.fullmatch(form, name):
                    chunk.names[survey].setdefault(name, target.pk)
    return aliases


def _look_at(
    chunk: Chunk, survey: str, target: BaseTarget, aliases: list[str], client: FinkClient, report: Report
) -> None:
    """Find what is at the place of a target, or the body of its names."""
    if target.type == BaseTarget.NON_SIDEREAL:
        if names := _names_of_body([target.name, *aliases]):
            chunk.near.append((survey, names, target))
        return
    if target.ra is None or target.dec is None:
        return
    try:
        found = identify(survey, (), client, (target.ra % 360, target.dec))
    except REFUSALS as error:
        _fail(chunk, target.pk, error, report)
        return
    if found:
        chunk.near.append((survey, found, target))


def _names_of_body(names: Iterable[str]) -> list[str]:
    """What to ask for a body by: the number before the name, where one has both."""
    found = []
    for name in names:
        parts = NUMBERED.fullmatch(name.strip())
        found += [part.strip() for part in parts.groups() if part] if parts else [name]
    found = [name for name in found if name and not re.fullmatch(OBJECT_ID, name)]
    return list(dict.fromkeys(found))[:MAX_NAMES]


def _fetch(chunk: Chunk, survey: str, names: list[str], client: FinkClient, report: Report) -> None:
    """Fetch objects whole and store them."""
    try:
        whole = fetch(survey, names, client, aliases=True)
    except REFUSALS as error:  # it was so of each
        for name in names:
            key = chunk.names[survey][name]
            _fail(chunk, key, error, report)
            chunk.answered.add((survey, key))
        return
    told = {str(error) for error in whole.failed.values()}
    report.say(problem for problem in whole.problems if problem not in told)
    for name, error in whole.failed.items():
        _fail(chunk, chunk.names[survey][name], error, report)
    tidy = whole.tidy
    if re.fullmatch(IDS[survey][1], names[0]):
        # An id may be that of a body's detection, whose alert would make a target of the body.
        tidy = Tidy(tidy.alerts.filter(pl.col("body").is_null()), tidy.detections)
        by_key = {target.pk: target for target in chunk.targets}
        of_bodies = set(whole.tidy.alerts.filter(pl.col("body").is_not_null())["object_id"])
        chunk.near += [(survey, [one], by_key[chunk.names[survey][one]]) for one in sorted(of_bodies)]
    known = {chunk.names[survey][name] for name in names if name not in whole.missing}
    chunk.known |= known
    chunk.answered |= {(survey, key) for key in known}
    _store(tidy, {**whole.aliases, **_names_of_bodies(tidy, chunk, survey, names)}, report)


def _names_of_bodies(tidy: Tidy, chunk: Chunk, survey: str, names: list[str]) -> dict[str, tuple[str, ...]]:
    """The name and number that a body is served with: the writer adds them to new targets alone."""
    moving = {target.pk for target in chunk.targets if target.type == BaseTarget.NON_SIDEREAL}
    if chunk.names[survey][names[0]] not in moving:
        return {}
    bodies = tidy.alerts.select("body", "body_aliases").drop_nulls().explode("body_aliases").unique()
    found = bodies.group_by("body").agg(pl.col("body_aliases").sort())
    return {body: tuple(several) for body, several in found.rows()}


def _store(tidy: Tidy, names: Mapping[str, tuple[str, ...]], report: Report) -> None:
    with transaction.atomic():
        named = count_names(tidy.alerts, names)
        stored = store_found(tidy, names)
        aliases = count_names(tidy.alerts, names) - named
    add(report, stored, aliases)


def _light_curve(
    chunk: Chunk, survey: str, names: list[str], target: BaseTarget, client: FinkClient, report: Report
) -> None:
    """Store the light curve of the first of these names that Fink has points of."""
    is_body = target.type == BaseTarget.NON_SIDEREAL
    for name in names:
        try:
            points = light_curve(survey, name, client)
        except REFUSALS as error:
            if is_body and _says_unknown(error):
                continue
            _fail(chunk, target.pk, error, report)
            return
        if points.is_empty():
            continue
        try:
            url = "" if is_body else f"{SURVEYS[survey].PORTAL}{name}"
            report.points += store_light_curve(target, points, survey, url)
        except BaseTarget.DoesNotExist:
            return  # deleted meanwhile
        chunk.known.add(target.pk)
        return


def _says_unknown(error: ApiError) -> bool:
    """Whether it is what comes of the name of a body that Fink does not know, or cannot."""
    return isinstance(error, BadQuery) or (isinstance(error, QueryRefused) and error.status == 400)


def _fail(chunk: Chunk, key: int, error: ApiError, report: Report) -> None:
    chunk.failed.add(key)
    name = next((target.name for target in chunk.targets if target.pk == key), key)
    report.say([f"{printable(str(name), 100)}: {error}"])
