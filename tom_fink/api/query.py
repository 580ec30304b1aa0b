"""One question to one of Fink's endpoints, as data. Nothing is sent here."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tom_fink.api import checks
from tom_fink.surveys import lsst, ztf
from tom_fink.text import printable

SURVEY_NAMES = {"ztf": ztf.NAME, "lsst": lsst.NAME}
WIDE_ARCSEC = 1800  # beyond it a cone asks for fewer columns
SMALLER = "Make the radius smaller."
LIST_BYTES = 2 * 1024 * 1024  # of a list of classes, tags or columns; Fink's have some tens of kB


@dataclass(frozen=True)
class Query:
    """What is asked of an endpoint. Without a payload it is a GET, else a POST of JSON."""

    survey: str  # ztf or lsst
    endpoint: str
    what: str  # in words, for messages: "the alerts of ZTF26aamcbly"
    payload: dict[str, Any] = field(default_factory=dict)
    limit: int | None = None  # with so many rows, of one of the ids in `only`, Fink may have more
    only: tuple[str, frozenset[str]] | None = None  # a column and the ids that were asked for
    max_bytes: int | None = None  # of the answer, where it is known to be small
    less: str = "Ask for less."  # what to do if the answer is too large or comes too late

    def problem(self, happened: str, advice: str) -> str:
        """A sentence for people: who was asked for what, what happened, what to do."""
        name = SURVEY_NAMES[self.survey]
        return f"Fink's {name} service was asked for {printable(self.what, 200)} {happened}. {advice}"


def row_query(
    survey: str,
    endpoint: str,
    what: str,
    payload: dict[str, Any],
    columns: Iterable[str],
    limit: int = checks.MAX_ROWS,
    only: tuple[str, frozenset[str]] | None = None,
    less: str = Query.less,
) -> Query:
    """A question whose answer is rows of `columns`. Without these Fink would compute and send all it has."""
    rest = {"columns": ",".join(columns), "output-format": "json"}
    return Query(survey, endpoint, what, payload | rest, limit, only, less=less)
