"""What the ledger says, put together for people and programs."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Count, TextField
from django.db.models.functions import Cast

from tom_fink.delays import STEPS, Histogram, add, percentiles_s
from tom_fink.models import DelayHour, PartitionLedger, Reader, RejectedMessage
from tom_fink.status.delaysums import summed

PERCENTS = (50, 90, 99)
STUCK_AFTER_S = 90.0  # a reader writes its sign of life every ten seconds, or between two batches
# A group that reads other topics, but this one not for so long, does not read it any more.
DROPPED_AFTER = timedelta(minutes=10)
# A group without a reader is missed for so long, if others are read.
FORGOTTEN_AFTER = timedelta(days=7)


def status(
    hours: int = 24,
    topics: Iterable[str] | None = None,
    now: datetime | None = None,
    *,
    by_hour: bool = True,
    with_delays: bool = True,
) -> dict[str, Any]:
    """The ledger by topic and group, the delays of the last hours, and the readers, in four queries.

    Times are aware UTC, delays seconds. `topics`, names or a query for them, leaves out all others, and
    the readers of groups that read none of them. Rejected messages and delays are not kept by group: the
    open ones count for the group that read the topic last, the delays for each. Without `by_hour` the delays are those of all hours
    together, which is faster; without `with_delays` there are none.
    """
    now = now or datetime.now(UTC)
    ledger = PartitionLedger.objects.order_by()
    rejected = RejectedMessage.objects.filter(closed_at=None).order_by()
    # In whole hours, the one in which `now` lies and so many before.
    delays = DelayHour.objects.filter(hour__gt=now - timedelta(hours=hours + 1))
    if topics is not None:
        ledger, delays, rejected = (found.filter(topic__in=topics) for found in (ledger, delays, rejected))
    readers = [_reader(found, now) for found in Reader.objects.order_by("host", "pid", "stream")]
    _note_replaced(readers)
    entries = _by_topic(ledger)
    _note_reading(entries, readers, now)
    open_by_topic = dict(rejected.values_list("topic").annotate(Count("pk")))
    timed = _delays_by_topic(delays, by_hour) if with_delays else {}
    known = {entry["topic"] for entry in entries}
    groups = {entry["group_id"] for entry in entries}
    return {
        "at": now,
        "hours": hours,
        "topics": [
            {
                **entry,
                "rejected_open": open_by_topic.get(entry["topic"], 0) if entry["is_newest"] else 0,
                "delays": timed.get(entry["topic"], {}),
            }
            for entry in entries
        ],
        # Open ones of topics that no stream has read: an ingested file, an older version of this app.
        "rejected_elsewhere": [
            {"topic": topic, "rejected_open": count}
            for topic, count in sorted(open_by_topic.items())
            if topic not in known
        ],
        "readers": [reader for reader in readers if topics is None or reader["group_id"] in groups],
    }


def _by_topic(rows: Iterable[PartitionLedger]) -> list[dict[str, Any]]:
    grouped = defaultdict(list)
    for row in rows:
        grouped[row.topic, row.group_id].append(row)
    return [_sum(group_id, topic, found) for (topic, group_id), found in sorted(grouped.items())]


def _sum(group_id: str, topic: str, rows: list[PartitionLedger]) -> dict[str, Any]:
    sums = {name: sum(getattr(row, name) for row in rows) for name in PartitionLedger.SUMS}
    known = [row for row in rows if row.end_offset is not None]
    return {
        "group_id": group_id,
        "topic": topic,
        "partitions": len(rows),
        **sums,
        "waiting": sum(max(0, row.end_offset - row.next_offset) for row in known) if known else None,
        "waiting_seen_at": min((row.seen_at for row in known), default=None),
        "lost_at": max((row.lost_at for row in rows if row.lost_at), default=None),
        "updated_at": max(row.updated_at for row in rows),
        "touched_at": max(time for row in rows for time in (row.updated_at, row.seen_at) if time),
        "adds_up": sums["read"] == sum(sums[name] for name in ("stored", "duplicate", "rejected", "handled")),
    }


def _note_reading(entries: list[dict[str, Any]], readers: list[dict[str, Any]], now: datetime) -> None:
    """Tell which topics are read now, and which were left: by their group, or for another group.

    Group ids and topics change in the life of a site; what stays of them in the ledger is no fault.
    """
    live = {reader["group_id"] for reader in readers if not reader["is_silent"]}
    newest: dict[str, datetime] = {}
    for entry in entries:
        newest[entry["topic"]] = max(newest.get(entry["topic"], entry["touched_at"]), entry["touched_at"])
    for entry in entries:
        age = now - entry["touched_at"]
        has_reader = entry["group_id"] in live
        entry["is_newest"] = entry["touched_at"] == newest[entry["topic"]]
        entry["is_read_now"] = has_reader and age.total_seconds() <= STUCK_AFTER_S
        entry["is_left"] = (
            age > DROPPED_AFTER
            if has_reader
            else not entry["is_newest"] or (bool(live) and age > FORGOTTEN_AFTER)
        )


def _delays_by_topic(rows, by_hour: bool) -> dict[str, dict[str, Any]]:
    """For each topic the percentiles of each step, over all hours and hour by hour."""
    texts: dict[str, dict[datetime | None, list[list[str]]]] = {}
    # As text: to make an object of each histogram takes longer than all else.
    as_text = {f"{step}_text": Cast(step, TextField()) for step in STEPS}
    for topic, hour, *histograms in rows.annotate(**as_text).values_list("topic", "hour", *as_text):
        lists = texts.setdefault(topic, {}).setdefault(hour if by_hour else None, [[] for _ in STEPS])
        for texts_of_step, histogram in zip(lists, histograms, strict=True):
            texts_of_step.append(histogram)
    found = {}
    for topic, of_topic in texts.items():
        sums = {
            hour: {step: summed(found) for step, found in zip(STEPS, lists, strict=True)}
            for hour, lists in sorted(of_topic.items())
        }
        found[topic] = {"steps": _percentiles(_added(sums.values()))}
        if by_hour:
            found[topic]["by_hour"] = [
                {"hour": hour, "steps": _percentiles(steps)} for hour, steps in sums.items()
            ]
    return found


def _added(hours: Iterable[dict[str, Histogram]]) -> dict[str, Histogram]:
    total: dict[str, Histogram] = {}
    for steps in hours:
        total = {step: add(total[step], steps[step]) for step in STEPS} if total else steps
    return total


def _percentiles(steps: dict[str, Histogram]) -> dict[str, Any]:
    return {
        step: {
            "alerts": sum(histogram.values()),
            **{
                f"p{percent}_s": value
                for percent, value in zip(PERCENTS, percentiles_s(histogram, PERCENTS), strict=True)
            },
        }
        for step, histogram in steps.items()
    }


def _reader(found: Reader, now: datetime) -> dict[str, Any]:
    silent_s = (now - found.beat_at).total_seconds()
    return {
        "host": found.host,
        "pid": found.pid,
        "stream": found.stream,
        "group_id": found.group_id,
        "started_at": found.started_at,
        "beat_at": found.beat_at,
        "is_silent": silent_s > STUCK_AFTER_S,
    }


def _note_replaced(readers: list[dict[str, Any]]) -> None:
    """A silent reader is replaced when one of its group lives that has started since: it was killed."""
    for reader in readers:
        reader["is_replaced"] = reader["is_silent"] and any(
            not other["is_silent"]
            and other["group_id"] == reader["group_id"]
            and other["started_at"] > reader["beat_at"]
            for other in readers
        )
