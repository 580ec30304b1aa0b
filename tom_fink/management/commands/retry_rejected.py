"""retry_rejected: put rejected messages through the current code again."""

import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from tom_fink.errors import FinkError
from tom_fink.store import Fate
from tom_fink.store.rejected import open_rejected
from tom_fink.stream.retry import retry


class Command(BaseCommand):
    """Try rejected messages again; status 1 if any of them stays rejected."""

    help = "Put the open rejected messages through the current code again, and close those that work."

    def add_arguments(self, parser):
        parser.add_argument("--topic", help="only those of this topic")
        parser.add_argument("--id", type=int, nargs="+", metavar="ID", help="only those with these ids")

    def handle(self, *args, **options):
        keys = open_rejected(options["topic"], options["id"])
        left_out = sorted(set(options["id"] or ()) - set(keys))
        if left_out:
            raise CommandError(f"Not open, or not there: {', '.join(map(str, left_out))}")
        still = worked = 0
        try:
            for tried in retry(keys):
                if tried.fate == Fate.REJECTED:
                    still += 1
                    self.stdout.write(f"{tried.key} {tried.topic}: still rejected: {tried.error}")
                else:
                    worked += 1
                    self.stdout.write(f"{tried.key} {tried.topic}: {tried.fate}")
        except (FinkError, ImproperlyConfigured) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{worked} closed, {still} still rejected")
        if still:
            sys.exit(1)
