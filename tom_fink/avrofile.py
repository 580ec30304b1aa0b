"""Avro container files of alerts, read as the messages that Fink's livestream would send of them."""

import io
import json
import struct
import zlib
from collections.abc import Iterator
from os import PathLike

import fastavro
from fastavro.schema import SchemaParseException

from .errors import AlertFileError

# What fastavro raises for bytes that do not hold what the schema promises.
_MALFORMED = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    SchemaParseException,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


def read_messages(path: str | PathLike[str]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the Kafka (key, value) of each alert in a file, in its order.

    key: the file's schema as compact JSON text (UTF-8); value: the record as schemaless Avro.
    Raises AlertFileError, which names the file, if it cannot be opened, is not an Avro container or holds
    no alert; and, once the alerts before it have been yielded, at a record that cannot be read.
    """
    try:
        source = open(path, "rb")  # noqa: SIM115 - opened here to tell its errors from those of reading
    except OSError as error:
        raise AlertFileError(f"{path}: {error.strerror or error}") from error
    with source:
        try:
            reader = fastavro.reader(source)
            key = json.dumps(reader.writer_schema, separators=(",", ":")).encode()
            schema = fastavro.parse_schema(json.loads(key))
        except OSError as error:
            raise AlertFileError(f"{path}: {error.strerror or error}") from error
        except _MALFORMED as error:
            raise AlertFileError(f"{path}: not an Avro container file") from error
        if not isinstance(schema, dict) or schema["type"] != "record":
            raise AlertFileError(f"{path}: holds no alerts, its Avro schema is not of a record")
        number = 0
        while True:
            number += 1
            try:
                alert = next(reader, None)
                if alert is None:
                    break
                buffer = io.BytesIO()
                fastavro.schemaless_writer(buffer, schema, alert)
            except OSError as error:
                raise AlertFileError(f"{path}: {error.strerror or error} at record {number}") from error
            except _MALFORMED as error:
                raise AlertFileError(
                    f"{path}: record {number} cannot be read ({type(error).__name__})"
                ) from error
            yield key, buffer.getvalue()
        if number == 1:
            raise AlertFileError(f"{path}: holds no alert")
