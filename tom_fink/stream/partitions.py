"""Where a reader starts in a partition, and what it has missed there."""

from dataclasses import dataclass

from tom_fink.gaps import Gap, Place


@dataclass(frozen=True)
class Found:
    """What is known of a partition when the reader is given it; None is "nothing".

    `committed` is the group's offset at the broker, `accounted` the ledger's next offset, `low` and
    `high` are the broker's oldest message and its end, `begin` is where START_AT says that a new group
    starts.
    """

    place: Place
    committed: int | None
    accounted: int | None
    low: int
    high: int
    begin: int | None = None


@dataclass(frozen=True)
class Start:
    """Where to read on: `offset`; what was lost on the way; and what a person should know about it."""

    offset: int
    gap: Gap | None = None
    is_made_anew: bool = (
        False  # the topic was deleted and made again: the ledger's offsets are another topic's
    )
    remark: str = ""
    is_new: bool = False  # neither the broker nor the ledger knew the group here


def start_of(found: Found) -> Start:
    """The rule, of which the aim is that no alert is missed; reading one again does no harm.

    | broker's offset | ledger's | start |
    |---|---|---|
    | none | none | START_AT for a new group, else the oldest |
    | c | none | c |
    | none | n | the oldest: the broker has forgotten the group, or the topic was made anew |
    | c <= n | | c: a crash before the commit, or the group was moved back |
    | c > n | | n: the database is older than the group's offset, as after the restore of a backup |

    What lies behind the end of the partition belongs to a topic that was made anew: the oldest. What
    the broker has removed since is a gap, and lost.
    """
    committed, low, high = found.committed, found.low, found.high
    is_made_anew = found.accounted is not None and found.accounted > high
    accounted = None if is_made_anew else found.accounted
    remark = ""
    if committed is None and found.accounted is None:
        return Start(low if found.begin is None else found.begin, is_new=True)
    if committed is None:
        wanted = low
        remark = "the broker has no offset of the group any more: read from the oldest alert"
    elif committed > high:
        wanted = low
        remark = f"ends at {high}, before the group's offset {committed}: read from the oldest alert"
    elif accounted is not None and accounted < committed:
        wanted = accounted
        remark = (
            f"this database has the alerts before {accounted} only, the group's offset is {committed}: "
            f"read again from {accounted}"
        )
    else:
        wanted = committed
    missing_from = wanted if accounted is None else max(wanted, accounted)
    if committed is None and accounted is not None:
        missing_from = accounted
    gap = Gap(*found.place, missing_from, low, is_lost=True) if missing_from < low else None
    return Start(max(wanted, low), gap, is_made_anew, remark)
