"""Avro container files, read as the messages that they hold or that Fink's livestream would send of them.

There are two kinds: files of alerts, as a survey's archive or Fink's Data Transfer gives them, and
files of our own archive, whose records are whole messages (tom_fink/files/envelope.py).
"""

import io
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from typing import Any, TypeVar

import fastavro
from backports.zstd import ZstdError
from fastavro.schema import SchemaParseException

from tom_fink.decoding.decode import Message
from tom_fink.errors import AlertFileError
from tom_fink.files.envelope import NAME, message_of

Content = TypeVar("Content")

# What fastavro raises for bytes that do not hold what the schema promises.
MALFORMED = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    SchemaParseException,
    TypeError,
    ValueError,
    ZstdError,
    struct.error,
    zlib.error,
)


def is_archive(path: str | PathLike[str]) -> bool:
    """Whether a file is one of the archive; reads its header. Raises AlertFileError as `read_messages` does."""
    with _opened(path) as reader:
        return _is_archive(reader)


def read_messages(path: str | PathLike[str]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the Kafka (key, value) of each alert in a file of alerts, in its order.

    key: the file's schema as compact JSON text (UTF-8); value: the record as schemaless Avro.
    Raises AlertFileError, which names the file, if it cannot be opened, is not an Avro container, is one
    of the archive or holds no alert; and, once the alerts before it have been yielded, at a record that
    cannot be read.
    """
    with _opened(path) as reader:
        if _is_archive(reader):
            raise AlertFileError(f"{path}: holds messages of the archive, not alerts")
        key = json.dumps(reader.writer_schema, separators=(",", ":")).encode()
        try:
            schema = fastavro.parse_schema(json.loads(key))
        except MALFORMED as error:
            raise AlertFileError(f"{path}: not an Avro container file") from error

        def message(alert: dict[str, Any]) -> tuple[bytes, bytes]:
            buffer = io.BytesIO()
            fastavro.schemaless_writer(buffer, schema, alert)
            return key, buffer.getvalue()

        yield from _each(path, reader, message)


def read_archive(path: str | PathLike[str]) -> Iterator[tuple[int, Message]]:
    """Yield each message of a file of the archive as it was received, behind its place in its batch.

    Raises AlertFileError as `read_messages` does, also for a file of alerts.
    """
    with _opened(path) as reader:
        if not _is_archive(reader):
            raise AlertFileError(f"{path}: not a file of the archive")
        yield from _each(path, reader, lambda record: (record["batch_index"], message_of(record)))


@contextmanager
def _opened(path: str | PathLike[str]) -> Iterator[fastavro.reader]:
    """A reader that has read a file's header."""
    try:
        source = open(path, "rb")  # noqa: SIM115 - opened here to tell its errors from those of reading
    except OSError as error:
        raise AlertFileError(f"{path}: {error.strerror or error}") from error
    with source:
        try:
            reader = fastavro.reader(source)
            schema = fastavro.parse_schema(reader.writer_schema)
        except OSError as error:
            raise AlertFileError(f"{path}: {error.strerror or error}") from error
        except MALFORMED as error:
            raise AlertFileError(f"{path}: not an Avro container file") from error
        if not isinstance(schema, dict) or schema["type"] != "record":
            raise AlertFileError(f"{path}: holds no alerts, its Avro schema is not of a record")
        yield reader


def _is_archive(reader: fastavro.reader) -> bool:
    return fastavro.parse_schema(reader.writer_schema)["name"] == NAME


def _each(
    path: str | PathLike[str], reader: fastavro.reader, content: Callable[[dict[str, Any]], Content]
) -> Iterator[Content]:
    """What `content` makes of each record; at least one."""
    number = 0
    while True:
        number += 1
        try:
            record = next(reader, None)
            if record is None:
                break
            made = content(record)
        except OSError as error:
            raise AlertFileError(f"{path}: {error.strerror or error} at record {number}") from error
        except MALFORMED as error:
            raise AlertFileError(
                f"{path}: record {number} cannot be read ({type(error).__name__})"
            ) from error
        yield made
    if number == 1:
        raise AlertFileError(f"{path}: holds no alert")
