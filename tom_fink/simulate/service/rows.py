"""Alerts as rows of Fink's REST APIs: flat, prefixed, floats with ten decimals, and null for NaN."""

import math
from typing import Any

from .answers import Row
from .labels import ztf_label

DECIMALS = 10
_ZTF_MAPS = ("mangrove", "blazar_stats")
# What Fink knows of an object rather than of an alert; the rest of a detection before the first alert is
# what HBase is filled with.
_ZTF_OF_OBJECT = (
    "cdsxmatch", "tns", "gcvs", "vsx", "DR3Name", "Plx", "e_Plx", "gaiaClass", "gaiaVarFlag", "x3hsp", "x4lac",
    "spicy_id", "spicy_class", "mangrove_HyperLEDA_name", "mangrove_2MASS_name", "mangrove_lum_dist",
    "mangrove_ang_dist", "fink_broker_version", "fink_science_version",
)  # fmt: skip
_ZTF_FILLED = {
    "roid": 0, "rf_snia_vs_nonia": 0.0, "rf_kn_vs_nonkn": 0.0, "snn_sn_vs_all": 0.0, "snn_snia_vs_nonia": 0.0,
    "mulens": 0.0, "slsn_score": -1.0, "blazar_stats_m0": -1.0, "blazar_stats_m1": -1.0, "blazar_stats_m2": -1.0,
    "tracklet": "",
}  # fmt: skip
_ZTF_BLANK = {f"d:{name}": None for name in _ZTF_OF_OBJECT} | {
    f"d:{name}": value for name, value in _ZTF_FILLED.items()
}
_UPPER_LIMIT = ("i:jd", "i:pid", "i:nid", "i:rcid", "i:field")
_LSST_OF_OBJECT = ("f:xm_", "f:is_sso", "f:is_cataloged", "f:main_label_crossmatch", "f:first", "f:fink_")


def served(value: Any) -> Any:
    """A value as Fink prints it."""
    if isinstance(value, float):
        return round(value, DECIMALS) if math.isfinite(value) else None
    return value


def prefixed(prefix: str, record: dict[str, Any]) -> Row:
    """The fields of a record as columns."""
    return {f"{prefix}{name}": served(value) for name, value in record.items()}


def ztf_row(alert: dict[str, Any]) -> Row:
    """The row of an alert, with `d:classification`. What an alert of an old schema lacks is filled."""
    row = prefixed("i:", alert["candidate"]) | _ZTF_BLANK
    for name in ("objectId", "candid", "schemavsn", "publisher"):
        row[f"i:{name}"] = alert.get(name)
    for name, value in alert.items():
        if name in _ZTF_MAPS:
            row |= prefixed(f"d:{name}_", value or {})
        elif name.startswith("lc_features"):
            row[f"d:{name}"] = str([served(one) for one in (value or {}).values()])
        # The clocks of the broker are not served.
        elif not (isinstance(value, dict | list | bytes) or f"i:{name}" in row or "imestamp" in name):
            row[f"d:{name}"] = served(value)
    row["d:tracklet"] = row.get("d:tracklet") or ""
    row["d:classification"] = ztf_label(row)
    return row


def ztf_history(alert_row: Row, point: dict[str, Any]) -> Row:
    """The row of an entry of an alert's history, with `d:tag`."""
    if point.get("magpsf") is None:
        # Raw from HBase: few columns, and text where numbers are meant.
        row = {name: served(point.get(name[2:])) for name in _UPPER_LIMIT}
        row |= {f"i:{name}": str(served(point.get(name))) for name in ("fid", "diffmaglim")}
        return row | {
            "i:objectId": alert_row["i:objectId"], "i:candid": -1, "i:magpsf": None, "d:tag": "upperlim",
        }  # fmt: skip
    row = dict.fromkeys(alert_row) | prefixed("i:", point)
    row |= _ZTF_BLANK | {f"d:{name}": alert_row[f"d:{name}"] for name in _ZTF_OF_OBJECT}
    row |= {name: alert_row[name] for name in ("i:objectId", "i:schemavsn", "i:publisher")}
    if point.get("isdiffpos") is None:
        row |= {"i:candid": -1, "i:magnr": None, "d:tag": "badquality"}
    else:
        row["d:tag"] = "valid"
    row["d:classification"] = ztf_label(row)
    return row


def lsst_row(alert: dict[str, Any]) -> Row:
    """The row of an alert in `sources`: the detection, and Fink's values."""
    row = prefixed("r:", alert["diaSource"])
    row |= {f"r:{name}": alert.get(name) for name in ("observation_reason", "target_name")}
    for record in ("xm", "clf"):
        row |= prefixed(f"f:{record}_", alert.get(record) or {})
    for record in ("pred", "misc"):
        row |= prefixed("f:", alert.get(record) or {})
    for name in ("fink_broker_version", "fink_science_version", "lsst_schema_version"):
        row[f"f:{name}"] = alert.get(name)
    return row


def lsst_body(alert: dict[str, Any]) -> Row:
    """The columns that `sso` has beyond those of `sources`."""
    return prefixed("r:", alert.get("ssSource") or {}) | prefixed("r:", alert.get("mpc_orbits") or {})


def lsst_history(alert_row: Row, point: dict[str, Any]) -> Row:
    """The row of a detection in an alert's history: Rubin's columns, and what Fink knows of the object."""
    known = {name: value for name, value in alert_row.items() if name.startswith(_LSST_OF_OBJECT)}
    return dict.fromkeys(alert_row) | prefixed("r:", point) | known


def lsst_summary(alert: dict[str, Any]) -> Row:
    """The row of an object in `objects`."""
    row = prefixed("r:", alert["diaObject"]) | prefixed("f:", alert.get("pred") or {})
    return row | prefixed("f:", alert.get("misc") or {})
