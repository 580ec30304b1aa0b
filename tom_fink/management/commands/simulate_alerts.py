"""simulate_alerts: send the alerts of a simulated sky to Kafka, or to a mock cluster of its own."""

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime

from django.core.management.base import BaseCommand, CommandError

from tom_fink.errors import FinkError
from tom_fink.kafka.producer import mock_cluster
from tom_fink.simulate import SimulatedAlert, serialise, simulated_alerts
from tom_fink.stopping import Stop

from ._sending import add_sending_arguments, check_sending_options, send_all, stop_on_signals, summary

DEFAULT_START = "2026-03-22T04:00:00+00:00"


class Command(BaseCommand):
    """Send simulated alerts."""

    help = (
        "Send the alerts of a simulated sky to the topics that Fink's filters would choose. "
        "The same seed and start give the same alerts."
    )
    requires_system_checks = []

    def add_arguments(self, parser):
        where = parser.add_mutually_exclusive_group(required=True)
        where.add_argument("--bootstrap", metavar="HOST:PORT", help="Kafka broker to send to")
        where.add_argument(
            "--mock",
            action="store_true",
            help="start a mock cluster in this process, print its address, and serve it until stopped",
        )
        parser.add_argument("--seed", type=int, default=1, help="which sky (default: 1)")
        parser.add_argument(
            "--start",
            default=DEFAULT_START,
            metavar="TIME",
            help=f"time of the first visit, ISO 8601 (UTC unless it says otherwise) or now "
            f"(default: {DEFAULT_START})",
        )
        parser.add_argument(
            "--live", action="store_true", help="send no alert before the time of its visit has come"
        )
        add_sending_arguments(parser)

    def handle(self, *args, **options):
        check_sending_options(options)
        try:
            alerts = simulated_alerts(options["seed"], _start(options["start"]), options["count"])
        except ValueError as error:
            raise CommandError(str(error)) from error
        cluster = mock_cluster() if options["mock"] else nullcontext(options["bootstrap"])
        try:
            with stop_on_signals() as stop, cluster as bootstrap:
                if options["mock"]:
                    self._say(f"mock cluster at {bootstrap}")
                if options["live"]:
                    alerts = _in_time(alerts, stop)
                messages = ((alert.topic, *serialise(alert)) for alert in alerts)
                sent = send_all(messages, bootstrap, options, stop)
                self._say(summary(sent))
                if options["mock"]:
                    stop.wait()
        except FinkError as error:
            raise CommandError(str(error)) from error

    def _say(self, line: str) -> None:
        """Print a line at once, for whoever waits for it at the other end of a pipe."""
        self.stdout.write(line)
        self.stdout.flush()


def _in_time(alerts: Iterable[SimulatedAlert], stop: Stop) -> Iterator[SimulatedAlert]:
    """The alerts, each held back until the time of its visit; ends when `stop` is set."""
    for alert in alerts:
        early_s = (alert.observed_at - datetime.now(UTC)).total_seconds()
        if early_s > 0 and stop.wait(early_s):
            return
        yield alert


def _start(text: str) -> datetime:
    if text == "now":
        return datetime.now(UTC).replace(microsecond=0)
    try:
        start = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"--start must be an ISO 8601 time or now, not {text}") from error
    return start if start.tzinfo else start.replace(tzinfo=UTC)
