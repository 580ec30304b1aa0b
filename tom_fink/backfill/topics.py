"""What to ask Fink's databases for the alerts of a topic.

Rubin's topics are tags of its service, of which some cannot be searched for. ZTF's topics are made by filters, and
its service knows classes: where a class has the filter's own condition, it stands for the topic here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from tom_fink.api import answers, lsst, ztf
from tom_fink.api.client import FinkClient
from tom_fink.api.query import Query
from tom_fink.errors import BadQuery
from tom_fink.fields import pick
from tom_fink.text import printable

TOPIC = re.compile("fink_([A-Za-z0-9_]+?)_(ztf|lsst)")
OF_SURVEY = {"ztf": "ZTF", "lsst": "Rubin"}

# Fink's filters and classes: an alert has one class, the highest in rank (a supernova that is also an early one
# is the latter), unless SIMBAD knows a type, which then is the class.
CLASSES = {
    "early_sn_candidates": ("Early SN Ia candidate",),
    "sn_candidates": ("SN candidate", "Early SN Ia candidate"),
    "kn_candidates": ("Kilonova candidate",),
    "microlensing_candidates": ("Microlensing candidate",),
    "sso_ztf_candidates": ("Solar System MPC",),
    "sso_fink_candidates": ("Solar System candidate",),
    "blazar": tuple(f"(SIMBAD) {one}" for one in ("Blazar", "BLLac", "Blazar_Candidate", "BLLac_Candidate")),
}
MAX_AGE_OF_SN_DAYS = 90


@dataclass(frozen=True)
class Source:
    """Where a topic's alerts are to be had."""

    topic: str
    survey: str  # ztf or lsst
    labels: tuple[str, ...]  # classes or the tag

    @property
    def note(self) -> str:
        """What may be missing of what it brings; empty for nothing."""
        if self.survey != "ztf" or self.labels[0].startswith("(SIMBAD)"):
            return ""
        classes = " and ".join(f"'{label}'" for label in self.labels)
        return (
            f"Fink's ZTF service knows {self.topic} as class {classes}: alerts of objects that SIMBAD has a type for "
            "have that type for class, and do not come."
        )

    def queries(self, start: datetime, stop: datetime, n: int) -> list[Query]:
        """The questions for the alerts between two times; each brings the newest `n`."""
        latest: Callable[..., Query] = ztf.latest if self.survey == "ztf" else lsst.latest
        return [latest(label, n, start, stop) for label in self.labels]

    def belongs(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Those rows (`tom_fink.api.rows`) that the topic's filter sends too, where a class is wider than it."""
        if self.topic != "fink_sn_candidates_ztf":
            return rows
        schema = rows.schema
        detections = pick(schema, "ndethist", pl.Int64)
        age_days = pick(schema, "jd", pl.Float64) - pick(schema, "jdstarthist", pl.Float64)
        # sn_candidates: more than one detection, of the last 90 days
        is_sent = (detections > 1) & (age_days <= MAX_AGE_OF_SN_DAYS)
        return rows.filter(is_sent.fill_null(True))


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
        return Source(name, survey, CLASSES[label])
    known = client.get(lsst.tags(), answers.tags)
    can = ", ".join(f"fink_{one}_lsst" for one, tag in sorted(known.items()) if tag.is_searchable)
    if label not in known:
        raise BadQuery(
            f"Fink's Rubin service has no tag for {name}. Topics that can be filled: {can}.", "topic"
        )
    if not known[label].is_searchable:
        raise BadQuery(
            f"Fink's Rubin service does not search for the alerts of {name}. Topics that can be filled: {can}.",
            "topic",
        )
    return Source(name, survey, (label,))


def _multi_messenger(topic: str) -> str:
    if re.match("fink_(?:grb|gw)_", topic):
        return " Fink's services do not have multi-messenger alerts."
    return ""
