"""How things stand with the stream, in plain sentences, worst first."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any

from tom_fink.text import printable

IDLE_AFTER_S = 300.0  # alerts that wait so long, and none is read meanwhile, are worth a word
LOSS_IS_NEWS = timedelta(days=7)
NAMED = 3  # topics in a sentence; the table has them all

# Up to how many seconds which unit is said, and how many seconds it has.
UNITS = (
    (0.9995, 0.001, "ms"),
    (99.5, 1, "s"),
    (5_970, 60, "min"),
    (258_000, 3600, "h"),
    (float("inf"), 86_400, "d"),
)


class Level(IntEnum):
    """How much a finding matters: FAULT for what is lost or stands still, WARNING for what to look at."""

    OK = 0
    NOTICE = 1
    WARNING = 2
    FAULT = 3


@dataclass(frozen=True)
class Finding:
    """One sentence. `about` is lost, sums, reader, waiting, rejected, nothing or rest."""

    level: Level
    about: str
    text: str


def standing(status: dict[str, Any]) -> list[Finding]:
    """What `tom_fink.status.status.status` has found, said for people: never empty.

    The last finding tells what is well, if anything is. No sentence names a group, a host or a process.
    """
    entries, readers = status["topics"], status["readers"]
    found = [
        *_lost(entries, status["at"]),
        *_sums(entries),
        *_readers(status),
        *_waiting(status),
        *_rejected(status),
    ]
    if not entries:
        found.append(Finding(Level.NOTICE, "nothing", "No message has been read yet."))
    found.sort(key=lambda finding: -finding.level)
    rest = _rest(entries, readers, status["at"], {finding.about for finding in found})
    if rest:
        begin = "Apart from that, " if found else "All is well: "
        found.append(Finding(Level.OK, "rest", f"{begin}{', '.join(rest)}."))
    return found


def duration(seconds: float) -> str:
    """A time span in one unit, from milliseconds to days, with two figures below a hundred."""
    size = abs(seconds)
    if size < 0.0005:
        return "0 s"
    unit, name = next((unit, name) for limit, unit, name in UNITS if size < limit)
    value = size / unit
    digits = 1 if value < 9.95 and value != round(value) else 0
    return f"{'−' if seconds < 0 else ''}{value:,.{digits}f} {name}"


def _lost(entries: list[dict[str, Any]], now: datetime) -> Iterable[Finding]:
    """A loss cannot be mended here. After some days it is a fact, and no alarm any more."""
    lost: dict[str, int] = defaultdict(int)
    noticed_at = None
    for entry in entries:
        if entry["lost"]:
            lost[entry["topic"]] += entry["lost"]
            noticed_at = max(noticed_at or entry["lost_at"], entry["lost_at"])
    if lost:
        total = sum(lost.values())
        were = "was" if total == 1 else "were"
        text = (
            f"Lost: {_alerts(total)} of {_names(lost)} {were} removed by the broker before being read; "
            f"noticed last on {_moment(noticed_at, now)}."
        )
        yield Finding(Level.FAULT if now - noticed_at < LOSS_IS_NEWS else Level.NOTICE, "lost", text)


def _sums(entries: list[dict[str, Any]]) -> Iterable[Finding]:
    wrong = [entry["topic"] for entry in entries if not entry["adds_up"]]
    if wrong:
        text = f"The ledger of {_names(wrong)} does not add up: the numbers are not to be trusted."
        yield Finding(Level.FAULT, "sums", text)


def _readers(status: dict[str, Any]) -> Iterable[Finding]:
    entries, now = [entry for entry in status["topics"] if not entry["is_left"]], status["at"]
    live = {reader["group_id"] for reader in status["readers"] if not reader["is_silent"]}
    silent = [reader for reader in status["readers"] if reader["is_silent"] and not reader["is_replaced"]]
    helped = [reader for reader in silent if reader["group_id"] in live]
    stopped = [reader for reader in silent if reader["group_id"] not in live]
    of_stopped = {reader["group_id"] for reader in stopped}
    without = [entry for entry in entries if entry["group_id"] not in live]
    if stopped:
        topics = _topics(entry for entry in without if entry["group_id"] in of_stopped)
        whose = f" of {_names(topics)}" if topics and live else ""
        who, it = f"The reader{whose} is", "it hangs, was killed"
        if len(stopped) > 1:
            who, it = f"{len(stopped)} readers{whose} are", "they hang, were killed"
        text = f"{who} silent since {_since(stopped, now)}: {it} or cannot reach the database."
        yield Finding(Level.FAULT, "reader", text)
    missed = _topics(entry for entry in without if entry["group_id"] not in of_stopped)
    if missed or not (live or stopped):
        whose = f" for {_names(missed)}" if missed and (live or stopped) else ""
        text = f"No reader is running{whose}: new alerts stay with the broker."
        yield Finding(Level.WARNING, "reader", text)
    if helped:
        begin = "A reader is" if len(helped) == 1 else f"{len(helped)} readers are"
        text = f"{begin} silent since {_since(helped, now)}: others of its group read on."
        yield Finding(Level.WARNING, "reader", text)


def _waiting(status: dict[str, Any]) -> Iterable[Finding]:
    now = status["at"]
    waiting = [entry for entry in status["topics"] if entry["waiting"] and not entry["is_left"]]
    live = {reader["group_id"] for reader in status["readers"] if not reader["is_silent"]}
    unread = [entry for entry in waiting if entry["group_id"] not in live]
    if unread:
        total = sum(entry["waiting"] for entry in unread)
        asked = min(entry["waiting_seen_at"] for entry in unread)
        wait = "waits" if total == 1 else "wait"
        text = f"At least {_alerts(total)} of {_names(_topics(unread))} {wait}: so many did {_moment(asked, now, 'at ')}."
        yield Finding(Level.WARNING, "waiting", text)
    idle = [
        entry
        for entry in waiting
        if entry["group_id"] in live and (now - entry["updated_at"]).total_seconds() > IDLE_AFTER_S
    ]
    if idle:
        total = sum(entry["waiting"] for entry in idle)
        since = max(entry["updated_at"] for entry in idle)
        wait = "waits" if total == 1 else "wait"
        text = (
            f"{_alerts(total)} of {_names(_topics(idle))} {wait}, and none was read for {_ago(since, now)}."
        )
        yield Finding(Level.WARNING, "waiting", text)


def _rejected(status: dict[str, Any]) -> Iterable[Finding]:
    by_topic: dict[str, int] = defaultdict(int)
    for entry in (*status["topics"], *status["rejected_elsewhere"]):
        by_topic[entry["topic"]] += entry["rejected_open"]
    topics = sorted(topic for topic, count in by_topic.items() if count)
    if topics:
        total = sum(by_topic.values())
        messages, are = ("message", "is") if total == 1 else ("messages", "are")
        text = f"{total:,} rejected {messages} of {_names(topics)} {are} open: somebody should look at the reason."
        yield Finding(Level.NOTICE, "rejected", text)


def _rest(entries, readers, now: datetime, said: set[str]) -> list[str]:
    """What is well, in parts of a sentence; nothing of what another finding is about."""
    parts = []
    live = [reader for reader in readers if not reader["is_silent"]]
    if live:
        last = max(reader["beat_at"] for reader in live)
        who = "another reader" if "reader" in said else "the reader"
        what = (
            f"{who} gave a sign of life"
            if len(live) == 1
            else f"{len(live)} readers live, the last sign came"
        )
        parts.append(f"{what} {_ago(last, now)} ago")
    if not entries:
        return parts
    current = [entry for entry in entries if not entry["is_left"]]
    counts = [entry["waiting"] for entry in current]
    if "waiting" not in said and live and None not in counts:
        total = sum(counts)
        wait = "waits" if total == 1 else "wait"
        parts.append(f"{_alerts(total)} {wait} and will be read soon" if total else "nothing waits")
    if "lost" not in said:
        parts.append("nothing was lost")
    return parts


def _topics(entries: Iterable[dict[str, Any]]) -> list[str]:
    return sorted({entry["topic"] for entry in entries})


def _since(silent: list[dict[str, Any]], now: datetime) -> str:
    return _moment(max(reader["beat_at"] for reader in silent), now)


def _names(topics: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    first = [printable(topic) for topic in topics]
    named, more = (first, 0) if len(first) <= NAMED + 1 else (first[:NAMED], len(first) - NAMED)
    parts = [*named, f"{more} other topics"] if more else named
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _alerts(count: int) -> str:
    return f"{count:,} alert{'' if count == 1 else 's'}"


def _ago(time: datetime, now: datetime) -> str:
    return duration(max(0, round((now - time).total_seconds())))


def _moment(time: datetime, now: datetime, before: str = "") -> str:
    return f"{before}{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC, {_ago(time, now)} ago"
