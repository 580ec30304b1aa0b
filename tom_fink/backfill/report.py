"""What a run added."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

SHOWN = 20  # sentences


@dataclass
class Report:
    """Numbers of what is new, and the sentences of what went wrong."""

    targets: int = 0
    alerts: int = 0
    listed: int = 0  # alerts that are of the topic now and were not
    points: int = 0
    aliases: int = 0
    problems: Counter = field(default_factory=Counter)

    def say(self, problems: Iterable[str]) -> None:
        """Keep what went wrong."""
        self.problems.update(problems)

    def __str__(self) -> str:
        words = (
            (self.targets, "target"), (self.alerts, "alert"), (self.points, "point"), (self.aliases, "alias"),
            (self.problems.total(), "problem"),
        )  # fmt: skip
        said = ", ".join(f"{number} {_plural(word, number)}" for number, word in words)
        known = self.listed - self.alerts
        return f"{said}; {known} alerts that were there are of the topic now" if known > 0 else said

    def sentences(self) -> list[str]:
        """What went wrong, the most frequent first, each sentence once."""
        found = [f"{said} ({n} times)" if n > 1 else said for said, n in self.problems.most_common(SHOWN)]
        rest = len(self.problems) - SHOWN
        return [*found, f"… and {rest} further kinds."] if rest > 0 else found


def _plural(word: str, number: int) -> str:
    if number == 1:
        return word
    return "aliases" if word == "alias" else f"{word}s"
