"""A light curve of the height of a line of text, as SVG."""

from collections.abc import Iterable
from datetime import datetime

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from tom_fink.lightcurve import BAND_COLOURS, OTHER_COLOUR

WIDTH, HEIGHT, MARGIN = 120, 30, 3
MAX_POINTS = 60  # the newest ones
LEAST_RANGE_MAG = 0.5  # so that noise does not fill the height


def sparkline(points: Iterable[tuple[datetime, str | None, float | None]]) -> SafeString:
    """Times, bands and AB magnitudes as an SVG image, bright above; empty for fewer than two points."""
    shown = sorted((point for point in points if point[2] is not None), key=lambda point: point[0])
    shown = shown[-MAX_POINTS:]
    if len(shown) < 2:
        return mark_safe("")
    times = [point[0].timestamp() for point in shown]
    mags = [point[2] for point in shown]
    days, middle = (times[-1] - times[0]) or 1.0, (min(mags) + max(mags)) / 2
    half = max(max(mags) - min(mags), LEAST_RANGE_MAG) / 2
    strokes: dict[str, list[str]] = {}
    for moment, (_, band, mag) in zip(times, shown, strict=True):
        x = MARGIN + (moment - times[0]) / days * (WIDTH - 2 * MARGIN)
        y = HEIGHT / 2 + (mag - middle) / half * (HEIGHT / 2 - MARGIN)
        # A stroke without a length and with round ends is a dot.
        strokes.setdefault(BAND_COLOURS.get(band, OTHER_COLOUR), []).append(f"M{x:.0f} {y:.0f}h0")
    paths = "".join(f'<path stroke="{colour}" d="{"".join(dots)}"/>' for colour, dots in strokes.items())
    told = f"{len(shown)} points, {min(mags):.1f} to {max(mags):.1f} mag"
    return format_html(
        '<svg class="fink-spark" width="{}" height="{}" viewBox="0 0 {} {}" role="img" aria-label="{}">'
        "<title>{}</title>{}</svg>",
        *(WIDTH, HEIGHT, WIDTH, HEIGHT, told, told),
        mark_safe(paths),  # noqa: S308 - colours of ours and numbers
    )
