"""What a form holds, or a saved query, as searches."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tom_fink.errors import BadQuery
from tom_fink.search import Search, recognise
from tom_fink.search.coordinates import declination, position, right_ascension
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
A_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


def searches(parameters: Mapping[str, Any], surveys: Iterable[str]) -> dict[str, Search]:
    """A search of each survey that these parameters can be asked of: by ids, for one, only their own.

    Raises `BadQuery` if there is none; its `field` is the form's, or empty.
    """
    found, problem = {}, None
    for survey in surveys:
        try:
            found[survey] = _search(parameters, survey)
        except BadQuery as error:
            problem = problem or error
    if not found:
        raise problem
    return found


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
        for name in boxed:
            if name in asked:
                raise BadQuery("This is given in the box above as well. Empty one of the two.", name)
        return Search(survey, **asked, **boxed)
    except BadQuery as error:
        is_of_box = error.field in boxed and error.field not in asked
        field = "what" if is_of_box else FIELD_OF.get(error.field, error.field)
        raise BadQuery(str(error), field) from error


def _criteria(given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a `Search` but for what is in the box."""
    asked: dict[str, Any] = {name: _text(given, name) for name in TEXTS if name in given}
    asked |= {name: given[name] for name in NUMBERS if name in given}
    for name in LISTS:
        if name in given:
            asked[name] = _several(given, name)
    if "object_ids" in given:
        asked["object_ids"] = tuple(one for one in re.split(r"[\s,;]+", _text(given, "object_ids")) if one)
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
    """A time in UTC unless it says otherwise; a day alone is its start, and as the end its end."""
    try:
        found = datetime.fromisoformat(text)
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        return found + timedelta(days=1) if field == "stop" and A_DAY.fullmatch(text) else found
    except (ValueError, OverflowError):
        said = f"'{printable(text, 60)}' is no time such as 2026-03-22 or 2026-03-22 04:30 (UTC)."
        raise BadQuery(said, field) from None
