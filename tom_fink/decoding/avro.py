"""Schemaless Avro records: one by one to dictionaries, or many at once to columns.

jetliner reads an Avro container into columns several times as fast as fastavro reads records
(docs/decisions/0002-columns.md). It is trusted with a schema only after both have read the same
record of it alike.

Schemas come from outside, as the values do. What is known to hang or end a reader is refused here;
the rest is why `tom_fink.decoding.decoder` reads in a process that can be killed.
"""

import hashlib
import io
import json
import logging
import math
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import fastavro
import jetliner
import polars as pl
from fastavro.schema import SchemaParseException, UnknownType, expand_schema

from tom_fink.decoding.container import BLOCK_BYTES, END, END_NAME, Framing, as_file, framing
from tom_fink.errors import BadMessage
from tom_fink.text import printable

logger = logging.getLogger(__name__)

# Fink's schemas have up to 24 kB of JSON, nest 7 types deep and hold 1,400 of them (2026).
MAX_KEY_BYTES = 500_000
MAX_JSON_DEPTH = 100  # jetliner's reader of JSON ends at 128
MAX_DEPTH = 32
MAX_TYPES = 10_000  # written out: 30 short lines of references can stand for 2^30 types

SCHEMAS_KEPT = 16  # each up to some 10 MB
VERDICTS_KEPT = 256
LEAST_BYTES = {"null": 0, "boolean": 1, "int": 1, "long": 1, "float": 4, "double": 8, "bytes": 1, "string": 1}
PARSERS_OWN = {"__fastavro_parsed", "__named_schemas"}  # fastavro's marks of what needs no check any more
NOT_A_SCHEMA = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    RecursionError,
    SchemaParseException,
    UnknownType,
)

_is_read_alike: dict[bytes, bool] = {}  # by digest of the schema: what came of comparing the two readers


@lru_cache(maxsize=SCHEMAS_KEPT)
def parsed_schema(key: bytes) -> Any:
    """The schema that fastavro made of a message's key; the key's hash finds it again.

    Raises `BadMessage` if the key is not the schema of a record, or one that no reader is safe with:
    an array whose items take no bytes, a type that contains itself, a decimal, more than a limit allows.
    """
    if len(key) > MAX_KEY_BYTES:
        raise BadMessage(f"The key has {len(key)} bytes; a schema of more than {MAX_KEY_BYTES} is not read.")
    try:
        declared = json.loads(key)
        _check_json(declared)
        schema = fastavro.parse_schema(declared)
        is_record = isinstance(schema, dict) and schema.get("type") == "record"
        extent = _extent(schema, {}) if is_record else None
    except NOT_A_SCHEMA as error:
        raise BadMessage(
            f"The key is not an Avro schema ({type(error).__name__}: {error}). "
            "Fink's livestream sends the schema in the key; older keys and other topics are not understood."
        ) from error
    if extent is None:
        raise BadMessage("The key's schema is not that of a record.")
    if extent.depth > MAX_DEPTH or extent.types > MAX_TYPES:
        raise BadMessage(
            f"The key's schema nests {extent.depth} types deep and holds {extent.types} of them; "
            f"more than {MAX_DEPTH} and {MAX_TYPES} are not read."
        )
    return schema


def _check_json(declared: Any) -> None:
    """Raise `BadMessage` for what must not get as far as fastavro's parser, which calls itself without end."""
    level, depth = [declared], 0
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        if depth > MAX_JSON_DEPTH:
            raise BadMessage(f"The key's JSON nests more than {MAX_JSON_DEPTH} deep.")
        if any(isinstance(item, dict) and not PARSERS_OWN.isdisjoint(item) for item in level):
            raise BadMessage("The key's schema says of itself that it is parsed already.")
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]


@dataclass(frozen=True)
class _Extent:
    """A type's size: the fewest bytes a value of it takes, the types in it written out, their depth."""

    least_bytes: int
    types: int = 1
    depth: int = 1


def _extent(schema: Any, named: dict[str, _Extent | None]) -> _Extent:
    """The extent of a parsed schema; `named` gets those of its named types, None while inside one."""
    if isinstance(schema, str):
        extent = _Extent(LEAST_BYTES[schema]) if schema in LEAST_BYTES else named.get(schema)
        if extent is None:
            raise BadMessage(f"The key's schema has a type that contains itself: {schema[:100]}.")
        return extent
    if isinstance(schema, list):
        branches = [_extent(branch, named) for branch in schema]
        return _around(branches, 1 + min((branch.least_bytes for branch in branches), default=0))
    kind = schema["type"]
    if schema.get("logicalType") == "decimal":
        # fastavro needs minutes for one of 5 MB, and jetliner panics at a scale of its own liking.
        raise BadMessage("The key's schema has a decimal, which no survey's alert has; it is not read.")
    if kind in ("record", "error"):
        named[schema["name"]] = None
        fields = [_extent(field["type"], named) for field in schema["fields"]]
        extent = named[schema["name"]] = _around(fields, sum(field.least_bytes for field in fields))
        return extent
    if kind in ("fixed", "enum"):
        least = schema["size"] if kind == "fixed" else 1
        if not isinstance(least, int) or least < 0:
            raise BadMessage("The key's schema has a fixed type without a size.")
        extent = named[schema["name"]] = _Extent(least)
        return extent
    if kind in ("array", "map"):
        inner = _extent(schema["items" if kind == "array" else "values"], named)
        if kind == "array" and inner.least_bytes == 0:
            # Eight bytes that count to 2^60 would keep either reader busy for years.
            raise BadMessage("The key's schema has an array whose items take no bytes; it is not read.")
        return _around([inner], 1)
    return _extent(kind, named)


def _around(inner: list[_Extent], least_bytes: int) -> _Extent:
    return _Extent(
        least_bytes, 1 + sum(each.types for each in inner), 1 + max((each.depth for each in inner), default=0)
    )


def read_record(key: bytes, value: bytes | memoryview) -> dict[str, Any]:
    """One record as fastavro reads it. Raises `BadMessage`, also for bytes behind the record."""
    schema = parsed_schema(key)
    source = io.BytesIO(value)
    try:
        record = fastavro.schemaless_reader(source, schema, None)
    except EOFError as error:
        raise BadMessage(f"The value ends too early ({len(value)} bytes).") from error
    except Exception as error:
        # Whatever the bytes lead fastavro into: an IndexError, a UnicodeDecodeError, a MemoryError …
        raise BadMessage(
            f"The value cannot be read by the key's schema ({type(error).__name__}: {error})."
        ) from error
    if behind := len(value) - source.tell():
        raise BadMessage(f"The value has {behind} bytes behind the record (of {len(value)}).")
    return record


def read_columns(
    key: bytes, values: list[bytes | memoryview], path: str | None = None
) -> pl.DataFrame | None:
    """Many records of one schema as columns, a row each, in order; None if that cannot be trusted.

    A map becomes a list of structs with key and value. path: a file that holds the values by `framing_of(key)`
    already; without, one is made.
    """
    digest = hashlib.sha256(key).digest()
    if not _is_read_alike.get(digest, True):
        return None
    try:
        with nullcontext(path) if path else as_file(_written_out(key), values) as container:
            frame = jetliner.read_avro(container, glob=False, read_chunk_size=BLOCK_BYTES)
        if digest not in _is_read_alike:
            first = frame.drop(END_NAME).row(0, named=True), read_record(key, values[0])
    except (
        BadMessage,
        jetliner.JetlinerError,
        pl.exceptions.PolarsError,
        OSError,
        ValueError,
        TypeError,
        OverflowError,  # a date after the year 9999, when Polars makes Python's of it
    ):
        return None
    except BaseException as error:
        # jetliner 0.2.0 panics on some bytes, and a Rust panic arrives as a bare BaseException.
        if type(error).__name__ != "PanicException":
            raise
        return None
    if frame.height != len(values) or not frame.select((pl.col(END_NAME) == pl.lit(END)).all()).item():
        return None
    frame = frame.drop(END_NAME)
    if digest not in _is_read_alike:
        if len(_is_read_alike) >= VERDICTS_KEPT:
            _is_read_alike.clear()  # to compare again costs one record
        _is_read_alike[digest] = _same(*first)
        if not _is_read_alike[digest]:
            logger.warning(
                "jetliner and fastavro read %s differently; its messages are read by fastavro, which is slower.",
                printable(parsed_schema(key)["name"], 200),
            )
            return None
    return frame


def framing_of(key: bytes | None) -> Framing | None:
    """How the values of this schema stand in a container; None for one that jetliner is not trusted with (yet)."""
    if key is None or not _is_read_alike.get(hashlib.sha256(key).digest()):
        return None
    return framing(_written_out(key))


@lru_cache(maxsize=SCHEMAS_KEPT)
def _written_out(key: bytes) -> bytes:
    """The schema with each reference to a named type replaced by the type, and a field for `END`.

    jetliner 0.2.0 reads what is declared by reference as a text of JSON: a history or a cutout
    would be lost without a word.
    """
    parsed_schema(key)
    try:
        schema = expand_schema(json.loads(key))
        end = {"type": "fixed", "name": END_NAME, "size": len(END)}
        return json.dumps(schema | {"fields": [*schema["fields"], {"name": END_NAME, "type": end}]}).encode()
    except NOT_A_SCHEMA as error:
        raise BadMessage("The schema cannot be written out.") from error


def _same(column: Any, record: Any) -> bool:
    """Whether a value from columns is the one from a record."""
    if isinstance(record, dict):
        if isinstance(column, list):  # a map
            column = {entry["key"]: entry["value"] for entry in column}
        return (
            isinstance(column, dict)
            and column.keys() == record.keys()
            and all(_same(column[name], record[name]) for name in record)
        )
    if isinstance(record, list):
        return (
            isinstance(column, list)
            and len(column) == len(record)
            and all(_same(left, right) for left, right in zip(column, record, strict=True))
        )
    if isinstance(record, float) and math.isnan(record):
        return isinstance(column, float) and math.isnan(column)
    return column == record
