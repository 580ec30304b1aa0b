"""Histograms of delays whose percentiles are right to one percent, however many values they hold.

The bins are those of DDSketch (Masson, Rim and Lee 2019, PVLDB 12, 2195): bin i > 0 holds delays in
(GAMMA**(i-1), GAMMA**i] milliseconds and stands for 2 GAMMA**i / (GAMMA + 1), which is within ACCURACY of
each of them. Bin 0 holds delays of a millisecond or less, bin -i negative ones: clocks differ.
"""

import math
from collections import Counter
from collections.abc import Mapping

import polars as pl

ACCURACY = 0.01
GAMMA = (1 + ACCURACY) / (1 - ACCURACY)

# Each step of an alert's way, from which of its times to which
STEPS = {
    "emitted_to_broker": ("observed_at", "broker_end_at"),
    "broker_to_received": ("broker_end_at", "received_at"),
    "received_to_stored": ("received_at", "stored_at"),
    "emitted_to_stored": ("observed_at", "stored_at"),
}

Histogram = Mapping[str, int]  # a bin's number as text, which is what JSON makes of it


def bins(delay_ms: pl.Expr) -> pl.Expr:
    """The bin of each delay in milliseconds, Int64; null where there is no delay."""
    size = delay_ms.cast(pl.Float64).abs()
    steps = (size.log() / math.log(GAMMA)).ceil().cast(pl.Int64, strict=False)
    return pl.when(size <= 1).then(0).when(size > 1).then(steps * delay_ms.sign().cast(pl.Int64))


def add(first: Histogram, second: Histogram) -> dict[str, int]:
    """Both histograms in one."""
    return dict(Counter(first) + Counter(second))


def percentiles_s(histogram: Histogram, percents: tuple[float, ...]) -> list[float | None]:
    """Those percentiles of the delays, in seconds, by nearest rank; None for an empty histogram."""
    ordered = sorted((int(number), count) for number, count in histogram.items())
    total = sum(count for _, count in ordered)
    found: list[float | None] = []
    for percent in percents:
        rank, below, value = max(1, math.ceil(total * percent / 100)), 0, None
        for number, count in ordered:
            below += count
            if below >= rank:
                value = _middle_s(number)
                break
        found.append(value)
    return found


def _middle_s(number: int) -> float:
    if number == 0:
        return 0.0
    return math.copysign(2 * GAMMA ** abs(number) / (GAMMA + 1), number) / 1000
