"""Schemaless Avro records: one by one to dictionaries, or many at once to columns.

jetliner reads an Avro container into columns several times as fast as fastavro reads records
(docs/decisions/0002-columns.md). It is trusted with a schema only after both have read the same
record of it alike.
"""

import io
import json
import logging
import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import fastavro
import jetliner
import polars as pl
from fastavro.schema import SchemaParseException, UnknownType, expand_schema

from tom_fink.errors import BadMessage

logger = logging.getLogger(__name__)

SYNC_MARKER = (
    b"tom_fink of Fink"  # 16 bytes between blocks; any will do, the container never leaves the process
)
NOT_A_SCHEMA = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    RecursionError,
    SchemaParseException,
    UnknownType,
)

_is_read_alike: dict[bytes, bool] = {}  # by schema: what came of comparing the two readers


@lru_cache(maxsize=64)
def parsed_schema(key: bytes) -> Any:
    """The schema that fastavro made of a message's key; the key's hash finds it again.

    Raises `BadMessage` if the key is not the schema of a record.
    """
    try:
        schema = fastavro.parse_schema(json.loads(key))
    except NOT_A_SCHEMA as error:
        raise BadMessage(
            f"The key is not an Avro schema ({type(error).__name__}: {error}). "
            "Fink's livestream sends the schema in the key; older keys and other topics are not understood."
        ) from error
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise BadMessage("The key's schema is not that of a record.")
    return schema


def read_record(key: bytes, value: bytes) -> dict[str, Any]:
    """One record as fastavro reads it. Raises `BadMessage`."""
    schema = parsed_schema(key)
    try:
        return fastavro.schemaless_reader(io.BytesIO(value), schema, None)
    except EOFError as error:
        raise BadMessage(f"The value ends too early ({len(value)} bytes).") from error
    except Exception as error:
        # Whatever the bytes lead fastavro into: an IndexError, a UnicodeDecodeError, a MemoryError …
        raise BadMessage(
            f"The value cannot be read by the key's schema ({type(error).__name__}: {error})."
        ) from error


def read_columns(key: bytes, values: list[bytes]) -> pl.DataFrame | None:
    """Many records of one schema as columns, a row each, in order; None if that cannot be trusted.

    A map becomes a list of structs with key and value.
    """
    if not _is_read_alike.get(key, True):
        return None
    try:
        with _as_file(_container(_written_out(key), values)) as path:
            frame = jetliner.read_avro(path, glob=False)
    except (BadMessage, jetliner.JetlinerError, pl.exceptions.PolarsError, OSError, ValueError, TypeError):
        return None
    except BaseException as error:
        # jetliner 0.2.0 panics on some bytes, and a Rust panic arrives as a bare BaseException.
        if type(error).__name__ != "PanicException":
            raise
        return None
    if frame.height != len(values):
        return None
    if key not in _is_read_alike:
        _is_read_alike[key] = _same(frame.row(0, named=True), read_record(key, values[0]))
        if not _is_read_alike[key]:
            logger.warning(
                "jetliner and fastavro read %s differently; its messages are read by fastavro, which is slower.",
                parsed_schema(key)["name"],
            )
            return None
    return frame


@lru_cache(maxsize=64)
def _written_out(key: bytes) -> bytes:
    """The schema with each reference to a named type replaced by the type.

    jetliner 0.2.0 reads what is declared by reference as a text of JSON: a history or a cutout
    would be lost without a word. A type that contains itself cannot be written out.
    """
    parsed_schema(key)
    try:
        return json.dumps(expand_schema(json.loads(key))).encode()
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


def _container(schema: bytes, values: list[bytes]) -> list[bytes]:
    """An Avro object container with a block for each value, in pieces.

    Avro 1.11 specification, "Object Container Files": magic, metadata map, marker; then for each
    block its number of records, its size, its bytes and the marker again.
    """
    pieces = [b"Obj\x01", _long(2)]
    for name, content in ((b"avro.schema", schema), (b"avro.codec", b"null")):
        pieces += [_long(len(name)), name, _long(len(content)), content]
    pieces += [_long(0), SYNC_MARKER]
    one = _long(1)
    for value in values:
        pieces += [one, _long(len(value)), value, SYNC_MARKER]
    return pieces


def _long(number: int) -> bytes:
    """`number` >= 0 as Avro writes a long: zig-zag, seven bits a byte, lowest first."""
    number <<= 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


@contextmanager
def _as_file(pieces: list[bytes]) -> Iterator[str]:
    """A path under which the pieces can be read: in memory on Linux, else a temporary file."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("alerts.avro"), "wb") as file:
            file.writelines(pieces)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with tempfile.NamedTemporaryFile(suffix=".avro") as file:
            file.writelines(pieces)
            file.flush()
            yield file.name
