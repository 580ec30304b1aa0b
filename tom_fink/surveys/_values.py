"""Fink's scores and cross-matches of an alert as one JSON text, without nulls and NaN."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import polars as pl

from tom_fink.decoding.decode import MESSAGE
from tom_fink.fields import VALUE_LENGTH, label, number, pick

SCHEMAS_KEPT = 32  # of those whose expressions are made: that takes as long as to work them out for a batch
EXPRESSIONS_KEPT = 256  # one for each type that values come in, and for each set of them that a schema has
VALUE = "value"  # the column in which all values of one type stand
Columns = tuple[tuple[str, pl.DataType], ...]  # the items of a schema, which can be a key


@dataclass(frozen=True)
class Value:
    """One value: where the alert has it and its type; its name in the JSON is the path's last part."""

    path: str
    dtype: Any = pl.Float64
    missing: tuple[float, ...] = ()  # numbers that mean "not computed" in this field

    @property
    def name(self) -> str:
        """The name in the JSON."""
        return self.path.rpartition(".")[2]

    def expression(self, schema: pl.Schema | dict) -> pl.Expr:
        """The value as an expression; null where missing."""
        if self.dtype == pl.String:
            return label(schema, self.path, VALUE_LENGTH)
        value = number(schema, self.path) if self.dtype == pl.Float64 else pick(schema, self.path, self.dtype)
        return pl.when(~value.is_in(self.missing)).then(value) if self.missing else value


def json_of(frame: pl.DataFrame, values: tuple[Value, ...]) -> pl.Series:
    """A text column with the JSON object of `values`, row by row.

    `frame` is `flattened`. The length is bounded: the names are those of `values`, texts are cut, and nothing
    is nested.
    """
    schema = frame.schema
    there = tuple(value for value in values if value.path in schema)
    members = pl.DataFrame([frame.get_column(MESSAGE), *_members(frame, there)])
    return members.select(_object(there)).to_series()


def _members(frame: pl.DataFrame, values: Iterable[Value]) -> list[pl.Series]:
    """The values as JSON, each a column with the name of its path; null where missing.

    Those of one type are written as one column, one below the other: to begin with a column takes Polars
    longer than to go through the values of a batch.
    """
    alike: dict[tuple, list[str]] = {}
    for value in values:
        alike.setdefault((frame.get_column(value.path).dtype, value.dtype, value.missing), []).append(
            value.path
        )
    members = []
    for types, paths in alike.items():
        column = pl.concat([frame.get_column(path).alias(VALUE) for path in paths]).to_frame()
        written = column.with_columns(_written(*types).alias(VALUE)).to_series()
        members += [
            written.slice(place * frame.height, frame.height).alias(path) for place, path in enumerate(paths)
        ]
    return members


@lru_cache(maxsize=EXPRESSIONS_KEPT)
def _written(found: pl.DataType, dtype: Any, missing: tuple[float, ...]) -> pl.Expr:
    """The column VALUE, of the type `found`, as JSON; Polars writes numbers so that they are read again to the last bit."""
    value = Value(VALUE, dtype, missing).expression({VALUE: found})
    if dtype != pl.String:
        return value.cast(pl.String)
    # `label` has taken out what else JSON escapes.
    return pl.lit('"') + value.str.replace_all(r"([\"\\])", r"\$1") + pl.lit('"')


@lru_cache(maxsize=EXPRESSIONS_KEPT)
def _object(values: tuple[Value, ...]) -> pl.Expr:
    """The JSON object of columns that are JSON."""
    members = [pl.lit(f"{json.dumps(value.name)}: ") + pl.col(value.path) for value in values]
    # With the message's index, or a frame of nothing but nulls would have one row, whatever its height.
    none = pl.when(pl.col(MESSAGE).is_not_null()).then(None).cast(pl.String)
    return pl.lit("{") + pl.concat_str(none, *members, separator=", ", ignore_nulls=True) + pl.lit("}")


def maps_as_structs(frame: pl.DataFrame, maps: dict[str, tuple[str, ...]]) -> pl.DataFrame:
    """`frame` with the Avro maps named in `maps` turned into structs of the given keys.

    jetliner reads a map as a list of (key, value); in a decoded dictionary it is a struct already.
    """
    schema = frame.schema
    return frame.with_columns(
        pl.struct(_entry(name, key).alias(key) for key in keys).alias(name)
        for name, keys in maps.items()
        if _is_map(schema.get(name))
    )


def _is_map(found: Any) -> bool:
    return (
        isinstance(found, pl.List)
        and isinstance(found.inner, pl.Struct)
        and {field.name for field in found.inner.fields} == {"key", "value"}
        and found.inner.to_schema()["key"] == pl.String
    )


def _entry(name: str, key: str) -> pl.Expr:
    entries = pl.col(name).list.eval(pl.element().filter(pl.element().struct.field("key") == key))
    return entries.list.first().struct.field("value")
