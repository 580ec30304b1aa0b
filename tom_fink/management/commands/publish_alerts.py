"""publish_alerts: send the alerts of Avro files to Kafka, as Fink's livestream sends them."""

from django.core.management.base import BaseCommand, CommandError

from tom_fink.errors import FinkError
from tom_fink.files.replay import read_files

from ._sending import add_sending_arguments, check_sending_options, send_all, stop_on_signals, summary


class Command(BaseCommand):
    """Send the alerts of Avro files, or the messages of the archive."""

    help = (
        "Send the alerts of Avro container files to a Kafka topic, as Fink's livestream sends them. "
        "Files of the archive are sent as they were received, each message to its own topic."
    )
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument(
            "files", nargs="+", metavar="FILE", help="Avro container file of alerts, or file of the archive"
        )
        parser.add_argument("--bootstrap", required=True, metavar="HOST:PORT", help="Kafka broker to send to")
        parser.add_argument(
            "--topic", help="topic, such as fink_sn_candidates_ztf; files of the archive name their own"
        )
        add_sending_arguments(parser)

    def handle(self, *args, **options):
        check_sending_options(options)
        try:
            messages = (
                (message.topic, message.key, message.value)
                for message in read_files(options["files"], options["topic"])
            )
            with stop_on_signals() as stop:
                sent = send_all(messages, options["bootstrap"], options, stop)
        except FinkError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(summary(sent))
