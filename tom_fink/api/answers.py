"""What Fink answered, read: rows, lists and cutouts, or the error that says why there are none. Nothing is sent here.

The body is whatever came over the network. It has a bounded size already; here its depth, its shape and
what it makes in memory are.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any, NoReturn

from tom_fink.api.options import SETTINGS
from tom_fink.api.query import Query
from tom_fink.api.rows import Rows, frame_of
from tom_fink.errors import BadAnswer, QueryRefused, ServiceUnavailable, TooSlow
from tom_fink.fields import MAX_CUTOUT_BYTES
from tom_fink.text import printable

OUT_OF_ORDER = (408, 429, 502, 503, 504)
TOO_SLOW = (408, 504)
MAX_RECORDS = 200_000  # objects and lists in an answer; each takes some 200 bytes of memory
SAID_LENGTH = 300
GZIP, FITS = b"\x1f\x8b", b"SIMPLE"

# An error of Fink's is the print of a Python dictionary, whose text may be that of an exception
ERROR_TEXT = re.compile(r"^\{'status': 'error', 'text': (?:\w{1,40}\()?(['\"])(.*)\1\)?\}$", re.DOTALL)
# Rubin's service gives ZTF's address here
ADDRESS_AT_END = re.compile(r" See https?://\S{1,200}$")
TITLE = re.compile(r"<title>([^<]{1,300})</title>", re.IGNORECASE)

CHECK_WORDS = "Check the words and values of the search."
TRY_LATER = "Try again in some minutes."


@dataclass(frozen=True)
class Answer:
    """A status, a body as it came (unpacked), and where a redirect leads."""

    status: int
    body: bytes = field(repr=False)
    location: str = ""


@dataclass(frozen=True)
class Tag:
    """One of Rubin's filters, and whether its alerts can be searched for."""

    description: str
    is_searchable: bool


def rows(query: Query, answer: Answer) -> Rows:
    """The rows of an answer; none if Fink knows nothing of what was asked.

    Raises `QueryRefused`, `ServiceUnavailable` or `BadAnswer`.
    """
    found = _json(query, answer)
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        _bad(query, "and sent something else than rows")
    if len(found) == 1 and found[0].keys() == {"status"}:
        # The sky map of an event that GraceDB does not give
        _refuse(query, answer, f"and had none: “{_label(found[0]['status'])[:SAID_LENGTH]}”")
    try:
        return frame_of(query, found)
    except ValueError as error:
        _bad(query, f"and sent what cannot be read ({printable(str(error), 100)})", error)


def classes(query: Query, answer: Answer) -> dict[str, list[str]]:
    """ZTF's classes by family, in Fink's words. Raises as `rows` does."""
    return {
        _label(family): [_label(one) for one in labels if isinstance(one, str)]
        for family, labels in _object(query, answer).items()
        if isinstance(labels, list)
    }


def tags(query: Query, answer: Answer) -> dict[str, Tag]:
    """Rubin's tags. Raises as `rows` does."""
    return {
        _label(name): Tag(_label(about.get("description")), about.get("API support") is True)
        for name, about in _object(query, answer).items()
        if isinstance(about, dict)
    }


def blocks(query: Query, answer: Answer) -> dict[str, str]:
    """The bricks of Rubin's filters, each with its description. Raises as `rows` does."""
    return {_label(name): _label(about) for name, about in _object(query, answer).items()}


def schema(query: Query, answer: Answer) -> dict[str, dict[str, str]]:
    """For each family of columns, the description of each column. Raises as `rows` does."""
    return {
        _label(family): {
            _label(name): _label(about.get("doc") if isinstance(about, dict) else about)
            for name, about in columns.items()
        }
        for family, columns in _object(query, answer).items()
        if isinstance(columns, dict)
    }


def cutout(query: Query, answer: Answer) -> bytes:
    """The FITS file of a cutout, gzipped or not. Raises as `rows` does; `QueryRefused` if there is none."""
    _check(query, answer)
    if not answer.body:
        _refuse(query, answer, "and has none")
    if not answer.body.startswith((GZIP, FITS)) or len(answer.body) > MAX_CUTOUT_BYTES:
        _bad(query, "and sent no FITS file")
    return answer.body


def _check(query: Query, answer: Answer) -> None:
    """Raise the error of an answer that has no status 200."""
    status = answer.status
    if status == 200:
        return
    if 300 <= status < 400:
        address = printable(answer.location or "nowhere", 200)
        _bad(query, f"and sent us on to {address}, which is not followed (status {status})")
    if status in OUT_OF_ORDER:
        error = TooSlow if status in TOO_SLOW else ServiceUnavailable
        raise error(query.problem(f"but is out of order (status {status})", TRY_LATER))
    if status == 404:
        setting = SETTINGS[query.survey]
        _refuse(query, answer, f"and does not know it (status 404): {_said(answer)}", f"Check {setting}.")
    if status >= 500:
        _refuse(
            query,
            answer,
            f"and failed (status {status}): {_said(answer)}",
            "It fails so on names, ids and dates that it does not know. " + CHECK_WORDS,
        )
    _refuse(query, answer, f"and refused (status {status}): {_said(answer)}")


def _json(query: Query, answer: Answer) -> Any:
    _check(query, answer)
    body = answer.body
    if body.count(b"{") + body.count(b"[") > MAX_RECORDS:
        _bad(query, f"and sent more than {MAX_RECORDS} records")
    try:
        found = json.loads(body.decode(), parse_constant=lambda constant: None)
    except (ValueError, RecursionError) as error:
        if ERROR_TEXT.match(_start(answer)):
            _refuse(query, answer, f"and refused: {_said(answer)}")
        _bad(query, f"and sent no JSON: {_said(answer)}", error)
    if isinstance(found, dict) and found and found.keys() <= {"message", "status", "text"}:
        _refuse(query, answer, f"and refused: {_said(answer)}")
    return found


def _object(query: Query, answer: Answer) -> dict[str, Any]:
    found = _json(query, answer)
    if not isinstance(found, dict):
        _bad(query, "and sent something else than a list of names")
    return found


def _start(answer: Answer) -> str:
    return answer.body[:4000].decode(errors="replace").strip()


def _said(answer: Answer) -> str:
    """What an error's body says, in one line that can be printed."""
    text = _start(answer)
    if error := ERROR_TEXT.match(text):
        text = error[2].replace("\\n", " ")
    elif text.startswith("{"):
        try:
            said = json.loads(text)
            text = str(said.get("message") or said.get("text") or text)
        except (ValueError, RecursionError):
            pass  # cut, or no JSON: shown as it is
    elif text.startswith("<"):
        title = TITLE.search(text)
        text = f"a page of HTML{f' ({title[1]})' if title else ''}"
    text = printable(ADDRESS_AT_END.sub("", " ".join(text.split())), SAID_LENGTH)
    return f"“{text}”" if text else "nothing more"


def _label(value: Any) -> str:
    return printable(" ".join(value.split()), 1000) if isinstance(value, str) else ""


def _refuse(query: Query, answer: Answer, happened: str, advice: str = CHECK_WORDS) -> NoReturn:
    raise QueryRefused(query.problem(happened, advice), answer.status)


def _bad(query: Query, happened: str, cause: Exception | None = None) -> NoReturn:
    setting = SETTINGS[query.survey]
    advice = f"{TRY_LATER} If it stays so, check that {setting} is the address of Fink's API."
    raise BadAnswer(query.problem(happened, advice)) from cause
