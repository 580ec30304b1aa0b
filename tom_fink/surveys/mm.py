"""Multi-messenger alerts: a ZTF object inside a gamma-ray burst's or gravitational wave's region.

The records are flat and bring one position and time but neither brightness, history nor cutouts.
"""

import polars as pl

from tom_fink.decoding.decode import MESSAGE
from tom_fink.fields import label, number, pick, text
from tom_fink.frames import (
    ALERTS,
    DETECTIONS,
    Tidy,
    coalesce_class,
    conform,
    first_problem,
    position_problems,
    utc_from_jd,
)
from tom_fink.surveys._names import ZTF_ID_PROBLEM, is_safe_name, is_ztf_id, page
from tom_fink.surveys._values import Value, json_of
from tom_fink.surveys.ztf import BANDS, PORTAL

NAME = "multi-messenger"
TEXTS = """
    instrument event observatory triggerId triggerTimeUTC cdsxmatch DR3Name gcvs vsx x3hsp x4lac
"""
SCORES = """
    gcn_ra gcn_dec gcn_loc_error p_assoc delta_mag rate rb jdstarthist start_vartime diff_vartime
    rf_snia_vs_nonia snn_snia_vs_nonia snn_sn_vs_all rf_kn_vs_nonkn Plx e_Plx
"""
VALUES = (
    *(Value(path, pl.String) for path in TEXTS.split()),
    *(Value(path) for path in SCORES.split()),
    Value("from_upper", pl.Boolean),
    Value("roid", pl.Int64),
)


def recognises(schema: pl.Schema) -> bool:
    """Whether records of this schema are multi-messenger alerts."""
    return "objectId" in schema and "triggerId" in schema


def tidy(frame: pl.DataFrame) -> Tidy:
    """Alerts of decoded multi-messenger messages; there are no detections in them."""
    schema = frame.schema
    object_id, trigger = text(schema, "objectId"), text(schema, "triggerId")
    jd = pick(schema, "jd", pl.Float64)
    observed_at = utc_from_jd(jd)
    ra_deg, dec_deg = number(schema, "ztf_ra"), number(schema, "ztf_dec")
    alerts = frame.select(
        pl.col(MESSAGE),
        pl.lit("mm").alias("survey"),
        # candid overflows 32 bits in these messages, so it tells nothing apart.
        pl.concat_str(object_id, trigger, jd.round(7).cast(pl.String), separator=" ").alias("alert_id"),
        object_id.alias("object_id"),
        pl.lit("ztf").alias("object_survey"),
        observed_at.alias("observed_at"),
        ra_deg.alias("ra_deg"),
        dec_deg.alias("dec_deg"),
        pick(schema, "fid", pl.Int64)
        .replace_strict(BANDS, default=None, return_dtype=pl.String)
        .alias("band"),
        coalesce_class(label(schema, "fink_class")).alias("fink_class"),
        json_of(frame, VALUES).alias("fink_values"),
        page(PORTAL, object_id).alias("url"),
        first_problem(
            (~is_ztf_id(object_id), ZTF_ID_PROBLEM),
            (~is_safe_name(trigger) | (trigger.str.len_chars() > 50), "triggerId is missing or not a name"),
            *position_problems(ra_deg, dec_deg, observed_at),
        ).alias("problem"),
    )
    return Tidy(conform(alerts, ALERTS), pl.DataFrame(schema=DETECTIONS))
