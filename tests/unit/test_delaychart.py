"""The geometry of the charts of delays."""

from datetime import UTC, datetime, timedelta

import pytest

from tom_fink.status.delaychart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, chart

NOW = datetime(2026, 11, 23, 4, 17, 0, tzinfo=UTC)
STEP = "emitted_to_stored"


def hour(back, p50, p90, p99, alerts=10):
    found = {"alerts": alerts, "p50_s": p50, "p90_s": p90, "p99_s": p99}
    return {"hour": NOW.replace(minute=0) - timedelta(hours=back), "steps": {STEP: found}}


def draw(*hours, span=24):
    return chart(hours, STEP, NOW, span)


def test_without_a_time_there_is_no_chart():
    assert draw() is None
    assert draw(hour(1, None, None, None, alerts=0)) is None


def test_later_is_further_right_and_longer_is_higher():
    older, newer = draw(hour(5, 30, 60, 300), hour(1, 60, 300, 3000))["bars"]
    assert float(older["x"]) < float(newer["x"])
    for bar in (older, newer):
        assert float(bar["top"]) < float(bar["p90"]) < float(bar["median"])
        assert float(bar["top"]) + float(bar["height"]) == pytest.approx(float(bar["median"]), abs=0.15)
    assert float(newer["median"]) < float(older["median"])


def test_ticks_hold_all_values():
    ticks = [tick["label"] for tick in draw(hour(0, 0.3, 5, 4000))["ticks"]]
    assert ticks == ["0.1 s", "1 s", "10 s", "1 min", "10 min", "1 h", "10 h"]


def test_a_value_at_a_tick_is_drawn_at_it():
    found = draw(hour(0, 60, 60, 60))
    (bar,) = found["bars"]
    assert float(bar["median"]) == float(found["ticks"][0]["y"])
    assert float(bar["height"]) > 0


@pytest.mark.parametrize(
    "values", [(0, 0, 0), (-5, 0, 3), (-9, -8, -7), (1e-9, 1, 1e12), (1e15, 1e16, 1e17), (60, 60, 60)]
)
def test_every_value_stays_within_the_chart(values):
    found = draw(hour(0, *values), hour(24, *values))
    assert len(found["ticks"]) >= 2
    for bar in found["bars"]:
        for name in ("top", "p90", "median"):
            assert TOP - 0.1 <= float(bar[name]) <= HEIGHT - BOTTOM + 0.1
        assert LEFT <= float(bar["x"]) < float(bar["end"]) <= WIDTH - RIGHT


def test_the_words_of_a_bar():
    (bar,) = draw(hour(3, 30, 300, 7200, alerts=1234))["bars"]
    assert bar["title"] == (
        "2026-11-23 01:00 UTC, 1,234 alerts: median 30 s, 90 % within 5 min, 99 % within 2 h"
    )


def test_hours_are_labelled_now_and_then():
    assert [found["label"] for found in draw(hour(0, 1, 1, 1))["hours"]] == [
        "06:00",
        "12:00",
        "18:00",
        "00:00",
    ]
