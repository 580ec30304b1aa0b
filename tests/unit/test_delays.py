"""Histograms of delays: their percentiles against those of the values themselves."""

import json
import random

import polars as pl
import pytest

from tom_fink.delays import ACCURACY, add, bins, percentiles_s


def histogram(values_ms: list[float | None]) -> dict[str, int]:
    counted = pl.DataFrame({"ms": values_ms}, schema={"ms": pl.Float64}).select(
        bins(pl.col("ms")).alias("bin")
    )
    return {str(number): count for number, count in counted.drop_nulls().group_by("bin").len().rows()}


@pytest.mark.parametrize("percent", [1, 25, 50, 90, 99, 99.9, 100])
def test_percentiles_are_right_to_one_percent(percent):
    """Nearest rank: the smallest value that at least so many percent of the values do not exceed."""
    chance = random.Random(4)  # noqa: S311 - no secret
    values = [10 ** chance.uniform(0.5, 8) for _ in range(5000)]
    exact = sorted(values)[max(1, -(-len(values) * percent // 100)).__int__() - 1]
    (found,) = percentiles_s(histogram(values), (percent,))
    assert found * 1000 == pytest.approx(exact, rel=ACCURACY * 1.001)


def test_known_values():
    """By hand: of 1, 2, 3 and 4 s the median is the second by nearest rank, 99 % the fourth."""
    median, last = percentiles_s(histogram([4000, 1000, 3000, 2000]), (50, 99))
    assert median == pytest.approx(2, rel=ACCURACY)
    assert last == pytest.approx(4, rel=ACCURACY)


def test_negative_delays_come_before_positive_ones():
    """A clock that is fast makes them; they are told and not hidden."""
    found = percentiles_s(histogram([-37_000, 0.2, 5000]), (1, 50, 100))
    assert found == pytest.approx([-37, 0, 5], rel=ACCURACY)


def test_no_delay_is_none():
    assert histogram([None, None]) == {}
    assert percentiles_s({}, (50, 99)) == [None, None]


def test_histograms_add_up_and_survive_json():
    first, second = histogram([1000, 2000]), histogram([2000, -5])
    together = json.loads(json.dumps(add(first, second)))
    assert together == histogram([1000, 2000, 2000, -5])
