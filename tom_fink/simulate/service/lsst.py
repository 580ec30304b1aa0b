"""The endpoints of the Rubin service that give rows: what each finds in the catalogue."""

from tom_fink.simulate.observations import TAI_MINUS_UTC_S

from . import cutouts, resolver, tables
from .answers import Answer, Row, refused, refused_plainly
from .bodies import ephemeris_columns, is_comet
from .catalogue import Alert, Catalogue, scanned
from .labels import TAGS
from .parameters import Parameters

PIXEL_DEG = 0.0573  # HEALPix of nside 1024
TIME = "r:midpointMjdTai"
FIRST = "f:firstDiaSourceMjdTaiFink"
TAI_MINUS_UTC_DAYS = TAI_MINUS_UTC_S / 86_400


def sources(catalogue: Catalogue, parameters: Parameters) -> list[Row]:
    """The detections of objects, or the one at a time."""
    ids = parameters.words("diaObjectId")
    found = scanned(catalogue.tables["lsst"].points, ids)
    if TIME[2:] in parameters:
        if len(ids) > 1:
            raise refused("midpointMjdTai cannot be used with a list of objects\n")
        moment = parameters.number(TIME[2:])
        found = [row for row in found if row[TIME] == moment]
    return _given(tables.newest_first(found, TIME), parameters)


def objects(catalogue: Catalogue, parameters: Parameters) -> list[Row]:
    """A summary of each object."""
    ids = [one for one in parameters.words("diaObjectId") if one]
    found = [
        row for one in ids for object_id, row in catalogue.summaries.items() if object_id.startswith(one)
    ]
    return _given(found[: tables.CAP], parameters)


def fp(catalogue: Catalogue, parameters: Parameters) -> list[Row]:
    """The forced photometry of objects, from their second detection on."""
    points = catalogue.tables["lsst"].points
    forced = {object_id: rows for object_id, rows in catalogue.forced.items() if len(points[object_id]) > 1}
    found = scanned(forced, parameters.words("diaObjectId"))
    return _given(tables.newest_first(found, TIME), parameters)


def conesearch(catalogue: Catalogue, parameters: Parameters) -> list[Row]:
    """The last alert of each object in a cone, nearest first; dates are of the first detection, and TAI."""
    parameters.cone()
    tables.need_columns(parameters, "r:diaObjectId")
    span = tables.interval(parameters)
    wanted = parameters.columns()
    if span is not None and wanted is not None and FIRST not in wanted:
        raise refused(f"Dates can only be used with {FIRST} among the columns\n")
    alerts = [
        alert
        for alert in catalogue.tables["lsst"].last_of_objects().values()
        if span is None or span[0] <= alert.row[FIRST] <= span[1]
    ]
    near = tables.in_cone(alerts, parameters, _place, PIXEL_DEG)
    found = [alert.row | {tables.SEPARATION: round(separation, 10)} for alert, separation in near]
    return _given(found, parameters, ("r:ra", "r:dec", TIME, tables.SEPARATION))


def tags(catalogue: Catalogue, parameters: Parameters) -> list[Row]:
    """The newest alerts that passed a filter."""
    tag = parameters.given["tag"]
    if not isinstance(tag, str) or not TAGS.get(tag, ("", False))[1]:
        known = [name for name, (_, is_searchable) in TAGS.items() if is_searchable]
        raise refused_plainly(
            f"\n        {tag} is not a valid tag. Here is the list of tags:\n        {known}\n"
        )
    alerts = tables.between(catalogue.tables["lsst"].alerts.values(), *parameters.dates())
    found = [alert.row for alert in alerts if tag in alert.tags]
    return _given(found[: parameters.count("n", 10)], parameters)


def sso(catalogue: Catalogue, parameters: Parameters) -> list[Row]:
    """The alerts of known bodies, with their names and orbits; of comets none as yet."""
    found = []
    for name in parameters.words("n_or_d"):
        body = catalogue.bodies.find(name)
        if body is None and not is_comet(name):
            raise refused(f"{name} is not a valid name or number according to quaero.\n")
        for alert in catalogue.tables["lsst"].alerts.values() if body else ():
            if alert.body_row and alert.body_row["r:packed_primary_provisional_designation"] == body.packed:
                row = alert.body_row | alert.row | {"f:sso_name": body.name}
                if parameters.is_true("withEphem") and body.ephemeris:
                    place = body.ephemeris(alert.mjd - TAI_MINUS_UTC_DAYS)
                    columns = ephemeris_columns(place, None)
                    row |= {
                        column: round(value, 10) for column, value in columns.items() if value is not None
                    }
                found.append(row)
    always = ("f:sso_name", "Phase", "Dobs", "Dhelio", "Elong.")
    return _given(tables.newest_first(found, TIME), parameters, always)


def skymap(catalogue: Catalogue, parameters: Parameters) -> list[Row]:
    """The last alert of each object in an event's region, whenever it was."""
    level = parameters.number("credible_level")
    event = catalogue.events.get(parameters.text("event_name"))
    if event is None:
        return [{"status": "b'404 page not found'"}]
    started = {"v:startgwMjdTai": round(event.mjd + TAI_MINUS_UTC_DAYS, 10)}
    last = catalogue.tables["lsst"].last_of_objects().values()
    found = [alert.row | started for alert in last if event.holds(*_place(alert), level)]
    return _given(tables.newest_first(found, TIME), parameters, ("v:startgwMjdTai",))


def resolve(catalogue: Catalogue, parameters: Parameters) -> list[Row]:
    """What a resolver knows of a name."""
    return resolver.resolve(catalogue, parameters, "lsst")


def cutout(catalogue: Catalogue, parameters: Parameters) -> Answer:
    """A cutout of an alert; of an unknown one an empty image."""
    alert = catalogue.tables["lsst"].alerts.get(parameters.text("diaSourceId"))
    if alert is None:
        return Answer(200, "image/png", b"")
    return cutouts.answer(alert, parameters, "")


def _place(alert: Alert) -> tuple[float, float]:
    return alert.row["r:ra"], alert.row["r:dec"]


def _given(found: list[Row], parameters: Parameters, always: tuple[str, ...] = ()) -> list[Row]:
    """The rows with the columns that are wanted; without `columns`, all, of which gaps in texts are "None"."""
    if parameters.columns() is not None:
        return tables.chosen(found, parameters, always)
    names = dict.fromkeys(name for row in found for name in row)
    texts = [name for name in names if any(isinstance(row.get(name), str) for row in found)]
    return [
        {name: row.get(name) for name in names}
        | {name: row[name] if row.get(name) is not None else "None" for name in texts}
        for row in found
    ]
