"""The record in which the archive keeps a Kafka message, whatever the message holds.

Key and value stay as they came, so that a message that cannot be decoded is kept too, and topic,
partition, offset and time of receipt go with them: rows made from the archive are those of the stream.
"""

import zlib
from datetime import UTC, datetime
from typing import Any

import fastavro

from tom_fink.decoding.decode import Message

NAME = "tom_fink.Message"
SCHEMA = fastavro.parse_schema(
    {
        "type": "record",
        "name": NAME,
        "doc": "A message of a Kafka topic as it was received.",
        "fields": [
            {"name": "topic", "type": "string"},
            {"name": "partition", "type": ["null", "int"]},
            {"name": "offset", "type": ["null", "long"]},
            {"name": "received_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
            {"name": "batch_index", "type": "int", "doc": "its place among those received at the same time"},
            {"name": "key", "type": ["null", "bytes"], "doc": "in Fink's livestream the value's Avro schema"},
            {"name": "value", "type": ["null", "bytes"], "doc": "in Fink's livestream an alert"},
            {"name": "crc32", "type": "long", "doc": "of the other fields; a container has no checksums"},
        ],
    }
)
KINDS = {
    "topic": str,
    "partition": int | None,
    "offset": int | None,
    "received_at": datetime,
    "batch_index": int,
    "key": bytes | None,
    "value": bytes | None,
    "crc32": int,
}
LONGEST_TOPIC = 249  # Kafka's limit


def record_of(message: Message, batch_index: int) -> dict[str, Any]:
    """The record of a message that stood at `batch_index` of the batch that it came with."""
    record = {
        "topic": message.topic,
        "partition": message.partition,
        "offset": message.offset,
        "received_at": message.received_at.astimezone(UTC),
        "batch_index": batch_index,
        "key": message.key,
        "value": message.value,
    }
    return record | {"crc32": _checksum(record)}


def message_of(record: dict[str, Any]) -> Message:
    """The message of a record. Raises TypeError, KeyError or ValueError for one that the archive cannot have made."""
    for name, kind in KINDS.items():
        if not isinstance(record[name], kind):
            raise TypeError(name)
    topic = record["topic"]
    if not 0 < len(topic) <= LONGEST_TOPIC or "\0" in topic:
        raise ValueError("no name of a topic")
    if record["crc32"] != _checksum(record):
        raise ValueError("changed since it was written")
    return Message(
        topic, record["partition"], record["offset"], record["key"], record["value"], record["received_at"]
    )


def _checksum(record: dict[str, Any]) -> int:
    """CRC-32 of a record's fields before the checksum."""
    place = f"{record['topic']} {record['partition']} {record['offset']}"
    place += f" {record['received_at'].isoformat()} {record['batch_index']}"
    crc = zlib.crc32(place.encode())
    for content in (record["key"], record["value"]):
        crc = zlib.crc32(b"-" if content is None else b"%d:" % len(content), crc)
        crc = zlib.crc32(content or b"", crc)
    return crc
