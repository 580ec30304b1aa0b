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


@pytest.mark.parametrize(
    ("table", "column"), [("tom_fink_cutout", "fits"), ("tom_fink_knownpoints", "digests")]
)
def test_what_does_not_shrink_is_not_compressed(table, column):
    """'e', EXTERNAL: kept beside the table as it is."""
    stored = "SELECT attstorage FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s"
    assert ask(stored, table, column) in ([("e",)], [(b"e",)])
