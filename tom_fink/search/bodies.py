"""Whether an answer is of the body that was asked for: Fink looks names up by their beginning."""

import re

import polars as pl

from tom_fink.fields import text

NAMES = ("sso_number", "sso_name", "ssnamenr")


def of_body(asked: str, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of one body, whose number, name or designation is `asked`.

    What Fink calls it need not be what was asked: if all rows are of one body, it is taken to be that, unless a number
    was asked for and another came. Of several the one that has this very name is taken, or none.
    """
    names = rows.select(text(rows.schema, name).alias(name) for name in NAMES)
    is_it = pl.any_horizontal(_plain(pl.col(name)) == plain(asked) for name in NAMES).fill_null(False)
    numbers, said = (names[name].drop_nulls().unique() for name in NAMES[:2])
    its = names.filter(is_it)
    if its.is_empty():
        is_one = max(len(numbers), len(said)) <= 1
        is_other = re.fullmatch("[0-9]+", asked) is not None and len(numbers) > 0
        return rows if is_one and not is_other else rows.clear()
    # A body has now its name and now its number where it is called by one of them alone.
    same = is_it
    for name in NAMES[:2]:
        same |= pl.col(name).is_in(its[name].drop_nulls().unique().implode()).fill_null(False)
    return rows.filter(names.select(same.alias("same"))["same"])


def plain(name: str) -> str:
    """A name without blanks and capitals."""
    return re.sub(r"\s", "", name).casefold()


def _plain(name: pl.Expr) -> pl.Expr:
    return name.str.replace_all(r"\s", "").str.to_lowercase()
