"""What a reader reads, and what it asks of the place where that goes."""

from dataclasses import dataclass, field
from typing import Protocol

from tom_fink.decoding.decode import Message
from tom_fink.gaps import Gap, Place


@dataclass
class Limits:
    """When a reader ends by itself; None means never."""

    messages: int | None = None
    idle_s: float | None = None


@dataclass
class Batch:
    """Messages in the order in which they came, and the gaps between them."""

    messages: list[Message] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)


class Sink(Protocol):
    """Where a reader's messages go. Every method may raise `StoreUnavailable`, which is waited out.

    All are called in one thread but for `decode`, which works while another batch is stored.
    """

    @property
    def streams(self) -> int:
        """How many streams of the process share its memory, this one among them."""

    def decode(self, messages: list[Message]):
        """What `store` needs of the messages besides themselves; done once for a batch. Uses no database."""

    def archive(self, messages: list[Message]) -> None:
        """Keep the raw messages. Raises `ArchiveError` too."""

    def store(self, batch: Batch, decoded):
        """Store a batch and enter it into the ledger, in one transaction; a `store.Outcome`."""

    def positions(self, places: list[Place]) -> dict[Place, int]:
        """Up to where the ledger knows these partitions."""

    def open(self, starts: dict[Place, int], made_anew: set[Place]) -> None:
        """Tell the ledger from where on this reader accounts, and which topics were made anew since it was there."""

    def beat(self, ends: dict[Place, int]) -> None:
        """A sign of life, and the ends of the partitions that are read."""
