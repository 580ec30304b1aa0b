"""Which questions answer a search, and what is left to be picked out of the answers.

Fink's endpoints take one criterion each, and some with dates. Membership of a body, a sky map or one of Rubin's
tags only Fink knows: these are always asked. Of the other criteria the most selective is asked, and the rest is
looked for in the rows.
"""

from dataclasses import dataclass
from datetime import datetime
from math import degrees, pi, sqrt

from tom_fink.api import checks, lsst, ztf
from tom_fink.api.query import Query
from tom_fink.search.search import Search

MODULES = {"ztf": ztf, "lsst": lsst}
ALWAYS_ASKED = ("body", "event", "tags")
MOST_SELECTIVE_FIRST = ("ids", "tracklet", "cone", "classes", "anomalies", "dates")
IDS_AT_ONCE = 10
LEAST_OF_A_CONE = 1000  # Fink's own default; it does not give the nearest ones of a crowded cone
MOST_OF_A_CONE = 40_000  # rows of all the parts of the sky that it covers; Fink's number is for each
ROWS_PER_RESULT = 100  # asked for, where the rest is looked for in the rows: fewer results are fewer rows
ALERTS_PER_OBJECT = 2  # asked for, where the answer has several of an object


@dataclass(frozen=True)
class Step:
    """Questions whose answers together have all that fits `criterion`, and what else Fink saw to."""

    criterion: str
    queries: tuple[Query, ...]
    covered: frozenset[str]
    is_latest_only: bool = False  # a row is the last alert of its object
    is_complete: bool = False  # all alerts of an object are in the rows


def plan(search: Search, tags: tuple[str, ...] = ()) -> list[Step]:
    """The steps of a search without a name; an object has to be in the answers of all.

    tags: those of Rubin's that can be asked for, if `needs_tags`.
    """
    given = search.criteria
    asked = [name for name in ALWAYS_ASKED if name in given]
    if not asked:
        asked = [next(name for name in MOST_SELECTIVE_FIRST if name in given)]
    n = min(search.n * ROWS_PER_RESULT, checks.MAX_ROWS)
    steps = [_step(name, search, n, tags) for name in asked]
    is_all = len(steps) == 1 and not left(search, steps) and not search.has_cuts
    if is_all:
        n = min(search.n * ALERTS_PER_OBJECT, checks.MAX_ROWS)
        return [_step(asked[0], search, n, tags)]
    return steps


def by_ids(step: Step, survey: str, ids: list[str]) -> Step:
    """The questions for all alerts of these objects, which an answer to `step` named without them."""
    parts = [ids[at : at + IDS_AT_ONCE] for at in range(0, len(ids), IDS_AT_ONCE)]
    queries = tuple(MODULES[survey].alerts(part) for part in parts)
    return Step("ids", queries, step.covered, is_complete=True)


def left(search: Search, steps: list[Step]) -> frozenset[str]:
    """The criteria that no question covers."""
    return search.criteria - frozenset().union(*(step.covered for step in steps))


def needs_tags(search: Search) -> bool:
    """Whether a search is by dates alone among Rubin's alerts, which Fink has by tag only."""
    return search.survey == "lsst" and search.criteria == {"dates"}


def _step(name: str, search: Search, n: int, tags: tuple[str, ...]) -> Step:
    module, ids = MODULES[search.survey], search.object_ids
    start, stop, dates_are_covered = _alert_dates(search)
    covered = frozenset({name} - {"dates"} | ({"dates"} if dates_are_covered else set()))
    match name:
        case "ids":
            return by_ids(Step(name, (), frozenset({name})), search.survey, list(ids))
        case "body":
            return Step(name, (module.body(search.body),), frozenset({name}), is_complete=True)
        case "tracklet":
            return Step(name, (ztf.tracklet(search.tracklet),), frozenset({name}))
        case "cone":
            return _cone(search, max(n, LEAST_OF_A_CONE))
        case "event":
            more = (search.days_before, search.days_after) if search.survey == "ztf" else ()
            query = module.in_sky_map(search.event, search.credible_level, *more)
            return Step(name, (query,), frozenset({name}), is_latest_only=True)
        case "anomalies":
            return Step(name, (ztf.anomalies(n, start, stop),), covered)
        case "classes":
            queries = tuple(ztf.latest(label, n, start, stop) for label in search.classes)
        case "tags":
            queries = tuple(lsst.latest(tag, n, start, stop) for tag in search.tags)
        case _ if search.survey == "ztf":
            queries = tuple(ztf.latest(label, n, start, stop) for label in ztf.FINK_CLASSES)
        case _:
            queries = tuple(lsst.latest(tag, n, start, stop) for tag in tags)
    return Step(name, queries, covered)


def parts_of_sky(radius_arcsec: float, nside: int) -> float:
    """About how many pixels of a HEALPix map a cone touches."""
    side_deg = degrees(sqrt(4 * pi / (12 * nside**2)))
    return pi * (radius_arcsec / 3600 / side_deg + 1) ** 2


def _cone(search: Search, n: int) -> Step:
    module = MODULES[search.survey]
    n = min(n, max(1, int(MOST_OF_A_CONE / parts_of_sky(search.radius, module.NSIDE))))
    is_of_first = search.dates_of == "first"
    # Fink takes the dates of a cone for those of the first detection.
    dates = {"start": search.start, "stop": search.stop} if is_of_first else {}
    query = module.around(search.ra_deg, search.dec_deg, search.radius, n, **dates)
    covered = frozenset({"cone", "dates"} if is_of_first else {"cone"})
    return Step("cone", (query,), covered, is_latest_only=True)


def _alert_dates(search: Search) -> tuple[datetime | None, datetime | None, bool]:
    """Between which times an alert has to be, and whether that is all that the dates ask for."""
    if search.dates_of == "alerts":
        return search.start, search.stop, True
    return search.start, None, False  # an alert is not before the first one
