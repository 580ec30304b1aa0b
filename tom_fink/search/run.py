"""A search is run: its questions asked, the answers put together, an object a row."""

from dataclasses import dataclass

import polars as pl

from tom_fink.api import answers, lsst
from tom_fink.api.client import FinkClient
from tom_fink.decoding.decode import MESSAGE
from tom_fink.errors import QueryRefused
from tom_fink.frames import ALERTS, Tidy
from tom_fink.search.answered import counted, joined, keyed, tidied
from tom_fink.search.counts import with_counts, without_counts
from tom_fink.search.fits import TOLD, parts, separation, told
from tom_fink.search.found import Found, in_order, of_objects, summary, that_fit
from tom_fink.search.names import located
from tom_fink.search.plan import Step, left, needs_tags, plan
from tom_fink.search.search import Search

MAX_COUNTED = 500  # objects whose number of detections is asked for, 50 at once


@dataclass(frozen=True)
class Answered:
    """What the questions of a step brought. rows: the alerts with what is told of them."""

    tidy: Tidy
    rows: pl.DataFrame
    end: int  # one more than the last message
    may_be_cut: bool
    notes: tuple[str, ...]
    problems: tuple[str, ...]


def run(search: Search, client: FinkClient) -> Found:
    """Ask Fink and sum up what came: up to `n` objects.

    Raises `BadQuery` for a name that cannot be resolved, and the errors of the client. Where a search asks
    several questions of one kind (classes, tags), one that Fink refuses becomes a note, if another is answered.
    """
    search, notes = located(search, client)
    steps = plan(search, _searchable_tags(client) if needs_tags(search) else ())
    answered, start = [], 0
    for step in steps:
        answered.append(_ask(step, client, search.survey, start))
        start = answered[-1].end
    rows = _fitting_together(answered).with_columns(separation(search).alias("separation_arcsec"))
    fitting = rows
    for part in parts(search, left(search, steps)):
        fits = part.fits.fill_null(False)
        if part.untold is not None:
            if fitting.select(part.untold.any()).item():
                notes += (part.note,)
            fits |= part.untold
        fitting = fitting.filter(fits)
    keys = fitting["object_key"].unique().implode()
    objects = in_order(that_fit(summary(rows.filter(pl.col("object_key").is_in(keys))), search), search)
    objects, said = _detected_enough(objects, search, client)
    notes += said
    shown = objects.head(search.n)
    return Found(
        search=search,
        objects=shown,
        tidy=of_objects(joined(one.tidy for one in answered), rows, shown["object_key"]),
        has_more=objects.height > search.n or any(one.may_be_cut for one in answered),
        notes=(*notes, *(note for one in answered for note in one.notes)),
        problems=counted(problem for one in answered for problem in one.problems),
    )


def _ask(step: Step, client: FinkClient, survey: str, start: int) -> Answered:
    """Ask the questions of a step; the messages of their rows count from `start`."""
    found, notes, refusal, is_answered, may_be_cut = [], [], None, not step.queries, False
    for query in step.queries:
        try:
            came = client.get(query)
        except QueryRefused as error:
            refusal = error
            notes.append(str(error))
            continue
        is_answered, may_be_cut = True, may_be_cut or came.may_be_cut
        found.append(tidied(came.frame, start))
        start += came.frame.height
    if not is_answered:
        raise refusal
    tidy = joined(one.tidy for one in found)
    schema = {MESSAGE: ALERTS[MESSAGE]} | TOLD
    said = pl.concat([pl.DataFrame(schema=schema), *(told(survey, one.rows) for one in found)])
    rows = keyed(tidy.alerts).join(said, on=MESSAGE, how="left", maintain_order="left")
    return Answered(
        tidy,
        rows.with_columns(
            pl.lit(step.is_latest_only).alias("is_latest_only"), pl.lit(step.is_complete).alias("is_complete")
        ),
        start,
        may_be_cut,
        tuple(notes),
        tuple(problem for one in found for problem in one.problems),
    )


def _fitting_together(answered: list[Answered]) -> pl.DataFrame:
    """The rows of objects that are in every answer; each alert once."""
    rows = pl.concat([one.rows for one in answered])
    for one in answered if len(answered) > 1 else ():
        rows = rows.filter(pl.col("object_key").is_in(one.rows["object_key"].unique().implode()))
    return rows.unique(["survey", "alert_id"], keep="first", maintain_order=True)


def _detected_enough(
    objects: pl.DataFrame, search: Search, client: FinkClient
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Objects with the least number of detections, which is asked for where the rows do not tell it."""
    if search.min_detections <= 1:
        return objects, ()
    number = pl.max_horizontal("detection_count", "alerts_came")
    unsure = without_counts(objects.filter(number < search.min_detections))["object_key"]
    is_asked = pl.col("object_key").is_in(unsure.head(MAX_COUNTED).implode())
    asked = with_counts(objects.filter(is_asked), client)
    objects = in_order(pl.concat([objects.filter(~is_asked), asked]), search)
    enough = (number >= search.min_detections) | pl.col("detection_count").is_null()
    kept = objects.filter(enough)
    if kept["detection_count"].null_count():
        return kept, (
            "Fink does not say of all that came how often it was detected; such objects are shown.",
        )
    return kept, ()


def _searchable_tags(client: FinkClient) -> tuple[str, ...]:
    known = client.get(lsst.tags(), answers.tags)
    return tuple(sorted(name for name, tag in known.items() if tag.is_searchable))
