"""Many rows into one table, within a transaction: COPY on PostgreSQL, `executemany` on SQLite.

Rows are a frame whose columns have the names of the model's attributes (`target_id`, not `target`). What it
lacks gets the field's default, as an instance of the model would. JSON is text.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence

import polars as pl
from django.db import connection
from django.db.models import AutoField, Field, JSONField, Model
from django.db.models.constants import OnConflict
from django.db.transaction import TransactionManagementError

from tom_fink.store.copy import FEW, copy

PART = 20_000  # rows in hand at once as columns
MANY = 512  # and as Python's values


def prefer_indexes() -> None:
    """Have PostgreSQL find rows by index until the transaction ends, however few it believes there are.

    How it checks a reference is planned once for a connection, by the size that the table had when it was
    looked at last. Planned while the site has ten targets, it goes on to read the whole table for each row,
    a thousand targets later too: the commit of a batch then takes five seconds and more with each batch.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")


def insert(model: type[Model], rows: pl.DataFrame) -> int:
    """Insert rows that no unique key of the table has; their number. Raises IntegrityError for one that it has."""
    return _insert(model, rows)


def insert_missing(model: type[Model], rows: pl.DataFrame) -> int:
    """Insert rows; those that a unique key of the table has already are passed over. How many were not."""
    return _insert(model, rows, OnConflict.IGNORE)


def insert_or_update(
    model: type[Model], rows: pl.DataFrame, unique: Sequence[str], update: Sequence[str]
) -> None:
    """Insert rows; of those whose columns `unique` are in the table already, bring `update` up to date.

    No two of the rows may have the same `unique` columns.
    """
    _insert(model, rows, OnConflict.UPDATE, unique, update)


def insert_or_correct(
    model: type[Model], rows: pl.DataFrame, unique: Sequence[str], update: Sequence[str]
) -> int:
    """The same, where most of what is there is as it should be: a row whose `update` is not new stays unwritten."""
    return _insert(model, rows, OnConflict.UPDATE, unique, update, only_changes=True)


def bring_up_to_date(rows: Collection[Model], fields: Sequence[str]) -> None:
    """Write these fields of rows that are in the table and locked: a few of one model, with their keys.

    Django's `bulk_update` makes a CASE of each field and each row, which takes five times as long.
    """
    if rows:
        manager = type(next(iter(rows)))._default_manager
        manager.bulk_create(rows, update_conflicts=True, unique_fields=["pk"], update_fields=fields)


def _insert(
    model: type[Model],
    rows: pl.DataFrame,
    on_conflict: OnConflict | None = None,
    unique: Sequence[str] = (),
    update: Sequence[str] = (),
    only_changes: bool = False,
) -> int:
    """How many rows were written."""
    if not connection.in_atomic_block:
        raise TransactionManagementError("Rows are inserted within a transaction only.")
    if rows.is_empty():
        return 0
    written = 0
    fields = _written_fields(model, rows)
    quoted = connection.ops.quote_name
    columns = ", ".join(quoted(field.column) for field in fields)
    column_of = {field.attname: field.column for field in fields}
    suffix = connection.ops.on_conflict_suffix_sql(
        fields, on_conflict, [column_of[name] for name in update], [column_of[name] for name in unique]
    )
    if on_conflict == OnConflict.IGNORE:
        # Django's own for SQLite, INSERT OR IGNORE, would pass over a null where none may be, too.
        suffix = "ON CONFLICT DO NOTHING"
    table, new = quoted(model._meta.db_table), quoted(f"new_{model._meta.db_table}")
    if only_changes:
        differs = "IS DISTINCT FROM" if connection.vendor == "postgresql" else "IS NOT"
        changes = (
            f"{table}.{name} {differs} EXCLUDED.{name}" for name in map(quoted, map(column_of.get, update))
        )
        suffix = f"{suffix} WHERE {' OR '.join(changes)}"
    for part in _with_defaults(rows, fields).iter_slices(PART):
        with connection.cursor() as cursor, connection.wrap_database_errors:
            if connection.vendor != "postgresql":
                places = ", ".join(["%s"] * len(fields))
                values = f"({columns}) VALUES ({places})"
                cursor.executemany(f"INSERT INTO {table} {values} {suffix}", _adapted(part))
            elif on_conflict is None:
                copy(cursor, f"{table} ({columns})", part, fields)
            else:
                # COPY knows no conflicts. This table lives as long as the connection: to make one for each
                # batch would fill the catalogues of PostgreSQL with dead rows. An earlier part of this transaction
                # may have left some in it. TRUNCATE would make a new file each time.
                chosen = f"SELECT {columns} FROM"
                made = f"{new} ON COMMIT DELETE ROWS AS {chosen} {table} WITH NO DATA"
                emptied = f"DELETE FROM {new}"  # noqa: S608 - a name of ours
                cursor.execute(f"CREATE TEMPORARY TABLE IF NOT EXISTS {made}; {emptied}")
                copy(cursor, f"{new} ({columns})", part, fields)
                cursor.execute(f"INSERT INTO {table} ({columns}) {chosen} {new} {suffix}")
            written += cursor.rowcount
    return written


def _written_fields(model: type[Model], rows: pl.DataFrame) -> list[Field]:
    """The model's fields, but for a key that the database counts where the rows have none.

    Raises ValueError for a column of none.
    """
    fields = [
        field
        for field in model._meta.concrete_fields
        if field.attname in rows.columns or not isinstance(field, AutoField)
    ]
    if unknown := set(rows.columns) - {field.attname for field in fields}:
        raise ValueError(f"{model.__name__} has no {', '.join(sorted(unknown))}.")
    return fields


def _with_defaults(rows: pl.DataFrame, fields: list[Field]) -> pl.DataFrame:
    columns = []
    for field in fields:
        if field.attname in rows.columns:
            columns.append(pl.col(field.attname))
            continue
        default = field.get_default()
        if isinstance(field, JSONField):
            default = json.dumps(default, cls=field.encoder)
        columns.append(pl.lit(default).alias(field.attname))
    return rows.select(columns)


def _adapted(rows: pl.DataFrame) -> Iterator[Iterable]:
    """Rows as the database's driver takes them: times as Django writes them."""
    times = [isinstance(dtype, pl.Datetime) for dtype in rows.dtypes]
    adapt = connection.ops.adapt_datetimefield_value
    for row in rows.iter_rows(buffer_size=FEW if pl.Binary in rows.dtypes else MANY):
        yield [adapt(value) if is_time else value for value, is_time in zip(row, times, strict=True)]
