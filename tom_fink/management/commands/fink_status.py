"""fink_status: what the reader's ledger says."""

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand
from django.core.serializers.json import DjangoJSONEncoder

from tom_fink.delays import STEPS
from tom_fink.management.arguments import positive
from tom_fink.status.standing import Level, duration, standing
from tom_fink.status.status import PERCENTS, status

HEAD = [
    "topic",
    "read",
    "stored",
    "duplicate",
    "rejected",
    "open",
    "handled",
    "replayed",
    "skipped",
    "lost",
    "waiting",
]


class Command(BaseCommand):
    """Print the ledger, the delays and the readers."""

    help = "Print what became of the messages of each topic, how long alerts took, and which readers live."
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument("--json", action="store_true", help="as JSON, with the delays of each hour")
        parser.add_argument(
            "--hours",
            type=positive(int),
            default=24,
            metavar="N",
            help="delays of the last N hours (default: 24)",
        )

    def handle(self, *args, **options):
        found = status(options["hours"], by_hour=options["json"])
        findings = standing(found)
        if options["json"]:
            found["findings"] = [
                {"level": finding.level.name.lower(), "about": finding.about, "text": finding.text}
                for finding in findings
            ]
            self.stdout.write(json.dumps(found, cls=DjangoJSONEncoder, indent=2))
            return
        self.stdout.write(f"Ledger at {found['at']:%Y-%m-%d %H:%M:%S} UTC")
        for finding in findings:
            self.stdout.write(self._style(finding.level)(finding.text))
        self.stdout.write("")
        groups = Counter(topic["topic"] for topic in found["topics"])
        self._table([HEAD, *(_ledger_row(topic, groups[topic["topic"]] > 1) for topic in found["topics"])])
        for entry in found["rejected_elsewhere"]:
            self.stdout.write(f"{entry['topic']}: {entry['rejected_open']} open, from no stream")
        timed = [topic for topic in found["topics"] if topic["delays"] and topic["is_newest"]]
        if timed:
            percents = " / ".join(f"{percent} %" for percent in PERCENTS)
            self.stdout.write(f"\nDelays of alerts received in the last {found['hours']} h: {percents}")
            head = ["topic", *(step.replace("_", " ") for step in STEPS)]
            self._table([head, *(_delay_row(topic) for topic in timed)])
        if found["readers"]:
            self.stdout.write("\nReaders")
        for reader in found["readers"]:
            self.stdout.write(_reader_line(reader, found["at"]))

    def _style(self, level: Level):
        return {Level.OK: self.style.SUCCESS, Level.FAULT: self.style.ERROR}.get(level, self.style.WARNING)

    def _table(self, rows: list[list[Any]]) -> None:
        """Aligned columns: text to the left, numbers to the right. A head alone is not printed."""
        if len(rows) < 2:
            return
        texts = [["-" if cell is None else str(cell) for cell in row] for row in rows]
        widths = [max(len(row[column]) for row in texts) for column in range(len(texts[0]))]
        for row in texts:
            first, *rest = (
                cell.ljust(width) if n == 0 else cell.rjust(width)
                for n, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            self.stdout.write("  ".join([first, *rest]).rstrip())


def _ledger_row(topic: dict[str, Any], with_group: bool) -> list[Any]:
    name = f"{topic['topic']} ({topic['group_id']})" if with_group else topic["topic"]
    names = ("read", "stored", "duplicate", "rejected", "rejected_open", "handled", "replayed", "skipped", "lost", "waiting")  # fmt: skip
    return [name, *(topic[name] for name in names)]


def _delay_row(topic: dict[str, Any]) -> list[str]:
    cells = []
    for step in STEPS:
        found = topic["delays"]["steps"][step]
        values = [found[f"p{percent}_s"] for percent in PERCENTS]
        cells.append("-" if None in values else " / ".join(duration(value) for value in values))
    return [topic["topic"], *cells]


def _reader_line(reader: dict[str, Any], now: datetime) -> str:
    silent_s = (now - reader["beat_at"]).total_seconds()
    state = "replaced" if reader["is_replaced"] else "SILENT" if reader["is_silent"] else "alive"
    since = reader["started_at"].astimezone(UTC)
    return (
        f"{reader['stream']} stream, group {reader['group_id']}, process {reader['pid']} on {reader['host']}: "
        f"{state}, sign of life {duration(max(0, round(silent_s)))} ago, since {since:%Y-%m-%d %H:%M:%S} UTC"
    )
