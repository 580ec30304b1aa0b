"""refresh_targets: bring the light curves of targets up to date from Fink's databases."""

import argparse
from datetime import UTC, datetime, timedelta

from django.core.management.base import CommandError
from django.db import reset_queries
from django.db.models import F, QuerySet
from tom_targets.models import BaseTarget, TargetList

from tom_fink.backfill import state
from tom_fink.backfill.refresh import refresh
from tom_fink.text import printable

from ._filling import FillingCommand

TARGETS_AT_ONCE = 10
STALE_AFTER_H = 12.0


class Command(FillingCommand):
    """`manage.py refresh_targets`: those first that were not asked for the longest; goes on where a run stopped."""

    help = "Fetch what Fink's databases have of targets: alerts, light curves and names."

    def add_arguments(self, parser):
        parser.add_argument("--list", metavar="NAME", help="only the targets of this target list")
        parser.add_argument(
            "--stale-after",
            type=_hours,
            default=STALE_AFTER_H,
            metavar="HOURS",
            help=f"only those that Fink was not asked for since (default: {STALE_AFTER_H:g}; 0: all)",
        )
        super().add_arguments(parser)

    def fill(self, client, stop, report, progress, options) -> bool:
        now = datetime.now(UTC)
        targets = state.stale(_targets(options["list"]), timedelta(hours=options["stale_after"]), now)
        longest_first = F("fink_refresh__refreshed_at").asc(nulls_first=True)
        keys = list(targets.order_by(longest_first, "pk").values_list("pk", flat=True))
        done = known = failed = 0
        for at in range(0, len(keys), TARGETS_AT_ONCE):
            some = list(BaseTarget.objects.filter(pk__in=keys[at : at + TARGETS_AT_ONCE]).order_by("pk"))
            chunk = refresh(some, client, report)
            state.refreshed([target for target in some if target.pk not in chunk.failed], datetime.now(UTC))
            reset_queries()  # DEBUG keeps them all
            done = min(at + TARGETS_AT_ONCE, len(keys))  # one that was deleted meanwhile is done, too
            known, failed = known + len(chunk.known), failed + len(chunk.failed)
            progress.show(done / len(keys), f"{done} of {len(keys)} targets: {report}")
            if stop.is_set() and done < len(keys):
                break
        progress.end()
        self.stdout.write(
            f"Asked for {done} of {len(keys)} targets: {known} known to Fink, {failed} to be tried again."
        )
        return done == len(keys)


def _targets(list_name: str | None) -> QuerySet:
    if list_name is None:
        return BaseTarget.objects.all()
    lists = TargetList.objects.filter(name=list_name)
    if not lists:
        raise CommandError(f"There is no target list '{printable(list_name, 100)}'. --list takes its name.")
    return BaseTarget.objects.filter(targetlist__in=lists).distinct()


def _hours(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 24 * 36_500:
        raise argparse.ArgumentTypeError(f"{text} is no number of hours")
    return value


_hours.__name__ = "number"
