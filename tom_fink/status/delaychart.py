"""The geometry of a small chart of delays by hour: logarithmic upwards, a bar from median to 99 %."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from tom_fink.status.standing import duration

WIDTH, HEIGHT = 460, 190
LEFT, RIGHT, TOP, BOTTOM = 52, 8, 8, 24  # room for the labels
TICKS = {
    0.001: "1 ms",
    0.01: "10 ms",
    0.1: "0.1 s",
    1: "1 s",
    10: "10 s",
    60: "1 min",
    600: "10 min",
    3600: "1 h",
    36_000: "10 h",
    86_400: "1 d",
    864_000: "10 d",
    8_640_000: "100 d",
    86_400_000: "1000 d",
}
TICKS_S = tuple(TICKS)
LABEL_EVERY_H = 6


def chart(hours: Sequence[dict[str, Any]], step: str, now: datetime, span: int) -> dict[str, Any] | None:
    """What a template needs to draw one step of the last `span` hours; None if no alert has that time.

    `hours` is `by_hour` of `tom_fink.status.status.status`. All coordinates are text, which no locale changes.
    """
    timed = [(found["hour"], found["steps"][step]) for found in hours if found["steps"][step]["alerts"]]
    if not timed:
        return None
    ticks = _ticks([found[name] for _, found in timed for name in ("p50_s", "p99_s")])
    low, high = math.log(ticks[0]), math.log(ticks[-1])

    def y(seconds: float) -> float:
        part = (math.log(max(seconds, ticks[0])) - low) / (high - low)
        return HEIGHT - BOTTOM - min(part, 1) * (HEIGHT - TOP - BOTTOM)

    last = now.replace(minute=0, second=0, microsecond=0)
    slot = (WIDTH - LEFT - RIGHT) / (span + 1)

    def x(hour: datetime) -> float:
        return LEFT + (span - (last - hour) / timedelta(hours=1)) * slot

    starts = [last - timedelta(hours=number) for number in range(span, -1, -1)]
    every = LABEL_EVERY_H * math.ceil((span + 1) / 48)
    return {
        "view_box": f"0 0 {WIDTH} {HEIGHT}",
        "left": _text(LEFT),
        "right": _text(WIDTH - RIGHT),
        "label_x": _text(LEFT - 6),
        "label_y": _text(HEIGHT - 7),
        "ticks": [{"y": _text(y(tick)), "label": TICKS[tick]} for tick in ticks],
        "hours": [
            {"x": _text(x(hour) + slot / 2), "label": f"{hour:%H:%M}"}
            for hour in starts
            if (hour.hour + 24 * hour.toordinal()) % every == 0
        ],
        "bars": [
            {
                "x": _text(x(hour) + slot * 0.15),
                "width": _text(slot * 0.7),
                "top": _text(y(found["p99_s"])),
                "height": _text(max(1.5, y(found["p50_s"]) - y(found["p99_s"]))),
                "median": _text(y(found["p50_s"])),
                "p90": _text(y(found["p90_s"])),
                "end": _text(x(hour) + slot * 0.85),
                "title": f"{hour:%Y-%m-%d %H:%M} UTC, {found['alerts']:,} alerts: median {duration(found['p50_s'])}, "
                f"90 % within {duration(found['p90_s'])}, 99 % within {duration(found['p99_s'])}",
            }
            for hour, found in timed
        ],
    }


def _ticks(values: list[float]) -> tuple[float, ...]:
    """Round times that hold all values; what is shorter than the first one is drawn there."""
    first = max([0, *(n for n, tick in enumerate(TICKS_S) if tick <= min(values))])
    last = min([len(TICKS_S) - 1, *(n for n, tick in enumerate(TICKS_S) if tick >= max(values))])
    return TICKS_S[min(first, len(TICKS_S) - 2) : max(last, first + 1) + 1]


def _text(number: float) -> str:
    return f"{number:.1f}"
