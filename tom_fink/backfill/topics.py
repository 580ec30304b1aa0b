"""What to ask Fink's databases for the alerts of a topic.

Rubin's topics are tags of its service, of which some cannot be searched for. ZTF's topics are made by filters, and
its service knows classes: where a class has the filter's own condition, it stands for the topic here, with those
that rank above it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from tom_fink.api import answers, lsst, ztf
from tom_fink.api.client import FinkClient
from tom_fink.api.query import Query
from tom_fink.errors import BadQuery
from tom_fink.fields import pick
from tom_fink.text import printable

TOPIC = re.compile("fink_([A-Za-z0-9_]+?)_(ztf|lsst)")
OF_SURVEY = {"ztf": "ZTF", "lsst": "Rubin"}

# How long after an observation all of its night is in Fink's databases. ZTF's are loaded once a day, after the night:
# a night has up to 14 hours, and half a day more is left for the loading. Rubin's are loaded as alerts come; some come
# late. See "freshness" in Fink's documentation of its services.
LOADED_WITHIN = {"ztf": timedelta(hours=36), "lsst": timedelta(hours=2)}

Cut = Callable[[pl.Schema], pl.Expr]


def _above(name: str, limit: float) -> Cut:
    return lambda schema: pick(schema, name, pl.Float64) > limit


def _at_most(name: str, limit: float) -> Cut:
    return lambda schema: pick(schema, name, pl.Float64) <= limit


def _is(name: str, value: int) -> Cut:
    return lambda schema: pick(schema, name, pl.Int64) == value


def _is_supernova(schema: pl.Schema) -> pl.Expr:
    """Which of the two networks Fink's words leave open: either."""
    return pl.any_horizontal(
        (pick(schema, name, pl.Float64) > 0.5) for name in ("snn_sn_vs_all", "snn_snia_vs_nonia")
    )


def _younger_than(days: float) -> Cut:
    return lambda schema: pick(schema, "jd", pl.Float64) - pick(schema, "jdstarthist", pl.Float64) <= days


@dataclass(frozen=True)
class Filter:
    """One of ZTF's filters, in the words of its classes. An alert has one class, the highest in rank."""

    classes: tuple[str, ...]  # those that have the filter's scores for a condition
    above: tuple[
        str, ...
    ] = ()  # those that an alert of the filter has instead, where another thing fires, too
    scores: tuple[Cut, ...] = ()  # what tells the filter's alerts among those `above`
    cuts: tuple[Cut, ...] = ()  # what the filter has beside the condition of `classes`


# In rising rank: Microlensing, SN, Early SN Ia, Kilonova, Solar System candidate (roid 2), Tracklet, Solar System MPC
# (roid 3). Where more than one of lensing, supernova and a body fires, the class is Ambiguous.
# A known body is no transient: its class, which has thousands of alerts a night, is not asked for one.
CLASSES = {
    "early_sn_candidates": Filter(
        ("Early SN Ia candidate",),
        ("Kilonova candidate", "Solar System candidate", "Tracklet", "Ambiguous"),
        (_above("rf_snia_vs_nonia", 0.5), _is_supernova),
        (_at_most("ndethist", 20), _above("drb", 0.5), _above("classtar", 0.4)),
    ),
    "sn_candidates": Filter(
        ("SN candidate", "Early SN Ia candidate"),
        ("Kilonova candidate", "Tracklet", "Ambiguous"),
        (_is_supernova, lambda schema: ~_is("roid", 3)(schema)),
        (_above("ndethist", 1), _younger_than(90)),
    ),
    "kn_candidates": Filter(
        ("Kilonova candidate",),
        ("Solar System candidate", "Tracklet", "Ambiguous"),
        (_above("rf_kn_vs_nonkn", 0.5),),
        (_younger_than(5),),
    ),
    "microlensing_candidates": Filter(
        ("Microlensing candidate",),
        ("Early SN Ia candidate", "Kilonova candidate", "Tracklet", "Ambiguous"),
        (_above("mulens", 0.0),),
    ),
    "sso_ztf_candidates": Filter(("Solar System MPC",), ("Ambiguous",), (_is("roid", 3),)),
    "sso_fink_candidates": Filter(("Solar System candidate",), ("Tracklet", "Ambiguous"), (_is("roid", 2),)),
    "blazar": Filter(
        tuple(f"(SIMBAD) {one}" for one in ("Blazar", "BLLac", "Blazar_Candidate", "BLLac_Candidate"))
    ),
}


@dataclass(frozen=True)
class Source:
    """Where a topic's alerts are to be had."""

    topic: str
    survey: str  # ztf or lsst
    labels: tuple[str, ...]  # classes or the tag
    filter: Filter | None = None  # ZTF's

    @property
    def note(self) -> str:
        """What may be missing of what it brings; empty for nothing."""
        if self.filter is None or not self.filter.above:
            return ""
        classes, above = (
            ", ".join(f"'{label}'" for label in labels) for labels in (self.filter.classes, self.filter.above)
        )
        return (
            f"Fink's ZTF service has no topics: {self.topic} is filled from class {classes}, and by the filter's own "
            f"cuts from those that rank above ({above}). Not found are alerts whose class is a type of SIMBAD's, those "
            "that rank above without the scores that tell, and known Solar System bodies in a topic of transients."
        )

    @property
    def loaded_within(self) -> timedelta:
        """How long after an observation Fink's databases surely have it."""
        return LOADED_WITHIN[self.survey]

    def queries(self, start: datetime, stop: datetime, n: int) -> list[tuple[str, Query]]:
        """The questions for the alerts between two times, by class or tag; each brings the newest `n`."""
        latest: Callable[..., Query] = ztf.latest if self.survey == "ztf" else lsst.latest
        return [(label, latest(label, n, start, stop)) for label in self.labels]

    def belongs(self, rows: pl.DataFrame, label: str) -> pl.DataFrame:
        """Those rows of a class (`tom_fink.api.rows`) that the topic's filter sends too.

        What has no value passes where the class itself says that the filter's scores are there, and nowhere else.
        """
        if self.filter is None:
            return rows
        schema = rows.schema
        is_sent = [cut(schema).fill_null(True) for cut in self.filter.cuts]
        if label not in self.filter.classes:
            is_sent += [cut(schema).fill_null(False) for cut in self.filter.scores]
        return rows.filter(is_sent) if is_sent else rows


def full_name(topic: str, survey: str | None) -> tuple[str, str]:
    """A topic and its survey: of its name, or of a filter's name and `survey`.

    Raises `BadQuery` for a name that is no topic's, or one of the other survey.
    """
    topic = topic.strip()
    found = TOPIC.fullmatch(topic)
    if found is None and survey and re.fullmatch("[A-Za-z0-9_]+", topic) and not topic.startswith("fink_"):
        return f"fink_{topic}_{survey}", survey
    if found is None:
        said = "A topic is fink_…_ztf or fink_…_lsst, or the name of a filter with --survey"
        raise BadQuery(f"{said}, not '{printable(topic, 100)}'.{_multi_messenger(topic)}", "topic")
    if survey and survey != found[2]:
        raise BadQuery(
            f"{topic} is a topic of {OF_SURVEY[found[2]]}'s, not of {OF_SURVEY[survey]}'s.", "survey"
        )
    return topic, found[2]


def source_of(topic: str, survey: str | None, client: FinkClient) -> Source:
    """Where the alerts of a topic are to be had; Rubin's service is asked for its tags.

    Raises `BadQuery` for a topic that cannot be had, with those that can, and the errors of the client.
    """
    name, survey = full_name(topic, survey)
    label = TOPIC.fullmatch(name)[1]
    if survey == "ztf":
        if label not in CLASSES:
            can = ", ".join(f"fink_{one}_ztf" for one in CLASSES)
            raise BadQuery(
                f"Fink's ZTF service has no class that stands for {name}. Topics that can be filled: {can}.",
                "topic",
            )
        known = CLASSES[label]
        return Source(name, survey, (*known.classes, *known.above), known)
    tags = client.get(lsst.tags(), answers.tags)
    can = ", ".join(f"fink_{one}_lsst" for one, tag in sorted(tags.items()) if tag.is_searchable)
    if label not in tags:
        raise BadQuery(
            f"Fink's Rubin service has no tag for {name}. Topics that can be filled: {can}.", "topic"
        )
    if not tags[label].is_searchable:
        raise BadQuery(
            f"Fink's Rubin service does not search for the alerts of {name}. Topics that can be filled: {can}.",
            "topic",
        )
    return Source(name, survey, (label,))


def _multi_messenger(topic: str) -> str:
    if re.match("fink_(?:grb|gw)_", topic):
        return " Fink's services do not have multi-messenger alerts."
    return ""
