"""Fields of decoded alerts as expressions, and what a field may bring.

A number may arrive as text (the REST API's rows), and a hostile message brings its own schema: any field
may have any type and any value. What is stored is decided here, and not by the column that it goes to:
SQLite does not hold a text to its column's length, and both databases are to store the same.
docs/reference.md, "What is cut, dropped or rejected", has the rules.
"""

import polars as pl

from tom_fink.decoding.decode import MESSAGE
from tom_fink.text import UNPRINTABLE

CLASS_LENGTH = 100  # characters of `fink_class`
VALUE_LENGTH = 200  # characters of a text in `fink_values`
MAG_RANGE = (-30.0, 60.0)  # the Sun has -27, and a flux of 1e-10 nJy 56
MAX_MAG_ERR = 100.0
MAX_FLUX_NJY = 1e23  # -26.1 mag
MAX_POINTS = 20_000  # of an alert's history; Rubin's deep fields have some thousands of visits a year
MAX_CUTOUT_BYTES = 4 * 1024 * 1024  # as it came; Fink's have up to 50 kB

# Words that mean "missing" somewhere in Fink's alerts.
MISSING_WORDS = ["", "null", "nan", "NaN", "None", "Unknown"]
MISSING_NUMBER = -999.0


def flattened(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with a column for each field of its records, named by its path ("candidate.jd"); lists are left out.

    Polars goes through the types of all fields of a record for each expression that looks into it, and Fink's
    records have a hundred: for a small batch that takes longer than the work itself.
    """
    columns: dict[str, pl.Series] = {}
    for column in frame.iter_columns():
        dtype = column.dtype
        if isinstance(dtype, pl.Struct):
            fields = {f"{column.name}.{field.name}": field for field in column.struct.unnest()}
            columns |= {path: field.alias(path) for path, field in fields.items()}
        elif not isinstance(dtype, pl.List):
            columns[column.name] = column
    return pl.DataFrame(list(columns.values()))


def pick(schema: pl.Schema | dict, path: str, dtype: pl.DataType) -> pl.Expr:
    """The column `path` of a frame that is `flattened` ("candidate.jd") as `dtype`; null where the schema lacks it or the cast fails.

    The schema came with the message and may give the field any type: one that cannot be cast is null.
    """
    found, expression = schema.get(path), pl.col(path)
    if found is None or not _has_cast(found, dtype):
        return pl.lit(None, dtype)
    if found in (pl.Enum, pl.Categorical):
        found, expression = pl.String, expression.cast(pl.String)
    if dtype == pl.Boolean and found == pl.String:
        return expression.str.to_lowercase().replace_strict({"true": True, "false": False}, default=None)
    return expression.cast(dtype, strict=False)


def _has_cast(found: pl.DataType, dtype: pl.DataType) -> bool:
    """Whether values of type `found` can be read as `dtype`; Polars raises for most other pairs.

    Bytes are not text here: Polars raises where they are no UTF-8, whatever `strict` says. Times are not
    numbers: what they count is not said.
    """
    if found == dtype:
        return True
    if dtype == pl.Binary:
        return found == pl.String
    if found in (pl.Date, pl.Datetime, pl.Time):
        return dtype == pl.String
    return found.is_numeric() or found in (pl.Boolean, pl.String, pl.Enum, pl.Categorical)


def number(schema: pl.Schema | dict, path: str) -> pl.Expr:
    """A Float64 field without NaN, infinities and the -999 that means "missing"."""
    value = pick(schema, path, pl.Float64)
    return pl.when(value.is_finite() & (value != MISSING_NUMBER)).then(value)


def magnitude(schema: pl.Schema | dict, path: str) -> pl.Expr:
    """A magnitude; null outside MAG_RANGE."""
    value = pick(schema, path, pl.Float64)
    return pl.when(value.is_between(*MAG_RANGE)).then(value)


def flux(schema: pl.Schema | dict, path: str) -> pl.Expr:
    """A flux in nJy; null beyond MAX_FLUX_NJY, and for the -999 that means "missing"."""
    value = pick(schema, path, pl.Float64)
    return pl.when(value.is_between(-MAX_FLUX_NJY, MAX_FLUX_NJY) & (value != MISSING_NUMBER)).then(value)


def error(schema: pl.Schema | dict, path: str, largest: float) -> pl.Expr:
    """A standard error; null unless above 0 and up to `largest`."""
    value = pick(schema, path, pl.Float64)
    return pl.when((value > 0) & (value <= largest)).then(value)


def text(schema: pl.Schema | dict, path: str) -> pl.Expr:
    """A text field, trimmed; null for the words that mean "missing".

    Nothing else is taken out: an id must be refused and not made into another one.
    """
    value = pick(schema, path, pl.String).str.strip_chars()
    return pl.when(~value.is_in(MISSING_WORDS)).then(value)


def label(schema: pl.Schema | dict, path: str, length: int = CLASS_LENGTH) -> pl.Expr:
    """A text for people, without UNPRINTABLE characters, trimmed and cut; null for what means "missing"."""
    value = pick(schema, path, pl.String).str.replace_all(UNPRINTABLE, "").str.strip_chars()
    return pl.when(~value.is_in(MISSING_WORDS)).then(value.str.slice(0, length))


def cutout(schema: pl.Schema | dict, path: str) -> pl.Expr:
    """The bytes of a cutout; null beyond MAX_CUTOUT_BYTES."""
    value = pick(schema, path, pl.Binary)
    return pl.when(value.bin.size() <= MAX_CUTOUT_BYTES).then(value)


def identifier(schema: pl.Schema | dict, path: str) -> pl.Expr:
    """A 64-bit id as text; null for 0 and -1, which stand for "not applicable"."""
    value = pick(schema, path, pl.Int64)
    return pl.when(value > 0).then(value.cast(pl.String))


def records(frame: pl.DataFrame, name: str, fields: tuple[str, ...]) -> pl.DataFrame | None:
    """A row for each record of the column `name`, a record or a list of them: `message` and `fields`.

    None if there is no such column or it holds no records. A field that the records lack is left out.
    """
    if name not in frame.columns:
        return None
    column, messages = frame.get_column(name), frame.get_column(MESSAGE)
    if isinstance(column.dtype, pl.List):
        lengths = column.list.len().fill_null(0)
        if lengths.min() == 0:
            # A missing history is null or empty, and either would become a row of nulls.
            there = lengths > 0
            column, messages, lengths = column.filter(there), messages.filter(there), lengths.filter(there)
        column, messages = column.explode(), messages.repeat_by(lengths).explode()
    if not isinstance(column.dtype, pl.Struct):
        return None
    present = column.struct.unnest()
    return present.select(messages, *(field for field in fields if field in present.columns))


def together(frames: list[pl.DataFrame]) -> list[pl.DataFrame]:
    """The frames as one, null where one lacks a column; as they are where a column's types differ.

    What is made of one frame takes a third of the time of three.
    """
    dtypes: dict[str, pl.DataType] = {}
    agree = all(
        dtypes.setdefault(name, dtype) == dtype for frame in frames for name, dtype in frame.schema.items()
    )
    return [pl.concat(frames, how="diagonal")] if frames and agree else frames
