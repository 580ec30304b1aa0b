"""Columns against records: jetliner must read what fastavro reads, or not be asked."""

import io
import json

import fastavro
import pytest

from tom_fink import avro
from tom_fink.errors import BadMessage

POINT = {"type": "record", "name": "ns.point", "fields": [{"name": "mag", "type": ["null", "float"]}]}


def key_and_value(fields: list, record: dict) -> tuple[bytes, bytes]:
    schema = {"type": "record", "name": "alert", "fields": fields}
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, fastavro.parse_schema(schema), record)
    return json.dumps(schema).encode(), buffer.getvalue()


def test_a_type_that_is_declared_by_reference_is_read_as_what_it_is():
    """jetliner 0.2.0 would give a text of JSON: ZTF's older packets lost two of three cutouts so."""
    key, value = key_and_value(
        [
            {"name": "now", "type": ["null", POINT]},
            {"name": "before", "type": ["null", {"type": "array", "items": "ns.point"}]},
        ],
        {"now": {"mag": 18.5}, "before": [{"mag": 19.5}, {"mag": None}]},
    )
    assert avro.read_columns(key, [value]).row(0, named=True) == avro.read_record(key, value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ({"type": "map", "values": "double"}, {"a": 1.5, "b": float("nan")}),
        ({"type": "enum", "name": "e", "symbols": ["x", "y"]}, "y"),
        ({"type": "fixed", "name": "f", "size": 3}, b"abc"),
        ({"type": "array", "items": ["null", "long"]}, [2**62, None]),
        (["null", "string", "long"], 5),
        ({"type": "long", "logicalType": "timestamp-micros"}, 1_700_000_000_000_000),
        ("boolean", True),
        ("bytes", b"\x00\xff"),
        ("string", "Ångström\0"),
    ],
)
def test_columns_are_records_or_nothing(kind, value):
    """Whatever a schema may hold: either both readers agree, or the columns are not used."""
    key, message = key_and_value([{"name": "x", "type": kind}], {"x": value})
    frame = avro.read_columns(key, [message, message])
    if frame is not None:
        record = avro.read_record(key, message)
        assert all(avro._same(row, record) for row in frame.rows(named=True))


def test_a_schema_that_contains_itself_is_left_to_fastavro():
    schema = {
        "type": "record",
        "name": "node",
        "fields": [{"name": "next", "type": ["null", "node"]}, {"name": "x", "type": "int"}],
    }
    key, buffer = json.dumps(schema).encode(), io.BytesIO()
    record = {"next": {"next": None, "x": 2}, "x": 1}
    fastavro.schemaless_writer(buffer, fastavro.parse_schema(schema), record)
    assert avro.read_record(key, buffer.getvalue()) == record
    frame = avro.read_columns(key, [buffer.getvalue()])
    assert frame is None or frame.row(0, named=True) == record


def test_a_schema_that_is_read_differently_is_not_trusted_again(monkeypatch, caplog):
    key, value = key_and_value([{"name": "only_here", "type": "int"}], {"only_here": 1})
    asked = []
    read = avro.jetliner.read_avro

    def wrong(path, **options):
        asked.append(path)
        return read(path, **options) + 1

    monkeypatch.setattr(avro.jetliner, "read_avro", wrong)
    assert avro.read_columns(key, [value]) is None
    assert avro.read_columns(key, [value]) is None
    assert len(asked) == 1
    assert "jetliner and fastavro read alert differently" in caplog.text


def test_same():
    assert avro._same([{"key": "a", "value": 1}], {"a": 1})
    assert avro._same({"a": [1, None]}, {"a": [1, None]})
    assert avro._same(float("nan"), float("nan"))
    for column, record in (
        ([1], [1, 2]),
        ({"a": 1}, {"b": 1}),
        ("x", ["x"]),
        ('{"a":1}', {"a": 1}),
        (None, 0.5),
    ):
        assert not avro._same(column, record)


def test_the_container_is_one_that_others_read():
    long_text = "x" * 70_000  # a length of three bytes
    pairs = [key_and_value([{"name": "t", "type": "string"}], {"t": text}) for text in ("a", long_text, "")]
    container = io.BytesIO(b"".join(avro._container(pairs[0][0], [value for _, value in pairs])))
    assert [record["t"] for record in fastavro.reader(container)] == ["a", long_text, ""]


def test_a_schema_is_parsed_once():
    avro.parsed_schema.cache_clear()
    key, value = key_and_value([{"name": "x", "type": "int"}], {"x": 1})
    for _ in range(5):
        avro.read_record(bytes(bytearray(key)), value)  # another object with the same bytes each time
    assert avro.parsed_schema.cache_info().misses == 1


def test_no_schema_is_an_error():
    with pytest.raises(BadMessage, match="not an Avro schema"):
        avro.parsed_schema(b'{"type": "record"}')
