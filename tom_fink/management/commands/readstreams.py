"""Read the alert streams of ALERT_STREAMS: Fink's, and those of tom_alertstreams."""

import argparse
import sys
from contextlib import suppress

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from tom_alertstreams.alertstreams.alertstream import get_alert_streams

from tom_fink.alertstream import FinkAlertStream
from tom_fink.errors import ConfigurationError, MissingCredentials
from tom_fink.reader import Limits
from tom_fink.supervisor import Supervisor


def positive(cast: type):
    """A reader of positive numbers for argparse."""

    def read(text: str):
        value = cast(text)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text} is not a positive number")
        return value

    read.__name__ = "number"
    return read


class Command(BaseCommand):
    """`manage.py readstreams`; ends with status 1 when a stream has died, so that it is started again."""

    help = "Read the configured alert streams and store their alerts."

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

    def handle(self, *args, **options):
        limits = Limits(messages=options["max_messages"], idle_s=options["stop_when_idle"])
        status = Supervisor(self._streams(), limits).run()
        if status:
            sys.exit(status)

    def _streams(self) -> list:
        try:
            streams = get_alert_streams(getattr(settings, "ALERT_STREAMS", []))
            for stream in streams:
                if isinstance(stream, FinkAlertStream):
                    self._check(stream)
        except (ImproperlyConfigured, ConfigurationError) as error:
            raise CommandError(f"ALERT_STREAMS: {error}") from error
        return streams

    @staticmethod
    def _check(stream: FinkAlertStream) -> None:
        """A value that cannot be used ends the command before anything starts; unset is no fault."""
        with suppress(MissingCredentials):  # the stream says so itself when it is opened
            stream.options  # noqa: B018 - reads and keeps them
