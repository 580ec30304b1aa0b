"""What Fink's resolvers say of a name, in one form for TNS, SIMBAD and SsODNet and for both surveys."""

import polars as pl

from tom_fink.api.answers import Answer, rows
from tom_fink.api.query import Query
from tom_fink.fields import label, number, pick

NAMES = (
    "fullname", "xm_tns_fullname", "oname", "unpacked_primary_provisional_designation", "name",
)  # fmt: skip
OTHER_NAMES = ("internalname", "packed_primary_provisional_designation")
KINDS = ("type", "xm_tns_type", "otype", "cdsxmatch", "main_label_crossmatch")
RA, DEC = ("ra", "jradeg"), ("declination", "jdedeg", "dec")
REDSHIFTS = ("redshift", "xm_tns_redshift", "z")


def resolved(query: Query, answer: Answer) -> pl.DataFrame:
    """The names found, a row each: `name`, `other_name`, `kind`, `ra_deg`, `dec_deg` (ICRS), `redshift`.

    What a resolver does not know is null. `other_name` is TNS's internal name (ZTF23abmwsrw), a body's number or
    packed designation; `kind` is TNS's or SIMBAD's type. TNS has a row for each internal name.
    Raises as `answers.rows` does.
    """
    frame = rows(query, answer).frame
    schema = frame.schema

    def first_label(names: tuple[str, ...]) -> list[pl.Expr]:
        return [label(schema, name) for name in names]

    def first_number(names: tuple[str, ...], low: float, high: float) -> pl.Expr:
        value = pl.coalesce(number(schema, name) for name in names)
        return pl.when(value.is_between(low, high)).then(value)

    body_number = pick(schema, "number", pl.Int64).cast(pl.String)
    found = frame.select(
        "message",
        pl.coalesce(first_label(NAMES)).alias("name"),
        pl.coalesce(*first_label(OTHER_NAMES), body_number).alias("other_name"),
        pl.coalesce(first_label(KINDS)).alias("kind"),
        first_number(RA, 0, 360).alias("ra_deg"),
        first_number(DEC, -90, 90).alias("dec_deg"),
        first_number(REDSHIFTS, -0.1, 100).alias("redshift"),
    )
    return found.drop("message").filter(pl.col("name").is_not_null())
