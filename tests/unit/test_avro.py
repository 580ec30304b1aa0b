"""Columns against records: jetliner must read what fastavro reads, or not be asked."""

import io
import json

import fastavro
import polars as pl
import pytest

from tom_fink.decoding import avro
from tom_fink.decoding.container import END, END_NAME, framing, long
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


def test_json_of_any_depth_is_refused():
    with pytest.raises(BadMessage, match="RecursionError"):
        avro.parsed_schema(b"[" * 400_000)


def refused(*types, match: str, **more) -> None:
    """Such a schema is refused at once by both ways of reading, whatever the value."""
    fields = [{"name": f"f{number}", "type": kind} for number, kind in enumerate(types)]
    key = json.dumps({"type": "record", "name": "alert", "fields": fields} | more).encode()
    value = long(2**60) + b"\0" * 50
    with pytest.raises(BadMessage, match=match):
        avro.read_record(key, value)
    assert avro.read_columns(key, [value]) is None


EMPTY = {"type": "record", "name": "empty", "fields": []}


@pytest.mark.parametrize(
    "items",
    [
        "null",
        {"type": "null"},
        EMPTY,
        {"type": "fixed", "name": "nothing", "size": 0},
        {
            "type": "record",
            "name": "hollow",
            "fields": [{"name": "a", "type": "null"}, {"name": "b", "type": EMPTY}],
        },
    ],
)
def test_an_array_whose_items_take_no_bytes_is_refused(items):
    """Eight bytes that count to 2^60 kept both readers busy for ever."""
    refused({"type": "array", "items": items}, match="take no bytes")
    refused(["null", {"type": "map", "values": {"type": "array", "items": items}}], match="take no bytes")


def test_items_of_a_type_by_reference_may_take_no_bytes_either():
    refused(EMPTY, {"type": "array", "items": "empty"}, match="take no bytes")


@pytest.mark.parametrize(
    "kind",
    ["alert", ["null", "alert"], {"type": "array", "items": "alert"}, {"type": "map", "values": "alert"}],
)
def test_a_schema_that_contains_itself_is_refused(kind):
    """A value of some thousand bytes made either reader overflow its stack: SIGSEGV."""
    refused(kind, match="contains itself")


def test_a_schema_that_unfolds_to_a_billion_types_is_refused():
    def pair(kind):
        return [{"name": "a", "type": kind}, {"name": "b", "type": kind}]

    first = {"type": "record", "name": "r0", "fields": pair("int")}
    others = [{"type": "record", "name": f"r{n}", "fields": pair(f"r{n - 1}")} for n in range(1, 28)]
    refused(first, *others, match="holds 10737[0-9]+ of them")


@pytest.mark.parametrize(
    ("depth", "match"), [(40, "types deep"), (60, "nests more than 100"), (300, "nests more than 100")]
)
def test_a_schema_that_is_nested_too_deep_is_refused(depth, match):
    kind = "int"
    for _ in range(depth):
        kind = ["null", {"type": "array", "items": kind}]
    refused(kind, match=match)


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        ({"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}, "a decimal"),
        ({"type": "fixed", "name": "f", "size": 4, "logicalType": "decimal", "precision": 4}, "a decimal"),
        ({"type": "fixed", "name": "f", "size": -1}, "without a size"),
        ({"type": "fixed", "name": "f", "size": "x"}, "without a size"),
        ({"type": "record", "name": "r", "fields": [], "__fastavro_parsed": True}, "parsed already"),
    ],
)
def test_other_schemas_that_no_reader_is_safe_with_are_refused(kind, match):
    refused(kind, match=match)


def test_a_schema_cannot_say_that_it_needs_no_check():
    refused("int", match="parsed already", __fastavro_parsed=True, __named_schemas={})


def test_a_key_that_is_too_long_is_not_parsed(monkeypatch):
    monkeypatch.setattr(avro.json, "loads", None)
    with pytest.raises(
        BadMessage, match="The key has 500001 bytes; a schema of more than 500000 is not read"
    ):
        avro.parsed_schema(b"[" * 500_001)


def test_real_schemas_are_far_from_every_limit(real_messages):
    """The figures beside the limits in the module."""
    keys = {
        message.key for message in real_messages("ztf-2026-03.avro", "lsst-2026-03.avro", "ZTF19acihgng.avro")
    }
    extents = [avro._extent(avro.parsed_schema(key), {}) for key in keys]
    assert max(len(key) for key in keys) < 24_000
    assert max(extent.types for extent in extents) < 1_400
    assert max(extent.depth for extent in extents) == 7


def test_bytes_behind_the_record_are_an_error_for_both_readers():
    """jetliner and fastavro stop at the record's end and say nothing of what follows."""
    key, value = key_and_value([{"name": "x", "type": "int"}], {"x": 1})
    assert avro.read_columns(key, [value, value]).to_dict(as_series=False) == {"x": [1, 1]}
    for behind in (b"\0", value, b"x" * 16, b"x" * 70_000):
        assert avro.read_columns(key, [value, value + behind]) is None
        with pytest.raises(BadMessage, match=f"has {len(behind)} bytes behind the record"):
            avro.read_record(key, value + behind)


def test_a_record_cut_anywhere_is_not_read_on_into_what_is_behind_it():
    """With any bytes behind it, a cut before an array had jetliner make room for a count of chance: SIGABRT."""
    kind = [
        "null",
        {
            "type": "array",
            "items": {
                "type": "record",
                "name": "r",
                "fields": [
                    {"name": "y", "type": "double"},
                    {"name": "z", "type": {"type": "array", "items": "int"}},
                ],
            },
        },
    ]
    key, value = key_and_value(
        [{"name": "x", "type": kind}], {"x": [{"y": 0.5, "z": [1, 300]}, {"y": 2.5, "z": []}]}
    )
    assert all(byte & 0x80 for byte in END)
    assert len(set(END)) > 4
    for end in range(1, len(value)):
        assert avro.read_columns(key, [value, value[:end]]) is None


def test_a_field_may_have_the_name_of_the_end():
    key, value = key_and_value([{"name": END_NAME, "type": "int"}], {END_NAME: 1})
    frame = avro.read_columns(key, [value])
    assert frame is None or frame.row(0, named=True) == {END_NAME: 1}


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ({"type": "int", "logicalType": "date"}, 2**31 - 1),
        ({"type": "long", "logicalType": "timestamp-micros"}, 2**62),
    ],
)
def test_a_date_that_python_cannot_hold_stops_nothing(kind, number):
    """The comparison of the two readers raised OverflowError, and Polars panicked."""
    key, _ = key_and_value([{"name": "x", "type": "int"}], {"x": 1})
    key = key.replace(b'"int"', json.dumps(kind).encode())
    value = long(number)
    avro._is_read_alike.clear()
    assert avro.read_columns(key, [value]) is None
    with pytest.raises(BadMessage, match="OverflowError"):
        avro.read_record(key, value)


def test_a_text_that_only_fastavro_refuses_stops_nothing():
    """A UUID that is none: the comparison raised the message's error for the whole batch."""
    key, value = key_and_value([{"name": "x", "type": "string"}], {"x": "no uuid"})
    key = key.replace(b'"string"', b'{"type": "string", "logicalType": "uuid"}')
    assert avro.read_columns(key, [value]) is None


def test_what_is_remembered_of_schemas_is_bounded():
    for number in range(avro.VERDICTS_KEPT + 10):
        key, value = key_and_value([{"name": f"x{number}", "type": "int"}], {f"x{number}": 1})
        assert avro.read_columns(key, [value]) is not None
    assert len(avro._is_read_alike) <= avro.VERDICTS_KEPT
    assert avro.parsed_schema.cache_info().currsize <= avro.SCHEMAS_KEPT


def test_a_schema_that_is_read_differently_is_not_trusted_again(monkeypatch, caplog):
    key, value = key_and_value([{"name": "only_here", "type": "int"}], {"only_here": 1})
    asked = []
    read = avro.jetliner.read_avro

    def wrong(path, **options):
        asked.append(path)
        return read(path, **options).with_columns(pl.col("only_here") + 1)

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
    schema = avro._written_out(pairs[0][0])
    pieces = framing(schema).around([value for _, value in pairs])
    assert [record["t"] for record in fastavro.reader(io.BytesIO(b"".join(pieces)))] == ["a", long_text, ""]


def test_a_schema_is_parsed_once():
    avro.parsed_schema.cache_clear()
    key, value = key_and_value([{"name": "x", "type": "int"}], {"x": 1})
    for _ in range(5):
        avro.read_record(bytes(bytearray(key)), value)  # another object with the same bytes each time
    assert avro.parsed_schema.cache_info().misses == 1


def test_no_schema_is_an_error():
    with pytest.raises(BadMessage, match="not an Avro schema"):
        avro.parsed_schema(b'{"type": "record"}')
