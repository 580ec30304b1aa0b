"""Sums of histograms, as the database keeps them."""

import json
import random

import pytest

from tom_fink.delays import add
from tom_fink.status.delaysums import summed


def test_nothing():
    assert summed([]) == {}
    assert summed(["{}", "{}"]) == {}


@pytest.mark.parametrize("separators", [(", ", ": "), (",", ":")])
def test_bins_of_all_signs(separators):
    """SQLite keeps Python's JSON, PostgreSQL writes its own: with blanks, and in another order."""
    histograms = [{"-12": 1, "0": 2, "300": 5}, {}, {"300": 4, "7": 3}]
    texts = [json.dumps(histogram, separators=separators) for histogram in histograms]
    assert summed(texts) == {"-12": 1, "0": 2, "7": 3, "300": 9}


@pytest.mark.parametrize("seed", range(20))
def test_it_is_the_sum(seed):
    chance = random.Random(seed)  # noqa: S311 - no secret
    histograms = [
        {
            str(chance.randint(-1500, 1500)): chance.randint(1, 10 ** chance.randint(1, 12))
            for _ in range(chance.randint(0, 20))
        }
        for _ in range(chance.randint(1, 8))
    ]
    expected: dict = {}
    for histogram in histograms:
        expected = add(expected, histogram)
    assert summed(map(json.dumps, histograms)) == expected
