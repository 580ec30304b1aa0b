"""What the writer tells PostgreSQL, and no other database."""

import pytest
from django.db import connection

from tom_fink.store import batch, store_messages

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="PostgreSQL's own"),
]


def ask(statement: str, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


def test_references_are_checked_by_index_though_the_tables_were_small(simulated_messages, monkeypatch):
    """A plan of a connection's first minutes, when the site had a few targets, is used for all that follow."""
    found, insert = [], batch.store_photometry

    def store_photometry(*arguments):
        found.extend(ask("SHOW enable_seqscan"))
        return insert(*arguments)

    monkeypatch.setattr(batch, "store_photometry", store_photometry)
    store_messages(simulated_messages[:20])
    assert found == [("off",)]
    assert ask("SHOW enable_seqscan") == [("on",)], "the connection is somebody else's behind the transaction"


def test_what_does_not_shrink_is_not_compressed():
    """'e', EXTERNAL: kept beside the table as it is."""
    stored = "SELECT attstorage FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s"
    assert ask(stored, "tom_fink_knownpoints", "digests") in ([("e",)], [(b"e",)])


@pytest.mark.parametrize(
    ("table", "column"),
    [("tom_fink_alert", "fink_values"), ("tom_dataproducts_photometryreduceddatum", "value")],
)
def test_no_statistics_are_kept_of_json(table, column):
    """Autovacuum would sort the JSON of thousands of rows again and again while a stream is read."""
    target = "SELECT attstattarget FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s"
    assert ask(target, table, column) == [(0,)]


def test_no_index_is_the_beginning_of_another():
    """Django gives each reference an index; one more that begins so is kept up to date for nothing."""
    indexes = ask(
        "SELECT indrelid::regclass::text, indexrelid::regclass::text, indkey::int2[], indisunique"
        " FROM pg_index WHERE indrelid::regclass::text LIKE 'tom_fink_%%' AND indpred IS NULL"
    )
    assert len(indexes) > 20
    unneeded = {
        name
        for table, name, columns, is_unique in indexes
        for other_table, other, others, _ in indexes
        if table == other_table and name != other and columns == others[: len(columns)] and not is_unique
    }
    # Of varchar columns with a key Django makes a second one, for LIKE.
    assert {name for name in unneeded if not name.endswith("_like")} == set()
