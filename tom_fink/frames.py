"""The two tidy frames that every survey module makes, and the expressions that they share.

*alerts*: one row an alert. *detections*: one row a photometric point. Columns carry their unit in
their name, times are UTC to the millisecond, ids are text, and what is missing is null.

Expressions work on columns whatever they came from: Avro from Kafka, or JSON rows from the REST API.
"""

from dataclasses import dataclass

import polars as pl

from tom_fink.decoding.decode import MESSAGE
from tom_fink.fields import CLASS_LENGTH, MAX_MAG_ERR, MAX_POINTS

UTC_MS = pl.Datetime("ms", "UTC")

ALERTS = {
    MESSAGE: pl.UInt32,  # the message of the batch that brought it
    "survey": pl.String,  # whose format the alert has: ztf, lsst or mm
    "alert_id": pl.String,
    "object_id": pl.String,  # the survey's own id; a moving body's differs from alert to alert in ZTF
    "object_survey": pl.String,  # the survey that `object_id` belongs to
    "body": pl.String,  # a known Solar System body's designation or number, else null
    "body_aliases": pl.List(pl.String),
    "observed_at": UTC_MS,
    "ra_deg": pl.Float64,
    "dec_deg": pl.Float64,
    "band": pl.String,
    "mag_ab": pl.Float64,  # of the difference flux's size
    "mag_err": pl.Float64,
    "flux_njy": pl.Float64,  # signed difference flux
    "flux_err_njy": pl.Float64,
    "is_positive": pl.Boolean,
    "fink_class": pl.String,
    "fink_values": pl.String,  # JSON without nulls and NaN
    "url": pl.String,  # the object's page in Fink's portal
    "orbit": pl.String,  # JSON of TOM Toolkit's orbital element fields, else null
    "broker_end_at": UTC_MS,
    "cutout_science": pl.Binary,
    "cutout_template": pl.Binary,
    "cutout_difference": pl.Binary,
    "problem": pl.String,  # why there is no alert here, else null
}

DETECTIONS = {
    MESSAGE: pl.UInt32,
    "observed_at": UTC_MS,
    "band": pl.String,
    "kind": pl.String,  # detection, limit or forced
    "mag_ab": pl.Float64,  # only where the difference flux is positive
    "mag_err": pl.Float64,
    "limit_mag_ab": pl.Float64,  # 5 sigma
    "flux_njy": pl.Float64,
    "flux_err_njy": pl.Float64,
    "source_id": pl.String,
}

# AB magnitudes: m = 31.4 - 2.5 log10(flux / nJy), since 3631 Jy is m = 0 (Oke & Gunn 1983;
# 2.5 log10(3631e9) = 31.400). An error in flux is one in magnitude by 2.5 / ln 10 = 1.0857.
AB_ZERO_POINT_NJY = 31.4
MAG_PER_RELATIVE_ERROR = 1.0857362047581294

MAG_DECIMALS = 4
FLUX_DECIMALS = 3
# Fink's REST API prints numbers with up to 10 decimals. What the stream brings is rounded so first,
# and both ways then lead to the same value.
API_DECIMALS = 10

TAI_MINUS_UTC_MS = 37_000  # since 2017-01-01 (IERS Bulletin C 52); none has been announced since
JD_UNIX_EPOCH = 2_440_587.5
MJD_UNIX_EPOCH = 40_587
MS_PER_DAY = 86_400_000

EARLIEST_MS = -631_152_000_000  # 1950-01-01: an "alert" before or after these is broken data,
LATEST_MS = 4_102_444_800_000  # 2100-01-01: and a far time would break calendars further on


@dataclass(frozen=True)
class Tidy:
    """What a survey module makes of one decoded frame; see ALERTS and DETECTIONS for the columns."""

    alerts: pl.DataFrame
    detections: pl.DataFrame


def utc_from_jd(jd: pl.Expr) -> pl.Expr:
    """UTC from a Julian Date in UTC (ZTF), to the millisecond; null outside 1950 to 2100.

    The REST API prints a JD with more decimals than it has, so both sources give the same number.
    """
    return _utc(((jd - JD_UNIX_EPOCH) * MS_PER_DAY).round())


def utc_from_mjd_tai(mjd: pl.Expr) -> pl.Expr:
    """UTC from a Modified Julian Date in TAI (Rubin), to the millisecond; null outside 1950 to 2100.

    The REST API prints ten decimals of the eleven or twelve that the stream brings. Counted in those
    units the two are the same integer; as floats they would differ in the last bit, and now and then
    in the millisecond.
    """
    per_day = 10**API_DECIMALS
    # Far from any date the milliseconds would pass 64 bits, and could come out as a date again.
    mjd = pl.when(mjd.is_between(0, 1e6)).then(mjd)
    days = mjd.floor()  # taken off first: what is left is exact, and small enough to count in such units
    units = ((mjd - days) * per_day).round().cast(pl.Int64, strict=False)
    ms_of_day = (units * MS_PER_DAY + per_day // 2) // per_day
    return _utc(
        (days.cast(pl.Int64, strict=False) - MJD_UNIX_EPOCH) * MS_PER_DAY + ms_of_day - TAI_MINUS_UTC_MS
    )


def utc_from_text(value: pl.Expr) -> pl.Expr:
    """UTC from text such as '2026-03-22 13:28:18.277568', which Fink writes without a zone.

    Null for what is no such text, and outside 1950 to 2100: Python has no year 0 and no year 10,000.
    """
    parsed = value.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="ms", strict=False)
    ms = parsed.to_physical()
    return pl.when(ms.is_between(EARLIEST_MS, LATEST_MS)).then(parsed.dt.replace_time_zone("UTC"))


def _utc(ms: pl.Expr) -> pl.Expr:
    possible = pl.when(ms.is_between(EARLIEST_MS, LATEST_MS)).then(ms)
    return possible.cast(pl.Int64, strict=False).cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")


def rounded(value: pl.Expr, decimals: int = MAG_DECIMALS) -> pl.Expr:
    """`value` to `decimals`, by way of the REST API's ten, so that both sources agree."""
    return value.round(API_DECIMALS).round(decimals)


def mag_of_flux(flux_njy: pl.Expr) -> pl.Expr:
    """AB magnitude of a flux in nJy; null unless positive."""
    flux = flux_njy.round(API_DECIMALS)
    return pl.when(flux > 0).then(AB_ZERO_POINT_NJY - 2.5 * flux.log10()).round(MAG_DECIMALS)


def mag_error_of_flux(flux_njy: pl.Expr, flux_err_njy: pl.Expr) -> pl.Expr:
    """Error of that magnitude: 1.0857 times the relative error of the flux; null beyond MAX_MAG_ERR."""
    relative = flux_err_njy.round(API_DECIMALS) / flux_njy.round(API_DECIMALS).abs()
    mag_err = MAG_PER_RELATIVE_ERROR * relative
    return pl.when((mag_err > 0) & (mag_err <= MAX_MAG_ERR)).then(mag_err).round(MAG_DECIMALS)


def flux_of_mag(mag_ab: pl.Expr) -> pl.Expr:
    """Flux in nJy of an AB magnitude."""
    return pl.lit(10.0).pow((AB_ZERO_POINT_NJY - mag_ab) / 2.5)


def first_problem(*checks: tuple[pl.Expr, str]) -> pl.Expr:
    """The texts of the checks that fail, joined; null if none does. A check is (is it bad, what to say)."""
    said = [pl.when(bad.fill_null(True)).then(pl.lit(text)) for bad, text in checks]
    return pl.concat_str(said, separator="; ", ignore_nulls=True).replace("", None)


def position_problems(ra_deg: pl.Expr, dec_deg: pl.Expr, observed_at: pl.Expr) -> list[tuple[pl.Expr, str]]:
    """The checks of time and position that every survey needs: without them there is no alert."""
    return [
        (observed_at.is_null(), "no observation time between 1950 and 2100"),
        (~ra_deg.is_between(0, 360), "no right ascension from 0 to 360 degrees"),
        (~dec_deg.is_between(-90, 90), "no declination from -90 to 90 degrees"),
    ]


def history_length(frame: pl.DataFrame, *names: str) -> pl.Series:
    """How many points the lists `names` have together, row by row; 0 for what is no list."""
    columns = [frame.get_column(name) for name in names if name in frame.columns]
    lists = pl.DataFrame([column for column in columns if isinstance(column.dtype, pl.List)])
    if not lists.width:
        return pl.zeros(frame.height, pl.UInt32, eager=True)
    return lists.select(pl.sum_horizontal(pl.all().list.len())).to_series()


def history_problem(points: pl.Expr) -> tuple[pl.Expr, str]:
    """The check that an alert's history has no more than MAX_POINTS points."""
    return points > MAX_POINTS, f"a history of more than {MAX_POINTS} points"


def with_an_alert(frame: pl.DataFrame, alerts: pl.DataFrame) -> pl.DataFrame:
    """The rows of a decoded frame whose row in `alerts`, in the same order, has no problem."""
    problem = alerts["problem"]
    return frame if problem.null_count() == frame.height else frame.filter(problem.is_null())


def conform(frame: pl.DataFrame, columns: dict[str, pl.DataType]) -> pl.DataFrame:
    """`frame` with exactly `columns`, in their order and types; a column that it lacks is null."""
    missing = [
        pl.lit(None, dtype).alias(name) for name, dtype in columns.items() if name not in frame.columns
    ]
    return frame.with_columns(missing).select(pl.col(name).cast(dtype) for name, dtype in columns.items())


def coalesce_class(*labels: pl.Expr) -> pl.Expr:
    """The first label that is not null, cut to the length of its field; 'Unknown' if none is."""
    return pl.coalesce(*labels, pl.lit("Unknown")).str.slice(0, CLASS_LENGTH)
