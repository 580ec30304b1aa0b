"""Where the runs stopped, in the database: with the rows that it tells of, and for whichever machine goes on."""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db.models import QuerySet
from tom_targets.models import BaseTarget

from tom_fink.models import Backfill, TargetRefresh


def resumed_at(topic: str, since: datetime) -> datetime | None:
    """Up to where an earlier run that began at `since` has come; None if there is none, or it ended."""
    found = Backfill.objects.filter(topic=topic, since=since)
    return found.values_list("done_until", flat=True).first()


def keep(topic: str, since: datetime, done_until: datetime) -> None:
    """Note how far a run has come."""
    Backfill.objects.update_or_create(topic=topic, since=since, defaults={"done_until": done_until})


def forget(topic: str, since: datetime) -> None:
    """Note that a run has ended, or is to begin anew."""
    Backfill.objects.filter(topic=topic, since=since).delete()


def stale(targets: QuerySet, older_than: timedelta, now: datetime) -> QuerySet:
    """Those of these targets that Fink was not asked for since `older_than` before `now`."""
    return targets.exclude(fink_refresh__refreshed_at__gt=now - older_than)


def refreshed(targets: Collection[BaseTarget], now: datetime) -> None:
    """Note that Fink was asked for these targets. One that is gone by now is passed over."""
    there = BaseTarget.objects.filter(pk__in=[target.pk for target in targets]).values_list("pk", flat=True)
    TargetRefresh.objects.bulk_create(
        [TargetRefresh(target_id=key, refreshed_at=now) for key in sorted(there)],
        update_conflicts=True,
        unique_fields=["target"],
        update_fields=["refreshed_at"],
    )
