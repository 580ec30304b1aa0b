"""The columns that the service has, family by family, with their types: the answers of `schema`."""

from collections.abc import Iterable

from .answers import JSON, Answer, Row, as_json, refused_plainly
from .catalogue import Catalogue
from .parameters import Parameters
from .ztf import COLOURS

ZTF_FAMILIES = {
    "i:": "ZTF original fields (i:)",
    "b:": "ZTF original cutouts (b:)",
    "d:": "Fink science module outputs (d:)",
    "v:": "Fink on-the-fly added values (v:)",
}
LSST_FAMILIES = {
    "r:": "Rubin original fields (r:)",
    "b:": "Rubin original cutouts (b:)",
    "f:": "Fink science module outputs (f:)",
    "v:": "Fink on-the-fly added values (v:)",
}
_DOCS = {
    "i:jd": "Start of the exposure, JD (UTC)",
    "i:fid": "Band: 1 g, 2 r, 3 i",
    "i:magpsf": "Magnitude of the difference",
    "r:midpointMjdTai": "Middle of the exposure, MJD (TAI)",
    "r:psfFlux": "Difference flux, nJy",
    "r:diaObjectId": "Id of the object",
    "v:separation_degree": "Distance from the centre of the cone, degrees",
}
_TYPES = {bool: "boolean", int: "long", float: "double", str: "string"}


def ztf_schema(catalogue: Catalogue) -> dict[str, dict[str, dict[str, str]]]:
    """The answer of ZTF's `schema`."""
    rows = [alert.row for alert in catalogue.tables["ztf"].alerts.values()][:50]
    computed = ("classification", "lastdate", "firstdate", "lapse", "constellation", *COLOURS)
    texts = {f"v:{name}": None for name in computed}
    arrays = {f"b:cutout{kind}_stampData": None for kind in ("Science", "Template", "Difference")}
    return _families([*rows, texts, arrays], ZTF_FAMILIES)


def lsst_schema(catalogue: Catalogue, parameters: Parameters) -> Answer:
    """The answer of Rubin's `schema` for an endpoint. Raises `Refused` for one that there is not."""
    asked = parameters.text("endpoint")
    table = catalogue.tables["lsst"]
    sources = [alert.row for alert in table.alerts.values()][:50]
    separation = {"v:separation_degree": 0.0}
    found: dict[str, Iterable[Row]] = {
        "sources": sources,
        "tags": sources,
        "conesearch": [row | separation for row in sources],
        "objects": list(catalogue.summaries.values())[:50],
        "fp": [row for rows in list(catalogue.forced.values())[:5] for row in rows.values()],
        "sso": [alert.row | alert.body_row for alert in table.alerts.values() if alert.body_row][:50],
        "cutouts": [{f"b:cutout{kind}": None for kind in ("Science", "Template", "Difference")}],
        "statistics": [{f"f:{name}": "" for name in ("night", "alerts", "objects", "is_sso", "visits")}],
    }
    paths = {f"/api/v1/{name}": rows for name, rows in found.items()}
    paths["/datatransfer/fink"] = [
        {name: value for name, value in row.items() if name.startswith("f:")} for row in sources
    ]
    paths["/datatransfer/lsst"] = [
        {name: value for name, value in row.items() if name.startswith("r:")} for row in sources
    ]
    if asked not in paths:
        raise refused_plainly(f"{asked[:100]} is none of {', '.join(paths)}\n", 404)
    return Answer(200, JSON, as_json(_families(paths[asked], LSST_FAMILIES)))


def _families(rows: Iterable[Row], families: dict[str, str]) -> dict[str, dict[str, dict[str, str]]]:
    types: dict[str, str] = {}
    for row in rows:
        for name, value in row.items():
            if value is not None or name not in types:
                types[name] = _TYPES.get(type(value), "array" if name.startswith("b:") else "string")
    return {
        family: {
            name[2:]: {"type": kind, "doc": _DOCS.get(name, f"{name[2:]} of the alert")}
            for name, kind in types.items()
            if name.startswith(prefix)
        }
        for prefix, family in families.items()
    }
