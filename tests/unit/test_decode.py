"""Messages to columns: what jetliner reads, what it refuses, and which message was at fault."""

import io
import json
from datetime import UTC, datetime

import fastavro
import polars as pl
import pytest

from tom_fink.decoding import decode as decode_module
from tom_fink.decoding.decode import MESSAGE, Message, decode, decode_one, frame_of_records
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


def raised(error: Exception) -> None:
    raise error


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


def test_the_first_readers_word_is_not_needed(simulated_messages):
    """Careful reading makes the same columns of good messages."""
    fast, careful = decode(simulated_messages), decode(simulated_messages, careful=True)
    assert careful.errors == {}
    for left, right in zip(fast.frames, careful.frames, strict=True):
        assert left.equals(right)


def test_simulated_alerts_are_read_in_columns(simulated_messages, monkeypatch):
    """The fast way is the one that is taken: fastavro reads one record of each schema, to compare."""
    monkeypatch.setattr(decode_module, "decode_one", None)
    monkeypatch.setattr(decode_module, "frame_of_records", None)
    assert decode(simulated_messages).errors == {}


def test_a_message_that_is_too_long_is_not_decoded(monkeypatch):
    monkeypatch.setattr(decode_module, "MAX_MESSAGE_BYTES", 1_000)
    key = json.dumps(SCHEMA).encode()
    value = avro({"objectId": "x" * (1_000 - len(key) - 4), "points": None})
    assert len(key) + len(value) == 1_000
    at_the_limit, longer = message(value), message(value + b"\0")
    assert decode([at_the_limit, longer]).frames[0][MESSAGE].to_list() == [0]
    assert decode_one(at_the_limit)["points"] is None
    for read in (lambda: decode_one(longer), lambda: raised(decode([at_the_limit, longer]).errors[1])):
        with pytest.raises(BadMessage, match="The message has 1001 bytes; more than 1000 are not read"):
            read()


def test_two_records_in_one_value_are_no_alert():
    decoded = decode([message(GOOD), message(GOOD + GOOD), message(GOOD)])
    assert [frame[MESSAGE].to_list() for frame in decoded.frames] == [[0, 2]]
    assert "behind the record" in str(decoded.errors[1])


def test_what_polars_has_no_columns_for_is_found_among_the_others(monkeypatch):
    """Only fastavro reads a union of this kind; one of its records has a number of no width that columns have."""
    schema = SCHEMA | {"fields": [{"name": "x", "type": ["null", "string", "long"]}]}
    key = json.dumps(schema).encode()
    made = decode_module.frame_of_records

    def frame_of_records(records):
        if {"x": "bad"} in records:
            raise pl.exceptions.ComputeError("no such column")
        return made(records)

    monkeypatch.setattr(decode_module, "read_columns", lambda key, values, path=None: None)
    monkeypatch.setattr(decode_module, "frame_of_records", frame_of_records)
    decoded = decode([message(avro({"x": text}, schema), key) for text in ("a", "bad", "b")])
    assert [frame[MESSAGE].to_list() for frame in decoded.frames] == [[0], [2]]
    assert "cannot be put into columns (ComputeError: no such column)" in str(decoded.errors[1])


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
