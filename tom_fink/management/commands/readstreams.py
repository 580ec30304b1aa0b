"""Read the alert streams of ALERT_STREAMS: Fink's, and those of tom_alertstreams."""

import sys
from contextlib import suppress

from django.conf import settings
from django.core.checks import Tags
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from tom_alertstreams.alertstreams.alertstream import get_alert_streams

from tom_fink import conf
from tom_fink.alertstream import FinkAlertStream
from tom_fink.errors import ConfigurationError, MissingCredentials
from tom_fink.management.arguments import positive
from tom_fink.stream.batch import Limits
from tom_fink.stream.check import COULD_NOT_ASK, FAULT, OK, check, worst
from tom_fink.stream.streams import fink_streams
from tom_fink.stream.supervisor import Supervisor


class Command(BaseCommand):
    """`manage.py readstreams`; ends with status 1 when a stream has died, so that it is started again."""

    help = "Read the configured alert streams and store their alerts."
    # Those of the pages would have it load every view of the site, which takes two seconds and 90 MB.
    requires_system_checks = [Tags.models, Tags.database]

    def add_arguments(self, parser):
        parser.add_argument(
            "--max-messages", type=positive(int), metavar="N", help="end each Fink stream after N messages"
        )
        parser.add_argument(
            "--stop-when-idle",
            type=positive(float),
            metavar="SECONDS",
            help="end each Fink stream when it has brought nothing for so long",
        )

        parser.add_argument(
            "--check",
            action="store_true",
            help="read nothing: say whether broker, topics, group and database can be used",
        )

    def handle(self, *args, **options):
        if options["check"]:
            sys.exit(self._check_all())
        limits = Limits(messages=options["max_messages"], idle_s=options["stop_when_idle"])
        status = Supervisor(self._streams(), limits).run()
        if status:
            sys.exit(status)

    def _check_all(self) -> int:
        """Print each finding; 0, 1 for a fault, 2 if no stream could be asked."""
        try:
            streams = fink_streams()
        except ImproperlyConfigured as error:
            raise CommandError(f"ALERT_STREAMS: {error}") from error
        findings = []
        words = {OK: "ok", FAULT: "FAULT", COULD_NOT_ASK: "not asked"}
        for finding in check(streams):
            findings.append(finding)
            self.stdout.write(f"{words[finding.status]}: {finding.text}")
            self.stdout.flush()
        return worst(findings)

    def _streams(self) -> list:
        try:
            streams = get_alert_streams(getattr(settings, "ALERT_STREAMS", []))
            for stream in streams:
                if isinstance(stream, FinkAlertStream):
                    self._check(stream)
        except (ImproperlyConfigured, ConfigurationError) as error:
            raise CommandError(f"ALERT_STREAMS: {error}") from error
        try:
            conf.check()
        except ConfigurationError as error:
            raise CommandError(str(error)) from error
        return streams

    @staticmethod
    def _check(stream: FinkAlertStream) -> None:
        """A value that cannot be used ends the command before anything starts; unset is no fault."""
        with suppress(MissingCredentials):  # the stream says so itself when it is opened
            stream.options  # noqa: B018 - reads and keeps them
