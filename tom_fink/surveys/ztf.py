"""ZTF alerts: times in JD UTC (start of exposure), difference magnitudes whose sign stands apart."""

from functools import lru_cache

import polars as pl

from tom_fink.decoding.decode import MESSAGE
from tom_fink.fields import (
    MAX_MAG_ERR,
    cutout,
    error,
    flattened,
    identifier,
    label,
    magnitude,
    number,
    pick,
    records,
    text,
    together,
)
from tom_fink.frames import (
    ALERTS,
    DETECTIONS,
    FLUX_DECIMALS,
    MAG_PER_RELATIVE_ERROR,
    Tidy,
    coalesce_class,
    conform,
    first_problem,
    flux_of_mag,
    history_length,
    history_problem,
    position_problems,
    rounded,
    utc_from_jd,
    utc_from_text,
    with_an_alert,
)
from tom_fink.surveys._bodies import BODY_PROBLEM, body_name, is_no_body_name
from tom_fink.surveys._names import ZTF_ID_PROBLEM, is_ztf_id, page
from tom_fink.surveys._values import SCHEMAS_KEPT, Columns, Value, json_of, maps_as_structs

NAME = "ZTF"
PORTAL = "https://ztf.fink-portal.org/"
BANDS = {1: "g", 2: "r", 3: "i"}
SIGNS = {"t": True, "1": True, "true": True, "f": False, "0": False, "false": False}

# roid, Fink's Solar System module: 2 a candidate, 3 matches a body known to the MPC
ROID_CANDIDATE, ROID_KNOWN = 2, 3

# A SIMBAD type names the object unless it is one of these or begins so, as in Fink's own classification
NO_CLASS = "^(Transient|Fail|Galaxy)"

POINT_FIELDS = ("jd", "fid", "magpsf", "sigmapsf", "diffmaglim", "isdiffpos", "candid")

SCORES = """
    candidate.rb candidate.drb candidate.classtar candidate.distnr candidate.magnr
    rf_snia_vs_nonia snn_snia_vs_nonia snn_sn_vs_all mulens rf_kn_vs_nonkn anomaly_score
    mag_rate sigma_rate lower_rate upper_rate delta_time Plx e_Plx
"""
NOT_COMPUTED_IS_MINUS_1 = "slsn_score blazar_stats.m0 blazar_stats.m1 blazar_stats.m2"
TEXTS = """
    cdsxmatch tns DR3Name gaiaClass vsx gcvs x3hsp x4lac spicy_class tracklet finkclass
    mangrove.HyperLEDA_name mangrove.2MASS_name mangrove.lum_dist mangrove.ang_dist
    fink_broker_version fink_science_version
"""
VALUES = (
    *(Value(path) for path in SCORES.split()),
    *(Value(path, missing=(-1.0,)) for path in NOT_COMPUTED_IS_MINUS_1.split()),
    *(Value(path, pl.Int64) for path in ("candidate.ndethist", "roid", "nalerthist", "gaiaVarFlag")),
    *(Value(path, pl.Boolean) for path in ("from_upper", "is_transient")),
    *(Value(path, pl.String) for path in TEXTS.split()),
)
MAPS = {
    "mangrove": ("HyperLEDA_name", "2MASS_name", "lum_dist", "ang_dist"),
    "blazar_stats": ("m0", "m1", "m2"),
}


def recognises(schema: pl.Schema) -> bool:
    """Whether records of this schema are ZTF alerts."""
    return "objectId" in schema and "candidate" in schema


def tidy(frame: pl.DataFrame) -> Tidy:
    """Alerts and detections of decoded ZTF alerts (one row an alert, with `message`)."""
    alerts = _alerts(frame)
    return Tidy(alerts, _detections(with_an_alert(frame, alerts), with_an_alert(alerts, alerts)["body"]))


def points(rows: pl.DataFrame) -> pl.DataFrame:
    """Photometric points from rows with ZTF's own column names, one row a point.

    Columns read: POINT_FIELDS; `message` is kept. What fainter than the reference image (isdiffpos
    f or 0), or of unknown sign, has no `mag_ab`: its magnitude is that of a dip. Rows without time, band, magnitude and limit are left out.
    """
    schema = rows.schema
    # Read first, then worked with, as in `_alerts`.
    read = rows.select(
        pl.col(MESSAGE),
        utc_from_jd(pick(schema, "jd", pl.Float64)).alias("observed_at"),
        _band(schema, "fid").alias("band"),
        rounded(magnitude(schema, "magpsf")).alias("magpsf"),
        rounded(error(schema, "sigmapsf", MAX_MAG_ERR)).alias("mag_err"),
        rounded(magnitude(schema, "diffmaglim")).alias("limit_mag_ab"),
        _is_positive(schema, "isdiffpos").alias("is_positive"),
        identifier(schema, "candid").alias("source_id"),
    )
    magpsf, positive = pl.col("magpsf"), pl.col("is_positive")
    found = read.with_columns(
        pl.when(magpsf.is_null()).then(pl.lit("limit")).otherwise(pl.lit("detection")).alias("kind"),
        pl.when(positive).then(magpsf).alias("mag_ab"),
        _flux(magpsf, positive).alias("flux_njy"),
    ).with_columns(_flux_error(pl.col("flux_njy"), pl.col("mag_err")).alias("flux_err_njy"))
    return conform(
        found.filter(
            pl.col("observed_at").is_not_null(),
            pl.col("band").is_not_null(),
            pl.col("mag_ab").is_not_null() | pl.col("limit_mag_ab").is_not_null(),
        ),
        DETECTIONS,
    )


def _alerts(frame: pl.DataFrame) -> pl.DataFrame:
    # Read first, then worked with: an expression that is used five times would be worked out five times.
    flat = flattened(maps_as_structs(frame, MAPS))
    read = flat.select(pl.col(MESSAGE), *_fields(tuple(flat.schema.items()))).with_columns(
        _flux(pl.col("magpsf"), pl.col("is_positive")).alias("flux_njy"),
        history_length(frame, "prv_candidates").alias("points"),
    )
    alerts = read.with_columns(
        pl.lit("ztf").alias("survey"),
        pl.lit("ztf").alias("object_survey"),
        rounded(pl.col("magpsf")).alias("mag_ab"),
        rounded(pl.col("sigmapsf")).alias("mag_err"),
        _flux_error(pl.col("flux_njy"), pl.col("sigmapsf")).alias("flux_err_njy"),
        first_problem(
            (pl.col("alert_id").is_null(), "no candid"),
            (~is_ztf_id(pl.col("object_id")), ZTF_ID_PROBLEM),
            (is_no_body_name(pl.col("body")), BODY_PROBLEM),
            *position_problems(pl.col("ra_deg"), pl.col("dec_deg"), pl.col("observed_at")),
            history_problem(pl.col("points")),
        ).alias("problem"),
        json_of(flat, VALUES).alias("fink_values"),
        page(PORTAL, pl.col("object_id")).alias("url"),
    )
    return conform(alerts, ALERTS)


@lru_cache(maxsize=SCHEMAS_KEPT)
def _fields(columns: Columns) -> list[pl.Expr]:
    """What is taken from the alert as it is."""
    schema = dict(columns)
    is_known_body = pick(schema, "roid", pl.Int64) == ROID_KNOWN
    fields = {
        "alert_id": pl.coalesce(identifier(schema, "candid"), identifier(schema, "candidate.candid")),
        "object_id": text(schema, "objectId"),
        "body": body_name(pl.when(is_known_body).then(text(schema, "candidate.ssnamenr"))),
        "observed_at": utc_from_jd(pick(schema, "candidate.jd", pl.Float64)),
        "ra_deg": number(schema, "candidate.ra"),
        "dec_deg": number(schema, "candidate.dec"),
        "band": _band(schema, "candidate.fid"),
        "magpsf": magnitude(schema, "candidate.magpsf"),
        "sigmapsf": error(schema, "candidate.sigmapsf", MAX_MAG_ERR),
        "is_positive": _is_positive(schema, "candidate.isdiffpos"),
        "fink_class": fink_class(schema),
        "broker_end_at": utc_from_text(pick(schema, "brokerEndProcessTimestamp", pl.String)),
    }
    fields |= {
        f"cutout_{kind.lower()}": cutout(schema, f"cutout{kind}.stampData")
        for kind in ("Science", "Template", "Difference")
    }
    return [expression.alias(name) for name, expression in fields.items()]


def fink_class(schema: pl.Schema) -> pl.Expr:
    """The label for people: TNS type, else known body, SIMBAD type, body candidate, else 'Unknown'.

    Fink's own class is not in the livestream, so what the alert does say is used, in
    the words of Fink's vocabulary.
    """
    roid = pick(schema, "roid", pl.Int64)
    simbad = label(schema, "cdsxmatch")
    return coalesce_class(
        pl.lit("(TNS) ") + label(schema, "tns"),
        pl.when(roid == ROID_KNOWN).then(pl.lit("Solar System MPC")),
        pl.when(~simbad.str.contains(NO_CLASS)).then(simbad),
        pl.when(roid == ROID_CANDIDATE).then(pl.lit("Solar System candidate")),
    )


def _detections(frame: pl.DataFrame, bodies: pl.Series) -> pl.DataFrame:
    """An alert's own point and, but for known bodies, its history: that is of the place, where a body just passes."""
    static = frame if bodies.null_count() == frame.height else frame.filter(bodies.is_null())
    found = [records(static, "prv_candidates", POINT_FIELDS), records(frame, "candidate", POINT_FIELDS)]
    rows = together([each for each in found if each is not None])
    return pl.concat([pl.DataFrame(schema=DETECTIONS), *map(points, rows)])


def _flux(magpsf: pl.Expr, positive: pl.Expr) -> pl.Expr:
    """Signed difference flux in nJy; null where the sign is unknown."""
    size = rounded(flux_of_mag(rounded(magpsf)), FLUX_DECIMALS)
    return pl.when(positive).then(size).when(~positive).then(-size)


def _flux_error(flux: pl.Expr, sigmapsf: pl.Expr) -> pl.Expr:
    return rounded(flux.abs() * rounded(sigmapsf) / MAG_PER_RELATIVE_ERROR, FLUX_DECIMALS)


def _band(schema: pl.Schema, path: str) -> pl.Expr:
    return pick(schema, path, pl.Int64).replace_strict(BANDS, default=None, return_dtype=pl.String)


def _is_positive(schema: pl.Schema, path: str) -> pl.Expr:
    """The sign of the difference from 't', 'f', '1', '0', true or false; null where there is none."""
    return (
        pick(schema, path, pl.String)
        .str.to_lowercase()
        .replace_strict(SIGNS, default=None, return_dtype=pl.Boolean)
    )
