"""The alerts of a topic between two times, oldest first, in parts that are small enough to lose.

Fink gives the newest rows of an interval and has no pages: an interval that has more is halved. So is one whose
answer is too large, or does not come in time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from tom_fink.api import checks
from tom_fink.backfill.client import GentleClient
from tom_fink.backfill.topics import Source
from tom_fink.decoding.decode import MESSAGE
from tom_fink.errors import BadAnswer, QueryRefused, TooSlow
from tom_fink.frames import DETECTIONS, Tidy
from tom_fink.search.aliases import other_names
from tom_fink.search.answered import counted, joined, tidied
from tom_fink.search.fetch import OBJECTS_AT_ONCE, light_curves

FIRST_SPAN = timedelta(days=1)
LONGEST_SPAN = timedelta(days=8)
SHORTEST_SPAN = timedelta(seconds=2)  # Fink takes whole seconds
SHORTEST_READ = timedelta(hours=1)  # what cannot be read or is late may be too large; below this it is not
LONGER_AFTER = 8  # intervals that were in time, before a longer one is tried again
ALERTS_OF_A_PART = 100


@dataclass(frozen=True)
class Part:
    """Alerts, oldest first. All that the topic has before `until` is in this part or in one before."""

    tidy: Tidy
    until: datetime
    problems: tuple[str, ...] = ()


def parts_between(
    source: Source,
    start: datetime,
    stop: datetime,
    client: GentleClient,
    *,
    size: int = ALERTS_OF_A_PART,
    n: int = checks.MAX_ROWS,
) -> Iterator[Part]:
    """The alerts of a topic from `start` to `stop`, with their own points alone.

    The last part's `until` is `stop`. n: rows of an answer. Raises the errors of the client.
    """
    span, longest, in_time = FIRST_SPAN, LONGEST_SPAN, 0
    while start < stop:
        end = min(start + span, stop)
        is_shortest = end - start <= SHORTEST_SPAN
        can_be_less = end - start > SHORTEST_READ
        try:
            window = _window(source, start, end, client, n, can_be_less)
        except (BadAnswer, TooSlow):
            if not can_be_less:
                raise
            span = longest = max((end - start) / 2, SHORTEST_READ)
            in_time = 0
            continue
        if window.is_cut and not is_shortest:
            span = max((end - start) / 2, SHORTEST_SPAN)
            continue
        problems = window.problems
        if window.is_cut:
            problems += (f"Fink has more than {n} alerts of {start:%Y-%m-%d %H:%M:%S} and sends no more.",)
        yield from _sliced(window.tidy, end, size, problems)
        start = end
        in_time += 1
        if in_time % LONGER_AFTER == 0:
            longest = min(2 * longest, LONGEST_SPAN)
        if window.rows < n // 4:
            span = min(2 * span, longest)


def with_histories(
    source: Source, part: Part, client: GentleClient, fetched: set[str], *, aliases: bool = False
) -> tuple[Part, dict[str, tuple[str, ...]]]:
    """A part with the whole light curves of its objects, as the stream's alerts have them, and their other names.

    fetched: ids of objects whose light curves came already; grows. A body's alerts keep their own points. What Fink
    refuses or sends damaged becomes a problem: such alerts have their own points. Raises the client's other errors.
    """
    alerts, problems = part.tidy.alerts, list(part.problems)
    static = alerts.filter(pl.col("body").is_null(), pl.col("problem").is_null())
    ids = [one for one in static["object_id"].unique(maintain_order=True) if one not in fetched]
    points = [part.tidy.detections]
    newest = static.sort("observed_at", "alert_id").group_by("object_id").agg(pl.col(MESSAGE).last())
    for at in range(0, len(ids), OBJECTS_AT_ONCE):
        some = ids[at : at + OBJECTS_AT_ONCE]
        fetched.update(some)  # one that Fink refuses is not asked for again
        try:
            curves = light_curves(source.survey, some, client, problems)
        except (QueryRefused, BadAnswer) as error:
            problems.append(str(error))
            continue
        points.append(curves.drop(MESSAGE).join(newest, on="object_id").select(list(DETECTIONS)))
    names = {}
    if aliases and ids:
        named, said = other_names(source.survey, alerts.filter(pl.col("object_id").is_in(ids)), client)
        names, problems = named, [*problems, *said]
    tidy = Tidy(alerts, pl.concat(points).unique(maintain_order=True))
    return Part(tidy, part.until, counted(problems)), names


@dataclass(frozen=True)
class _Window:
    tidy: Tidy
    rows: int
    is_cut: bool
    problems: tuple[str, ...]


def _window(
    source: Source, start: datetime, end: datetime, client: GentleClient, n: int, can_be_less: bool
) -> _Window:
    found, count, is_cut = [], 0, False
    for label, query in source.queries(start, end, n):
        came = client.get(query, can_be_less=can_be_less)
        is_cut = is_cut or came.may_be_cut
        found.append(tidied(source.belongs(came.frame, label), count))
        count += came.frame.height
        if is_cut and end - start > SHORTEST_SPAN:
            break  # the rest is asked for with the shorter interval
    problems = counted(problem for one in found for problem in one.problems)
    return _Window(joined(one.tidy for one in found), count, is_cut, problems)


def _sliced(tidy: Tidy, end: datetime, size: int, problems: tuple[str, ...]) -> Iterator[Part]:
    alerts = tidy.alerts.filter(pl.col("problem").is_null()).sort("observed_at", "alert_id")
    starts = range(0, alerts.height, size) if alerts.height else (0,)
    for at in starts:
        some = alerts.slice(at, size)
        points = tidy.detections.filter(pl.col(MESSAGE).is_in(some[MESSAGE].implode()))
        until = end if at + size >= alerts.height else alerts["observed_at"][at + size]
        # With the first, as a run may be stopped before the last.
        yield Part(Tidy(some, points), until, () if at else problems)
