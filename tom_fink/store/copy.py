"""COPY, PostgreSQL's way to take many rows at once, in its binary form: texts of cutouts would take four times as long."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pgpq
import polars as pl
from django.db import connection
from django.db.models import Field
from pgpq.encoders import LargeStringEncoderBuilder
from pgpq.schema import Jsonb

# The binary form has the width of the column, not that of the value.
DTYPES = {
    "smallint": pl.Int16,
    "integer": pl.Int32,
    "bigint": pl.Int64,
    "double precision": pl.Float64,
    "boolean": pl.Boolean,
    "text": pl.String,
    "jsonb": pl.String,
    "bytea": pl.Binary,
    "timestamp with time zone": pl.Datetime("us", "UTC"),
}


FEW, MANY = 16, 512  # rows that are in hand at once, with images and without

Makers = Mapping[str, Callable[[Any], Any]]  # by column: what makes what is written of a value


def copy(cursor, target: str, rows: pl.DataFrame, fields: list[Field], made: Makers) -> None:
    """COPY rows, one column a field and in their order, into `target`, a table with its columns as SQL.

    made: for columns of a table with images. Raises ValueError for a type of column that the app's and TOM
    Toolkit's tables do not have, and where something is made for another table.
    """
    types = [_type(field) for field in fields]
    rows = rows.select(
        pl.col(name).cast(DTYPES[found]) for name, found in zip(rows.columns, types, strict=True)
    )
    with cursor.copy(f"COPY {target} FROM STDIN (FORMAT binary)") as out:
        if "bytea" in types and "jsonb" not in types:
            # To move images about as columns, twice, takes longer than a loop over their few rows.
            out.set_types(types)
            for row in with_made(rows, made):
                out.write_row(row)
            return
        if made:
            raise ValueError(
                f"{target} is no table with images: {', '.join(made)} would be written as they are."
            )
        for piece in _encoded(rows, types):
            out.write(piece)


def with_made(rows: pl.DataFrame, made: Makers) -> Iterator[Iterable]:
    """The rows, with what is made of values made when a row's turn comes."""
    at_once = FEW if pl.Binary in rows.dtypes else MANY
    if not made:
        yield from rows.iter_rows(buffer_size=at_once)
        return
    makers = [made.get(name) for name in rows.columns]
    for row in rows.iter_rows(buffer_size=at_once):
        yield [value if make is None else make(value) for make, value in zip(makers, row, strict=True)]


def _encoded(rows: pl.DataFrame, types: list[str]) -> Iterator[bytes]:
    """The binary form, in pieces."""
    table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
    encoders = {
        column.name: LargeStringEncoderBuilder.new_with_output(column, Jsonb())
        if found == "jsonb"
        else pgpq.ArrowToPostgresBinaryEncoder.infer_encoder(column)
        for column, found in zip(table.schema, types, strict=True)
    }
    encoder = pgpq.ArrowToPostgresBinaryEncoder.new_with_encoders(table.schema, encoders)
    yield encoder.write_header()
    for batch in table.to_batches():
        yield encoder.write_batch(batch)
    yield encoder.finish()


def _type(field: Field) -> str:
    found = field.db_type(connection)
    if found.startswith("varchar"):
        return "text"
    if found not in DTYPES:
        raise ValueError(f"{field} is of type {found}, for which there is no COPY here.")
    return found
