"""Offsets at which a reader got no message."""

from dataclasses import dataclass

Place = tuple[str, int]  # topic, partition


@dataclass(frozen=True)
class Gap:
    """Offsets of a partition from `start` up to `end` (exclusive) at which the reader got no message.

    Lost are those that the broker had removed by its retention. The others were no messages (the
    marks of a transaction, what compaction left out) or were passed over on somebody's order.
    """

    topic: str
    partition: int
    start: int
    end: int
    is_lost: bool


def gaps_before(place: Place, expected: int, offset: int, low: int) -> list[Gap]:
    """What lies between the offset that was expected and the one that came: lost below the oldest, `low`."""
    edge = min(max(expected, low), offset)
    found = [Gap(*place, expected, edge, is_lost=True), Gap(*place, edge, offset, is_lost=False)]
    return [gap for gap in found if gap.start < gap.end]
