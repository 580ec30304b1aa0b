"""The ledger: what became of every message of a partition, in the transaction of the rows.

It is written last, so that its rows are locked for no longer than the commit takes.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime

from django.db import transaction

from tom_fink.decoding.decode import Message
from tom_fink.gaps import Gap, Place, gaps_before
from tom_fink.models import PartitionLedger
from tom_fink.store.batch import Fate
from tom_fink.store.bulk import bring_up_to_date


def account(
    group_id: str, messages: list[Message], fates: Mapping[int, Fate], gaps: Iterable[Gap] = ()
) -> set[int]:
    """Enter a batch: the fate of each message by its index, and the gaps met on the way.

    Returns the indices of the messages that had been entered before: a batch that came again.
    """
    now = datetime.now(UTC)
    by_place: dict[Place, list[int]] = {}
    for index in fates:
        by_place.setdefault((messages[index].topic, messages[index].partition), []).append(index)
    gaps_by_place: dict[Place, list[Gap]] = {}
    for gap in gaps:
        gaps_by_place.setdefault((gap.topic, gap.partition), []).append(gap)
    starts = {
        place: min(
            [messages[index].offset for index in by_place.get(place, ())]
            + [gap.start for gap in gaps_by_place.get(place, ())]
        )
        for place in by_place.keys() | gaps_by_place.keys()
    }
    rows = _locked(group_id, starts, now)
    replayed: set[int] = set()
    for place, row in rows.items():
        row.updated_at = now
        replayed |= _enter(row, by_place.get(place, []), messages, fates, gaps_by_place.get(place, []))
    bring_up_to_date(rows.values(), [*PartitionLedger.SUMS, "next_offset", "lost_at", "updated_at"])
    return replayed


def _enter(
    row: PartitionLedger,
    indices: list[int],
    messages: list[Message],
    fates: Mapping[int, Fate],
    gaps: list[Gap],
) -> set[int]:
    new = {messages[index].offset for index in indices if messages[index].offset >= row.next_offset}
    replayed = {index for index in indices if messages[index].offset < row.next_offset}
    lost: set[tuple[int, int]] = {
        (max(gap.start, row.next_offset), gap.end)
        for gap in gaps
        if gap.is_lost and gap.end > row.next_offset
    }
    end = max([row.next_offset, *(offset + 1 for offset in new), *(gap.end for gap in gaps)])
    for index in indices:
        setattr(row, fates[index], getattr(row, fates[index]) + 1)
    lost_count = sum(stop - start for start, stop in lost)
    row.read += len(indices)
    row.replayed += len(indices) - len(new)
    row.lost += lost_count
    if lost_count:
        row.lost_at = row.updated_at
    row.skipped += end - row.next_offset - len(new) - lost_count
    row.next_offset = end
    return replayed


def positions(group_id: str, places: Iterable[Place]) -> dict[Place, int]:
    """Up to where the ledger has accounted for these partitions; those it does not know are left out."""
    wanted = set(places)
    rows = PartitionLedger.objects.filter(group_id=group_id, topic__in={topic for topic, _ in wanted})
    found = {
        (row.topic, row.partition): row.next_offset for row in rows.only("topic", "partition", "next_offset")
    }
    return {place: offset for place, offset in found.items() if place in wanted}


def open_accounts(group_id: str, starts: Mapping[Place, int], made_anew: Collection[Place] = ()) -> None:
    """Begin the accounts of partitions that a reader is given, where there are none yet. One transaction.

    Those that were made anew go on from their new offsets, which count from zero again: what was entered
    stays, and the account's beginning is set so that the sums go on to hold.
    """
    with transaction.atomic():
        for place, row in _locked(group_id, starts, datetime.now(UTC)).items():
            if place in made_anew:
                row.first_offset += starts[place] - row.next_offset
                row.next_offset = starts[place]
                row.save(update_fields=["first_offset", "next_offset"])


def move(group_id: str, places: Mapping[Place, int], lows: Mapping[Place, int]) -> None:
    """Note that somebody moves a stopped group to these offsets, in one transaction.

    What is passed over forwards is entered as skipped, so that the reader does not go back for it;
    what the broker had removed by then, below `lows`, as lost. Backwards nothing is to be noted: what
    comes again is known.
    """
    known = positions(group_id, places)
    gaps = [
        gap
        for place, offset in places.items()
        if offset > known.get(place, offset)
        for gap in gaps_before(place, known[place], offset, lows[place])
    ]
    with transaction.atomic():
        account(group_id, [], {}, gaps)


def note_ends(group_id: str, ends: Mapping[Place, int], seen_at: datetime) -> None:
    """Keep the broker's end of each partition, from which the lag is told."""
    rows = PartitionLedger.objects.filter(group_id=group_id, topic__in={topic for topic, _ in ends})
    changed = []
    for row in rows.order_by("topic", "partition").only("topic", "partition"):
        if (row.topic, row.partition) in ends:
            row.end_offset, row.seen_at = ends[row.topic, row.partition], seen_at
            changed.append(row)
    PartitionLedger.objects.bulk_update(changed, ["end_offset", "seen_at"])


def _locked(group_id: str, starts: Mapping[Place, int], now: datetime) -> dict[Place, PartitionLedger]:
    """The rows of these partitions, made where missing, locked in one order by every reader."""
    if not starts:
        return {}
    keys = _keys(group_id, starts)
    if missing := sorted(starts.keys() - keys.keys()):
        PartitionLedger.objects.bulk_create(
            [
                PartitionLedger(
                    group_id=group_id,
                    topic=topic,
                    partition=partition,
                    first_offset=starts[topic, partition],
                    next_offset=starts[topic, partition],
                    updated_at=now,
                )
                for topic, partition in missing
            ],
            ignore_conflicts=True,
        )
        keys = _keys(group_id, starts)
    locked = PartitionLedger.objects.select_for_update(no_key=True).filter(pk__in=keys.values())
    return {(row.topic, row.partition): row for row in locked.order_by("topic", "partition")}


def _keys(group_id: str, places: Collection[Place]) -> dict[Place, int]:
    """The keys of the rows of these partitions that there are."""
    there = PartitionLedger.objects.filter(group_id=group_id, topic__in={topic for topic, _ in places})
    found = there.values_list("pk", "topic", "partition")
    return {(topic, partition): key for key, topic, partition in found if (topic, partition) in places}
