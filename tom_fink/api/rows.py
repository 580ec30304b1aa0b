"""Fink's rows as a frame that the survey modules read as they read the stream's.

Each column is there by its bare name (`i:jd` is `jd`), where a survey's `points` looks for it, and again in
the record of an alert that it belongs to (`candidate.jd`), where `tidy` does. Each row has an index in
`message`, as the messages of a batch have.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import polars as pl

from tom_fink.api.columns import PREFIXES, RECORDS, bare, path
from tom_fink.api.query import Query
from tom_fink.decoding.decode import MESSAGE

MAX_COLUMNS = 1000  # ZTF serves 136
MAX_NAME = 100  # characters of a column's; Fink's longest has some 40
MAX_CELLS = 10_000_000  # seven times ZTF's 136 columns of 10,000 rows
ALERT_IDS = ("candid", "diaSourceId", "diaForcedSourceId")
NO_ID = ("-1", "0")
OTHER_IDS = ("candid", "ssnamenr", "sso_number")  # beside all that end with Id


@dataclass(frozen=True)
class Rows:
    """The rows of an answer in Fink's order, and whether Fink may have more than it gave.

    A cone is cut in each part of the sky by itself, which need not show.
    """

    frame: pl.DataFrame
    may_be_cut: bool


def frame_of(query: Query, found: list[dict[str, Any]]) -> Rows:
    """The rows in `found`. Raises ValueError for more columns or cells than are read, for none, and for broken text.

    Ids are text; one that came as a float is null, as it is rounded. Any other column has numbers, or
    text if a row has text there; what is neither number, text nor truth is null. Left out are a row or
    alert that came before, objects that were not asked for (Fink looks for what begins with an id), and
    columns that have the name of a record or none that can be one.
    """
    names: dict[str, None] = {}
    for row in found:
        names.update(dict.fromkeys(row))
        if len(names) > MAX_COLUMNS:
            raise ValueError(f"more than {MAX_COLUMNS} columns")
    if len(names) * len(found) > MAX_CELLS:
        raise ValueError(f"more than {MAX_CELLS} cells")
    served = _by_own_name(query, names)
    if found and not served:
        raise ValueError("rows without a column that has a name")
    frame = pl.DataFrame([_series(own, [row.get(name) for row in found]) for own, name in served.items()])
    may_be_cut = query.limit is not None and _longest(query, frame, len(found)) >= query.limit
    frame = _asked_for(query, _once(frame))
    frame = frame.with_columns(_records(query, served)).with_row_index(MESSAGE)
    return Rows(frame.with_columns(pl.col(MESSAGE).cast(pl.UInt32)), may_be_cut)


def _by_own_name(query: Query, names: Iterable[str]) -> dict[str, str]:
    """What is served as what. Of two columns with one bare name the later keeps its prefix; i: and r: come first."""
    served: dict[str, str] = {}
    for name in sorted(names, key=lambda name: PREFIXES.index(name[:2]) if name[:2] in PREFIXES else -1):
        inside = path(query.survey, query.endpoint, name)
        own = bare(name) if "." in inside else inside
        own = name if own in served else own
        if _is_a_name(own) and own not in (MESSAGE, *RECORDS[query.survey]):
            served[own] = name
    return served


def _is_a_name(own: str) -> bool:
    # Polars takes * and ^...$ for patterns of names.
    return own[:1].isalnum() and own.isprintable() and len(own) <= MAX_NAME


def _series(name: str, values: list[Any]) -> pl.Series:
    kinds = {type(value) for value in values} - {type(None), list, dict}
    if name.endswith("Id") or name in OTHER_IDS:
        return pl.Series(name, [_id(value) for value in values], dtype=pl.String)
    if not kinds:
        return pl.Series(name, [None] * len(values), dtype=pl.Null)
    flat = [None if isinstance(value, list | dict) else value for value in values]
    if str in kinds or kinds == {bool} or kinds == {int}:
        dtype = pl.String if str in kinds else pl.Boolean if bool in kinds else pl.Int64
        return pl.Series(name, flat, dtype=dtype, strict=False)
    numbers = pl.Series(name, flat, dtype=pl.Float64, strict=False)
    return numbers.set(~numbers.is_finite(), None)


def _id(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else None


def _once(frame: pl.DataFrame) -> pl.DataFrame:
    if frame.is_empty():
        return frame
    frame = frame.unique(maintain_order=True)
    for name in ALERT_IDS:
        if name in frame.columns:
            has_none = pl.col(name).is_null() | pl.col(name).is_in(NO_ID)
            frame = frame.filter(has_none | pl.col(name).is_first_distinct())
    return frame


def _asked_for(query: Query, frame: pl.DataFrame) -> pl.DataFrame:
    if query.only is None or query.only[0] not in frame.columns:
        return frame
    return frame.filter(pl.col(query.only[0]).is_in(list(query.only[1])))


def _longest(query: Query, frame: pl.DataFrame, number: int) -> int:
    """The number of rows that one look-up brought: Fink looks each id up by itself, for all that begins so."""
    if query.only is None or query.only[0] not in frame.columns:
        return number
    ids = frame[query.only[0]]
    return max(ids.str.starts_with(one).sum() for one in query.only[1])


def _records(query: Query, served: dict[str, str]) -> list[pl.Expr]:
    fields: dict[str, dict[str, pl.Expr]] = {}
    for own, name in served.items():
        record, _, field = path(query.survey, query.endpoint, name).rpartition(".")
        if record in RECORDS[query.survey]:
            fields.setdefault(record, {}).setdefault(field, pl.col(own).alias(field))
    return [pl.struct(*inner.values()).alias(record) for record, inner in fields.items()]
