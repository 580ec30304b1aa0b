"""What both surveys' endpoints do with rows: choose columns, sort, cut, search cones."""

from collections.abc import Callable, Iterable

from .answers import Failed, Row
from .catalogue import Alert
from .events import separation_deg
from .parameters import Parameters

CAP = 10_000  # rows of a scan
SEPARATION = "v:separation_degree"
Place = Callable[[Alert], tuple[float, float]]


def chosen(found: Iterable[Row], parameters: Parameters, always: tuple[str, ...] = ()) -> list[Row]:
    """Rows with the columns that are wanted, of those that there are, and `always` these; all without `columns`.

    Computed columns (`v:`) cannot be asked for.
    """
    wanted = parameters.columns()
    if wanted is None:
        return list(found)
    names = dict.fromkeys([name for name in wanted if not name.startswith("v:")] + list(always))
    return [{name: row[name] for name in names if name in row} for row in found]


def need_columns(parameters: Parameters, *names: str) -> None:
    """Raise `Failed` unless all of `names` are wanted: Fink groups by them, and fails without."""
    wanted = parameters.columns()
    if wanted is not None and not set(names) <= set(wanted):
        raise Failed(f"columns without {names}")


def newest_first(found: list[Row], time: str, limit: int = CAP) -> list[Row]:
    """Rows by falling `time`, `limit` of them."""
    # In the rows of upper limits numbers may be text.
    return sorted(found, key=lambda row: float(row[time]), reverse=True)[:limit]


def between(alerts: Iterable[Alert], begin: float, end: float) -> list[Alert]:
    """The alerts of an interval, newest first; MJD of the survey's own scale."""
    found = [alert for alert in alerts if begin <= alert.mjd <= end]
    return sorted(found, key=lambda alert: alert.mjd, reverse=True)


def interval(parameters: Parameters) -> tuple[float, float] | None:
    """The interval (MJD) that a cone search is cut to; an end without a start is not looked at."""
    if "startdate" not in parameters:
        return None
    begin = parameters.moment("startdate")
    if "window" in parameters:
        return begin, begin + parameters.number("window")
    return begin, parameters.moment("stopdate") if "stopdate" in parameters else 1e6


def in_cone(
    alerts: Iterable[Alert], parameters: Parameters, place: Place, pixel_deg: float
) -> list[tuple[Alert, float]]:
    """Alerts in a cone with their separation (degrees), nearest first, `n` of each pixel of the sky.

    The pixels are squares of the size of Fink's, in place of HEALPix.
    """
    ra, dec, radius_arcsec = parameters.cone()
    limit = parameters.count("n", 1000)
    counts: dict[tuple[int, int], int] = {}
    found = []
    for alert in alerts:
        its_ra, its_dec = place(alert)
        separation = separation_deg(ra, dec, its_ra, its_dec)
        pixel = (int(its_ra / pixel_deg), int(its_dec // pixel_deg))
        if separation * 3600 <= radius_arcsec and counts.get(pixel, 0) < limit:
            counts[pixel] = counts.get(pixel, 0) + 1
            found.append((alert, separation))
    return sorted(found, key=lambda one: one[1])
