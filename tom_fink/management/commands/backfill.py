"""backfill: fetch from Fink's databases the alerts of a topic that the stream did not bring."""

from datetime import UTC, datetime, timedelta

from django.core.management.base import CommandError
from django.db import reset_queries
from django.utils.dateparse import parse_date, parse_datetime

from tom_fink.api import checks
from tom_fink.backfill import state
from tom_fink.backfill.fill import store_part
from tom_fink.backfill.topics import OF_SURVEY, source_of
from tom_fink.backfill.windows import parts_between, with_histories
from tom_fink.text import printable

from ._filling import FillingCommand

HOUR = timedelta(hours=1)


class Command(FillingCommand):
    """`manage.py backfill`: stores in parts, goes on where a run stopped, and adds nothing twice."""

    help = "Fetch the alerts of a topic from Fink's databases, such as those that the stream lost."

    def add_arguments(self, parser):
        parser.add_argument("--topic", required=True, help="fink_…_ztf or fink_…_lsst")
        parser.add_argument("--since", required=True, metavar="DATE", help="a date or an ISO time (UTC)")
        parser.add_argument("--until", metavar="DATE", help="the same; the date itself is not included")
        parser.add_argument(
            "--survey", choices=sorted(OF_SURVEY), help="if --topic is the name of a filter alone"
        )
        parser.add_argument(
            "--no-light-curves",
            action="store_true",
            help="store the alerts' own points alone: far fewer questions",
        )
        parser.add_argument(
            "--aliases", action="store_true", help="look up other names: one or two questions an object"
        )
        parser.add_argument(
            "--afresh",
            action="store_true",
            help="begin at --since, also where an earlier run had come further",
        )
        super().add_arguments(parser)

    def fill(self, client, stop, report, progress, options) -> bool:
        since = _moment(options["since"], "--since")
        now = datetime.now(UTC)
        until = min(_moment(options["until"], "--until"), now) if options["until"] else now
        if until <= since:
            raise CommandError(
                f"There is nothing between --since {since.isoformat()} and {until.isoformat()}."
            )
        source = source_of(options["topic"], options["survey"], client)
        topic = source.topic
        if source.note:
            self.stdout.write(source.note)
        loaded_until = now - source.loaded_within
        if until > loaded_until:
            self.stdout.write(
                f"Fink's {OF_SURVEY[source.survey]} service may need {source.loaded_within / HOUR:.0f} hours to have an "
                f"alert. For those after {loaded_until:%Y-%m-%d %H:%M} UTC run this again later."
            )
        run = state.Run(topic, since, not options["no_light_curves"], options["aliases"])
        if options["afresh"]:
            state.forget(run)
        start = state.resumed_at(run)
        if start is not None and start >= until:
            self.stdout.write(
                f"An earlier run has come to {start:%Y-%m-%d %H:%M:%S} UTC: nothing is asked. --afresh asks again."
            )
        elif start is not None:
            self.stdout.write(f"Going on from {start:%Y-%m-%d %H:%M:%S} UTC.")
        fetched: set[str] = set()
        for part in parts_between(source, start or since, until, client):
            names = {}
            if run.light_curves:
                part, names = with_histories(source, part, client, fetched, aliases=run.aliases)
            store_part(run, part, loaded_until, names, report)
            reset_queries()  # DEBUG keeps them all
            done = (part.until - since) / (until - since)
            progress.show(done, f"{topic} until {part.until:%Y-%m-%d %H:%M}: {report}")
            if stop.is_set() and part.until < until:
                return False
        state.forget(run, until)
        return True


def _moment(text: str, option: str) -> datetime:
    """A date or time as an aware one; without a zone it is UTC."""
    try:
        found = parse_datetime(text)
        if found is None:
            day = parse_date(text)
            found = day and datetime(day.year, day.month, day.day, tzinfo=UTC)
    except ValueError:
        found = None  # such as the 30th of February
    if found is None:
        raise CommandError(
            f"{option} takes a date such as 2026-03-22 or 2026-03-22T04:00:00, not '{printable(text, 60)}'."
        )
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    if not checks.FIRST_LIGHT <= found <= checks.LATEST:
        raise CommandError(
            f"{option} is between 2017, when ZTF began, and 2100, not '{printable(text, 60)}'."
        )
    return found
