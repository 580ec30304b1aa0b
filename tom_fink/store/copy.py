"""COPY, PostgreSQL's way to take many rows at once, in its binary form: as text, bytes take four times as long."""

from collections.abc import Iterator

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


FEW = 16  # rows with bytes that are in hand at once: a rejected message may have megabytes


def copy(cursor, target: str, rows: pl.DataFrame, fields: list[Field]) -> None:
    """COPY rows, one column a field and in their order, into `target`, a table with its columns as SQL.

    Raises ValueError for a type of column that the app's and TOM Toolkit's tables do not have.
    """
    types = [_type(field) for field in fields]
    rows = rows.select(
        pl.col(name).cast(DTYPES[found]) for name, found in zip(rows.columns, types, strict=True)
    )
    with cursor.copy(f"COPY {target} FROM STDIN (FORMAT binary)") as out:
        if "bytea" in types and "jsonb" not in types:
            # To move long values about as columns, twice, takes longer than a loop over their few rows.
            out.set_types(types)
            for row in rows.iter_rows(buffer_size=FEW):
                out.write_row(row)
            return
        for piece in _encoded(rows, types):
            out.write(piece)


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
