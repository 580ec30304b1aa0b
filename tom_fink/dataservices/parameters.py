"""What a form holds, or a saved query, as searches."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tom_fink.errors import BadQuery
from tom_fink.search import Search, recognise
from tom_fink.search.coordinates import declination, position, right_ascension
from tom_fink.surveys._names import RUBIN_ID, ZTF_ID
from tom_fink.text import printable

OF_TOM = frozenset({"data_service", "query_save", "query_name", "submit", "csrfmiddlewaretoken"})
# Fields of the form that are fields of a search by another name
FIELD_OF = {"ra_deg": "ra", "dec_deg": "dec", "radius_arcsec": "radius"}
ARCSEC = {"arcsec": 1.0, "arcmin": 60.0, "deg": 3600.0}
TEXTS = ("name", "resolver", "body", "tracklet", "event", "dates_of")
NUMBERS = (
    "credible_level", "days_before", "days_after", "n", "brightest_mag_ab", "faintest_mag_ab", "min_detections",
)  # fmt: skip
LISTS = ("classes", "tags", "bands")
FIELDS = frozenset(
    {"what", "object_ids", "ra", "dec", "radius", "radius_unit", "start", "stop", "anomalies"}
    | {*TEXTS, *NUMBERS, *LISTS}
)
MAX_TEXT = 2000  # characters of a field
IDS = {"ztf": ZTF_ID, "lsst": RUBIN_ID}
JULIAN = re.compile(r"(?:24(?=[0-9]{5}))?([0-9]{5})([.][0-9]{1,12})?")
MJD_0 = datetime(1858, 11, 17, tzinfo=UTC)
# What is of no consequence without one of these; what to say of it; a name is a place, too.
NEEDS = {
    "radius": (("ra", "name"), "A radius needs a position or a name."),
    "resolver": (("name",), "A resolver needs a name to look up."),
    "credible_level": (("event",), "A credible level needs a gravitational-wave event."),
    "days_before": (("event",), "Days before the event need a gravitational-wave event."),
    "days_after": (("event",), "Days after the event need a gravitational-wave event."),
}


def searches(parameters: Mapping[str, Any], surveys: Iterable[str]) -> dict[str, Search]:
    """A search of each survey that these parameters can be asked of; of ids of several, each is asked for its own.

    Raises `BadQuery` if there is none; its `field` is the form's, or empty.
    """
    found, problem, surveys = {}, None, tuple(surveys)
    for survey in surveys:
        try:
            found[survey] = _search(
                _of_survey(parameters, survey) if len(surveys) > 1 else parameters, survey
            )
        except BadQuery as error:
            problem = problem or error
    if not found:
        raise problem
    return found


def _of_survey(parameters: Mapping[str, Any], survey: str) -> dict[str, Any]:
    """The parameters without ids of other surveys, in fields that have some of this one, too."""
    found = dict(parameters)
    others = [form for its, form in IDS.items() if its != survey]
    for name in ("what", "object_ids"):
        if not isinstance(found.get(name), str):
            continue
        words = _words(found[name])
        own = [word for word in words if not any(re.fullmatch(form, word) for form in others)]
        if any(re.fullmatch(IDS[survey], word) for word in own) and len(own) < len(words):
            found[name] = " ".join(own)
    return found


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\s,;]+", text) if word]


def _search(parameters: Mapping[str, Any], survey: str) -> Search:
    given = {name: value for name, value in parameters.items() if name not in OF_TOM and _is_given(value)}
    for name in given:
        if name not in FIELDS:
            said = f"'{printable(str(name), 60)}' is no field of Fink's form. Open the query, look at it and save it."
            raise BadQuery(said, "")
    boxed: dict[str, Any] = {}
    asked: dict[str, Any] = {}
    try:
        if "what" in given:
            boxed = recognise(_text(given, "what"), survey)
    except BadQuery as error:
        raise BadQuery(str(error), "what") from error
    try:
        asked = _criteria(given)
        _check_needs(given, boxed)
        for name in boxed:
            if name in asked:
                raise BadQuery("This is given in the box above as well. Empty one of the two.", name)
        return Search(survey, **asked, **boxed)
    except BadQuery as error:
        is_of_box = error.field in boxed and error.field not in asked
        field = "what" if is_of_box else FIELD_OF.get(error.field, error.field)
        raise BadQuery(str(error), field) from error


def _check_needs(given: Mapping[str, Any], boxed: Mapping[str, Any]) -> None:
    """Raise `BadQuery` for what would be passed over in silence."""
    there = {FIELD_OF.get(name, name) for name in boxed} | given.keys()
    for name, (needed, said) in NEEDS.items():
        if name in given and there.isdisjoint(needed):
            raise BadQuery(said, name)


def _criteria(given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a `Search` but for what is in the box."""
    asked: dict[str, Any] = {name: _text(given, name) for name in TEXTS if name in given}
    asked |= {name: given[name] for name in NUMBERS if name in given}
    for name in LISTS:
        if name in given:
            asked[name] = _several(given, name)
    if "object_ids" in given:
        asked["object_ids"] = tuple(_words(_text(given, "object_ids")))
    if "anomalies" in given:
        asked["anomalies"] = given["anomalies"] is True
    for name, of_angle in (("ra", right_ascension), ("dec", declination)):
        if name in given:
            asked[f"{name}_deg"] = of_angle(_text(given, name)) if not _is_whole(given, name) else None
    if _is_whole(given, "ra"):
        asked["ra_deg"], asked["dec_deg"] = position(_text(given, "ra"))
    if "radius" in given:
        asked["radius_arcsec"] = _number(given["radius"], "radius") * _unit(given)
    for name in ("start", "stop"):
        if name in given:
            asked[name] = _moment(_text(given, name), name)
    return asked


def _is_whole(given: Mapping[str, Any], name: str) -> bool:
    """Whether the field of the right ascension has a whole position, as it is copied from a page."""
    if name != "ra" or "ra" not in given or "dec" in given:
        return False
    return position(_text(given, "ra")) is not None


def _is_given(value: Any) -> bool:
    return value is not None and value is not False and value not in ("", [], ())


def _text(given: Mapping[str, Any], name: str) -> str:
    if not isinstance(given[name], str) or len(given[name]) > MAX_TEXT:
        raise BadQuery(f"This takes text of up to {MAX_TEXT} characters.", name)
    return given[name].strip()


def _several(given: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Labels: a list, or a text with semicolons between."""
    value = given[name]
    if isinstance(value, str):
        value = _text(given, name).split(";")
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise BadQuery("This takes text.", name)
    return tuple(one.strip() for one in value if one.strip())


def _number(value: Any, field: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise BadQuery(f"This takes a number, not '{printable(str(value), 60)}'.", field) from None


def _unit(given: Mapping[str, Any]) -> float:
    unit = given.get("radius_unit", "arcsec")
    if not isinstance(unit, str) or unit not in ARCSEC:
        raise BadQuery(f"The unit of the radius is one of {', '.join(ARCSEC)}.", "radius_unit")
    return ARCSEC[unit]


def _moment(text: str, field: str) -> datetime:
    """A time in UTC unless it says otherwise; a day alone is its start, and as the end its end.

    ISO 8601, MJD (without a fraction it is a day) or JD.
    """
    try:
        found, is_day = _julian(text) or _iso(text)
        return found + timedelta(days=1) if field == "stop" and is_day else found
    except (ValueError, OverflowError):
        said = f"'{printable(text, 60)}' is no time such as 2026-03-22, 2026-03-22 04:30 (UTC), MJD or JD."
        raise BadQuery(said, field) from None


def _julian(text: str) -> tuple[datetime, bool] | None:
    """A modified or whole Julian date (UTC), and whether it is a day; None if it is none."""
    parts = JULIAN.fullmatch(text)
    if parts is None:
        return None
    is_mjd = parts.start(1) == 0
    days = int(parts[1]) + float(parts[2] or 0) - (0 if is_mjd else 0.5)
    return MJD_0 + timedelta(days=days), is_mjd and parts[2] is None


def _iso(text: str) -> tuple[datetime, bool]:
    """A time in ISO 8601, and whether it is a day. Raises `ValueError`."""
    try:
        return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC), True
    except ValueError:
        found = datetime.fromisoformat(text)
        return found if found.tzinfo else found.replace(tzinfo=UTC), False
