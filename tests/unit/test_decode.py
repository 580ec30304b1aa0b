"""Messages to columns: what jetliner reads, what it refuses, and which message was at fault."""

import io
import json
from datetime import UTC, datetime

import fastavro
import pytest

from tom_fink.decode import MESSAGE, Message, decode, decode_one, frame_of_records
from tom_fink.errors import BadMessage

NOW = datetime(2026, 3, 22, tzinfo=UTC)
SCHEMA = {
    "type": "record",
    "name": "alert",
    "fields": [
        {"name": "objectId", "type": ["null", "string"]},
        {"name": "points", "type": ["null", {"type": "array", "items": "double"}]},
    ],
}


def message(value: bytes | None, key: bytes | None = json.dumps(SCHEMA).encode()) -> Message:
    return Message("topic", 0, 0, key, value, NOW)


def avro(record: dict, schema: dict = SCHEMA) -> bytes:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, schema, record)
    return buffer.getvalue()


GOOD = avro({"objectId": "ZTF1", "points": [1.0, 2.0]})


def test_columns_hold_what_fastavro_reads(simulated_messages):
    """The same records by the fast way and one by one, for each of the three schemas."""
    decoded = decode(simulated_messages)
    assert decoded.errors == {}
    assert sum(frame.height for frame in decoded.frames) == len(simulated_messages)
    assert len(decoded.frames) == 3
    for frame in decoded.frames:
        for row in frame.select(
            MESSAGE, *(n for n in ("objectId", "candid", "diaSourceId", "jd") if n in frame)
        ).rows(named=True):
            record = decode_one(simulated_messages[row.pop(MESSAGE)])
            assert row == {name: record[name] for name in row}


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (message(GOOD[:-3]), "ends too early"),
        (message(b""), "empty"),
        (message(None), "empty"),
        (message(GOOD, None), "no key"),
        (message(GOOD, b""), "no key"),
        (message(GOOD, b"1_1"), "not an Avro schema"),
        (message(GOOD, b'{"type": "record"}'), "not an Avro schema"),
        (
            message(GOOD, b'{"type": "record", "name": "a", "fields": [{"name": "x", "type": "nope"}]}'),
            "not an Avro",
        ),
        (message(GOOD, b"\xff\xfe"), "not an Avro schema"),
        (message(b"\x02\x61" * 40), "cannot be read|ends too early"),
        (message(b"\x02\x61", b'"string"'), "not that of a record"),
    ],
)
def test_a_bad_message_is_found_among_good_ones(bad, says):
    decoded = decode([message(GOOD), bad, message(GOOD)])
    assert list(decoded.errors) == [1]
    assert isinstance(decoded.errors[1], BadMessage)
    with pytest.raises(BadMessage, match=says):
        raise decoded.errors[1]
    assert [index for frame in decoded.frames for index in frame[MESSAGE]] == [0, 2]


def test_a_truncated_history_does_not_become_rows(simulated_messages):
    """jetliner's lenient mode makes thousands of wrong rows of this; it must never be used."""
    whole = max(simulated_messages, key=lambda found: len(found.value))
    cut = Message("topic", 0, 0, whole.key, whole.value[: len(whole.value) // 2], NOW)
    decoded = decode([whole, cut, whole])
    assert list(decoded.errors) == [1]
    assert [frame.height for frame in decoded.frames] == [2]


def test_an_unknown_field_is_no_fault():
    schema = SCHEMA | {"fields": [*SCHEMA["fields"], {"name": "message", "type": "string"}]}
    value = avro({"objectId": "ZTF1", "points": [], "message": "hello"}, schema)
    decoded = decode([message(value, json.dumps(schema).encode())])
    assert decoded.errors == {}
    assert decoded.frames[0][MESSAGE].to_list() == [0], "a field of the alert took the place of the index"


def test_records_with_and_without_a_field_make_one_frame():
    frame = frame_of_records([{"a": 1, "b": None}, {"a": None, "b": [{"c": 2}]}])
    assert frame.rows(named=True) == [{"a": 1, "b": None}, {"a": None, "b": [{"c": 2}]}]


def test_the_digest_tells_key_and_value_apart():
    assert message(b"ab", b"c").digest != message(b"b", b"ca").digest
    assert message(b"", None).digest != message(None, b"").digest
