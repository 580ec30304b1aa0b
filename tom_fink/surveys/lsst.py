"""Rubin alerts: times in MJD TAI (middle of exposure), signed difference fluxes in nJy."""

import json
from functools import lru_cache
from typing import Any

import polars as pl

from tom_fink.decoding.decode import MESSAGE
from tom_fink.fields import (
    MAX_FLUX_NJY,
    cutout,
    error,
    flattened,
    flux,
    identifier,
    label,
    number,
    pick,
    records,
    text,
    together,
)
from tom_fink.frames import (
    ALERTS,
    DETECTIONS,
    EARLIEST_MS,
    FLUX_DECIMALS,
    LATEST_MS,
    MJD_UNIX_EPOCH,
    MS_PER_DAY,
    Tidy,
    coalesce_class,
    conform,
    first_problem,
    history_length,
    history_problem,
    mag_error_of_flux,
    mag_of_flux,
    position_problems,
    rounded,
    utc_from_mjd_tai,
    utc_from_text,
    with_an_alert,
)
from tom_fink.surveys._bodies import BODY_PROBLEM, aliases, body_name, is_no_body_name
from tom_fink.surveys._names import RUBIN_ID, is_safe_name, page
from tom_fink.surveys._values import SCHEMAS_KEPT, Columns, Value, json_of

NAME = "Rubin"
PORTAL = "https://lsst.fink-portal.org/"
BANDS = ["u", "g", "r", "i", "z", "y"]

POINT_FIELDS = ("midpointMjdTai", "band", "psfFlux", "psfFluxErr", "diaSourceId", "diaForcedSourceId")
HISTORIES = {"prvDiaSources": "detection", "prvDiaForcedSources": "forced"}

# clf.cats_class of the CATS classifier; -1 is "none"
CATS_CLASSES = {11: "SN-like", 12: "Fast transient", 13: "Long transient", 21: "Periodic", 22: "AGN-like"}

SCORES = """
    diaSource.snr diaSource.reliability diaSource.extendedness diaSource.scienceFlux diaSource.templateFlux
    clf.cats_score clf.snnSnVsOthers_score
    xm.gaiadr3_Plx xm.gaiadr3_e_Plx xm.legacydr8_zphot xm.legacydr8_e_zphot xm.legacydr8_pstar xm.tns_redshift
    xm.mangrove_lum_dist xm.mangrove_ang_dist ssSource.phaseAngle ssSource.elongation
"""
NOT_COMPUTED_IS_MINUS_1_OR_99 = "clf.earlySNIa_score clf.elephant_kstest_science clf.elephant_kstest_template"
TEXTS = """
    pred.main_label_crossmatch
    xm.simbad_otype xm.gaiadr3_DR3Name xm.tns_fullname xm.tns_type xm.gcvs_type xm.vsx_Type xm.x3hsp_type
    xm.x4lac_type xm.spicy_class xm.mangrove_HyperLEDA_name xm.mangrove_2MASS_name
    observation_reason lsst_schema_version fink_broker_version fink_science_version
"""
VALUES = (
    *(Value(path) for path in SCORES.split()),
    *(Value(path, missing=(-1.0, -99.0)) for path in NOT_COMPUTED_IS_MINUS_1_OR_99.split()),
    Value("clf.cats_class", pl.Int64, missing=(-1,)),
    *(Value(path, pl.Int64) for path in ("diaObject.nDiaSources", "xm.gaiadr3_VarFlag")),
    *(Value(path, pl.Boolean) for path in ("pred.is_sso", "pred.is_first", "pred.is_cataloged")),
    *(Value(path, pl.String) for path in TEXTS.split()),
)

# TOM Toolkit's orbital elements (degrees, au, MJD, days) from the MPC's record in the alert
ELEMENTS = {
    "epoch_of_elements": "epoch_mjd",
    "inclination": "i",
    "lng_asc_node": "node",
    "arg_of_perihelion": "argperi",
    "eccentricity": "e",
    "mean_anomaly": "mean_anomaly",
    "mean_daily_motion": "mean_motion",
    "semimajor_axis": "a",
    "perihdist": "q",
    "epoch_of_perihelion": "peri_time",
    "abs_mag": "h",
    "slope": "g",
}
# Beyond these an orbit is broken data. Its epoch decides which orbit is the newest.
EPOCHS = tuple(ms / MS_PER_DAY + MJD_UNIX_EPOCH for ms in (EARLIEST_MS, LATEST_MS))
ELEMENT_RANGE = (-1e6, 1e6)
NEEDED_ELEMENTS = ("epoch_of_elements", "inclination", "lng_asc_node", "arg_of_perihelion", "eccentricity")


def recognises(schema: pl.Schema) -> bool:
    """Whether records of this schema are Rubin alerts, reduced packets included."""
    return "diaSource" in schema or "diaObject" in schema or "diaSourceId" in schema


def tidy(frame: pl.DataFrame) -> Tidy:
    """Alerts and detections of decoded Rubin alerts (one row an alert, with `message`)."""
    alerts = _alerts(frame)
    return Tidy(alerts, _detections(with_an_alert(frame, alerts)))


def points(rows: pl.DataFrame, kind: str | pl.Expr) -> pl.DataFrame:
    """Photometric points from rows with Rubin's own column names, one row a point.

    Columns read: POINT_FIELDS, of the ids the one that there is; `message` is kept. `kind` is detection or
    forced, or tells it of each row. Rows without time, band or flux are left out.
    """
    schema = rows.schema
    # Read first, then worked with, as in `_alerts`.
    read = rows.select(
        pl.col(MESSAGE),
        utc_from_mjd_tai(pick(schema, "midpointMjdTai", pl.Float64)).alias("observed_at"),
        _band(schema, "band").alias("band"),
        (pl.lit(kind) if isinstance(kind, str) else kind).alias("kind"),
        flux(schema, "psfFlux").alias("psf_flux"),
        error(schema, "psfFluxErr", MAX_FLUX_NJY).alias("psf_flux_err"),
        pl.coalesce(identifier(schema, "diaSourceId"), identifier(schema, "diaForcedSourceId")).alias(
            "source_id"
        ),
    ).filter(
        pl.col("observed_at").is_not_null(),
        pl.col("band").is_not_null(),
        pl.col("psf_flux").is_not_null(),
    )
    psf_flux, psf_flux_err = pl.col("psf_flux"), pl.col("psf_flux_err")
    return conform(
        read.with_columns(
            mag_of_flux(psf_flux).alias("mag_ab"),
            mag_error_of_flux(psf_flux, psf_flux_err).alias("mag_err"),
            mag_of_flux(5 * psf_flux_err).alias("limit_mag_ab"),
            rounded(psf_flux, FLUX_DECIMALS).alias("flux_njy"),
            rounded(psf_flux_err, FLUX_DECIMALS).alias("flux_err_njy"),
        ),
        DETECTIONS,
    )


def _alerts(frame: pl.DataFrame) -> pl.DataFrame:
    # Read first, then worked with: an expression that is used five times would be worked out five times.
    flat = flattened(frame)
    read = flat.select(pl.col(MESSAGE), *_fields(tuple(flat.schema.items()))).with_columns(
        pl.when(pl.col("static_id").is_null()).then("body").alias("body"),
        history_length(frame, *HISTORIES).alias("points"),
    )
    static_id, body, packed = pl.col("static_id"), pl.col("body"), pl.col("packed")
    psf_flux, psf_flux_err = pl.col("psf_flux"), pl.col("psf_flux_err")
    object_id = pl.coalesce(static_id, body)
    is_not_rubin_s = ~static_id.str.contains(f"^{RUBIN_ID}$") & static_id.is_not_null()
    alerts = read.with_columns(
        pl.lit("lsst").alias("survey"),
        object_id.alias("object_id"),
        pl.lit("lsst").alias("object_survey"),
        mag_of_flux(psf_flux.abs()).alias("mag_ab"),
        mag_error_of_flux(psf_flux, psf_flux_err).alias("mag_err"),
        rounded(psf_flux, FLUX_DECIMALS).alias("flux_njy"),
        rounded(psf_flux_err, FLUX_DECIMALS).alias("flux_err_njy"),
        (psf_flux > 0).alias("is_positive"),
        json_of(flat, VALUES).alias("fink_values"),
        # The portal knows a body by its packed designation.
        page(PORTAL, pl.coalesce(static_id, pl.when(is_safe_name(packed)).then(packed), body)).alias("url"),
        first_problem(
            (pl.col("alert_id").is_null(), "no diaSourceId"),
            (object_id.is_null(), "neither a diaObjectId nor a body's designation"),
            (is_not_rubin_s, "diaObjectId is none of Rubin's (10 to 19 digits)"),
            (is_no_body_name(body), BODY_PROBLEM),
            *position_problems(pl.col("ra_deg"), pl.col("dec_deg"), pl.col("observed_at")),
            history_problem(pl.col("points")),
        ).alias("problem"),
    )
    return conform(_with_bodies(flat, alerts), ALERTS)


@lru_cache(maxsize=SCHEMAS_KEPT)
def _fields(columns: Columns) -> list[pl.Expr]:
    """What is taken from the alert as it is. Ids are 0, and the records diaObject, ssSource and mpc_orbits
    full of nulls, where they do not apply."""
    schema = dict(columns)
    fields = {
        "alert_id": pl.coalesce(
            identifier(schema, "diaSourceId"), identifier(schema, "diaSource.diaSourceId")
        ),
        "static_id": pl.coalesce(
            identifier(schema, "diaSource.diaObjectId"), identifier(schema, "diaObject.diaObjectId")
        ),
        "body": pl.coalesce(
            body_name(text(schema, "mpc_orbits.designation")),
            body_name(text(schema, "mpc_orbits.unpacked_primary_provisional_designation")),
            body_name(text(schema, "ssSource.designation")),
            pl.lit("ssObject ") + identifier(schema, "diaSource.ssObjectId"),
        ),
        "packed": text(schema, "mpc_orbits.packed_primary_provisional_designation"),
        "observed_at": utc_from_mjd_tai(pick(schema, "diaSource.midpointMjdTai", pl.Float64)),
        "ra_deg": number(schema, "diaSource.ra"),
        "dec_deg": number(schema, "diaSource.dec"),
        "band": _band(schema, "diaSource.band"),
        "psf_flux": flux(schema, "diaSource.psfFlux"),
        "psf_flux_err": error(schema, "diaSource.psfFluxErr", MAX_FLUX_NJY),
        "fink_class": fink_class(schema),
        "broker_end_at": utc_from_text(pick(schema, "brokerEndProcessTimestamp", pl.String)),
    }
    fields |= {
        f"cutout_{kind.lower()}": cutout(schema, f"cutout{kind}")
        for kind in ("Science", "Template", "Difference")
    }
    return [expression.alias(name) for name, expression in fields.items()]


def fink_class(schema: pl.Schema) -> pl.Expr:
    """The label for people: TNS type, else known body, SIMBAD type, CATS class, else 'Unknown'.

    Fink gives Rubin alerts no single class.
    """
    simbad = pl.coalesce(label(schema, "xm.simbad_otype"), label(schema, "pred.main_label_crossmatch"))
    return coalesce_class(
        pl.lit("(TNS) ") + label(schema, "xm.tns_type"),
        pl.when(pick(schema, "pred.is_sso", pl.Boolean)).then(pl.lit("Solar System MPC")),
        pl.when(~simbad.str.starts_with("Fail")).then(simbad),
        pick(schema, "clf.cats_class", pl.Int64).replace_strict(
            CATS_CLASSES, default=None, return_dtype=pl.String
        ),
    )


def orbit_of(mpc_orbits: dict[str, Any]) -> dict[str, Any] | None:
    """TOM Toolkit's orbital element fields from the MPC's record; None if one that it needs is missing."""
    elements = {field: mpc_orbits.get(name) for field, name in ELEMENTS.items()}
    elements = {field: float(value) for field, value in elements.items() if isinstance(value, (int, float))}
    if any(field not in elements for field in NEEDED_ELEMENTS):
        return None
    is_minor_planet = elements["eccentricity"] < 1 and {"mean_anomaly", "semimajor_axis"} <= elements.keys()
    return {"scheme": "MPC_MINOR_PLANET" if is_minor_planet else "MPC_COMET", **elements}


def _with_bodies(frame: pl.DataFrame, alerts: pl.DataFrame) -> pl.DataFrame:
    """`alerts` with the other names and the orbit of the known bodies among them, if there are any."""
    if alerts["body"].null_count() == alerts.height:
        return alerts
    schema = frame.schema
    fields = ("packed_primary_provisional_designation", "mpc_orb_jsonb")
    elements = {name: pick(schema, f"mpc_orbits.{name}", pl.Float64) for name in ELEMENTS.values()}
    possible = {
        name: pl.when(value.is_between(*(EPOCHS if name == "epoch_mjd" else ELEMENT_RANGE))).then(value)
        for name, value in elements.items()
    }
    texts = {name: text(schema, f"mpc_orbits.{name}") for name in fields}
    # With the message's index, or a frame of nothing but nulls would have one row, whatever its height.
    records = frame.select(MESSAGE, **possible, **texts)
    other_names, orbits = [], []
    for body, record in zip(alerts["body"], records.iter_rows(named=True), strict=True):
        orbit = orbit_of(record) if body is not None else None
        orbits.append(json.dumps(orbit) if orbit else None)
        other_names.append(aliases(body, *(record[name] for name in fields)) if body is not None else None)
    return alerts.with_columns(
        pl.Series("orbit", orbits, dtype=pl.String),
        pl.Series("body_aliases", other_names, dtype=pl.List(pl.String)),
    )


def _detections(frame: pl.DataFrame) -> pl.DataFrame:
    kinds = HISTORIES | {"diaSource": "detection"}
    found = [
        rows.with_columns(pl.lit(kind).alias("kind"))
        for name, kind in kinds.items()
        if (rows := records(frame, name, POINT_FIELDS)) is not None
    ]
    return pl.concat(
        [pl.DataFrame(schema=DETECTIONS), *(points(rows, pl.col("kind")) for rows in together(found))]
    )


def _band(schema: pl.Schema, path: str) -> pl.Expr:
    band = text(schema, path)
    return pl.when(band.is_in(BANDS)).then(band)
