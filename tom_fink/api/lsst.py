"""The questions to Fink's Rubin service: each function gives a `Query`, or raises `BadQuery`. Nothing is sent.

Read the answers with `tom_fink.api.answers`: `rows` unless a function says otherwise. Rubin's times are TAI,
and Fink takes dates as such. Fink's `objects` are not ZTF's: a light curve is in `sources` and `fp`.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from tom_fink.api import checks
from tom_fink.api.columns import LSST_ALERTS, LSST_BODY, LSST_CONE, LSST_IDS, LSST_POINTS, LSST_SUMMARY
from tom_fink.api.query import LIST_BYTES, SMALLER, WIDE_ARCSEC, Query, row_query
from tom_fink.api.ztf import CUTOUT_KINDS
from tom_fink.fields import MAX_CUTOUT_BYTES
from tom_fink.frames import TAI_MINUS_UTC_MS

SURVEY = "lsst"
NSIDE = 1024  # of the parts of the sky (HEALPix) that a cone is looked up in
TAI = timedelta(milliseconds=TAI_MINUS_UTC_MS)  # ahead of UTC
TABLES = ("sources", "objects", "fp", "conesearch", "cutouts", "sso", "tags", "statistics")


def alerts(ids: str | Iterable[str]) -> Query:
    """All alerts of one or several objects, newest first. Non-detections are in `forced`."""
    return _of_objects("sources", "the alerts", ids, LSST_ALERTS)


def light_curve(ids: str | Iterable[str]) -> Query:
    """All detections of one or several objects, newest first; their photometry alone."""
    return _of_objects("sources", "the light curve", ids, LSST_POINTS)


def forced(ids: str | Iterable[str]) -> Query:
    """The forced photometry of one or several objects: from their second detection on."""
    return _of_objects("fp", "the forced photometry", ids, LSST_POINTS)


def summary(ids: str | Iterable[str]) -> Query:
    """A row for each object: mean position and number of detections."""
    return _of_objects("objects", "the summary", ids, LSST_SUMMARY)


def known(ids: str | Iterable[str]) -> Query:
    """The id and time of all alerts of these objects: which of them Fink has."""
    return _of_objects("sources", "the alerts", ids, LSST_IDS)


def around(
    ra_deg: float,
    dec_deg: float,
    radius_arcsec: float,
    n: int = 1000,
    start: datetime | None = None,
    stop: datetime | None = None,
) -> Query:
    """The last alert of each object in a cone (ICRS), nearest first, with `separation_degree`.

    `start` and `stop` are of the first detection. Solar System bodies are never among them. Fink takes
    `n` for each part of the sky that it looks through, so more rows may come. A wide cone has the columns of a
    search alone.
    """
    n = checks.count(n)
    place = checks.cone(ra_deg, dec_deg, radius_arcsec)
    # Fink does not look at an end without a start.
    dates = checks.dates(start or (stop and checks.FIRST_LIGHT), stop, ahead=TAI)
    what = f'the objects within {place["radius"]}" of {place["ra"]} {place["dec"]}'
    columns = LSST_CONE if float(place["radius"]) > WIDE_ARCSEC else LSST_ALERTS
    payload = place | {"n": n} | dates
    return row_query(SURVEY, "conesearch", what, payload, columns, n, less=SMALLER)


def latest(tag: str, n: int = 100, start: datetime | None = None, stop: datetime | None = None) -> Query:
    """The newest `n` alerts that passed a filter, of which an object may have several.

    `tag` may be a topic's name, which is `fink_`, the tag and `_lsst`. Fink refuses those that `tags` calls
    not searchable.
    """
    n = checks.count(n)
    text = checks.name(tag, "tag", "A tag has letters, digits and _", "[A-Za-z0-9_]+")
    text = text.removeprefix("fink_").removesuffix("_lsst")
    payload = {"tag": text, "n": n} | checks.dates(start, stop, ahead=TAI)
    return row_query(SURVEY, "tags", f"the newest alerts tagged {text}", payload, LSST_ALERTS, n)


def body(number_or_name: str) -> Query:
    """All alerts of a known Solar System body, with `sso_name`; of a comet none as yet.

    Fink takes a number, a name, a designation ('2004 JQ12', 'K04J12Q'). It refuses one that it does not know.
    """
    text = checks.body(number_or_name)
    return row_query(SURVEY, "sso", f"the alerts of the body {text!r}", {"n_or_d": text}, LSST_BODY)


def in_sky_map(event: str, credible_level: float) -> Query:
    """The last alert of each object in the region of a gravitational-wave event, whenever it was seen.

    With the event's time as `startgwMjdTai`. Fink asks GraceDB for the map.
    """
    payload = checks.sky_map(event, credible_level)
    what = f"the alerts in the sky map of {payload['event_name']}"
    return row_query(SURVEY, "skymap", what, payload, LSST_ALERTS)


def resolve(service: str, asked_name: str, n: int = 10) -> Query:
    """What tns, simbad or ssodnet know of a name, a row for each name that begins so.

    The columns have ZTF's names; tns has `discoverydate` too. TNS names no diaObjectId: search by position.
    """
    text = checks.resolvable(asked_name)
    payload = checks.resolver(service, n) | {"name_or_id": text}
    return Query(SURVEY, "resolver", f"the name {text!r} in {service}", payload, payload["nmax"])


def names_of(service: str, object_id: str, n: int = 10) -> Query:
    """What tns or simbad call a diaObjectId, and ssodnet an ssObjectId.

    tns: `xm_tns_fullname`, `xm_tns_type`, `xm_tns_redshift`; simbad: `main_label_crossmatch`, `ra`, `dec`;
    ssodnet: `packed_primary_provisional_designation`, `unpacked_primary_provisional_designation`.
    """
    (one,) = checks.object_ids(SURVEY, object_id)
    # Only JSON's true counts; Fink ignores the text.
    payload = checks.resolver(service, n) | {"name_or_id": one, "reverse": True}
    return Query(SURVEY, "resolver", f"the name of {one} in {service}", payload, payload["nmax"])


def cutout(of_alert: str, kind: str) -> Query:
    """A cutout of an alert as a FITS file: Rubin's are by alert alone. Read it with `answers.cutout`."""
    payload = {"diaSourceId": checks.alert_id(of_alert), "kind": checks.one_of(kind, CUTOUT_KINDS, "kind")}
    what = f"the {kind.lower()} cutout of alert {of_alert}"
    return Query(SURVEY, "cutouts", what, payload | {"output-format": "FITS"}, max_bytes=MAX_CUTOUT_BYTES)


def statistics(date: str) -> Query:
    """Numbers of a night (YYYYMMDD), a month (YYYYMM), a year (YYYY), or of all nights ('')."""
    payload = {"date": checks.night(date)}
    return Query(SURVEY, "statistics", f"the statistics of {date or 'all nights'}", payload)


def tags() -> Query:
    """The tags that `latest` takes. Read them with `answers.tags`."""
    return Query(SURVEY, "tags", "its tags", max_bytes=LIST_BYTES)


def blocks() -> Query:
    """The bricks that Fink's filters are made of. Read them with `answers.blocks`."""
    return Query(SURVEY, "blocks", "the blocks of its filters", max_bytes=LIST_BYTES)


def schema(table: str = "sources") -> Query:
    """The columns of one of TABLES with their descriptions. Read them with `answers.schema`."""
    payload = {"endpoint": f"/api/v1/{checks.one_of(table, TABLES, 'table')}"}
    return Query(SURVEY, "schema", f"the columns of {table}", payload, max_bytes=LIST_BYTES)


def _of_objects(endpoint: str, what: str, ids: str | Iterable[str], columns: tuple[str, ...]) -> Query:
    found = checks.object_ids(SURVEY, ids)
    only = ("diaObjectId", frozenset(found))
    payload = {"diaObjectId": ",".join(found)}
    return row_query(SURVEY, endpoint, f"{what} of {', '.join(found)}", payload, columns, only=only)
