"""Names of anything, looked up with Fink's resolvers: TNS, SIMBAD and SsODNet."""

import re
from dataclasses import dataclass, replace
from math import asin, cos, degrees, radians, sin, sqrt

import polars as pl

from tom_fink.api import checks, lsst, ztf
from tom_fink.api.client import FinkClient
from tom_fink.api.names import resolved
from tom_fink.errors import BadQuery, QueryRefused, ServiceUnavailable
from tom_fink.search.recognise import BODY
from tom_fink.search.search import Search
from tom_fink.surveys._names import SAFE_NAME, ZTF_ID
from tom_fink.text import printable

MODULES = {"ztf": ztf, "lsst": lsst}
SERVICES = {"tns": "TNS", "simbad": "SIMBAD", "ssodnet": "SsODNet"}
# SN 2023vwy, 2023vwy, and names that surveys give to what they report to TNS
TRANSIENT = re.compile(
    "(?:(?:SN|AT|TDE|FRB|KN) ?)?(?:19|20)[0-9]{2} ?[a-z]{1,6}|(?:SN|AT|TDE) ?(?:19|20)[0-9]{2}[A-Za-z]{1,6}"
    "|(?:ZTF|ATLAS|Gaia|PS|GOTO|ASASSN|BGEM|MASTER|LSST)-?[0-9]{2}[A-Za-z0-9-]+",
    re.IGNORECASE,
)
# 433 Eros, (433) Eros; also 47 Tuc and 61 Cygni, of which SsODNet knows nothing
NUMBERED = re.compile(r"\(?([1-9][0-9]{0,6})\)? +([A-Za-z'][A-Za-z0-9' -]*)")
PREFIX = re.compile("^(?:SN|AT|TDE|FRB|KN)(?=[0-9])", re.IGNORECASE)
SAME_PLACE_ARCSEC = 3.0
SHOWN = 5  # of the names that a text may stand for
MAX_ROWS = 50


@dataclass(frozen=True)
class Place:
    """What a name stands for: a place in the sky (ICRS, degrees), or a body."""

    name: str
    service: str  # tns, simbad or ssodnet
    kind: str = ""  # TNS's or SIMBAD's type
    ra_deg: float | None = None
    dec_deg: float | None = None
    object_ids: tuple[str, ...] = ()  # ZTF's, where TNS tells them
    body: str = ""  # number or name, as Fink's search for bodies takes it

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(part for part in (SERVICES[self.service], self.kind) if part)})"


def look_up(name: str, survey: str, client: FinkClient, resolver: str = "") -> list[Place]:
    """What a name stands for, by the first service that knows it; several where it is not clear.

    Asked are TNS, SIMBAD and SsODNet in the order that the name suggests, or `resolver` alone. What is named
    exactly so is taken before what begins so. Empty if nothing is known. Raises `BadQuery`, and the errors of the
    client if no service knows the name and one did not answer.
    """
    text = checks.resolvable(name)
    problem: ServiceUnavailable | QueryRefused | None = None
    for service in (resolver,) if resolver else _order(text):
        numbered = _numbered(text) if service == "ssodnet" else None
        asked = numbered[2].strip() if numbered else text
        try:
            found = client.get(MODULES[survey].resolve(service, asked, MAX_ROWS), resolved)
        except QueryRefused as error:
            if error.status != 400:  # with that it says of some names that it does not know them
                problem = error
            continue
        except ServiceUnavailable as error:
            problem = error
            continue
        if numbered:
            found = found.filter(pl.col("other_name") == numbered[1])
        if places := _places(service, asked, found):
            return places
    if problem is not None:
        raise problem
    return []


@dataclass(frozen=True)
class Located:
    """A search with its name replaced by what that stands for.

    Beside a position the name stays where it is a place too: objects are then within the radius of `near` as well.
    """

    search: Search
    notes: tuple[str, ...] = ()
    near: Place | None = None
    is_impossible: bool = False  # nothing can fit


def located(search: Search, client: FinkClient) -> Located:
    """What a search is, and what there is to say of it.

    Raises `BadQuery` for a name that nobody knows or that may stand for several places, and as `look_up` does.
    """
    if not search.name:
        return Located(search)
    places = look_up(search.name, search.survey, client, search.resolver)
    if not places:
        asked = [search.resolver] if search.resolver else list(checks.RESOLVERS)
        services = ", ".join(SERVICES[service] for service in asked)
        said = f"'{printable(search.name, 60)}' is not known to {services}. Check its spelling, or give a position."
        raise BadQuery(said, "name")
    if len(places) > 1:
        several = ", ".join(str(place) for place in places[:SHOWN]) + (", …" if len(places) > SHOWN else "")
        raise BadQuery(f"'{printable(search.name, 60)}' may be {several}. Write the name out.", "name")
    (place,) = places
    said = (f"{search.name} is {place}.",)
    if place.body:
        if search.body and not _is_body(place, search, client):
            return Located(search, (*said, f"Nothing is both {search.name} and {search.body}."), None, True)
        return Located(replace(search, name="", body=search.body or place.body), said)
    radius_is_its = search.radius_arcsec is not None and not search.has_cone
    if place.object_ids and search.survey == "ztf" and not radius_is_its and not search.object_ids:
        return Located(replace(search, name="", object_ids=place.object_ids), said)
    if search.has_cone:
        return Located(search, said, place)
    return Located(replace(search, name="", ra_deg=place.ra_deg, dec_deg=place.dec_deg), said)


def separation_arcsec(ra_a: float, dec_a: float, ra_b: float, dec_b: float) -> float:
    """The angle between two directions given in degrees (haversine formula, which is exact for small angles)."""
    ra_a, dec_a, ra_b, dec_b = map(radians, (ra_a, dec_a, ra_b, dec_b))
    square = sin((dec_a - dec_b) / 2) ** 2 + cos(dec_a) * cos(dec_b) * sin((ra_a - ra_b) / 2) ** 2
    return degrees(2 * asin(sqrt(min(square, 1.0)))) * 3600


def _is_body(place: Place, search: Search, client: FinkClient) -> bool:
    """Whether the search's body is this one, maybe by another name."""
    if _plain(search.body) in (_plain(place.body), _plain(place.name)):
        return True
    return any(one.body == place.body for one in look_up(search.body, search.survey, client, "ssodnet"))


def _numbered(text: str) -> re.Match[str] | None:
    """A number and a name; 1898 DQ is a designation, and 2023 vwy a transient."""
    return None if BODY.fullmatch(text) or TRANSIENT.fullmatch(text) else NUMBERED.fullmatch(text)


def _order(text: str) -> tuple[str, ...]:
    if TRANSIENT.fullmatch(text):
        return "tns", "simbad", "ssodnet"
    is_body = BODY.fullmatch(text) or _numbered(text)
    return ("ssodnet", "simbad", "tns") if is_body else ("simbad", "tns", "ssodnet")


def _places(service: str, text: str, found: pl.DataFrame) -> list[Place]:
    rows = found.rows(named=True)
    exact = [row for row in rows if _plain(text) in (_plain(row["name"]), _plain(row["other_name"]))]
    places: list[Place] = []
    for row in exact or rows:
        place = _place(service, row)
        if place is None:
            continue
        same = next((index for index, known in enumerate(places) if _is_same(known, place)), None)
        if same is None:
            places.append(place)
            continue
        known = places[same]
        ids = tuple(dict.fromkeys((*known.object_ids, *place.object_ids)))
        places[same] = replace(known, object_ids=ids, kind=known.kind or place.kind)
    return places


def _place(service: str, row: dict) -> Place | None:
    name, other, kind = row["name"], row["other_name"] or "", row["kind"] or ""
    if service == "ssodnet":
        body = other if re.fullmatch("[1-9][0-9]*", other) else name
        return Place(name, service, kind, body=body) if re.fullmatch(SAFE_NAME, body) else None
    if row["ra_deg"] is None or row["dec_deg"] is None:
        return None
    ids = (other,) if service == "tns" and re.fullmatch(ZTF_ID, other) else ()
    return Place(name, service, kind, row["ra_deg"], row["dec_deg"], ids)


def _is_same(one: Place, other: Place) -> bool:
    if one.body or other.body:
        return one.body == other.body
    near = separation_arcsec(one.ra_deg, one.dec_deg, other.ra_deg, other.dec_deg)
    return near <= SAME_PLACE_ARCSEC


def _plain(name: str | None) -> str:
    """A name without blanks and capitals, and without what TNS puts before its names."""
    return PREFIX.sub("", re.sub(r"\s", "", name or "")).casefold()
