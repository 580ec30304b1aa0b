"""simulate_alerts: send the alerts of a simulated sky to Kafka, or to a mock cluster, and serve Fink's REST APIs of it."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

from django.core.management.base import BaseCommand, CommandError

from tom_fink.errors import FinkError
from tom_fink.kafka.producer import mock_cluster
from tom_fink.simulate import SimulatedAlert, serialise, simulated_alerts
from tom_fink.simulate.service import NIGHTS, Catalogue, Feed, SimulatedService
from tom_fink.stopping import Stop

from ._sending import add_sending_arguments, check_sending_options, send_all, stop_on_signals, summary

DEFAULT_START = "2026-03-22T04:00:00+00:00"


class Command(BaseCommand):
    """Send simulated alerts, and serve what Fink's REST services would know of their sky."""

    help = (
        "Send the alerts of a simulated sky to the topics that Fink's filters would choose, "
        "and stand in for Fink's REST services. The same seed and start give the same sky."
    )
    requires_system_checks = []

    def add_arguments(self, parser):
        where = parser.add_mutually_exclusive_group()
        where.add_argument("--bootstrap", metavar="HOST:PORT", help="Kafka broker to send to")
        where.add_argument(
            "--mock",
            action="store_true",
            help="start a mock cluster in this process, print its address, and serve it until stopped",
        )
        parser.add_argument(
            "--serve-api",
            metavar="[HOST:]PORT",
            help="stand in for Fink's REST services of ZTF and of Rubin until stopped, and print their addresses; "
            "without a host on 127.0.0.1 only, port 0 is a free one",
        )
        parser.add_argument(
            "--nights",
            type=int,
            metavar="N",
            help=f"how many nights the REST services know, all at once, or with --live as they pass "
            f"(default: {NIGHTS})",
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
        is_sending = options["mock"] or options["bootstrap"] is not None
        _check_combination(options, is_sending)
        start = _start(options["start"])
        address = None if options["serve_api"] is None else _address(options["serve_api"])
        try:
            alerts = simulated_alerts(options["seed"], start, options["count"])
            feed = None if address is None else _feed(options, start)
        except ValueError as error:
            raise CommandError(str(error)) from error
        try:
            with stop_on_signals() as stop, ExitStack() as running:
                bootstrap = options["bootstrap"]
                if options["mock"]:
                    bootstrap = running.enter_context(mock_cluster())
                    self._say(f"mock cluster at {bootstrap}")
                if feed is not None:
                    self._serve(feed, address, running, stop)
                if is_sending:
                    if options["live"]:
                        alerts = _in_time(alerts, stop)
                    messages = ((alert.topic, *serialise(alert)) for alert in alerts)
                    self._say(summary(send_all(messages, bootstrap, options, stop)))
                if options["mock"] or feed is not None:
                    stop.wait()
        except FinkError as error:
            raise CommandError(str(error)) from error

    def _serve(self, feed: Feed, address: tuple[str, int], running: ExitStack, stop: Stop) -> None:
        """Serve what `feed` brings until `running` ends. Its addresses are printed when it knows all that is past."""
        service = SimulatedService(feed.catalogue, feed, *address)
        try:
            running.enter_context(service)
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that no host can have
            why = getattr(error, "strerror", None) or error
            raise CommandError(
                f"--serve-api: host {address[0]} port {address[1]} cannot be used ({why}); choose another"
            ) from error
        service.advance(stop.is_set)
        for survey in ("ztf", "lsst"):
            self._say(f"FINK_API_{survey.upper()}_URL={service.url(survey)}")
        self._say(f"sky maps: {', '.join(feed.catalogue.events) or 'none yet'}")

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


def _check_combination(options: dict, is_sending: bool) -> None:
    """Raise CommandError for options that do nothing together."""
    if not is_sending and options["serve_api"] is None:
        raise CommandError("one of the arguments --bootstrap --mock --serve-api is required")
    for name in ("rate", "count"):
        if not is_sending and options[name] is not None:
            raise CommandError(f"--{name} is about alerts that are sent: it takes --bootstrap or --mock")
    if options["nights"] is not None and options["serve_api"] is None:
        raise CommandError("--nights is about the REST services: it takes --serve-api")
    if options["nights"] is not None and options["nights"] < 1:
        raise CommandError(f"--nights must be above 0, not {options['nights']}")


def _address(text: str) -> tuple[str, int]:
    """(host, port) of [HOST:]PORT."""
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) < 65536):
        raise CommandError(f"--serve-api takes [HOST:]PORT, such as 8100 or 127.0.0.1:8100, not {text}")
    return host.removeprefix("[").removesuffix("]") or "127.0.0.1", int(port)


def _feed(options: dict, start: datetime) -> Feed:
    clock_now = (lambda: datetime.now(UTC)) if options["live"] else None
    return Feed(Catalogue(), options["seed"], start, options["nights"] or NIGHTS, clock_now)
