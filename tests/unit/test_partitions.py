"""Where a reader starts in a partition, and which gaps it sees."""

import pytest

from tom_fink.gaps import Gap, gaps_before
from tom_fink.stream.partitions import Found, Start, start_of

PLACE = ("fink_sn_candidates_ztf", 3)


def start(committed, accounted, low=0, high=1000, begin=None) -> Start:
    return start_of(Found(PLACE, committed, accounted, low, high, begin))


def lost(begin, end) -> Gap:
    return Gap(*PLACE, begin, end, is_lost=True)


@pytest.mark.parametrize(
    ("committed", "accounted", "low", "high", "begin", "expected"),
    [
        # a new group
        (None, None, 100, 1000, None, Start(100, is_new=True)),
        (None, None, 100, 1000, 1000, Start(1000, is_new=True)),
        (None, None, 0, 0, None, Start(0, is_new=True)),
        # a database that does not know the group
        (500, None, 100, 1000, None, Start(500)),
        (1000, None, 100, 1000, None, Start(1000)),
        # the usual case, and the crash before the commit
        (500, 500, 100, 1000, None, Start(500)),
        (300, 500, 100, 1000, None, Start(300)),
        # retention has taken what was wanted
        (50, None, 100, 1000, None, Start(100, lost(50, 100))),
        (50, 50, 100, 1000, None, Start(100, lost(50, 100))),
        (50, 80, 100, 1000, None, Start(100, lost(80, 100))),
        (50, 500, 100, 1000, None, Start(100)),
        (50, 50, 1000, 1000, None, Start(1000, lost(50, 1000))),
    ],
)
def test_the_rule(committed, accounted, low, high, begin, expected):
    assert start(committed, accounted, low, high, begin) == expected


def test_a_database_that_is_older_than_the_group_s_offset_gets_what_it_has_not():
    """As after the restore of yesterday's backup."""
    found = start(900, 500, low=100)
    assert (found.offset, found.gap) == (500, None)
    assert "has the alerts before 500 only" in found.remark
    found = start(900, 50, low=100)
    assert (found.offset, found.gap) == (100, lost(50, 100))


def test_a_group_that_the_broker_has_forgotten_is_read_from_the_oldest_alert():
    """Not from START_AT: the group is not new. Kafka forgets offsets after a week without a reader."""
    found = start(None, 500, low=100, begin=1000)
    assert (found.offset, found.gap, found.is_made_anew) == (100, None, False)
    assert "no offset of the group any more" in found.remark
    assert start(None, 50, low=100).gap == lost(50, 100)


def test_a_topic_that_was_made_anew_is_read_from_its_start():
    found = start(None, 5000, low=0, high=10)
    assert (found.offset, found.gap, found.is_made_anew) == (0, None, True)
    found = start(5000, 5000, low=0, high=10)
    assert (found.offset, found.gap, found.is_made_anew) == (0, None, True)
    assert "ends at 10, before the group's offset 5000" in found.remark
    found = start(5000, None, low=7, high=10)
    assert (found.offset, found.gap, found.is_made_anew) == (7, None, False)


@pytest.mark.parametrize(
    ("expected", "offset", "low", "gaps"),
    [
        (10, 10, 0, []),
        (10, 15, 15, [lost(10, 15)]),
        (10, 15, 20, [lost(10, 15)]),  # retention has gone on since
        (10, 15, 0, [Gap(*PLACE, 10, 15, is_lost=False)]),  # the marks of a transaction, compaction
        (10, 15, 12, [lost(10, 12), Gap(*PLACE, 12, 15, is_lost=False)]),
    ],
)
def test_gaps_between_messages(expected, offset, low, gaps):
    assert gaps_before(PLACE, expected, offset, low) == gaps
