"""The lines: what a figure is to reach, and the ratio under which the gate fails.

The gate's lines are for ratios alone: a time would fail on a slower machine. Ratios too differ between machines, as
fastavro, COPY and the ORM do not gain by a faster one what the reader gains. So a line lies at two thirds to three quarters
of what was measured where the ratio was lowest (docs/performance.md): what a change may cost unnoticed, and what runs on
a busy machine differ by.
"""

from dataclasses import dataclass

from bench.findings import Finding, Findings

AT_LEAST, AT_MOST = ">=", "<="
COPY, COPY_OF_POINTS, COPY_AND_IMAGES, ORM, FASTAVRO, EMPTY, ONE = (
    "COPY of all rows",
    "COPY of photometry alone",
    "COPY of all rows, images into a file",
    "ORM, one by one",
    "fastavro, one by one",
    "empty database",
    "one reader",
)


@dataclass(frozen=True)
class Line:
    """What one figure is to reach. `goal` and `gate` are for its ratio if `of_ratio`, else for its value."""

    case: str
    figure: str
    baseline: str
    side: str
    goal: float | None
    gate: float | None = None
    of_ratio: bool = True

    def reached(self, found: Finding, line: float) -> bool:
        """Whether the figure (the median of its runs) is on the right side of `line`."""
        number = found.ratio if self.of_ratio else found.value
        return number >= line if self.side == AT_LEAST else number <= line


LINES = (
    #    case             figure      baseline  side     goal  gate
    Line("decode lsst", "alerts/s", FASTAVRO, AT_LEAST, 8.0, 5.0),
    Line("decode ztf", "alerts/s", FASTAVRO, AT_LEAST, 4.0, 2.0),
    Line("backlog lsst", "rows/s", COPY, AT_LEAST, 0.60, 0.45),
    Line("backlog ztf", "rows/s", COPY, AT_LEAST, 0.60, 0.33),
    Line("backlog lsst", "rows/s", ORM, AT_LEAST, 30, 30),
    Line("backlog ztf", "rows/s", ORM, AT_LEAST, 30, 30),
    Line("steady lsst", "alerts/s", FASTAVRO, AT_LEAST, None, 4.0),
    Line("steady ztf", "alerts/s", FASTAVRO, AT_LEAST, None, 0.7),
    Line("steady lsst", "alerts/s", ORM, AT_LEAST, None, 100),
    Line("steady ztf", "alerts/s", ORM, AT_LEAST, None, 20),
    Line("steady lsst", "alerts/s", "", AT_LEAST, 256, of_ratio=False),
    Line("steady ztf", "alerts/s", "", AT_LEAST, 1000, of_ratio=False),
    Line("growth lsst", "CPU s per 1,000 alerts", EMPTY, AT_MOST, 1.3),
    Line("growth ztf", "CPU s per 1,000 alerts", EMPTY, AT_MOST, 1.3),
    Line("2 readers", "CPU s per 1,000 alerts", ONE, AT_MOST, 1.2),
    Line("4 readers", "CPU s per 1,000 alerts", ONE, AT_MOST, 1.2),
    Line("2 readers", "deadlocks", "", AT_MOST, 0, of_ratio=False),
    Line("4 readers", "deadlocks", "", AT_MOST, 0, of_ratio=False),
    Line("visit", "alerts waiting at the next visit", "", AT_MOST, 0, of_ratio=False),
    Line("sqlite ztf", "alerts/s", "", AT_LEAST, 100, of_ratio=False),
    *(
        Line(case, "peak memory, MB", "", AT_MOST, 600, of_ratio=False)
        for case in (
            "backlog lsst", "backlog ztf", "steady lsst", "steady ztf", "mixed", "growth lsst", "growth ztf",
            "1 reader", "2 readers", "4 readers", "visit", "sqlite ztf",
        )
    ),
)  # fmt: skip
BY_KEY = {(line.case, line.figure, line.baseline): line for line in LINES}


def below_the_gate(findings: Findings) -> list[str]:
    """What the gate has to say: a sentence for each ratio that is on the wrong side of its line.

    And for each that a case of this run should have measured and has not.
    """
    said, cases = [], {found.case for found in findings}
    for key, line in BY_KEY.items():
        if line.gate is None or line.case not in cases:
            continue
        name = f"{line.case}, {line.figure} against {line.baseline}"
        if key not in findings:
            said.append(f"{name}: was not measured.")
        elif not line.reached(findings[key], line.gate):
            ratio = findings[key].ratio
            said.append(f"{name}: the ratio is {ratio:.3g}, and its line is {line.side} {line.gate:g}.")
    return said
