"""Positions as people write them: degrees or sexagesimal, in the usual spellings, to degrees (ICRS).

Right ascension without a unit is in hours where it has minutes, and in degrees where it is one number.
"""

import re

from tom_fink.errors import BadQuery
from tom_fink.text import printable

MAX_TEXT = 100  # characters

# What keyboards, papers and pages write for the signs of the patterns below
SPELLINGS = str.maketrans(
    {"−": "-", "–": "-", "º": "°", "′": "'", "’": "'", "″": '"', "”": '"', "\u00a0": " ", "\t": " "}
)
FRAME = re.compile(r"\((?:J2000(?:\.0)?|ICRS)\)|\b(?:J2000(?:\.0)?|ICRS|RA|Dec)\b[ :=]*", re.IGNORECASE)
ANGLE = re.compile(
    r"""([+-]?)\ *(\d{1,3}(?:\.\d*)?|\.\d+)\ *
        (?:(h|d|deg|°|:|\ )\ *
            (?:(\d{1,2}(?:\.\d*)?)\ *(?:m|'|:|\ )?\ *
                (?:(\d{1,2}(?:\.\d*)?)\ *(?:s|"|'')?)?
            )?
        )?""",
    re.VERBOSE | re.IGNORECASE,
)
# SDSS J100024.01+021236.7: hours, minutes and seconds, and degrees, minutes and seconds
J_NAME = re.compile(
    r"(?:[\w.]+ +){0,3}[\w.-]*?J *(\d\d)(\d\d)(\d\d(?:\.\d*)?) *([+-]) *(\d\d)(\d\d)(\d\d(?:\.\d*)?)",
    re.IGNORECASE | re.ASCII,
)


def right_ascension(text: str) -> float:
    """Degrees, 0 to 360, of '150.1', '10:00:24', '10h00m24s', '10 00 24', '150d06m'. Raises `BadQuery`."""
    try:
        return _right_ascension(_known(_spelt(text), text, "ra_deg", "150.1 or 10:00:24"), text)
    except BadQuery:
        if not _is_position(text):
            raise
    said = f"'{printable(text, 60)}' is no angle such as 150.1 or 10:00:24 but a position: with a declination beside it"
    raise BadQuery(f"{said} that is given twice. Give it once.", "ra_deg")


def declination(text: str) -> float:
    """Degrees, -90 to 90, of '+2.2', '+02:12:36', '2d12m36s', '+02 12 36'. Raises `BadQuery`."""
    return _declination(_known(_spelt(text), text, "dec_deg", "+2.21 or +02:12:36"), text)


def position(text: str) -> tuple[float, float] | None:
    """Right ascension and declination in degrees; None for what is no position, such as a name.

    Both in one text, with a blank, a comma, a semicolon or the sign of the declination between; or a name that
    is made of its position to the second. Raises `BadQuery` for a position that is out of range.
    """
    if len(text) > MAX_TEXT:
        return None
    spelt = _spelt(text)
    if named := J_NAME.fullmatch(spelt):
        hours, minutes, seconds, sign, *rest = named.groups()
        halves = [f"{hours}:{minutes}:{seconds}", sign + ":".join(rest)]
    else:
        halves = _halves(spelt)
    angles = [ANGLE.fullmatch(half) for half in halves]
    if len(angles) != 2 or None in angles:
        return None
    return _right_ascension(angles[0], halves[0]), _declination(angles[1], halves[1])


def _is_position(text: str) -> bool:
    try:
        return position(text) is not None
    except BadQuery:
        return False


def _spelt(text: str) -> str:
    return FRAME.sub(" ", text.translate(SPELLINGS)).strip(" ()[]")


def _halves(spelt: str) -> list[str]:
    if "," in spelt or ";" in spelt:
        return [half.strip() for half in re.split("[,;]", spelt)]
    start, sign, rest = spelt[1:].partition("+") if "+" in spelt[1:] else spelt[1:].partition("-")
    if sign:
        return [(spelt[0] + start).strip(), sign + rest]
    words = spelt.split()
    middle = len(words) // 2
    return [" ".join(words[:middle]), " ".join(words[middle:])] if len(words) % 2 == 0 and words else []


def _known(spelt: str, text: str, field: str, such_as: str) -> re.Match[str]:
    found = ANGLE.fullmatch(spelt) if len(text) <= MAX_TEXT else None
    if found is None:
        raise BadQuery(f"'{printable(text, 60)}' is no angle such as {such_as}.", field)
    return found


def _right_ascension(angle: re.Match[str], text: str) -> float:
    unit = (angle[3] or "").lower()
    is_degrees = unit in ("d", "deg", "°") or (angle[4] is None and unit != "h")
    value = _value(angle, text, "ra_deg") * (1 if is_degrees else 15)
    if angle[1] == "-" or value > 360:
        what = "from 0 to 360 degrees" if is_degrees else "from 0 to 24 hours"
        raise BadQuery(f"Right ascension is {what}, not '{printable(text, 60)}'.", "ra_deg")
    return value % 360


def _declination(angle: re.Match[str], text: str) -> float:
    value = _value(angle, text, "dec_deg")
    if (angle[3] or "").lower() == "h":
        raise BadQuery(f"Declination is in degrees, not '{printable(text, 60)}'.", "dec_deg")
    if value > 90:
        raise BadQuery(f"Declination is from -90 to 90 degrees, not '{printable(text, 60)}'.", "dec_deg")
    return -value if angle[1] == "-" else value  # also for -00:30


def _value(angle: re.Match[str], text: str, field: str) -> float:
    whole, minutes, seconds = (angle[group] for group in (2, 4, 5))
    parts = [part for part in (whole, minutes, seconds) if part is not None]
    if any("." in part for part in parts[:-1]):
        raise BadQuery(f"'{printable(text, 60)}' has decimals before its last number.", field)
    if any(float(part) >= 60 for part in parts[1:]):
        raise BadQuery(f"'{printable(text, 60)}' has minutes or seconds of 60 and more.", field)
    return float(whole) + float(minutes or 0) / 60 + float(seconds or 0) / 3600
