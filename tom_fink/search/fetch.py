"""Objects whole: all their alerts, their light curves, other names and cutouts, for what is kept of a search."""

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import polars as pl

from tom_fink.api import checks, lsst, ztf
from tom_fink.api.client import FinkClient
from tom_fink.api.rows import Rows
from tom_fink.decoding.decode import MESSAGE
from tom_fink.errors import ApiError, BadAnswer, BadQuery, QueryRefused
from tom_fink.fields import text
from tom_fink.frames import DETECTIONS, Tidy
from tom_fink.search.aliases import other_names
from tom_fink.search.answered import counted, empty, joined, tidied
from tom_fink.search.bodies import of_body
from tom_fink.search.cutouts import with_cutouts
from tom_fink.search.found import POINT
from tom_fink.search.halves import in_halves
from tom_fink.surveys import lsst as lsst_survey
from tom_fink.surveys import ztf as ztf_survey
from tom_fink.surveys._names import OBJECT_ID, RUBIN_ID, SAFE_NAME, ZTF_ID

logger = logging.getLogger(__name__)

MODULES = {"ztf": ztf, "lsst": lsst}
IDS = {"ztf": ("objectId", ZTF_ID), "lsst": ("diaObjectId", RUBIN_ID)}
OBJECTS_AT_ONCE = 10  # objects of a part: of ten with 1,000 alerts each an answer has half of what is read
MAX_NAMES_SERVED = 2  # a name and a number: with more, the answer is not of one body
CUT = "Fink may have more of %s than it sends."
POINTS = [name for name in DETECTIONS if name != MESSAGE]


@dataclass(frozen=True)
class Whole:
    """Objects as the store takes them.

    The points of an object, its whole light curve, are those of its newest alert, as a stream's alert has its
    history. Of a body each alert has its own. `asked` are the names that were asked for, `missing`
    those of which nothing came: Fink has nothing, or `problems` say why.
    """

    tidy: Tidy
    asked: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by `object_key`
    problems: tuple[str, ...] = ()
    failed: dict[str, ApiError] = field(
        default_factory=dict
    )  # those of `missing` that may be there all the same


def fetch(
    survey: str, names: Iterable[str], client: FinkClient, *, cutouts: bool = False, aliases: bool = False
) -> Whole:
    """All of these objects; see `fetch_in_parts`, whose parts these are, put together."""
    parts = list(fetch_in_parts(survey, names, client, cutouts=cutouts, aliases=aliases))
    found, start = [], 0
    for part in parts:
        frames = (part.tidy.alerts, part.tidy.detections)
        moved = [frame.with_columns((pl.col(MESSAGE) + start).cast(pl.UInt32)) for frame in frames]
        found.append(Tidy(*moved))
        start += 1 + (part.tidy.alerts[MESSAGE].max() or 0)
    return Whole(
        joined(found),
        tuple(name for part in parts for name in part.asked),
        tuple(name for part in parts for name in part.missing),
        {key: names for part in parts for key, names in part.aliases.items()},
        counted(problem for part in parts for problem in part.problems),
        {name: error for part in parts for name, error in part.failed.items()},
    )


def fetch_in_parts(
    survey: str,
    names: Iterable[str],
    client: FinkClient,
    *,
    cutouts: bool = False,
    aliases: bool = False,
    at_once: int = OBJECTS_AT_ONCE,
) -> Iterator[Whole]:
    """Objects by id, `at_once` together, and bodies by number, name or designation, one by one.

    With ZTF's upper limits and Rubin's forced photometry. cutouts: of each object's first and latest alert, six
    questions an object. aliases: names that TNS has, one or two questions an object. Raises `BadQuery` before
    anything is asked, and the errors of the client, after the parts before. Where Fink refuses or answers badly
    several ids, each half is asked for by itself, and what fails alone is missing; an error if all of a part does.
    What Fink refuses of light curves, cutouts and names becomes a problem.
    """
    given = tuple(dict.fromkeys(names))
    ids = [name for name in given if re.fullmatch(IDS[survey][1], name)]
    bodies = [name for name in given if name not in set(ids)]
    for other, (_, form) in IDS.items():
        if other != survey and (foreign := [name for name in bodies if re.fullmatch(form, name)]):
            checks.object_ids(survey, foreign)  # raises, and says whose they are
    if not given:
        raise BadQuery("Say which objects to fetch.", "object_ids")
    for one in bodies:
        checks.body(one)
    asked = [ids[at : at + at_once] for at in range(0, len(ids), at_once)]
    for part in asked:
        checks.object_ids(survey, part)
    return _parts(survey, [*asked, *([one] for one in bodies)], client, cutouts, aliases)


def _parts(
    survey: str,
    asked: list[list[str]],
    client: FinkClient,
    cutouts: bool,
    aliases: bool,
) -> Iterator[Whole]:
    for whole in (whole for names in asked for whole in _wholes(survey, names, client)):
        if aliases:
            found, problems = other_names(survey, whole.tidy.alerts, client)
            known = {
                key: (*whole.aliases.get(key, ()), *found.get(key, ())) for key in {*whole.aliases, *found}
            }
            known = {key: tuple(dict.fromkeys(several)) for key, several in known.items()}
            whole = replace(whole, aliases=known, problems=counted((*whole.problems, *problems)))
        if cutouts:
            alerts, problems = with_cutouts(survey, whole.tidy.alerts, client)
            tidy = Tidy(alerts, whole.tidy.detections)
            whole = replace(whole, tidy=tidy, problems=counted((*whole.problems, *problems)))
        yield whole


def _wholes(survey: str, names: list[str], client: FinkClient) -> list[Whole]:
    """A part; as several if Fink refuses it as one."""
    found, failed = in_halves(names, lambda some: _whole(survey, some, client))
    if failed:
        alone = tuple(failed)
        said = counted(str(error) for error in failed.values())
        found.append(Whole(empty(), alone, alone, {}, said, dict(failed)))
    return found


def light_curve(survey: str, name: str, client: FinkClient) -> pl.DataFrame:
    """All points of one object or body (frames.DETECTIONS, `message` without meaning), oldest first.

    Empty if Fink has nothing of it. Raises as `fetch_in_parts` does.
    """
    if re.fullmatch(IDS[survey][1], name):
        found = light_curves(survey, [name], client)
    else:
        came = client.get(MODULES[survey].body(name))
        if came.may_be_cut:
            logger.warning(CUT, f"the alerts of {name}")
        found = _points(survey, of_body(name, came.frame), "detection")
    return found.drop("object_id", strict=False).unique(POINTS, maintain_order=True).sort("observed_at")


def light_curves(
    survey: str, ids: Iterable[str], client: FinkClient, problems: list[str] | None = None
) -> pl.DataFrame:
    """The points of several objects: frames.DETECTIONS with their `object_id`; forced ones and limits too.

    problems: takes what Fink refuses of some of the objects or of the forced photometry, and what it may have more of;
    without, that is logged. Raises the errors of the client, a refusal if all of ten objects are refused.
    """
    said: list[str] = []
    found, ids = [_no_points()], list(ids)
    for at in range(0, len(ids), OBJECTS_AT_ONCE):
        part = ids[at : at + OBJECTS_AT_ONCE]
        curves, failed = _curves(survey, part, client, "detection", said)
        found.append(curves)
        if survey == "lsst" and (rest := [one for one in part if one not in failed]):
            found.append(_forced(rest, client, said))
    if problems is None:
        for one in counted(said):
            logger.warning("%s", one)
    else:
        problems += said
    return pl.concat(found)


def sparklines(points: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Points of `light_curves` by object: those with a brightness, with the fields of `Found.objects`' points."""
    shown = points.filter(pl.col("mag_ab").is_not_null()).sort("observed_at")
    fields = list(POINT.to_schema())
    return {key: group.select(fields) for (key,), group in shown.group_by("object_id", maintain_order=True)}


def _whole(survey: str, names: list[str], client: FinkClient) -> Whole:
    is_body = not re.fullmatch(IDS[survey][1], names[0])
    came = client.get(MODULES[survey].body(names[0]) if is_body else MODULES[survey].alerts(names))
    rows = of_body(names[0], came.frame) if is_body else came.frame
    found = tidied(rows)
    alerts, problems = found.tidy.alerts, list(found.problems)
    if came.may_be_cut:
        problems.append(CUT % f"the alerts of {', '.join(names)}")
    if is_body:
        # Each alert has its own point: where a body was not seen is of the place, and not of the body.
        tidy = Tidy(_with_names_served(rows, alerts), found.tidy.detections)
        return Whole(tidy, tuple(names), tuple(names) if alerts.is_empty() else (), {}, counted(problems))
    points, said = _light_curves_of(survey, names, came, client)
    by_time = alerts.sort("observed_at", "alert_id")
    newest = by_time.group_by("object_id").agg(pl.col(MESSAGE).last().alias("newest"))
    points = points.join(newest, on="object_id").with_columns(pl.col("newest").alias(MESSAGE))
    points = points.select(list(DETECTIONS)).unique(maintain_order=True)
    known = set(alerts["object_id"])
    missing = tuple(name for name in names if name not in known)
    return Whole(Tidy(alerts, points), tuple(names), missing, {}, counted((*problems, *said)))


def _light_curves_of(
    survey: str, names: list[str], came: Rows, client: FinkClient
) -> tuple[pl.DataFrame, list[str]]:
    """The points of these objects with `object_id`, and what Fink refused: of that there are the alerts' own points."""
    said: list[str] = []
    own = _of_ids(survey, came, "detection")
    if survey == "lsst":  # its alerts are its light curve
        return pl.concat([own, _forced(names, client, said)]), said
    found, failed = _no_points(), set(names)
    try:
        found, failed = _curves(survey, names, client, "detection", said)
    except (QueryRefused, BadAnswer) as error:
        said.append(str(error))
    return pl.concat([found, own.filter(pl.col("object_id").is_in(list(failed)))]), said


def _forced(ids: list[str], client: FinkClient, said: list[str]) -> pl.DataFrame:
    """The forced photometry of Rubin objects; `said` takes what is refused of it."""
    try:
        return _curves("lsst", ids, client, "forced", said)[0]
    except (QueryRefused, BadAnswer) as error:
        said.append(str(error))
        return _no_points()


def _curves(
    survey: str, ids: list[str], client: FinkClient, kind: str, said: list[str]
) -> tuple[pl.DataFrame, set[str]]:
    """The points of up to ten objects, and those that Fink refused; `said` takes why. Raises if it refused all."""

    def get(some: list[str]) -> pl.DataFrame:
        query = lsst.forced(some) if kind == "forced" else MODULES[survey].light_curve(some)
        came = client.get(query)
        if came.may_be_cut:
            said.append(CUT % query.what)
        return _of_ids(survey, came, kind)

    found, failed = in_halves(ids, get)
    said += map(str, failed.values())
    return pl.concat([_no_points(), *found]), set(failed)


def _no_points() -> pl.DataFrame:
    return pl.DataFrame(schema={"object_id": pl.String} | DETECTIONS)


def _of_ids(survey: str, came: Rows, kind: str) -> pl.DataFrame:
    ids = came.frame.select(MESSAGE, text(came.frame.schema, IDS[survey][0]).alias("object_id"))
    points = _points(survey, came.frame, kind).join(ids, on=MESSAGE, maintain_order="left")
    return points.select("object_id", *DETECTIONS)


def _points(survey: str, rows: pl.DataFrame, kind: str) -> pl.DataFrame:
    return ztf_survey.points(rows) if survey == "ztf" else lsst_survey.points(rows, kind)


def _with_names_served(rows: pl.DataFrame, alerts: pl.DataFrame) -> pl.DataFrame:
    """A body's alerts with its name and number as other names, which ZTF's service sends with them.

    ZTF itself writes now one and now the other, and by them both are found to be the same target.
    """
    served = rows.select(text(rows.schema, name).alias(name) for name in ("sso_name", "sso_number"))
    names = sorted({name for column in served for name in column.drop_nulls().unique()})
    names = [name for name in names if re.fullmatch(SAFE_NAME, name) and not re.fullmatch(OBJECT_ID, name)]
    if not names or len(names) > MAX_NAMES_SERVED:
        return alerts
    others = [[name for name in names if name != body] if body else None for body in alerts["body"]]
    others = [given or None for given in others]
    given = pl.Series("given", others, dtype=pl.List(pl.String))
    return alerts.with_columns(pl.coalesce("body_aliases", given).alias("body_aliases"))
