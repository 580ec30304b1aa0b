"""Keys of rows that are not inserted yet: so nobody has to look up what COPY has made of them."""

from django.db import connection
from django.db.models import Model


def reserved_keys(model: type[Model], count: int) -> list[int]:
    """So many keys for new rows of a model whose key the database counts; nobody else gets them.

    On SQLite only within a transaction that ends with the rows in: its counting is a row like any other.
    """
    if count == 0:
        return []
    table, key = model._meta.db_table, model._meta.pk.column
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "WITH counted AS MATERIALIZED (SELECT pg_get_serial_sequence(%s, %s)::regclass AS by_it) "
                "SELECT nextval(by_it) FROM counted, generate_series(1, %s)",
                [connection.ops.quote_name(table), key, count],
            )
            return [number for (number,) in cursor.fetchall()]
        # Where Django makes a table's key AUTOINCREMENT, SQLite keeps the largest one that it has given.
        cursor.execute("UPDATE sqlite_sequence SET seq = seq + %s WHERE name = %s", [count, table])
        if cursor.rowcount == 0:
            cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (%s, %s)", [table, count])
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
        (last,) = cursor.fetchone()
        return list(range(last - count + 1, last + 1))
