"""The endpoints of the ZTF service that give rows: what each finds in the catalogue."""

from functools import lru_cache

from tom_fink.simulate.observations import JD_MINUS_MJD, clock

from . import cutouts, resolver, tables
from .answers import Answer, Failed, Row, refused, refused_plainly
from .bodies import ephemeris_columns, is_comet
from .catalogue import Alert, Catalogue, scanned
from .cutouts import KINDS
from .labels import has_class
from .parameters import Parameters, mjd_of_iso

PIXEL_DEG = 0.458  # HEALPix of nside 128
TRENDS = ("rising", "fading", "low_state", "new_low_state")
# The columns of Fink's index tables, where its searches look: fewer than those of an alert
_INDEX = """
    objectId candid publisher rcid chipsf distnr ra dec jd fid nid field xpos ypos rb ssdistnr ssmagnr ssnamenr
    jdstarthist jdendhist tooflag sgscore1 distpsnr1 neargaia maggaia nmtchps diffmaglim magpsf sigmapsf magnr
    sigmagnr magzpsci isdiffpos classtar drb ndethist
"""
INDEX = frozenset(f"i:{name}" for name in _INDEX.split())
COLOURS = ("g-r", "sigma(g-r)", "rate(g-r)", "sigma(rate(g-r))", "rate", "sigma(rate)")
_COLOURS = dict.fromkeys(f"v:{name}" for name in COLOURS)  # none is computed here


def objects(catalogue: Catalogue, parameters: Parameters) -> list[Row]:
    """The light curves of objects, with upper limits if these are wanted."""
    with_limits = parameters.is_true("withupperlim")
    found = scanned(catalogue.tables["ztf"].points, parameters.words("objectId"))
    found = [row for row in found if with_limits or row["d:tag"] == "valid"]
    found = tables.newest_first(found, "i:jd")
    if parameters.columns() is None:
        found = [row | _computed(row) for row in found]
    found = cutouts.with_cutouts(catalogue, parameters, found, KINDS)
    hidden = {"d:classification", *(() if with_limits else ("d:tag",))}
    found = [{name: value for name, value in row.items() if name not in hidden} for row in found]
    return tables.chosen(found, parameters, cutouts.COLUMNS)


def conesearch(catalogue: Catalogue, parameters: Parameters) -> list[Row]:
    """The last alert of each object in a cone, nearest first; dates are of the first detection."""
    parameters.cone()
    tables.need_columns(parameters, "i:objectId", "i:jd")
    span = tables.interval(parameters)
    alerts = [
        alert
        for alert in catalogue.tables["ztf"].last_of_objects().values()
        if span is None or span[0] <= (alert.row["i:jdstarthist"] or 0) - JD_MINUS_MJD <= span[1]
    ]
    near = tables.in_cone(alerts, parameters, _place, PIXEL_DEG)
    found = [_indexed(alert) | {tables.SEPARATION: round(separation, 10)} for alert, separation in near]
    return tables.chosen(found, parameters, (tables.SEPARATION,))


def latests(catalogue: Catalogue, parameters: Parameters) -> list[Row]:
    """The newest alerts of a class; a trend is looked for among these."""
    label, limit = parameters.text("class"), parameters.count("n", 10)
    if "trend" in parameters and parameters.given["trend"] not in TRENDS:
        text = (
            f"\n        trend must be one of {', '.join(TRENDS)}\n        not {parameters.given['trend']}\n"
        )
        raise refused_plainly(text)
    alerts = tables.between(catalogue.tables["ztf"].alerts.values(), *parameters.dates())
    alerts = [alert for alert in alerts if has_class(alert.row, label)][:limit]
    if "trend" in parameters:
        alerts = [alert for alert in alerts if _has_trend(alert.row, parameters.text("trend"))]
    found = [_indexed(alert) for alert in alerts]
    if "color" in parameters and parameters.columns() is None:  # whatever it says, false among it
        found = [row | _COLOURS for row in found]
    return tables.chosen(found, parameters)


def sso(catalogue: Catalogue, parameters: Parameters) -> list[Row]:
    """The alerts of known bodies, with their names and, if wanted, their ephemerides."""
    names = parameters.words("n_or_d")
    if parameters.is_true("withResiduals") and len(names) > 1:
        raise refused("Residuals cannot be computed for several objects\n")
    with_ephemeris = parameters.is_true("withEphem") or parameters.is_true("withResiduals")
    found = []
    for name in names:
        body = catalogue.bodies.find(name)
        if body is None:
            if is_comet(name):
                continue
            raise refused(f"{name} is not a valid name or number according to quaero.\n")
        for alert in catalogue.tables["ztf"].alerts.values():
            if alert.row["i:ssnamenr"] in (body.ssnamenr, body.name):
                row = alert.row | {"sso_name": body.name, "sso_number": body.number}
                if with_ephemeris and body.ephemeris:
                    columns = ephemeris_columns(body.ephemeris(alert.mjd), row["i:magpsf"])
                    row |= {column: round(value, 10) for column, value in columns.items()}
                found.append(row)
    found = tables.newest_first(found, "i:jd")
    found = cutouts.with_cutouts(catalogue, parameters, found, ("Science",))
    extra = ("sso_name", "sso_number", "Phase", "Dobs", "Dhelio", "Elong.", "i:magpsf_red", *cutouts.COLUMNS)
    return tables.chosen(found, parameters, extra)


def tracklet(catalogue: Catalogue, parameters: Parameters) -> list[Row]:
    """The alerts of moving objects without an orbit, of one tracklet or of a time."""
    if "id" in parameters:
        wanted = parameters.text("id")
    elif "date" in parameters:
        text = parameters.text("date")
        mjd_of_iso(text + "0000-01-01 00:00:00"[len(text) :])  # fails for what is no date
        wanted = "TRCK_" + text.replace("-", "").replace(":", "").replace(" ", "_")
    else:
        raise refused("You need to specify a date or an ID\n")
    found = [
        alert.row
        for alert in catalogue.tables["ztf"].alerts.values()
        if alert.row["d:tracklet"].startswith(wanted or "TRCK")
    ]
    return tables.chosen(tables.newest_first(found, "i:jd"), parameters)


def anomaly(catalogue: Catalogue, parameters: Parameters) -> list[Row]:
    """The alerts with the lowest score, of those that have one."""
    begin, end = parameters.dates("start_date", "stop_date")
    alerts = tables.between(catalogue.tables["ztf"].alerts.values(), begin, end)
    found = [_indexed(alert) for alert in alerts if alert.row.get("d:anomaly_score") is not None]
    found.sort(key=lambda row: row["d:anomaly_score"])
    return tables.chosen(found[: parameters.count("n", 10)], parameters)


def skymap(catalogue: Catalogue, parameters: Parameters) -> list[Row]:
    """The last alert of each object in an event's region, from some days before it to some after it."""
    level = parameters.number("credible_level")
    before, after = parameters.number("n_day_before", 1), parameters.number("n_day_after", 6)
    if before > 7 or after > 14:
        raise refused("The search is up to 7 days before the event and 14 days after it.\n")
    event = catalogue.events.get(parameters.text("event_name"))
    if event is None:
        return [{"status": "b'404 page not found'"}]
    span = event.mjd - before, event.mjd + after
    alerts = tables.between(catalogue.tables["ztf"].alerts.values(), *span)
    last = catalogue.tables["ztf"].last_of_objects(
        alert for alert in alerts if event.holds(*_place(alert), level)
    )
    started = {"v:jdstartgw": round(event.mjd + JD_MINUS_MJD, 10)}
    found = [_indexed(alert) | started for alert in last.values()]
    return tables.chosen(tables.newest_first(found, "i:jd"), parameters, ("v:jdstartgw",))


def ssocand(catalogue: Catalogue, parameters: Parameters) -> list[Row]:
    """Candidates for bodies without an orbit: the simulated sky has none."""
    if parameters.text("kind") not in ("orbParams", "lightcurves"):
        raise Failed("no such kind")
    return []


def resolve(catalogue: Catalogue, parameters: Parameters) -> list[Row]:
    """What a resolver knows of a name."""
    return resolver.resolve(catalogue, parameters, "ztf")


def cutout(catalogue: Catalogue, parameters: Parameters) -> Answer:
    """A cutout of an object's newest alert, or of one alert; an unknown object fails."""
    object_id = parameters.text("objectId")
    alerts = [a for a in catalogue.tables["ztf"].alerts.values() if a.object_id == object_id]
    if "candid" in parameters:
        alerts = [alert for alert in alerts if alert.alert_id == str(parameters.given["candid"])]
    if not alerts:
        raise Failed("no such alert")
    return cutouts.answer(max(alerts, key=lambda alert: alert.mjd), parameters, "_stampData")


def _place(alert: Alert) -> tuple[float, float]:
    return alert.row["i:ra"], alert.row["i:dec"]


def _indexed(alert: Alert) -> Row:
    row = alert.row
    return {name: row[name] for name in row if name in INDEX or _is_indexed(name)}


def _is_indexed(name: str) -> bool:
    return name.startswith("d:") and not name.startswith("d:lc_features")


def _has_trend(row: Row, trend: str) -> bool:
    rate = row.get("d:mag_rate")
    if trend in ("rising", "fading"):
        return rate is not None and (rate < 0 if trend == "rising" else rate > 0)
    is_low = has_class(row, "(CTA) Blazar low state")
    return is_low and (trend == "low_state" or row["d:blazar_stats_m0"] >= 1)


def _computed(row: Row) -> Row:
    """The columns that Fink computes when all are asked for."""
    if row["d:tag"] != "valid":
        return {}
    first = row.get("i:jdstarthist") or row["i:jd"]
    return {
        "v:classification": row["d:classification"],
        "v:lastdate": clock(row["i:jd"] - JD_MINUS_MJD)[:-3],
        "v:firstdate": clock(first - JD_MINUS_MJD)[:-3],
        "v:lapse": round(row["i:jd"] - first, 10),
        "v:constellation": constellation(round(row["i:ra"], 2), round(row["i:dec"], 2)),
        **_COLOURS,
    }


@lru_cache(maxsize=2048)
def constellation(ra: float, dec: float) -> str:
    """The constellation at a place (degrees)."""
    from astropy import units
    from astropy.coordinates import SkyCoord, get_constellation

    return str(get_constellation(SkyCoord(ra * units.deg, dec * units.deg)))
