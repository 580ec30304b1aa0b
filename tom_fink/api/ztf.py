"""The questions to Fink's ZTF service: each function gives a `Query`, or raises `BadQuery`. Nothing is sent.

Read the answers with `tom_fink.api.answers`: `rows` unless a function says otherwise. ZTF's tables are
filled once a day, after the night: an object that was just alerted may not be there yet.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from tom_fink.api import checks
from tom_fink.api.columns import ZTF_ALERTS, ZTF_CONE, ZTF_IDS, ZTF_POINTS
from tom_fink.api.query import LIST_BYTES, SMALLER, WIDE_ARCSEC, Query, row_query
from tom_fink.fields import MAX_CUTOUT_BYTES

SURVEY = "ztf"
NSIDE = 128  # of the parts of the sky (HEALPix) that a cone is looked up in
CUTOUT_KINDS = ("Science", "Template", "Difference")
TRENDS = ("rising", "fading", "low_state", "new_low_state")  # the last two of blazars alone

# Fink's own classes; those of TNS and SIMBAD, some 350, come from `classes`.
FINK_CLASSES = (
    "Early SN Ia candidate", "Kilonova candidate", "SN candidate", "SLSN candidate", "Microlensing candidate",
    "Tracklet", "Solar System MPC", "Solar System candidate", "Ambiguous", "(CTA) Blazar low state",
    "(CTA) Blazar high state",
)  # fmt: skip


def alerts(ids: str | Iterable[str]) -> Query:
    """All alerts of one or several objects, newest first."""
    return _of_objects("the alerts", ids, ZTF_ALERTS)


def light_curve(ids: str | Iterable[str]) -> Query:
    """All photometric points of one or several objects, upper limits among them, newest first.

    A limit has no magnitude and the id -1; what was measured badly (`tag` is badquality) has no sign.
    """
    # Only JSON's true and the text "True" count.
    return _of_objects("the light curve", ids, ZTF_POINTS, withupperlim=True)


def known(ids: str | Iterable[str]) -> Query:
    """The id and time of all alerts of these objects: which of them Fink has."""
    return _of_objects("the alerts", ids, ZTF_IDS)


def around(
    ra_deg: float,
    dec_deg: float,
    radius_arcsec: float,
    n: int = 1000,
    start: datetime | None = None,
    stop: datetime | None = None,
) -> Query:
    """The last alert of each object in a cone (ICRS), nearest first, with `separation_degree`.

    `start` and `stop` are of the first detection. Fink takes `n` for each part of the sky that it
    looks through, so more rows may come. A wide cone has the columns of a search alone.
    """
    n = checks.count(n)
    place = checks.cone(ra_deg, dec_deg, radius_arcsec)
    # Fink does not look at an end without a start.
    dates = checks.dates(start or (stop and checks.FIRST_LIGHT), stop)
    what = f'the objects within {place["radius"]}" of {place["ra"]} {place["dec"]}'
    columns = ZTF_CONE if float(place["radius"]) > WIDE_ARCSEC else ZTF_ALERTS
    payload = place | {"n": n} | dates
    return row_query(SURVEY, "conesearch", what, payload, columns, n, less=SMALLER)


def latest(
    label: str,
    n: int = 100,
    start: datetime | None = None,
    stop: datetime | None = None,
    trend: str | None = None,
) -> Query:
    """The newest `n` alerts of a class, of which an object may have several.

    `label` is as `classes` has it. Fink picks those with the `trend` out of these `n`, so fewer come.
    """
    label = checks.name(label, "label", "A class has a name as in Fink's list of classes", ".+")
    n = checks.count(n)
    payload = {"class": label, "n": n} | checks.dates(start, stop)
    if trend is not None:
        payload["trend"] = checks.one_of(trend, TRENDS, "trend")
    limit = n if trend is None else 0
    return row_query(SURVEY, "latests", f"the newest alerts of class {label!r}", payload, ZTF_ALERTS, limit)


def between(start: datetime, stop: datetime, n: int = 100) -> list[Query]:
    """The newest `n` alerts of each of Fink's own classes between two times.

    There is no search by date alone: Fink's index is by class or by place.
    """
    return [latest(label, n, start, stop) for label in FINK_CLASSES]


def body(number_or_name: str) -> Query:
    """All alerts of a known Solar System body, with `sso_name` and `sso_number`.

    Fink takes a number, a name, a designation ('10P', 'C/2020V2'). It refuses one that it does not know.
    """
    text = checks.body(number_or_name)
    return row_query(SURVEY, "sso", f"the alerts of the body {text!r}", {"n_or_d": text}, ZTF_ALERTS)


def tracklet(date_or_id: str) -> Query:
    """The alerts of moving objects without an orbit: of a tracklet (TRCK_20211022_072953_01), or of a day.

    A day may have a time: '2021-10-22', '2021-10-22 07', '2021-10-22 07:29', '2021-10-22 07:29:53'.
    """
    takes = "A tracklet is TRCK_YYYYMMDD_HHMMSS_NN, or a date YYYY-MM-DD that a time hh:mm:ss may follow"
    pattern = "TRCK_[0-9]{8}_[0-9]{6}_[0-9]{2}|[0-9]{4}(-[0-9]{2}){2}( [0-9]{2}(:[0-9]{2}){0,2})?"
    text = checks.name(date_or_id, "tracklet", takes, pattern)
    payload = {"id" if text.startswith("TRCK") else "date": text}
    return row_query(SURVEY, "tracklet", f"the tracklets of {text}", payload, ZTF_ALERTS)


def anomalies(n: int = 10, start: datetime | None = None, stop: datetime | None = None) -> Query:
    """The `n` alerts with the lowest `anomaly_score`: the lower, the stranger."""
    n = checks.count(n)
    payload = {"n": n} | checks.dates(start, stop, ("start_date", "stop_date"))
    return row_query(SURVEY, "anomaly", "the strangest alerts", payload, ZTF_ALERTS, n)


def in_sky_map(event: str, credible_level: float, days_before: float = 1, days_after: float = 6) -> Query:
    """The last alert of each object in the region of a gravitational-wave event, with `jdstartgw`.

    Up to 7 days before the event and 14 after it. Fink asks GraceDB for the map.
    """
    before = checks.number(days_before, 0, 7, "days_before", "The days before are from 0 to 7")
    after = checks.number(days_after, 0, 14, "days_after", "The days after are from 0 to 14")
    payload = checks.sky_map(event, credible_level) | {"n_day_before": before, "n_day_after": after}
    what = f"the alerts in the sky map of {payload['event_name']}"
    return row_query(SURVEY, "skymap", what, payload, ZTF_ALERTS)


def resolve(service: str, asked_name: str, n: int = 10) -> Query:
    """What tns, simbad or ssodnet know of a name, a row for each name that begins so.

    tns: `fullname`, `internalname`, `ra`, `declination`, `redshift`, `type`; simbad: `oname`, `otype`,
    `jradeg`, `jdedeg`; ssodnet: `name`, `number`, `ssnamenr`. Degrees; a number may come as text.
    """
    text = checks.resolvable(asked_name)
    payload = checks.resolver(service, n) | {"name": text}
    return Query(SURVEY, "resolver", f"the name {text!r} in {service}", payload, payload["nmax"])


def names_of(service: str, object_id: str, n: int = 10) -> Query:
    """What tns, simbad or ssodnet call an object of ZTF's."""
    (one,) = checks.object_ids(SURVEY, object_id)
    # Only JSON's true counts; Fink ignores the text.
    payload = checks.resolver(service, n) | {"name": one, "reverse": True}
    return Query(SURVEY, "resolver", f"the name of {one} in {service}", payload, payload["nmax"])


def cutout(object_id: str, kind: str, of_alert: str | None = None) -> Query:
    """A cutout as a FITS file, of the newest alert or of one. Read it with `answers.cutout`."""
    (one,) = checks.object_ids(SURVEY, object_id)
    payload = {"objectId": one, "kind": checks.one_of(kind, CUTOUT_KINDS, "kind"), "output-format": "FITS"}
    if of_alert is not None:
        payload["candid"] = checks.alert_id(of_alert)
    what = f"the {kind.lower()} cutout of {one}"
    return Query(SURVEY, "cutouts", what, payload, max_bytes=MAX_CUTOUT_BYTES)


def statistics(date: str) -> Query:
    """Numbers of a night (YYYYMMDD), a month (YYYYMM), a year (YYYY), or of all nights ('')."""
    payload = {"date": checks.night(date)}
    return Query(SURVEY, "statistics", f"the statistics of {date or 'all nights'}", payload)


def classes() -> Query:
    """The classes that `latest` takes. Read them with `answers.classes`."""
    return Query(SURVEY, "classes", "its classes", max_bytes=LIST_BYTES)


def schema() -> Query:
    """All columns with their descriptions. Read them with `answers.schema`."""
    return Query(SURVEY, "schema", "its columns", max_bytes=LIST_BYTES)


def _of_objects(what: str, ids: str | Iterable[str], columns: tuple[str, ...], **more: Any) -> Query:
    found = checks.object_ids(SURVEY, ids)
    only = ("objectId", frozenset(found))
    payload = {"objectId": ",".join(found)} | more
    return row_query(SURVEY, "objects", f"{what} of {', '.join(found)}", payload, columns, only=only)
