"""Figures of photometry: what is drawn where, and that no text of an alert becomes markup."""

import json
import math
from datetime import UTC, datetime, timedelta, timezone

import pytest

from tom_fink.lightcurve import BAND_COLOURS, figures

NOON = datetime(2026, 3, 22, 12, 0, 0, 250_000, tzinfo=UTC)


def row(**changes) -> dict:
    """A positive ZTF detection in g of 18.0 mag, changed as asked; value's keys are given as value__name."""
    value = {"kind": "detection", "flux_njy": 229086.8, "flux_err_njy": 2110.0, "source_id": "123"}
    made = {
        "timestamp": NOON,
        "instrument": "ZTF",
        "bandpass": "g",
        "brightness": 18.0,
        "brightness_error": 0.01,
        "limit": None,
        "value": value,
    }
    for name, new in changes.items():
        if name.startswith("value__"):
            value[name.removeprefix("value__")] = new
        else:
            made[name] = new
    return made


def negative(**changes) -> dict:
    return row(
        brightness=None, brightness_error=None, limit=20.1, value__flux_njy=-500.0, value__flux_err_njy=20.0
    ) | {**changes}


def upper_limit(limit=20.5) -> dict:
    return row(brightness=None, brightness_error=None, limit=limit, value={"kind": "limit"})


def traces(figure) -> dict:
    return {trace.name: trace for trace in figure.data}


def test_one_trace_per_instrument_band_and_kind():
    made = figures(
        [
            row(),
            row(timestamp=NOON + timedelta(days=1)),
            row(bandpass="r"),
            row(value__kind="forced"),
            row(instrument="LSSTCam"),
            upper_limit(),
        ]
    )
    names = ["LSSTCam g", "ZTF g", "ZTF g forced", "ZTF g upper limit", "ZTF r"]
    assert [trace.name for trace in made["magnitude"].data] == names
    assert [trace.name for trace in made["flux"].data] == names
    assert len(traces(made["magnitude"])["ZTF g"].x) == 2


def test_a_detection_has_its_error_in_both_figures():
    made = figures([row()])
    magnitude, flux = made["magnitude"].data[0], made["flux"].data[0]
    assert (magnitude.y[0], magnitude.error_y.array[0]) == (18.0, 0.01)
    assert (flux.y[0], flux.error_y.array[0]) == (229086.8, 2110.0)


def test_flux_of_a_magnitude_that_came_without_one():
    flux = figures([row(value__flux_njy=None)])["flux"].data[0]
    assert flux.y[0] == pytest.approx(10 ** ((31.4 - 18.0) / 2.5))
    assert flux.error_y.array[0] == pytest.approx(flux.y[0] * 0.01 * math.log(10) / 2.5)


def test_a_negative_difference_is_below_zero_and_never_a_brightness():
    made = figures([negative()])
    assert [trace.name for trace in made["magnitude"].data] == ["ZTF g upper limit"]
    assert made["magnitude"].data[0].marker.symbol == "triangle-down-open"
    assert made["magnitude"].data[0].y[0] == 20.1
    flux = made["flux"].data[0]
    assert (flux.name, flux.y[0], flux.error_y.array[0]) == ("ZTF g", -500.0, 20.0)
    assert "fainter than the reference image" in flux.hovertext[0]


def test_upper_limit_without_a_flux_is_a_limit_in_both():
    made = figures([upper_limit(31.4)])
    for figure in made.values():
        assert figure.data[0].name == "ZTF g upper limit"
        assert figure.data[0].error_y.array is None
    assert made["flux"].data[0].y[0] == pytest.approx(1.0)


def test_forced_points_are_smaller_diamonds():
    detection, forced = figures([row(), row(value__kind="forced")])["magnitude"].data
    assert (forced.marker.symbol, detection.marker.symbol) == ("diamond", "circle")
    assert forced.marker.size < detection.marker.size


def test_instruments_have_their_own_symbol_and_bands_their_own_colour():
    made = figures(
        [row(instrument=name, bandpass=band) for name in ("ZTF", "LSSTCam", "X") for band in "ugrizy?"]
    )
    marks = [trace.marker for trace in made["magnitude"].data]
    assert {mark.symbol for mark in marks} == {"circle", "square", "cross"}
    assert len({mark.color for mark in marks}) == 7
    assert len(set(BAND_COLOURS.values())) == 6


def test_axes_say_what_they_show():
    made = figures([row()])
    magnitude, flux = made["magnitude"].layout, made["flux"].layout
    assert magnitude.yaxis.autorange == "reversed"
    assert magnitude.yaxis.title.text == "Difference magnitude (AB mag)"
    assert flux.yaxis.autorange is True
    assert flux.yaxis.zeroline is True
    assert flux.yaxis.title.text == "Difference flux (nJy)"
    assert magnitude.xaxis.title.text == flux.xaxis.title.text == "Time (UTC)"


def test_times_are_drawn_in_utc():
    in_paris = NOON.astimezone(timezone(timedelta(hours=2)))
    trace = figures([row(timestamp=in_paris)])["magnitude"].data[0]
    assert trace.x[0] == "2026-03-22T12:00:00.250"
    assert "2026-03-22 12:00:00.250 UTC" in trace.hovertext[0]


def test_hover_tells_the_point():
    text = figures([row()])["magnitude"].data[0].hovertext[0]
    assert text.split("<br>") == [
        "ZTF g, detection",
        "2026-03-22 12:00:00.250 UTC",
        "18.000 ± 0.010 AB mag",
        "229086.8 ± 2110.0 nJy",
        "source 123",
    ]


def test_text_of_an_alert_is_never_markup():
    evil = '</script><img src=x onerror="alert(1)">'
    made = figures([row(instrument=evil, bandpass=evil, value__source_id=evil, value__kind=evil)])
    for figure in made.values():
        assert "<img" not in figure.data[0].name
        assert "<img" not in figure.data[0].hovertext[0]
        assert "&lt;img" in figure.data[0].hovertext[0]
        assert "</script" not in figure.to_json()


def test_numbers_that_json_does_not_have_are_left_out():
    rows = [
        row(brightness=math.nan, value__flux_njy=math.inf),
        row(brightness=None, value__flux_njy="12"),
        row(brightness=None, value__flux_njy=True),
        row(brightness=None, value__flux_njy=10**400),
        row(brightness=-4000.0, value__flux_njy=None),
        row(brightness=None, value=None),
    ]
    made = figures(rows)
    assert made["flux"].data == ()
    for figure in made.values():
        assert "NaN" not in figure.to_json()
        assert "Infinity" not in figure.to_json()


def test_without_points_the_figure_says_so():
    for figure in figures([]).values():
        assert figure.layout.annotations[0].text == "No photometry"


@pytest.mark.parametrize("dark", [True, False])
def test_both_themes_have_no_ground_of_their_own(dark):
    layout = json.loads(figures([row()], dark=dark)["flux"].to_json())["layout"]
    assert layout["paper_bgcolor"] == layout["plot_bgcolor"] == "rgba(0,0,0,0)"
    text_colour = layout["template"]["layout"]["font"]["color"]
    assert text_colour == ("#f2f5fa" if dark else "#2a3f5f")
