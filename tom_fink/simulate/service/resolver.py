"""Names: TNS, SIMBAD and SsODNet as far as they know the simulated sky."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .answers import Failed, Row
from .bodies import Body
from .events import separation_deg
from .parameters import Parameters

if TYPE_CHECKING:
    from .catalogue import Alert, Catalogue

RESOLVERS = ("simbad", "ssodnet", "tns")
_SAME_ARCSEC = 1.5  # Fink's radius for TNS


@dataclass
class TnsObject:
    """An object of TNS with the names that surveys gave it."""

    fullname: str
    kind: str
    ra: float
    dec: float
    discovered_jd: float
    redshift: float | None = None
    internal_names: list[str] = field(default_factory=list)


class TnsNames:
    """The simulated TNS, filled from the types and names that alerts have."""

    def __init__(self):
        """Know nothing."""
        self.objects: list[TnsObject] = []

    def add_ztf(self, row: Row) -> None:
        """Enter the object of a ZTF alert that has a type. ZTF does not tell the name, so it is made of the id."""
        name, kind = row["i:objectId"], row.get("d:tns")
        if not kind or any(name in known.internal_names for known in self.objects):
            return
        known = self._at(row["i:ra"], row["i:dec"])
        if known is None:
            fullname = f"SN 20{name[3:5]}{name[-4:].lower()}"
            known = TnsObject(fullname, kind, row["i:ra"], row["i:dec"], row["i:jdstarthist"] or row["i:jd"])
            known.internal_names.append(f"ATLAS{name[3:5]}{name[-3:].lower()}")
            self.objects.append(known)
        known.internal_names.append(name)

    def add_lsst(self, row: Row) -> None:
        """Enter the object of a Rubin alert that has a name in TNS."""
        fullname = row.get("f:xm_tns_fullname")
        if not fullname or any(
            known.fullname == fullname and known.redshift is not None for known in self.objects
        ):
            return
        known = self._at(row["r:ra"], row["r:dec"])
        if known is None:
            known = TnsObject(
                fullname, row["f:xm_tns_type"], row["r:ra"], row["r:dec"], row["r:midpointMjdTai"] + 2400000.5
            )
            self.objects.append(known)
        known.fullname, known.redshift = fullname, row["f:xm_tns_redshift"]

    def _at(self, ra: float, dec: float) -> TnsObject | None:
        return next(
            (one for one in self.objects if separation_deg(one.ra, one.dec, ra, dec) * 3600 <= _SAME_ARCSEC),
            None,
        )


def resolve(catalogue: "Catalogue", parameters: Parameters, survey: str) -> list[Row]:
    """The rows of either survey's `resolver`. Raises `Failed` for one that there is not."""
    service = parameters.text("resolver")
    asked = parameters.text("name" if survey == "ztf" else "name_or_id").strip()
    limit = parameters.count("nmax", 10)
    # JSON's true alone counts here.
    is_reverse = parameters.given.get("reverse") is True
    if service == "tns":
        found = _tns(catalogue, survey, asked, is_reverse)
    elif service == "simbad":
        found = _simbad(catalogue, survey, asked, is_reverse)
    elif service == "ssodnet":
        found = _ssodnet(catalogue, survey, asked, is_reverse, is_exact=limit == 1)
    else:
        raise Failed(f"there is no resolver {service}")
    return found[:limit]


def _tns(catalogue: "Catalogue", survey: str, asked: str, is_reverse: bool) -> list[Row]:
    if survey == "lsst" and is_reverse:
        wanted = ("f:xm_tns_fullname", "f:xm_tns_type", "f:xm_tns_redshift")
        return [
            {"r:diaObjectId": row["r:diaObjectId"], **{name: row[name] for name in wanted}}
            for row in _rows_of(_last(catalogue, survey, asked))
            if row["f:xm_tns_fullname"]
        ]
    prefix = "d" if survey == "ztf" else "f"
    found = []
    for known in catalogue.tns.objects:
        # A row for each internal name; an object that no survey named has one with an empty name.
        records = [_record(known, internal) for internal in known.internal_names or [""]]
        for record in [*records, _record_before(known, records[-1])]:
            name = record["internalname"] if is_reverse else record["fullname"].lower()
            is_asked = asked in name if is_reverse else name.startswith(asked.lower())
            if asked and is_asked:
                row = {f"{prefix}:{column}": value for column, value in record.items()}
                if survey == "lsst":
                    row["f:discoverydate"] = known.discovered_jd
                found.append(row)
    return found


def _record(known: TnsObject, internal: str) -> Row:
    return {
        "fullname": known.fullname, "internalname": internal, "ra": known.ra, "declination": known.dec,
        "redshift": known.redshift, "type": known.kind,
    }  # fmt: skip


def _record_before(known: TnsObject, record: Row) -> Row:
    """The record of the time before the object had a spectrum: the words are Fink's, and its numbers are text."""
    place = {name: str(record[name]) for name in ("ra", "declination")}
    older = {"fullname": f"AT{known.fullname.removeprefix('SN')}", "redshift": "nan", "type": "nan"}
    return record | place | older


def _simbad(catalogue: "Catalogue", survey: str, asked: str, is_reverse: bool) -> list[Row]:
    if is_reverse and survey == "ztf":
        names = ("i:objectId", "d:cdsxmatch", "i:ra", "i:dec", "i:candid", "i:jd")
        return [
            {name: row[name] for name in names}
            for row in _rows_of(_last(catalogue, survey, asked))
            if row["d:cdsxmatch"] not in ("Unknown", None)
        ]
    if is_reverse:
        names = ("f:main_label_crossmatch", "r:ra", "r:dec")
        return [
            {name: row[name] for name in names}
            for row in _rows_of(_last(catalogue, survey, asked))
            if row["f:main_label_crossmatch"]
        ]
    found = []
    for alert in catalogue.tables[survey].last_of_objects().values():
        name, otype, ra, dec = _in_simbad(survey, alert.row)
        if otype and _bare(name) == _bare(asked):
            found.append(
                {
                    "name": asked, "oid": int(alert.alert_id) % 10**7, "oname": name, "otype": otype,
                    "jpos": f"{ra:.7f} {dec:+.7f}", "jradeg": ra, "jdedeg": dec, "z": None, "MType": None,
                    "nrefs": 3, "refPos": "2020yCat.1350....0G",
                }
            )  # fmt: skip
    return found


def _in_simbad(survey: str, row: Row) -> tuple[str, str | None, float, float]:
    """(name, type or None, ra, dec) of what SIMBAD has at an alert's place: Gaia's name, or one of the place."""
    if survey == "ztf":
        ra, dec, gaia, otype = row["i:ra"], row["i:dec"], row["d:DR3Name"], row["d:cdsxmatch"]
        otype = None if otype in ("Unknown", None) or otype.startswith("Fail") else otype
    else:
        ra, dec, gaia, otype = (
            row["r:ra"],
            row["r:dec"],
            row["f:xm_gaiadr3_DR3Name"],
            row["f:xm_simbad_otype"],
        )
    has_gaia = gaia and gaia != "nan"
    return gaia if has_gaia else f"SIM J{ra:07.3f}{dec:+07.3f}", otype, ra, dec


def _ssodnet(catalogue: "Catalogue", survey: str, asked: str, is_reverse: bool, is_exact: bool) -> list[Row]:
    prefix = "i" if survey == "ztf" else "r"
    if is_reverse and survey == "lsst":
        return [
            {
                "r:packed_primary_provisional_designation": body.packed,
                "r:unpacked_primary_provisional_designation": body.name,
                "r:ssObjectId": body.ss_object_id,
            }
            for body in catalogue.bodies
            if body.ss_object_id is not None and str(body.ss_object_id) == asked
        ]
    if is_reverse:
        names = {row["i:ssnamenr"] for row in _rows_of(_last(catalogue, survey, asked))}
        bodies: Iterable[Body] = filter(None, (catalogue.bodies.find(name or "") for name in names))
    elif is_exact:
        bodies = filter(None, [catalogue.bodies.find(asked)])
    else:
        begin = _bare(asked)
        bodies = [
            body for body in catalogue.bodies if begin and any(key.startswith(begin) for key in body.keys)
        ]
    return [
        {f"{prefix}:name": body.name, f"{prefix}:number": body.number, f"{prefix}:ssnamenr": body.ssnamenr}
        for body in bodies
    ]


def _last(catalogue: "Catalogue", survey: str, object_id: str) -> "Alert | None":
    return catalogue.tables[survey].last_of_objects().get(object_id)


def _rows_of(alert: "Alert | None") -> list[Row]:
    return [] if alert is None else [alert.row]


def _bare(name: str) -> str:
    return "".join(name.split()).lower()
