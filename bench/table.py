"""The figures as a table for people."""

from collections.abc import Iterable

from bench.findings import Finding
from bench.lines import BY_KEY, Line

HEADER = ("case", "figure", "median", "worst", "baseline", "its median", "ratio", "worst", "goal", "")


def table(findings: Iterable[Finding], with_gate: bool = False) -> str:
    """Lines of text: a figure each, with the median and the worst of its runs, and its goal if it has one.

    `with_gate`: the gate's line in place of the goal.
    """
    rows, case = [], None
    for found in findings:
        rows.append(_row(found, BY_KEY.get(found.key), with_gate, found.case != case))
        case = found.case
    header = (*HEADER[:8], "line" if with_gate else "goal", "")
    widths = [max(len(row[place]) for row in [header, *rows]) for place in range(len(header))]
    left = {0, 1, 4, 8, 9}
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [header, *rows]
    )


def _row(found: Finding, line: Line | None, with_gate: bool, is_first: bool) -> tuple[str, ...]:
    worst = min if found.is_better_high else max
    wanted = None if line is None else line.gate if with_gate else line.goal
    return (
        found.case if is_first else "",
        found.figure,
        number(found.value),
        number(worst(found.values)),
        found.baseline,
        number(_median(found.baselines)),
        number(found.ratio),
        number(worst(found.ratios)) if found.ratios else "",
        "" if wanted is None else f"{line.side} {wanted:g}{' ratio' if line.of_ratio else ''}",
        "" if wanted is None else "reached" if line.reached(found, wanted) else "MISSED",
    )


def _median(values: list[float]) -> float | None:
    return sorted(values)[len(values) // 2] if values else None


def number(value: float | None) -> str:
    """Three digits, and no more decimals than that; empty for None."""
    if value is None:
        return ""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.1e}"
