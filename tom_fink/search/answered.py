"""Answers of Fink's as tidy frames: several to one, each message with an index of its own."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from tom_fink.decoding.decode import MESSAGE
from tom_fink.frames import ALERTS, DETECTIONS, Tidy
from tom_fink.surveys import normalise

MAX_PROBLEMS = 20  # sentences; each counts the rows that have it


@dataclass(frozen=True)
class Tidied:
    """Rows of one answer: as they came, the alerts in them, and why the others hold none."""

    rows: pl.DataFrame
    tidy: Tidy
    problems: tuple[str, ...]  # one for each row


def tidied(rows: pl.DataFrame, start: int = 0) -> Tidied:
    """Rows of `tom_fink.api.rows` tidied; their messages count from `start`."""
    rows = rows.with_columns((pl.col(MESSAGE) + start).cast(pl.UInt32))
    if rows.is_empty():
        return Tidied(rows, empty(), ())
    tidy, errors = normalise([rows])
    return Tidied(rows, tidy, tuple(str(error) for error in errors.values()))


def empty() -> Tidy:
    """No alerts and no points."""
    return Tidy(pl.DataFrame(schema=ALERTS), pl.DataFrame(schema=DETECTIONS))


def joined(parts: Iterable[Tidy]) -> Tidy:
    """Several as one; an alert that came twice is there once, with its first points."""
    parts = [empty(), *parts]
    alerts = pl.concat([part.alerts for part in parts])
    alerts = alerts.unique(["survey", "alert_id"], keep="first", maintain_order=True)
    detections = pl.concat([part.detections for part in parts])
    return Tidy(alerts, detections.filter(pl.col(MESSAGE).is_in(alerts[MESSAGE].implode())))


def counted(problems: Iterable[str]) -> tuple[str, ...]:
    """Each sentence once, with the number of rows that it is of."""
    several = Counter(problems).most_common()
    said = [f"{text} ({number} rows)" if number > 1 else text for text, number in several[:MAX_PROBLEMS]]
    rest = len(several) - MAX_PROBLEMS
    return (*said, f"… and {rest} further kinds.") if rest > 0 else tuple(said)


def keyed(alerts: pl.DataFrame) -> pl.DataFrame:
    """Alerts with `object_key`, what the store calls their object."""
    return alerts.with_columns(pl.coalesce("body", "object_id").alias("object_key"))
