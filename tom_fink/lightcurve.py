"""Rows of photometry to two Plotly figures: AB magnitude, and signed difference flux.

No Django and no database. Text of a figure (names, hover) is taken by Plotly for a subset of HTML, so
whatever comes from an alert is escaped here.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

import plotly.graph_objects as go

AB_MAG_OF_ONE_NJY = 31.4

# Okabe and Ito's palette, which colour-blind readers can tell apart.
BAND_COLOURS = {
    "u": "#56B4E9",
    "g": "#009E73",
    "r": "#D55E00",
    "i": "#E69F00",
    "z": "#CC79A7",
    "y": "#0072B2",
}
OTHER_COLOUR = "#8A8A8A"
GRID_COLOUR = "rgba(138,138,138,0.25)"  # to be seen on both themes; plotly_dark's is not on TOM's grey
INSTRUMENT_SYMBOLS = {"ZTF": "circle", "LSSTCam": "square"}
OTHER_SYMBOL = "cross"
KINDS = ("detection", "forced", "limit")


@dataclass(frozen=True)
class Point:
    """One row as the figures need it; None stands for what is not known."""

    at_utc: str
    instrument: str
    band: str
    kind: str
    mag_ab: float | None
    mag_err: float | None
    limit_mag_ab: float | None
    flux_njy: float | None
    flux_err_njy: float | None
    source_id: str


def figures(rows: Iterable[Mapping], *, dark: bool = False) -> dict[str, go.Figure]:
    """Two figures of the same points, keyed "magnitude" and "flux".

    A row has the keys timestamp (aware datetime), instrument, bandpass, brightness, brightness_error and
    limit (AB magnitudes) and value, a mapping with kind ("detection", "forced" or "limit") and, where
    known, flux_njy (signed), flux_err_njy and source_id. Brightness or limit is None.

    A negative difference has a limit and a flux: the magnitude figure shows an upper limit, the flux
    figure the point below zero. Each figure has one trace per instrument, band and kind.
    """
    points = [_point(row) for row in rows]
    return {
        "magnitude": _figure(points, _magnitude_of, "Difference magnitude (AB mag)", dark, reverse=True),
        "flux": _figure(points, _flux_of, "Difference flux (nJy)", dark, reverse=False),
    }


def _point(row: Mapping) -> Point:
    value = row["value"] if isinstance(row["value"], Mapping) else {}
    kind = value.get("kind")
    limit = _number(row["limit"])
    if kind not in KINDS:
        kind = "detection" if limit is None else "limit"
    source_id = value.get("source_id")
    return Point(
        at_utc=_utc_text(row["timestamp"]),
        instrument=row["instrument"],
        band=row["bandpass"],
        kind=kind,
        mag_ab=_number(row["brightness"]),
        mag_err=_number(row["brightness_error"]),
        limit_mag_ab=limit,
        flux_njy=_number(value.get("flux_njy")),
        flux_err_njy=_number(value.get("flux_err_njy")),
        source_id="" if source_id is None else str(source_id),
    )


def _magnitude_of(point: Point) -> tuple[str, float | None, float | None]:
    """Kind of mark, height and error in the magnitude figure."""
    if point.limit_mag_ab is not None:
        return "limit", point.limit_mag_ab, None
    return point.kind, point.mag_ab, point.mag_err


def _flux_of(point: Point) -> tuple[str, float | None, float | None]:
    """Kind of mark, height and error in the flux figure, worked out from magnitudes where need be."""
    if point.kind != "limit" and point.flux_njy is not None:
        return point.kind, point.flux_njy, point.flux_err_njy
    if point.limit_mag_ab is not None:
        return "limit", _njy(point.limit_mag_ab), None
    flux_njy = _njy(point.mag_ab)
    if flux_njy is None or point.mag_err is None:
        return point.kind, flux_njy, None
    return point.kind, flux_njy, flux_njy * point.mag_err * math.log(10) / 2.5


def _njy(mag_ab: float | None) -> float | None:
    """Flux of an AB magnitude; None beyond any that a survey measures, where it would overflow."""
    if mag_ab is None or not -50 < mag_ab < 100:
        return None
    return 10 ** ((AB_MAG_OF_ONE_NJY - mag_ab) / 2.5)


def _figure(points: list[Point], height_of, y_title: str, dark: bool, *, reverse: bool) -> go.Figure:
    series = {}
    for point in points:
        kind, height, error = height_of(point)
        if height is not None:
            series.setdefault((point.instrument, point.band, kind), []).append((point, height, error))
    figure = go.Figure(
        [_trace(*key, series[key]) for key in sorted(series, key=_legend_order)],
        layout=_layout(y_title, dark, reverse),
    )
    if not series:
        figure.add_annotation(text="No photometry", showarrow=False, xref="paper", yref="paper", x=0.5, y=0.5)
    return figure


def _legend_order(key: tuple[str, str, str]) -> tuple:
    instrument, band, kind = key
    bands = list(BAND_COLOURS)
    return instrument, bands.index(band) if band in bands else len(bands), band, KINDS.index(kind)


def _trace(instrument: str, band: str, kind: str, marks: list[tuple]) -> go.Scatter:
    colour = BAND_COLOURS.get(band, OTHER_COLOUR)
    symbol = {"limit": "triangle-down-open", "forced": "diamond"}.get(
        kind, INSTRUMENT_SYMBOLS.get(instrument, OTHER_SYMBOL)
    )
    label = {"detection": "", "forced": " forced", "limit": " upper limit"}[kind]
    errors = [error for _, _, error in marks]
    return go.Scatter(
        x=[point.at_utc for point, _, _ in marks],
        y=[height for _, height, _ in marks],
        error_y={"type": "data", "array": errors, "thickness": 1, "width": 2}
        if any(error is not None for error in errors)
        else None,
        mode="markers",
        marker={"color": colour, "symbol": symbol, "size": 5 if kind == "forced" else 8},
        name=escape(f"{instrument} {band}{label}"),
        hovertext=[_hover(point) for point, _, _ in marks],
        hoverinfo="text",
    )


def _hover(point: Point) -> str:
    lines = [f"{point.instrument} {point.band}, {point.kind}", f"{point.at_utc.replace('T', ' ')} UTC"]
    if point.mag_ab is not None:
        error = "" if point.mag_err is None else f" ± {point.mag_err:.3f}"
        lines.append(f"{point.mag_ab:.3f}{error} AB mag")
    if point.limit_mag_ab is not None:
        lines.append(f"fainter than {point.limit_mag_ab:.3f} AB mag")
    if point.flux_njy is not None:
        error = "" if point.flux_err_njy is None else f" ± {point.flux_err_njy:.1f}"
        lines.append(f"{point.flux_njy:.1f}{error} nJy")
        if point.flux_njy < 0:
            lines.append("fainter than the reference image")
    if point.source_id:
        lines.append(f"source {point.source_id}")
    return "<br>".join(escape(line) for line in lines)


def _layout(y_title: str, dark: bool, reverse: bool) -> dict:
    return {
        "template": "plotly_dark" if dark else "plotly_white",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 70, "r": 20, "t": 20, "b": 50},
        "hovermode": "closest",
        "modebar": {"orientation": "v", "bgcolor": "rgba(0,0,0,0)"},  # lying, it would cover the legend
        "showlegend": True,
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
        # The same revision of the time axis in both figures keeps a zoom in time when they are exchanged.
        "xaxis": {
            "title": {"text": "Time (UTC)"},
            "type": "date",
            "gridcolor": GRID_COLOUR,
            "uirevision": "time",
        },
        "yaxis": {
            "title": {"text": y_title},
            "autorange": "reversed" if reverse else True,
            "gridcolor": GRID_COLOUR,
            "zeroline": not reverse,
            "zerolinewidth": 2,
            "zerolinecolor": OTHER_COLOUR,
            "uirevision": y_title,
        },
    }


def _utc_text(moment: datetime) -> str:
    # Plotly knows no time zones and draws the digits that it gets.
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # a whole number of JSON may have any length
        return None
    return number if math.isfinite(number) else None
