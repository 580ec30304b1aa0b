"""What was measured, and how several runs of it are put together."""

from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass
class Finding:
    """One figure of one case, with a value for each run, beside its baseline's of the same run if there is one.

    A ratio is value by baseline.
    """

    case: str
    figure: str
    values: list[float]
    baseline: str = ""
    baselines: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is a figure of."""
        return self.case, self.figure, self.baseline

    @property
    def is_better_high(self) -> bool:
        """Whether more of it is better: so it is with rates, and with nothing else that is measured here."""
        return "/s" in self.figure

    @property
    def value(self) -> float:
        """The median of the runs."""
        return median(self.values)

    @property
    def ratio(self) -> float | None:
        """The median of the runs."""
        return median(self.ratios) if self.ratios else None

    def as_json(self) -> dict[str, Any]:
        """Everything, for a file."""
        found = {"case": self.case, "figure": self.figure} | _summary("value", self.values)
        if self.baseline:
            found |= {"baseline": self.baseline} | _summary("baseline_value", self.baselines)
            found |= _summary("ratio", self.ratios)
        return found


def _summary(name: str, values: list[float]) -> dict[str, Any]:
    return {name: median(values), f"{name}_min": min(values), f"{name}_max": max(values), f"{name}s": values}


class Findings:
    """The figures in the order in which they came; a figure that comes again is another run of it."""

    def __init__(self):
        self._found: dict[tuple[str, str, str], Finding] = {}

    def add(
        self, case: str, figure: str, value: float, baseline: str = "", of: float | None = None
    ) -> Finding:
        """Note a figure; `of` is the value of its baseline."""
        ratios = [value / of] if of is not None else []
        return self.put(Finding(case, figure, [value], baseline, [of] if of is not None else [], ratios))

    def put(self, found: Finding) -> Finding:
        """Note a figure with the values of one or more rounds."""
        known = self._found.setdefault(found.key, Finding(*found.key[:2], [], found.baseline))
        for name in ("values", "baselines", "ratios"):
            getattr(known, name).extend(getattr(found, name))
        return found

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self):
        return iter(self._found.values())

    def __getitem__(self, key: tuple[str, str, str]) -> Finding:
        return self._found[key]

    def __contains__(self, key: tuple[str, str, str]) -> bool:
        return key in self._found
