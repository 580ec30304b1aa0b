"""The parameters of a request, read as loosely as Fink reads them, from JSON or from a URL."""

import math
import re
from datetime import UTC, datetime
from typing import Any

from tom_fink.simulate.observations import JD_MINUS_MJD, mjd_of

from .answers import Failed, check_format, refused

MAX_RADIUS_ARCSEC = 18_000
_FIRST_NIGHT = "2019-11-01 00:00:00"  # Fink's first night of ZTF, where its searches begin
_SEXAGESIMAL = re.compile(
    r"\s*([+-]?)(\d{1,3})[h:d°\s]\s*(\d{1,2})[m:'′\s]\s*(\d{1,2}(?:\.\d*)?)[s\"″]?\s*", re.ASCII
)


class Parameters:
    """What was given, by name. What Fink's code would fail on raises `Failed`."""

    def __init__(self, given: dict[str, Any]):
        """Keep `given`."""
        self.given = given

    def __contains__(self, name: str) -> bool:
        return name in self.given

    def require(self, *names: str) -> None:
        """Raise `Refused` if one of `names` is not given."""
        for name in names:
            if name not in self.given:
                # Rubin's service gives ZTF's address too.
                raise refused(f"A value for `{name}` is required. See https://api.ztf.fink-portal.org \n")

    def text(self, name: str, default: str | None = None) -> str:
        """A text; anything else fails, a number among it."""
        value = self.given.get(name, default)
        if not isinstance(value, str):
            raise Failed(f"{name} is no text")
        return value

    def words(self, name: str) -> list[str]:
        """The parts of a list with commas."""
        return [word.strip() for word in self.text(name).split(",")]

    def count(self, name: str, default: int) -> int:
        """A whole number, not below 0."""
        try:
            return max(int(self.given.get(name, default)), 0)
        except (TypeError, ValueError, OverflowError) as error:
            raise Failed(f"{name} is no whole number") from error

    def number(self, name: str, default: float | None = None) -> float:
        """A finite number, given as such or as text."""
        try:
            value = float(self.given.get(name, default))
        except (TypeError, ValueError, OverflowError) as error:
            raise Failed(f"{name} is no number") from error
        if not math.isfinite(value):
            raise Failed(f"{name} is not finite")
        return value

    def is_true(self, name: str) -> bool:
        """Whether it is JSON's true or the text "True": "true" and 1 are not."""
        return str(self.given.get(name, False)) == "True"

    def columns(self) -> list[str] | None:
        """The names of the columns that are wanted; None for all."""
        return self.text("columns").replace(" ", "").split(",") if "columns" in self.given else None

    def output_format(self) -> str:
        """The format of rows; raises `Refused` for one that there is not."""
        output_format = self.given.get("output-format", "json")
        check_format(output_format)
        return output_format

    def dates(self, first: str = "startdate", last: str = "stopdate") -> tuple[float, float]:
        """MJD of the begin and end of an interval, from ISO texts: numbers fail. By default all time."""
        begin, end = self.text(first, _FIRST_NIGHT), self.text(last, "2100-01-01")
        return mjd_of_iso(begin), mjd_of_iso(end)

    def moment(self, name: str) -> float:
        """MJD of a date that may be ISO text, a JD or an MJD."""
        value = self.given[name]
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            return mjd_of_iso(self.text(name))
        if not math.isfinite(number):
            raise Failed(f"{name} is not finite")
        return number - JD_MINUS_MJD if number > JD_MINUS_MJD else number

    def cone(self) -> tuple[float, float, float]:
        """Right ascension, declination (degrees) and radius (arc seconds)."""
        radius = self.number("radius")
        if radius > MAX_RADIUS_ARCSEC:
            raise refused("`radius` cannot be bigger than 18,000 arcseconds (5 degrees).\n")
        try:
            ra, dec = _degrees(self.given["ra"], 15), _degrees(self.given["dec"], 1)
            if not -90 <= dec <= 90:
                raise ValueError(
                    f"Latitude angle(s) must be within -90 deg <= angle <= 90 deg, got {dec} deg"
                )
        except ValueError as error:
            raise refused(error) from error
        return ra % 360, dec, radius


def _degrees(value: Any, per_unit: float) -> float:
    """Degrees, or sexagesimal of which a unit has `per_unit` degrees. Raises ValueError."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if math.isfinite(number):
        return number
    found = _SEXAGESIMAL.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"Invalid character at col 0 parsing angle {str(value)[:100]!r}")
    sign, whole, minutes, seconds = found.groups()
    size = (int(whole) + int(minutes) / 60 + float(seconds) / 3600) * per_unit
    return -size if sign == "-" else size


def mjd_of_iso(text: str) -> float:
    """MJD of an ISO text, UTC unless it says otherwise. Raises `Failed`."""
    try:
        moment = datetime.fromisoformat(text)
        return mjd_of(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError) as error:
        raise Failed(f"{text[:40]!r} is no ISO date") from error
