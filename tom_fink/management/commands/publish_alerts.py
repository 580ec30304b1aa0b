"""publish_alerts: send the alerts of Avro files to a Kafka topic, as Fink's livestream sends them."""

from django.core.management.base import BaseCommand, CommandError

from tom_fink.avrofile import read_messages
from tom_fink.errors import FinkError

from ._sending import add_sending_arguments, check_sending_options, send_all, stop_on_signals, summary


class Command(BaseCommand):
    """Send the alerts of Avro files to a topic."""

    help = "Send the alerts of Avro container files to a Kafka topic, as Fink's livestream sends them."
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument("files", nargs="+", metavar="FILE", help="Avro container file of alerts")
        parser.add_argument("--bootstrap", required=True, metavar="HOST:PORT", help="Kafka broker to send to")
        parser.add_argument("--topic", required=True, help="topic, such as fink_sn_candidates_ztf")
        add_sending_arguments(parser)

    def handle(self, *args, **options):
        check_sending_options(options)
        messages = (
            (options["topic"], key, value) for path in options["files"] for key, value in read_messages(path)
        )
        try:
            with stop_on_signals() as stop:
                sent = send_all(messages, options["bootstrap"], options, stop)
        except FinkError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(summary(sent))
