"""What may go into a question: each check gives the value as it is sent, or raises `BadQuery`.

The message is for whoever filled in the form; the error's `field` is the name of the parameter.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from tom_fink.errors import BadQuery
from tom_fink.surveys import lsst, ztf
from tom_fink.surveys._names import RUBIN_ID, ZTF_ID
from tom_fink.text import printable

ID_FORMS = {
    "ztf": (ztf.NAME, ZTF_ID, "ZTF, two digits, up to 25 letters or digits"),
    "lsst": (lsst.NAME, RUBIN_ID, "10 to 19 digits"),
}
MAX_ROWS = 10_000  # Fink's own cap of a scan
MAX_IDS = 50  # of a query: each is a scan
MAX_RADIUS_ARCSEC = 18_000  # 5 degrees; Fink refuses more
MAX_NAME = 100  # characters
RESOLVERS = ("tns", "simbad", "ssodnet")
EARLIEST, LATEST = datetime(1950, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
FIRST_LIGHT = datetime(2017, 1, 1, tzinfo=UTC)  # no alert is older


def object_ids(survey: str, ids: str | Iterable[str]) -> tuple[str, ...]:
    """Ids of objects without doubles, 1 to MAX_IDS, all of the form of the survey's."""
    given = tuple(dict.fromkeys([ids] if isinstance(ids, str) else ids))
    survey_name, form, in_words = ID_FORMS[survey]
    for one in given:
        if isinstance(one, str) and re.fullmatch(form, one):
            continue
        others = [other for other, its_form, _ in ID_FORMS.values() if re.fullmatch(its_form, str(one))]
        is_other_s = others and others[0] != survey_name
        hint = (
            f"It has the form of {others[0]}'s ids: search there if it is one."
            if is_other_s
            else f"They are text: {in_words}."
        )
        raise BadQuery(f"{_shown(one)} is no id of an object of {survey_name}. {hint}", "object_id")
    if not 0 < len(given) <= MAX_IDS:
        raise BadQuery(f"Between 1 and {MAX_IDS} ids can be asked for at once.", "object_id")
    return given


def alert_id(value: str) -> str:
    """The id of an alert, as text. It has 1 to 19 digits."""
    if not isinstance(value, str) or not re.fullmatch("[0-9]{1,19}", value):
        raise BadQuery("The id of an alert is a number of up to 19 digits, given as text.", "alert_id")
    return value


def number(value: Any, low: float, high: float, field: str, takes: str) -> float:
    """A number from `low` to `high`; `takes` is the first half of the message."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        found = float("nan")
    if not low <= found <= high:
        raise BadQuery(f"{takes}, not {_shown(value)}.", field)
    return found


def count(n: int) -> int:
    """How many rows to ask for; without it Fink gives 10."""
    return int(number(n, 1, MAX_ROWS, "n", f"The number of results is from 1 to {MAX_ROWS}"))


def cone(ra_deg: float, dec_deg: float, radius_arcsec: float) -> dict[str, str]:
    """The part of a payload that says where: degrees (ICRS) and arc seconds, as text."""
    ra = number(ra_deg, 0, 360, "ra_deg", "Right ascension is from 0 to 360 degrees")
    dec = number(dec_deg, -90, 90, "dec_deg", "Declination is from -90 to 90 degrees")
    takes = f"The radius is from 0.01 to {MAX_RADIUS_ARCSEC} arc seconds (5 degrees)"
    radius = number(radius_arcsec, 0.01, MAX_RADIUS_ARCSEC, "radius_arcsec", takes)
    return {"ra": f"{ra:.8f}", "dec": f"{dec:.8f}", "radius": f"{radius:.10g}"}


def dates(
    start: datetime | None,
    stop: datetime | None,
    names: tuple[str, str] = ("startdate", "stopdate"),
    ahead: timedelta = timedelta(0),
) -> dict[str, str]:
    """The part of a payload that says when, as Fink takes it everywhere: 2026-03-22 04:00:00.

    To the second; a part of a second more at the end is a second more.
    `ahead` is how far the service's time scale is ahead of UTC.
    """
    for field, moment in (("start", start), ("stop", stop)):
        if moment is not None and moment.tzinfo is None:
            raise BadQuery("A time needs its time zone.", field)
        if moment is not None and not EARLIEST <= moment <= LATEST:
            raise BadQuery("A time is between 1950 and 2100.", field)
    if start is not None and stop is not None and stop <= start:
        raise BadQuery("The end of the interval is not after its start.", "stop")
    found = {}
    for name, moment in zip(names, (start, stop), strict=True):
        if moment is not None:
            at = moment.astimezone(UTC) + ahead
            if moment is stop and at.microsecond:
                at += timedelta(seconds=1)
            found[name] = at.strftime("%Y-%m-%d %H:%M:%S")
    return found


def name(value: str, field: str, takes: str, pattern: str = "[^,]+") -> str:
    """A name of up to MAX_NAME characters, trimmed; by default without commas, of which Fink makes lists."""
    text = value.strip() if isinstance(value, str) else ""
    if not text.isprintable() or len(text) > MAX_NAME or not re.fullmatch(pattern, text):
        raise BadQuery(f"{takes}, not {_shown(value)}.", field)
    return text


def resolvable(value: str) -> str:
    """A name to be resolved, in any spelling."""
    return name(value, "name", f"A name has up to {MAX_NAME} characters", ".+")


def body(value: str) -> str:
    """The number, name or designation of a Solar System body."""
    return name(value, "name", "A body has a number, a name or a designation")


def night(value: str) -> str:
    """A date as Fink's statistics take it."""
    if not isinstance(value, str) or not re.fullmatch("([0-9]{4}([0-9]{2}){0,2})?", value):
        raise BadQuery("A date is YYYYMMDD, YYYYMM, YYYY, or nothing for all nights.", "date")
    return value


def one_of(value: str, choices: tuple[str, ...], field: str) -> str:
    """One of `choices`, which the message lists."""
    if value not in choices:
        raise BadQuery(f"{_shown(value)} is none of {', '.join(choices)}.", field)
    return value


def sky_map(event: str, credible_level: float) -> dict[str, Any]:
    """The part of a payload that names the region of a gravitational-wave event."""
    takes = "The event is a name of GraceDB such as S200219ac"
    event = name(event, "event", takes, "[A-Za-z][A-Za-z0-9_]{2,39}")
    level = number(credible_level, 0.001, 1, "credible_level", "The credible level is from 0.001 to 1")
    return {"event_name": event, "credible_level": level}


def resolver(service: str, n: int) -> dict[str, Any]:
    """The part of a payload that says which resolver, and how many rows; the name's argument differs."""
    return {"resolver": one_of(service, RESOLVERS, "resolver"), "nmax": count(n)}


def _shown(value: Any) -> str:
    return f"'{printable(str(value), 60)}'"
