"""Rows of a frame in a table: the same values on SQLite and PostgreSQL, whatever stands in them."""

import json
from datetime import UTC, datetime, timedelta, timezone

import polars as pl
import pytest
from django.db import DataError, IntegrityError, connection, transaction
from tom_common.models import TermsOfServiceAcceptance

from tom_fink.models import DelayHour, FinkObject, PartitionLedger, RejectedMessage
from tom_fink.store import bulk
from tom_fink.store.bulk import insert, insert_missing, insert_or_update

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 22, 4, 5, 6, 789_012, tzinfo=UTC)
TEXTS = [
    "", " ", "plain", 'with "quotes"', "it's", "back\\slash", "\\", "\\N", "\\.", "NULL", "null", "tab\there",
    "two\nlines", "carriage\r\nreturn", "Čerenkov ±5σ, 望遠鏡 🔭", "a,b;c|d", "%s %(name)s", "{}", "x" * 100_000,
]  # fmt: skip
BYTES = [None, b"", b"\0", b"a\0b\0", b"\\x00", b"\\N\n", bytes(range(256)), b"\xff" * 100_000]
FLOATS = [None, 0.0, 0.1, 1 / 3, 1e-7, 5e-324, -1.7976931348623157e308, 1.7976931348623157e308, 2.0**53 + 2]
TIMES = [None, NOW, NOW.replace(microsecond=0), NOW.replace(microsecond=1), datetime(1950, 1, 1, tzinfo=UTC),
         datetime(2099, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)]  # fmt: skip
JSON = [{}, {"a": None}, {"text": 'quotes " and \\ and \n, tab \t, \\u0041, ±σ 🔭'}, {"nested": {"n": [1, 2.5, True]}},
        {"big": 2**53}, []]  # fmt: skip


def rejected(count: int = 1, **columns) -> pl.DataFrame:
    """Rows of rejected messages that differ in their offsets, with these columns (lists) besides."""
    return pl.DataFrame(
        {
            "topic": ["fink_x_ztf"] * count,
            "offset": range(count),
            "digest": ["d"] * count,
            "error": ["e"] * count,
            "received_at": [NOW] * count,
        }
        | columns,
        schema_overrides={"offset": pl.Int64},
    )


def objects(count: int, **columns) -> pl.DataFrame:
    return pl.DataFrame({"survey": ["ztf"] * count, "object_id": [f"o{n}" for n in range(count)]} | columns)


def raw(model, *names: str) -> list[tuple]:
    """What stands in the table, as the driver reads it."""
    columns = ", ".join(connection.ops.quote_name(model._meta.get_field(name).column) for name in names)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM {model._meta.db_table} ORDER BY id")  # noqa: S608 - our own names
        rows = cursor.fetchall()
    return [tuple(bytes(cell) if isinstance(cell, memoryview) else cell for cell in row) for row in rows]


@pytest.mark.parametrize(
    ("model", "name", "values"),
    [
        (RejectedMessage, "error", TEXTS),
        (RejectedMessage, "value", BYTES),
        (RejectedMessage, "partition", [None, 0, -1, 2**31 - 1, -(2**31)]),
        (RejectedMessage, "offset", [None, 0, -1, 2**63 - 1, -(2**63)]),
        (RejectedMessage, "received_at", TIMES[1:]),
        (RejectedMessage, "tried_at", TIMES),
        (FinkObject, "ra_deg", FLOATS),
        (FinkObject, "is_positive", [None, True, False]),
        (FinkObject, "alert_count", [0, 2**31 - 1]),
        (FinkObject, "fink_class", ["", *(text for text in TEXTS if 0 < len(text) <= 100)]),
        (DelayHour, "emitted_to_broker", JSON),
    ],
)
def test_a_row_is_the_one_that_the_orm_would_write(model, name, values):
    """To the bit: what compares and sorts by these columns finds no difference."""
    unique = {RejectedMessage: "digest", FinkObject: "object_id", DelayHour: "topic"}[model]
    needed = {
        RejectedMessage: {"topic": "t", "error": "e", "received_at": NOW},
        FinkObject: {"survey": "ztf"},
        DelayHour: {"partition": 0, "hour": NOW},
    }[model]
    if model is DelayHour:
        others = ("broker_to_received", "received_to_stored", "emitted_to_stored")
        needed |= {key: {"given": 1} for key in others}
    for place, value in enumerate(values):
        model.objects.create(**{**needed, unique: f"orm {place}", name: value})
    columns = {key: [value] * len(values) for key, value in needed.items()}
    columns |= {name: values, unique: [f"bulk {place}" for place in range(len(values))]}
    for key, cells in columns.items():
        if isinstance(cells[0], dict | list):
            columns[key] = [json.dumps(cell, ensure_ascii=False) for cell in cells]
    kind = {"ra_deg": pl.Float64, "value": pl.Binary, "is_positive": pl.Boolean}.get(name)
    insert(model, pl.DataFrame(columns, schema_overrides={name: kind} if kind else None))
    assert list(model.objects.order_by("pk").values_list(name, flat=True)[: len(values)]) == values
    if name == "emitted_to_broker":  # what is text in SQLite may be written in more than one way
        written = list(model.objects.order_by("pk").values_list(name, flat=True))
    else:
        written = [repr(row) for row in raw(model, name)]
    assert written[len(values) :] == written[: len(values)]


@pytest.mark.parametrize(
    "times",
    [
        pl.Series([NOW]).dt.convert_time_zone("Pacific/Auckland"),
        pl.Series([NOW.replace(tzinfo=None)]),
        pl.Series([NOW], dtype=pl.Datetime("ns", "UTC")),
        pl.Series([NOW.astimezone(timezone(timedelta(hours=-5, minutes=-30)))]),
    ],
    ids=["another zone", "no zone", "nanoseconds", "an offset"],
)
def test_times_of_any_zone_are_utc(times):
    """A frame's time without a zone is in UTC."""
    insert(RejectedMessage, rejected().with_columns(times.alias("received_at")))
    assert RejectedMessage.objects.get().received_at == NOW
    assert RejectedMessage.objects.filter(received_at=NOW).exists()


def test_milliseconds_are_kept():
    at = pl.Series([NOW], dtype=pl.Datetime("ms", "UTC"))
    insert(RejectedMessage, rejected().with_columns(at.alias("received_at")))
    assert RejectedMessage.objects.get().received_at == NOW.replace(microsecond=789_000)


def test_null_and_empty_are_two_things():
    rows = rejected(4, value=[None, b"", b"x", None], tried_at=[NOW, None, None, None])
    insert(RejectedMessage, rows)
    assert list(RejectedMessage.objects.order_by("offset").values_list("value", "tried_at")) == [
        (None, NOW), (b"", None), (b"x", None), (None, None)
    ]  # fmt: skip
    assert RejectedMessage.objects.filter(value=None).count() == 2


def test_what_is_not_given_has_the_field_s_default():
    insert(RejectedMessage, rejected(2))
    for row in RejectedMessage.objects.all():
        assert (row.tries, row.traceback, row.closed_as) == (1, "", "")
        assert (row.partition, row.key, row.value, row.tried_at) == (None, None, None, None)


def test_a_json_column_that_is_not_given_has_its_default():
    insert(DelayHour, pl.DataFrame({"topic": ["t"], "partition": [0], "hour": [NOW]}))
    row = DelayHour.objects.get()
    assert (row.emitted_to_broker, row.emitted_to_stored) == ({}, {})


def test_the_order_of_the_columns_does_not_matter():
    insert(RejectedMessage, rejected(2).select(sorted(rejected().columns, reverse=True)))
    assert list(RejectedMessage.objects.values_list("topic", "error").distinct()) == [("fink_x_ztf", "e")]


def test_a_column_that_the_model_lacks_is_an_error():
    with pytest.raises(ValueError, match="FinkObject has no colour, pk"):
        insert(FinkObject, objects(1, colour=["red"], pk=[1]))


@pytest.mark.parametrize("write", [insert, insert_missing])
def test_no_rows_are_no_query(write, django_assert_num_queries):
    with django_assert_num_queries(0):
        write(FinkObject, objects(0))


def test_insert_refuses_what_is_there():
    insert(FinkObject, objects(2))
    with pytest.raises(IntegrityError), transaction.atomic():
        insert(FinkObject, objects(3))
    assert FinkObject.objects.count() == 2


def test_insert_missing_passes_over_what_is_there_and_what_comes_twice():
    insert(FinkObject, objects(2, fink_class=["first", "first"]))
    twice = pl.concat([objects(3), objects(3)])
    insert_missing(FinkObject, twice.with_columns(pl.lit("second").alias("fink_class")))
    assert dict(FinkObject.objects.values_list("object_id", "fink_class")) == {
        "o0": "first", "o1": "first", "o2": "second"
    }  # fmt: skip


def test_insert_or_update_changes_only_what_it_is_told():
    insert(FinkObject, objects(2, fink_class=["old", "old"], band=["g", "g"]))
    keys = dict(FinkObject.objects.values_list("object_id", "pk"))
    rows = objects(3, fink_class=["new"] * 3, band=["r"] * 3, mag_ab=[None, 18.5, 19.5])
    insert_or_update(FinkObject, rows, ["survey", "object_id"], ["fink_class", "mag_ab"])
    found = FinkObject.objects.order_by("object_id").values_list("object_id", "fink_class", "band", "mag_ab")
    assert list(found) == [("o0", "new", "g", None), ("o1", "new", "g", 18.5), ("o2", "new", "r", 19.5)]
    assert keys.items() <= dict(FinkObject.objects.values_list("object_id", "pk")).items()


@pytest.mark.parametrize("count", [6, 7])
def test_more_rows_than_are_in_hand_at_once(monkeypatch, count):
    monkeypatch.setattr(bulk, "PART", 3)
    insert(RejectedMessage, rejected(count))
    insert_missing(FinkObject, objects(count))
    assert insert_missing(FinkObject, objects(count + 2)) == 2
    insert_or_update(
        FinkObject, objects(count + 4, band=["r"] * (count + 4)), ["survey", "object_id"], ["band"]
    )
    assert list(RejectedMessage.objects.order_by("pk").values_list("offset", flat=True)) == list(range(count))
    assert FinkObject.objects.filter(band="r").count() == FinkObject.objects.count() == count + 4


def test_several_times_and_with_other_columns_in_one_transaction():
    with transaction.atomic():
        insert_missing(FinkObject, objects(2))
        insert_missing(FinkObject, objects(3, band=["g"] * 3))
        insert_or_update(FinkObject, objects(1, mag_ab=[18.5]), ["survey", "object_id"], ["mag_ab"])
    found = FinkObject.objects.order_by("object_id").values_list("object_id", "band", "mag_ab")
    assert list(found) == [("o0", "", 18.5), ("o1", "", None), ("o2", "g", None)]


def test_it_works_after_a_transaction_that_was_taken_back():
    for _ in range(2):
        with transaction.atomic():
            insert_missing(FinkObject, objects(2))
            transaction.set_rollback(True)
        assert not FinkObject.objects.exists()
    insert_missing(FinkObject, objects(2))
    assert FinkObject.objects.count() == 2


@pytest.mark.parametrize("write", [insert, insert_missing])
def test_what_is_no_conflict_is_not_passed_over(write):
    """A row that is refused for another reason than a unique key must not be missing without a word."""
    nameless = objects(1).with_columns(pl.lit(None, pl.String).alias("object_id"))
    with pytest.raises(IntegrityError), transaction.atomic():
        write(FinkObject, nameless)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("write", [insert, insert_missing])
def test_outside_a_transaction_no_row_is_missing_without_a_word(write):
    try:
        write(FinkObject, objects(2))
    except transaction.TransactionManagementError:
        assert not FinkObject.objects.exists()
    else:
        assert FinkObject.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_one_transaction_after_the_other():
    for count in (2, 3):
        with transaction.atomic():
            insert_missing(FinkObject, objects(count))
        assert FinkObject.objects.count() == count


def test_what_the_table_forbids_is_refused():
    """The sums of the ledger are a check of the database's, on rows that come in bulk too."""
    ledger = pl.DataFrame(
        {"group_id": ["g"], "topic": ["t"], "partition": [0], "first_offset": [0], "next_offset": [2**62],
         "read": [2**62], "stored": [1], "updated_at": [NOW]}
    )  # fmt: skip
    with pytest.raises(IntegrityError), transaction.atomic():
        insert(PartitionLedger, ledger)
    insert(PartitionLedger, ledger.with_columns(stored=pl.col("read")))
    assert PartitionLedger.objects.get().stored == 2**62


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has no such limits")
@pytest.mark.parametrize("text", ["x" * 101, "with\0NUL"])
def test_a_text_that_postgresql_cannot_take_is_a_data_error(text):
    """As which the writer knows that one of the alerts is to blame."""
    with pytest.raises(DataError), transaction.atomic():
        insert(FinkObject, objects(1, fink_class=[text]))
    insert(FinkObject, objects(1))


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="COPY is PostgreSQL's")
def test_a_type_of_column_that_copy_does_not_know_is_named():
    with pytest.raises(ValueError, match="ip_address is of type inet"):
        insert(TermsOfServiceAcceptance, pl.DataFrame({"ip_address": ["127.0.0.1"]}))
