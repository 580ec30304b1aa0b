"""Where the runs stopped, in the database: with the rows that it tells of, and for whichever machine goes on."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet
from tom_targets.models import BaseTarget

from tom_fink.models import Backfill, TargetRefresh


@dataclass(frozen=True)
class Run:
    """What tells a backfill from another one: what it stores, and from when on."""

    topic: str
    since: datetime
    light_curves: bool = True
    aliases: bool = False


def resumed_at(run: Run) -> datetime | None:
    """Up to where an earlier run of this kind has come; None if there is none, or it ended."""
    return Backfill.objects.filter(**asdict(run)).values_list("done_until", flat=True).first()


def keep(run: Run, done_until: datetime) -> None:
    """Note how far a run has come."""
    Backfill.objects.update_or_create(**asdict(run), defaults={"done_until": done_until})


def forget(run: Run, until: datetime | None = None) -> None:
    """Note that a run has ended at `until`, or is to begin anew. One that came further than that is kept."""
    found = Backfill.objects.filter(**asdict(run))
    (found if until is None else found.filter(done_until__lte=until)).delete()


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
