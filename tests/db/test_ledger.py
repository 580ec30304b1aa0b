"""The ledger: every message has a fate, every offset is accounted for, whatever comes again."""

from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, transaction

from tom_fink.decoding.decode import Message
from tom_fink.gaps import Gap
from tom_fink.models import PartitionLedger
from tom_fink.store import Fate, ledger

pytestmark = pytest.mark.django_db

GROUP, TOPIC = "group", "fink_sn_candidates_ztf"
NOW = datetime(2026, 11, 23, tzinfo=UTC)


def messages(*offsets: int, partition: int = 0) -> list[Message]:
    return [Message(TOPIC, partition, offset, b"k", b"v", NOW) for offset in offsets]


def enter(offsets, fates="s", gaps=(), partition=0) -> set[int]:
    """Account for messages; a letter for each fate, the last one for all that follow."""
    named = {"s": Fate.STORED, "d": Fate.DUPLICATE, "r": Fate.REJECTED, "h": Fate.HANDLED}
    letters = fates.ljust(len(offsets), fates[-1])
    by_index = {index: named[letter] for index, letter in enumerate(letters[: len(offsets)])}
    with transaction.atomic():
        return ledger.account(GROUP, messages(*offsets, partition=partition), by_index, gaps)


def row(partition=0) -> dict[str, int]:
    found = PartitionLedger.objects.get(group_id=GROUP, topic=TOPIC, partition=partition)
    values = {name: getattr(found, name) for name in (*PartitionLedger.SUMS, "first_offset", "next_offset")}
    return {name: value for name, value in values.items() if value}


def gap(start, end, is_lost=True, partition=0) -> Gap:
    return Gap(TOPIC, partition, start, end, is_lost)


def test_each_fate_is_counted():
    assert enter([5, 6, 7, 8], "sdrh") == set()
    assert row() == {
        "first_offset": 5, "next_offset": 9, "read": 4, "stored": 1, "duplicate": 1, "rejected": 1, "handled": 1
    }  # fmt: skip


def test_a_batch_that_comes_again_is_told_from_a_new_one():
    enter([0, 1, 2])
    assert enter([1, 2, 3, 4], "dds") == {0, 1}
    assert row() == {"next_offset": 5, "read": 7, "stored": 5, "duplicate": 2, "replayed": 2}


def test_partitions_are_apart():
    enter([0, 1])
    enter([7], "r", partition=1)
    assert row() == {"next_offset": 2, "read": 2, "stored": 2}
    assert row(1) == {"first_offset": 7, "next_offset": 8, "read": 1, "rejected": 1}


def test_a_loss_is_counted_once():
    enter([0, 1])
    enter([10], gaps=[gap(2, 10)])
    expected = {"next_offset": 11, "read": 3, "stored": 3, "lost": 8}
    assert row() == expected
    enter([10], "d", gaps=[gap(2, 10)])
    assert row() == expected | {"read": 4, "duplicate": 1, "replayed": 1}


def test_a_loss_without_a_message():
    """The topic is silent since: the loss is known when the partition is given."""
    enter([0, 1])
    enter([], gaps=[gap(2, 10)])
    assert row() == {"next_offset": 10, "read": 2, "stored": 2, "lost": 8}


def test_a_loss_before_the_first_message_that_this_database_knows():
    enter([], gaps=[gap(50, 100)])
    assert row() == {"first_offset": 50, "next_offset": 100, "lost": 50}


def test_what_was_no_message_is_skipped():
    enter([0, 1, 3, 4], gaps=[gap(2, 3, is_lost=False)])
    assert row() == {"next_offset": 5, "read": 4, "stored": 4, "skipped": 1}


def test_a_hole_that_nobody_explains_is_not_passed_over():
    enter([0, 1])
    enter([5])
    assert row() == {"next_offset": 6, "read": 3, "stored": 3, "skipped": 3}


def test_an_account_is_opened_once():
    ledger.open_accounts(GROUP, {(TOPIC, 0): 40})
    assert row() == {"first_offset": 40, "next_offset": 40}
    ledger.open_accounts(GROUP, {(TOPIC, 0): 10})
    enter([40])
    assert row() == {"first_offset": 40, "next_offset": 41, "read": 1, "stored": 1}


def test_when_a_loss_was_noticed():
    enter([0])
    assert PartitionLedger.objects.get().lost_at is None
    enter([], gaps=[gap(1, 10)])
    noticed = PartitionLedger.objects.get().lost_at
    assert noticed is not None
    enter([10])
    assert PartitionLedger.objects.get().lost_at == noticed


def test_positions():
    enter([0, 1])
    enter([7], partition=1)
    wanted = [(TOPIC, 0), (TOPIC, 1), (TOPIC, 2), ("another", 0)]
    assert ledger.positions(GROUP, wanted) == {(TOPIC, 0): 2, (TOPIC, 1): 8}
    assert ledger.positions(GROUP, wanted[:1]) == {(TOPIC, 0): 2}
    assert ledger.positions("other group", wanted) == {}


def test_somebody_moves_the_group():
    enter([0, 1])
    ledger.move(GROUP, {(TOPIC, 0): 100, (TOPIC, 1): 50}, {(TOPIC, 0): 0, (TOPIC, 1): 0})
    assert row() == {"next_offset": 100, "read": 2, "stored": 2, "skipped": 98}
    ledger.move(GROUP, {(TOPIC, 0): 0}, {(TOPIC, 0): 0})
    assert row()["next_offset"] == 100
    assert PartitionLedger.objects.count() == 1, "of a partition without an account nothing is skipped"


def test_what_was_lost_before_somebody_moves_the_group_is_lost():
    enter([0, 1])
    ledger.move(GROUP, {(TOPIC, 0): 200}, {(TOPIC, 0): 90})
    assert row() == {"next_offset": 200, "read": 2, "stored": 2, "lost": 88, "skipped": 110}


def test_a_topic_that_was_made_anew():
    enter([5, 6, 7])
    ledger.open_accounts(GROUP, {(TOPIC, 0): 0}, made_anew=[(TOPIC, 0)])
    enter([0, 1], "s")
    found = row()
    assert (found["next_offset"], found["read"]) == (2, 5)
    assert "replayed" not in found


def test_the_database_itself_watches_the_sums():
    enter([0, 1])
    for name in ("stored", "lost"):
        with pytest.raises(IntegrityError), transaction.atomic():
            PartitionLedger.objects.update(**{name: 5})


def test_the_ends_of_the_partitions():
    enter([0])
    ledger.note_ends(GROUP, {(TOPIC, 0): 17, (TOPIC, 9): 1}, NOW)
    found = PartitionLedger.objects.get()
    assert (found.end_offset, found.seen_at) == (17, NOW)
