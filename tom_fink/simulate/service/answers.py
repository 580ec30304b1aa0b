"""What the service sends: rows as JSON, CSV, VOTable or Parquet, and Fink's several kinds of errors."""

import csv
import io
import json
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape, quoteattr

Row = dict[str, Any]
FORMATS = ("json", "csv", "votable", "parquet")
HTML, JSON = "text/html; charset=utf-8", "application/json"
_VOTABLE_TYPES = {bool: "boolean", int: "long", float: "double"}


@dataclass(frozen=True)
class Answer:
    """Status, content type and body of an answer."""

    status: int
    content_type: str
    body: bytes


class Refused(Exception):  # noqa: N818 - what the service does
    """The service refuses the arguments: `answer` says why."""

    def __init__(self, answer: Answer):
        """Keep the answer that is sent instead of rows."""
        super().__init__(answer.body)
        self.answer = answer


class Failed(Exception):  # noqa: N818 - what the service does
    """Fink's own code would raise here: status 500, and no word of what was wrong."""


def refused(text: object) -> Refused:
    """Status 400 with the print of a Python dictionary, which is no JSON. `text` may be an exception, as there."""
    return Refused(Answer(400, HTML, str({"status": "error", "text": text}).encode()))


def refused_plainly(text: str, status: int = 400) -> Refused:
    """A status and lines of text."""
    return Refused(Answer(status, HTML, text.encode()))


def failed() -> Answer:
    """Status 500, as Fink's framework words it."""
    return message(500, "Internal Server Error")


def message(status: int, text: str) -> Answer:
    """An error of the framework beneath Fink's code, which is JSON."""
    return Answer(status, JSON, as_json({"message": text}))


def page(status: int, text: str) -> Answer:
    """A page of HTML."""
    html = f"<!doctype html>\n<html lang=en>\n<title>{escape(text)}</title>\n<h1>{escape(text)}</h1>\n"
    return Answer(status, HTML, html.encode())


def as_json(found: Any) -> bytes:
    """Compact JSON (UTF-8). Raises ValueError for NaN."""
    return json.dumps(found, separators=(",", ":"), allow_nan=False).encode()


def check_format(output_format: Any) -> None:
    """Raise `Refused` for what is none of FORMATS."""
    if output_format not in FORMATS:
        raise refused(
            f"Output format `{output_format}` is not supported. Choose among json, csv, votable, or parquet\n"
        )


def rows(found: list[Row], output_format: str = "json") -> Answer:
    """An answer of rows in one of FORMATS."""
    if output_format == "json":
        return Answer(200, JSON, as_json(found))
    names = list(dict.fromkeys(name for row in found for name in row))
    if output_format == "csv":
        return Answer(200, "application/csv", _csv(found, names))
    if output_format == "votable":
        return Answer(200, "text/xml", _votable(found, names))
    return Answer(200, "parquet", _parquet(found))


def _csv(found: list[Row], names: list[str]) -> bytes:
    lines = io.StringIO()
    writer = csv.DictWriter(lines, names, lineterminator="\n")
    writer.writeheader()  # without any row a bare newline
    writer.writerows(found)
    return lines.getvalue().encode()


def _votable(found: list[Row], names: list[str]) -> bytes:
    fields, cells = [], []
    for name in names:
        kinds = {type(row.get(name)) for row in found} - {type(None)}
        kind = float if kinds == {int, float} else kinds.pop() if len(kinds) == 1 else str
        datatype = _VOTABLE_TYPES.get(kind)
        kind_of_field = f'datatype="{datatype}"' if datatype else 'datatype="char" arraysize="*"'
        fields.append(f"<FIELD name={quoteattr(name.replace(':', '_'))} {kind_of_field}/>")
    for row in found:
        texts = ("" if row.get(name) is None else escape(str(row[name])) for name in names)
        cells.append("<TR>" + "".join(f"<TD>{text}</TD>" for text in texts) + "</TR>")
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">\n<RESOURCE type="results">\n<TABLE>\n'
        + "\n".join([*fields, "<DATA><TABLEDATA>", *cells, "</TABLEDATA></DATA>"])
        + "\n</TABLE>\n</RESOURCE>\n</VOTABLE>\n"
    ).encode()


def _parquet(found: list[Row]) -> bytes:
    import polars as pl  # half a second that the other formats do not need

    file = io.BytesIO()
    pl.DataFrame(found, infer_schema_length=None, strict=False).write_parquet(file)
    return file.getvalue()
