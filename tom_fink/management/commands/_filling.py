"""What the commands that ask Fink's databases for long have in common."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError

from tom_fink import conf
from tom_fink.api.options import ApiOptions
from tom_fink.backfill.client import GIVE_UP_AFTER_S, GentleClient
from tom_fink.backfill.pace import PER_MINUTE, RateLimit
from tom_fink.backfill.progress import Progress
from tom_fink.backfill.report import Report
from tom_fink.errors import ApiError, BadQuery, FinkError, ServiceUnavailable
from tom_fink.management.arguments import positive
from tom_fink.stopping import Stop

from ._sending import stop_on_signals

GO_ON = "To go on, give the same command again."


class FillingCommand(BaseCommand):
    """A command that fills gaps until it is done, stopped, or has waited for the service in vain."""

    requires_system_checks = ()  # those of the pages load every view of the site

    def add_arguments(self, parser):
        """Add what these commands share."""
        parser.add_argument(
            "--requests-per-minute",
            type=positive(float),
            default=PER_MINUTE,
            metavar="N",
            help=f"ask Fink's services no more often (default: {PER_MINUTE:g})",
        )
        parser.add_argument(
            "--give-up-after",
            type=positive(float),
            default=GIVE_UP_AFTER_S,
            metavar="SECONDS",
            help=f"wait so long for a service that is away (default: {GIVE_UP_AFTER_S:g})",
        )

    def handle(self, *args, **options):
        """Run; what was stored is told in any case."""
        report, progress = Report(), Progress(self.stdout)
        try:
            conf.check()
            with stop_on_signals() as stop, self._client(options, stop) as client:
                try:
                    is_done = self.fill(client, stop, report, progress, options)
                    status = "Done" if is_done else "Stopped"
                except ServiceUnavailable as error:
                    if not stop.is_set():
                        raise
                    # Not waited for any longer: what was in hand is not stored.
                    report.say([str(error)])
                    status = "Stopped"
                finally:
                    progress.end()
        except BadQuery as error:
            raise CommandError(str(error)) from error
        except ApiError as error:
            raise CommandError(f"{error} ({self._said(report)} {GO_ON})") from error
        except (FinkError, ImproperlyConfigured) as error:
            raise CommandError(str(error)) from error
        except (OperationalError, InterfaceError) as error:
            reason = " ".join(str(error).split())
            raise CommandError(
                f"The database cannot be used: {reason} ({self._said(report)} {GO_ON})"
            ) from error
        self.stdout.write(f"{status}. {self._said(report)}{'' if status == 'Done' else ' ' + GO_ON}")

    def fill(
        self, client: GentleClient, stop: Stop, report: Report, progress: Progress, options: dict
    ) -> bool:
        """Do it; False if `stop` ended it. Raises `FinkError`, `CommandError` and the database's errors."""
        raise NotImplementedError

    @contextmanager
    def _client(self, options: dict, stop: Stop) -> Iterator[GentleClient]:
        limit = RateLimit(options["requests_per_minute"])
        with GentleClient(ApiOptions.from_settings(), limit, stop, options["give_up_after"]) as client:
            yield client

    def _said(self, report: Report) -> str:
        """The sum for the last line; the problems go to stderr, a line each."""
        for sentence in report.sentences():
            self.stderr.write(sentence)
        return f"Added: {report}."
