"""Kafka messages to columns: a batch of messages that share a schema becomes one Polars frame.

A livestream message carries its Avro schema as JSON text in the key and one record in schemaless
Avro in the value. N such values are wrapped into an Avro container, one block a record, which
jetliner reads into columns about ten times as fast as fastavro reads records one by one
(docs/decisions/0002-columns.md). What jetliner refuses is read again one by one to find the
message at fault.
"""

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

import fastavro
import jetliner
import polars as pl

from tom_fink.errors import BadMessage

SYNC_MARKER = b"tom_fink of Fink"  # 16 bytes between blocks; any will do, the container never leaves the process
MESSAGE = "message"  # the column that says which message of the batch a row came from


@dataclass(frozen=True)
class Message:
    """One message as Kafka delivered it, and when (aware UTC)."""

    topic: str
    partition: int | None
    offset: int | None
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    received_at: datetime

    @property
    def digest(self) -> str:
        """SHA-256 of key and value, each with its length before it."""
        sha = hashlib.sha256()
        for part in (self.key, self.value):
            sha.update(b"-" if part is None else b"%d:" % len(part) + part)
        return sha.hexdigest()


@dataclass
class Decoded:
    """What became of a batch: one frame for each schema, and why the other messages have none.

    Each frame has the records' own columns and `message`, the index in the batch (UInt32).
    """

    frames: list[pl.DataFrame]
    errors: dict[int, BadMessage]


@lru_cache(maxsize=64)
def parsed_schema(key: bytes) -> Any:
    """The schema that fastavro made of a message's key; the key's hash finds it again.

    Raises `BadMessage` if the key is not a schema.
    """
    try:
        return fastavro.parse_schema(json.loads(key))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, fastavro.schema.SchemaParseException,
            fastavro.schema.UnknownType) as error:
        raise BadMessage(
            f"The key is not an Avro schema ({type(error).__name__}: {error}). "
            "Fink's livestream sends the schema in the key; older keys and other topics are not understood."
        ) from error


def decode_one(message: Message) -> dict[str, Any]:
    """The alert of one message as a dictionary, read by fastavro. Raises `BadMessage`."""
    if not message.value:
        raise BadMessage("The message is empty.")
    if not message.key:
        raise BadMessage("The message has no key, and so no schema to read it by.")
    schema = parsed_schema(message.key)
    try:
        record = fastavro.schemaless_reader(io.BytesIO(message.value), schema, None)
    except EOFError as error:
        raise BadMessage(f"The value ends too early ({len(message.value)} bytes).") from error
    except Exception as error:  # noqa: BLE001 - fastavro raises whatever the bytes lead it into
        raise BadMessage(f"The value cannot be read by the key's schema ({type(error).__name__}: {error}).") from error
    if not isinstance(record, dict):
        raise BadMessage("The key's schema is not that of a record.")
    return record


def decode(messages: list[Message]) -> Decoded:
    """Decode a batch; every message's index is either in one frame or in `errors`."""
    decoded = Decoded([], {})
    groups: dict[bytes, list[int]] = {}
    for index, message in enumerate(messages):
        if message.value and message.key:
            groups.setdefault(message.key, []).append(index)
        else:
            groups.setdefault(b"", []).append(index)
    for key, indices in groups.items():
        frame = _columns(key, [messages[index].value for index in indices]) if key else None
        if frame is None:
            indices = _readable(messages, indices, decoded.errors)
            frame = _columns(key, [messages[index].value for index in indices]) if indices else None
            if indices and frame is None:
                frame = frame_of_records([decode_one(messages[index]) for index in indices])
        if frame is not None:
            decoded.frames.append(frame.with_columns(pl.Series(MESSAGE, indices, dtype=pl.UInt32)))
    return decoded


def frame_of_records(records: list[dict[str, Any]]) -> pl.DataFrame:
    """A frame like jetliner's from decoded alerts (shape: one row a record).

    Maps, which come as dictionaries here, become structs; the surveys read either form.
    """
    return pl.DataFrame(records, infer_schema_length=None, strict=False)


def _readable(messages: list[Message], indices: Iterable[int], errors: dict[int, BadMessage]) -> list[int]:
    """Those indices whose message fastavro can read; the others get their error."""
    good = []
    for index in indices:
        try:
            decode_one(messages[index])
        except BadMessage as error:
            errors[index] = error
        else:
            good.append(index)
    return good


def _columns(key: bytes, values: list[bytes]) -> pl.DataFrame | None:
    """The records as columns, in order; None if jetliner cannot read all of them."""
    try:
        parsed_schema(key)
        with _as_file(_container(key, values)) as path:
            frame = jetliner.read_avro(path, glob=False)
    except (BadMessage, jetliner.JetlinerError, pl.exceptions.PolarsError, OSError, ValueError, TypeError):
        return None
    except BaseException as error:
        # jetliner 0.2.0 panics on some bytes, and a Rust panic arrives as a bare BaseException.
        if type(error).__name__ != "PanicException":
            raise
        return None
    if frame.height != len(values) or MESSAGE in frame.columns:
        return None
    return frame


def _container(key: bytes, values: list[bytes]) -> list[bytes]:
    """An Avro object container with a block for each value, in pieces.

    Avro 1.11 specification, "Object Container Files": magic, metadata map, marker; then for each
    block its number of records, its size, its bytes and the marker again.
    """
    pieces = [b"Obj\x01", _long(2)]
    for name, content in ((b"avro.schema", key), (b"avro.codec", b"null")):
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
        with os.fdopen(os.memfd_create("alerts.avro"), "wb", buffering=0) as file:
            _write_all(file, pieces)
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with tempfile.NamedTemporaryFile(suffix=".avro") as file:
            file.writelines(pieces)
            file.flush()
            yield file.name


def _write_all(file: io.RawIOBase, pieces: list[bytes]) -> None:
    """Write the pieces through an unbuffered file, which may take less than it is given."""
    view = memoryview(b"".join(pieces))
    while view:
        view = view[file.write(view) :]
