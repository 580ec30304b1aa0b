"""What a reader's log says of each batch."""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime

import polars as pl

from tom_fink.gaps import Gap
from tom_fink.store import Outcome

logger = logging.getLogger("tom_fink.stream.reader")


def say_batch(outcome: Outcome, took_s: float) -> None:
    """What became of a batch."""
    logger.info(
        "Batch of %d: %d stored, %d duplicate, %d rejected, %d handled; %d points; %.2f s%s",
        outcome.messages,
        outcome.stored,
        outcome.duplicate,
        outcome.rejected,
        outcome.handled,
        outcome.points,
        took_s,
        _age(outcome.alerts),
    )


def say_lost(gaps: Iterable[Gap]) -> None:
    """What the broker had removed before it was read."""
    for gap in gaps:
        if gap.is_lost:
            logger.error(
                "Lost to retention: %d alerts of %s [%d], offsets %d to %d. The broker had removed them "
                "before they were read.",
                gap.end - gap.start,
                gap.topic,
                gap.partition,
                gap.start,
                gap.end - 1,
            )


def _age(alerts: pl.DataFrame | None) -> str:
    if alerts is None or alerts.is_empty():
        return ""
    age_s = (datetime.now(UTC) - alerts["observed_at"].max()).total_seconds()
    return f"; newest alert {age_s:.0f} s old"
