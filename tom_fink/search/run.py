"""A search is run: its questions asked, the answers put together, an object a row."""

from dataclasses import dataclass, replace

import polars as pl

from tom_fink.api import answers, lsst
from tom_fink.api.client import FinkClient
from tom_fink.decoding.decode import MESSAGE
from tom_fink.errors import BadAnswer, QueryRefused, ServiceUnavailable
from tom_fink.fields import text
from tom_fink.frames import ALERTS, Tidy
from tom_fink.search.answered import counted, empty, joined, keyed, tidied
from tom_fink.search.bodies import of_body
from tom_fink.search.counts import with_counts, without_counts
from tom_fink.search.fits import TOLD, parts, separation, told
from tom_fink.search.found import OBJECTS, Found, in_order, of_objects, summary, that_fit
from tom_fink.search.names import located
from tom_fink.search.plan import Step, by_ids, left, needs_tags, plan
from tom_fink.search.search import Search

MAX_BY_ID = 200  # objects of a cone without alerts' ids, whose alerts are asked for
ID_COLUMNS = {"ztf": ("candid", "objectId"), "lsst": ("diaSourceId", "diaObjectId")}
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
    several questions of one kind (classes, tags), one that fails becomes a note, if another is answered; after one
    that is not answered in time no more is asked.
    """
    its = located(search, client)
    search, notes = its.search, its.notes
    if its.is_impossible:
        return Found(search, pl.DataFrame(schema=OBJECTS), empty(), False, notes)
    steps = plan(search, _searchable_tags(client) if needs_tags(search) else ())
    answered, start = [], 0
    for step in steps:
        answered.append(_ask(step, client, search, start))
        start = answered[-1].end
    rows = _fitting_together(answered).with_columns(
        separation(search.ra_deg, search.dec_deg).alias("separation_arcsec"),
        pl.col("event_at").max(),  # told by the rows of the sky map alone
    )
    fitting = rows
    if its.near is not None:
        fitting = rows.filter(separation(its.near.ra_deg, its.near.dec_deg) <= search.radius)
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


def _ask(step: Step, client: FinkClient, search: Search, start: int) -> Answered:
    """Ask the questions of a step; the messages of their rows count from `start`."""
    survey = search.survey
    found, notes, refusal, is_answered, may_be_cut = [], [], None, not step.queries, False
    for number, query in enumerate(step.queries):
        try:
            came = client.get(query)
        except (QueryRefused, BadAnswer) as error:
            refusal = error
            may_be_cut = may_be_cut or isinstance(error, BadAnswer)
            notes.append(str(error))
            continue
        except ServiceUnavailable as error:
            if not is_answered:
                raise
            # Each of the rest would take as long.
            missing = ", ".join(query.what for query in step.queries[number:])
            notes.append(f"{error} Missing here: {missing}.")
            may_be_cut = True
            break
        is_answered, may_be_cut = True, may_be_cut or came.may_be_cut
        rows = of_body(search.body, came.frame) if step.criterion == "body" else came.frame
        if step.criterion == "cone" and _lacks_alerts(survey, rows):
            ids = rows.select(text(rows.schema, ID_COLUMNS[survey][1])).to_series().drop_nulls()
            ids = ids.unique(maintain_order=True)
            its = _ask(by_ids(step, survey, ids.head(MAX_BY_ID).to_list()), client, search, start)
            return replace(its, may_be_cut=its.may_be_cut or may_be_cut or len(ids) > MAX_BY_ID)
        found.append(tidied(rows, start))
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


def _lacks_alerts(survey: str, rows: pl.DataFrame) -> bool:
    """Whether rows are of objects and do not say of which alerts; of a cone Fink does not promise that they do."""
    ids = rows.select(text(rows.schema, name).alias(name) for name in ID_COLUMNS[survey])
    alert_id, object_id = ID_COLUMNS[survey]
    return ids[object_id].count() > 0 and ids[alert_id].count() == 0


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
