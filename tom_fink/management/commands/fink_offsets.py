"""fink_offsets: move a stopped consumer group, so that alerts are read again or left out."""

import json
import sys
from contextlib import suppress

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from tom_alertstreams.alertstreams.alertstream import get_alert_streams

from tom_fink.alertstream import FinkAlertStream
from tom_fink.errors import FinkError, MissingCredentials
from tom_fink.kafka.offsets import Group, Move, choose_stream, parse_to
from tom_fink.kafka.options import VARIABLES, StreamOptions
from tom_fink.store import ledger


class Command(BaseCommand):
    """`manage.py fink_offsets`: says what it would do, asks, moves, and says what the broker holds then."""

    help = "Move a stopped consumer group: read alerts again, or leave them out. Says first what it would do."

    def add_arguments(self, parser):
        parser.add_argument(
            "--topic", action="append", required=True, help="topic or pattern; may be given several times"
        )
        parser.add_argument("--to", required=True, metavar="PLACE", help="earliest, latest or an ISO time")
        parser.add_argument("--group", default="", help="group id, if it is not the stream's own")
        parser.add_argument(
            "--survey", choices=sorted(VARIABLES), help="which stream, if several read the topic"
        )
        parser.add_argument("--yes", action="store_true", help="do it without asking")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args, **options):
        try:
            to = parse_to(options["to"])
            stream = choose_stream(self._streams(), options["topic"], options["survey"])
            with Group(stream, options["group"]) as group:
                topics = group.topics(options["topic"])
                group.check_stopped()
                moves = group.plan(topics, to)
                if not options["json"]:
                    self._print_plan(group, moves)
                is_done = self._is_wanted(options)
                if is_done:
                    # Before the broker: the reader goes back for what neither has accounted for. After a crash
                    # in between it reads what the ledger has as skipped, and nothing is missed.
                    lows = {(move.topic, move.partition): move.low for move in moves}
                    ledger.move(group.group_id, {(m.topic, m.partition): m.to for m in moves}, lows)
                    held = group.apply(moves)
        except (FinkError, ImproperlyConfigured) as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            answer = {
                "group": group.group_id,
                "moved": is_done,
                "partitions": [move.as_dict() for move in moves],
            }
            self.stdout.write(json.dumps(answer, indent=2))
        elif is_done:
            for (topic, partition), offset in held.items():
                self.stdout.write(f"{topic} [{partition}] is at {offset}")
            self.stdout.write(f"Moved group {group.group_id}.")
        else:
            self.stdout.write("Nothing was moved. With --yes it would be.")

    def _streams(self) -> list[StreamOptions]:
        found = []
        for stream in get_alert_streams(getattr(settings, "ALERT_STREAMS", [])):
            if isinstance(stream, FinkAlertStream):
                with suppress(MissingCredentials):  # it reads nothing, so it has no group
                    found.append(stream.options)
        return found

    def _print_plan(self, group: Group, moves: list[Move]) -> None:
        self.stdout.write(f"Group {group.group_id} at {group.options.url}:")
        for move in moves:
            at = "nowhere yet" if move.committed is None else move.committed
            self.stdout.write(
                f"{move.topic} [{move.partition}]: from {at} to {move.to} (the broker holds {move.low} to {move.high})"
            )
        self.stdout.write(
            f"{sum(move.again for move in moves)} messages would be read again, "
            f"{sum(move.skipped for move in moves)} left out; "
            f"{sum(move.left for move in moves)} to be read then."
        )
        if lost := sum(move.lost for move in moves):
            self.stdout.write(f"{lost} were removed by the broker before the group read them.")

    def _is_wanted(self, options: dict) -> bool:
        if options["yes"] or options["json"] or not sys.stdin.isatty():
            return options["yes"]
        return input("Move the group? [y/N] ").strip().lower() in ("y", "yes")
