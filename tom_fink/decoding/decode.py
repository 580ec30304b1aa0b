"""Kafka messages to columns: a batch of messages that share a schema becomes one Polars frame.

A livestream message carries its Avro schema as JSON text in the key and one record in schemaless
Avro in the value.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl

from tom_fink.decoding.avro import read_columns, read_record
from tom_fink.errors import BadMessage

MAX_MESSAGE_BYTES = 10_000_000  # key and value; Fink's largest alerts have 1 % of it
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


def decode_one(message: Message) -> dict[str, Any]:
    """The alert of one message as a dictionary. Raises `BadMessage`."""
    _check_size(message)
    return read_record(message.key, message.value)


def decode(messages: list[Message], careful: bool = False, path: str | None = None) -> Decoded:
    """Decode a batch; every message's index is either in one frame or in `errors`.

    What cannot be read together is read one by one, to find the messages at fault. `careful` does so
    first: jetliner 0.2.0 aborts the process on an array that counts to 2^60, and fastavro does not.
    path: a file in which all values, of one schema then, stand as `avro.read_columns` wants them.
    """
    decoded = Decoded([], {})
    groups: dict[bytes, list[int]] = {}
    for index, message in enumerate(messages):
        try:
            _check_size(message)
        except BadMessage as error:
            decoded.errors[index] = error
        else:
            groups.setdefault(message.key, []).append(index)
    for key, indices in groups.items():
        values, has_all = [messages[index].value for index in indices], len(indices) == len(messages)
        frame = None if careful else read_columns(key, values, path if has_all else None)
        if frame is None:
            indices = _readable(messages, indices, decoded.errors)
            frame = read_columns(key, [messages[index].value for index in indices]) if indices else None
            if indices and frame is None:
                _add_records(messages, indices, decoded)
        if frame is not None:
            decoded.frames.append(_indexed(frame, indices))
    return decoded


def _indexed(frame: pl.DataFrame, indices: list[int]) -> pl.DataFrame:
    return frame.with_columns(pl.Series(MESSAGE, indices, dtype=pl.UInt32))


def _add_records(messages: list[Message], indices: list[int], decoded: Decoded) -> None:
    """Add the frame of what only fastavro reads; what Polars has no columns for gets an error."""
    try:
        frame = frame_of_records([decode_one(messages[index]) for index in indices])
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
        if len(indices) == 1:
            bad = BadMessage(f"The alert cannot be put into columns ({type(error).__name__}: {error}).")
            bad.__cause__ = error
            decoded.errors[indices[0]] = bad
            return
        for index in indices:
            _add_records(messages, [index], decoded)
    else:
        decoded.frames.append(_indexed(frame, indices))


def frame_of_records(records: list[dict[str, Any]]) -> pl.DataFrame:
    """A frame like jetliner's from decoded alerts (shape: one row a record).

    Maps, which come as dictionaries here, become structs; the surveys read either form.
    """
    return pl.DataFrame(records, infer_schema_length=None, strict=False)


def _check_size(message: Message) -> None:
    """Raise `BadMessage` for a message without key or value, or too long to be read."""
    if not message.value:
        raise BadMessage("The message is empty.")
    if not message.key:
        raise BadMessage("The message has no key, and so no schema to read it by.")
    if (size := len(message.key) + len(message.value)) > MAX_MESSAGE_BYTES:
        raise BadMessage(f"The message has {size} bytes; more than {MAX_MESSAGE_BYTES} are not read.")


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
