"""One part of a backfill into the database."""

from collections.abc import Mapping
from datetime import datetime

import polars as pl
from django.db import transaction
from tom_targets.models import TargetName

from tom_fink.backfill.report import Report
from tom_fink.backfill.state import Run, keep
from tom_fink.backfill.windows import Part
from tom_fink.models import TopicAlert
from tom_fink.store import Stored, store_found


def store_part(
    run: Run, part: Part, loaded_until: datetime, names: Mapping[str, tuple[str, ...]], report: Report
) -> None:
    """Store a part's alerts as of the run's topic, and how far the run has come, in one transaction.

    loaded_until: what is after it may not be in Fink's databases yet, so that the run will go on from there at the
    latest. Counts in `report` what is new. Raises the database's errors; then nothing is stored.
    """
    topic, alerts = run.topic, part.tidy.alerts
    with transaction.atomic():
        known = _listed(topic, alerts)
        named = count_names(alerts, names)
        stored = store_found(part.tidy, names, topic=topic)
        if (done_until := min(part.until, loaded_until)) > run.since:
            keep(run, done_until)
        listed, aliases = _listed(topic, alerts) - known, count_names(alerts, names) - named
    report.listed += listed
    add(report, stored, aliases)
    report.say(part.problems)


def add(report: Report, stored: Stored, aliases: int) -> None:
    """Count what was stored."""
    report.targets += len(stored.new_targets)
    report.alerts += stored.alerts
    report.points += stored.points
    report.aliases += aliases
    report.say(f"{name} is the name of another target and was not taken." for name in stored.taken)


def count_names(alerts: pl.DataFrame, names: Mapping[str, tuple[str, ...]]) -> int:
    """How many of these aliases, and of the other names of bodies, the database has."""
    wanted = {one for several in names.values() for one in several}
    wanted.update(alerts["body_aliases"].explode().drop_nulls())
    return TargetName.objects.filter(name__in=wanted).count() if wanted else 0


def _listed(topic: str, alerts: pl.DataFrame) -> int:
    if alerts.is_empty():
        return 0
    return TopicAlert.objects.filter(
        topic__name=topic,
        alert__survey=alerts["survey"].first(),
        alert__alert_id__in=alerts["alert_id"].to_list(),
    ).count()
