"""The names of Fink's columns and those of an alert: `i:drb` is `candidate.drb`, `f:xm_tns_type` is `xm.tns_type`.

A query asks for the columns that the survey modules read, and an answer is put into the records where
they look for them. So what the modules learn to read is asked for, and both ways lead to the same rows.
"""

from tom_fink.surveys import lsst, ztf

PREFIXES = ("i:", "r:", "d:", "f:", "v:", "b:")
CLASS = "finkclass"  # the alert's own name of d:classification and v:classification

# Records of a Rubin alert whose fields the API serves beside those of diaSource, all as r:
ORBIT_NAMES = (
    "designation", "packed_primary_provisional_designation", "unpacked_primary_provisional_designation",
)  # fmt: skip
ORBIT = {*ORBIT_NAMES, "mpc_orb_jsonb", *lsst.ELEMENTS.values()}
OTHER_RECORDS = {
    **dict.fromkeys(ORBIT, "mpc_orbits"),
    **dict.fromkeys(("phaseAngle", "elongation"), "ssSource"),
    "nDiaSources": "diaObject",
}
PREDICTIONS = {"is_sso", "is_first", "is_cataloged", "main_label_classifier", "main_label_crossmatch"}
RECORDS = {
    "ztf": ("candidate", "mangrove", "blazar_stats"),
    "lsst": ("diaSource", "diaObject", "ssSource", "mpc_orbits", "xm", "clf", "pred", "misc"),
}


def bare(column: str) -> str:
    """A column's name without Fink's prefix."""
    return column[2:] if column.startswith(PREFIXES) else column


def path(survey: str, endpoint: str, column: str) -> str:
    """Where an alert of `survey` has what `endpoint` serves as `column`: a field, or record.field."""
    name = bare(column)
    if name == column:
        return name
    return _ztf_path(column[0], name) if survey == "ztf" else _lsst_path(endpoint, column[0], name)


def column(survey: str, alert_path: str) -> str:
    """What Fink calls the field of an alert at `alert_path`."""
    record, _, name = alert_path.rpartition(".")
    if survey == "ztf":
        if name in ("objectId", "candid") or record == "candidate":
            return f"i:{name}"
        return f"d:{record}_{name}" if record else f"d:{name}"
    if record in ("diaSource", "diaObject", "ssSource", "mpc_orbits") or name == "observation_reason":
        return f"r:{name}"
    return f"f:{record}_{name}" if record in ("xm", "clf") else f"f:{name}"


def _ztf_path(prefix: str, name: str) -> str:
    if prefix == "i":
        return name if name == "objectId" else f"candidate.{name}"
    if name == "classification":
        return CLASS
    record = next((record for record in RECORDS["ztf"][1:] if name.startswith(f"{record}_")), None)
    return f"{record}.{name.removeprefix(f'{record}_')}" if record else name


def _lsst_path(endpoint: str, prefix: str, name: str) -> str:
    if prefix == "r":
        if endpoint == "fp" or name == "observation_reason":
            return name
        return f"{'diaObject' if endpoint == 'objects' else OTHER_RECORDS.get(name, 'diaSource')}.{name}"
    if prefix == "f":
        record, _, rest = name.partition("_")
        if record in ("xm", "clf") and rest:
            return f"{record}.{rest}"
        if name in PREDICTIONS:
            return f"pred.{name}"
        if name == "firstDiaSourceMjdTaiFink":
            return f"misc.{name}"
        if name == "sso_name":
            return "ssSource.designation"  # the last that is looked at for a body's name
    return name


def _list(survey: str, *paths: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(column(survey, one) for one in paths))


def _points(survey: str, record: str, fields: tuple[str, ...]) -> tuple[str, ...]:
    return _list(survey, *(f"{record}.{name}" for name in fields))


ZTF_POINTS = ("i:objectId", *_points("ztf", "candidate", ztf.POINT_FIELDS), "d:tag")
ZTF_ALERTS = (
    *ZTF_POINTS[:-1],
    *_points("ztf", "candidate", ("ra", "dec", "ssnamenr", "jdstarthist")),
    # Where it is computed it cannot be asked for, and where it is kept it has this name.
    "d:classification",
    *_list("ztf", *(value.path for value in ztf.VALUES if value.path != CLASS)),
)
LSST_POINTS = ("r:diaObjectId", *_points("lsst", "diaSource", lsst.POINT_FIELDS))
LSST_ALERTS = tuple(
    dict.fromkeys(
        (
            *LSST_POINTS,
            *_points("lsst", "diaSource", ("ssObjectId", "ra", "dec")),
            "f:firstDiaSourceMjdTaiFink",
            *_list("lsst", *(value.path for value in lsst.VALUES)),
        )
    )
)
# What a search needs of a row: of a wide cone more would not come through.
ZTF_CONE = (
    *ZTF_POINTS[:-1],
    *_points("ztf", "candidate", ("ra", "dec", "ssnamenr", "jdstarthist", "ndethist")),
    "d:classification",
    *_list("ztf", "roid", "tns", "cdsxmatch", "nalerthist", "anomaly_score", "tracklet"),
)
LSST_CONE = (
    *LSST_POINTS,
    *_points("lsst", "diaSource", ("ssObjectId", "ra", "dec")),
    "f:firstDiaSourceMjdTaiFink",
    *_list("lsst", "diaObject.nDiaSources", "pred.is_sso", "pred.main_label_crossmatch"),
    *_list("lsst", "clf.cats_class", "xm.tns_type", "xm.simbad_otype"),
)
ZTF_IDS = ("i:objectId", "i:jd")  # Fink sorts by time
LSST_IDS = ("r:diaObjectId", "r:midpointMjdTai")
LSST_BODY = (*LSST_ALERTS, *_points("lsst", "mpc_orbits", tuple(sorted(ORBIT))))
LSST_SUMMARY = (
    "r:diaObjectId", "r:ra", "r:dec", "r:nDiaSources", "f:firstDiaSourceMjdTaiFink", "f:is_sso", "f:is_first",
    "f:is_cataloged", "f:main_label_classifier", "f:main_label_crossmatch",
)  # fmt: skip
