"""ingest_alerts: store the alerts of Avro files without Kafka."""

from collections import Counter
from collections.abc import Iterator
from itertools import islice

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError, reset_queries

from tom_fink.alertstream import FinkAlertStream
from tom_fink.decoding.decode import Message
from tom_fink.decoding.decoder import Decoder
from tom_fink.errors import AlertFileError, FinkError
from tom_fink.files.replay import read_files
from tom_fink.store import Fate, Outcome
from tom_fink.stream.handlers import Handlers
from tom_fink.stream.streams import fink_streams, handlers_of

from ._sending import add_count_argument, check_count, stop_on_signals

BATCH_MESSAGES = 200
BATCH_BYTES = 64 * 2**20


class Command(BaseCommand):
    """Store the alerts of Avro files, or the messages of the archive, as the stream would."""

    help = (
        "Store the alerts of Avro container files, or the messages of files of the archive, without Kafka. "
        "What is stored already changes nothing."
    )

    def add_arguments(self, parser):
        parser.add_argument(
            "files", nargs="+", metavar="FILE", help="Avro container file of alerts, or file of the archive"
        )
        parser.add_argument(
            "--topic",
            help="the topic that the alerts count as of; required for files of alerts, "
            "while files of the archive name their own",
        )
        add_count_argument(parser)

    def handle(self, *args, **options):
        check_count(options["count"])
        counts: Counter = Counter()
        decoder = Decoder()
        try:
            streams = fink_streams()
            messages = islice(read_files(options["files"], options["topic"]), options["count"])
            with stop_on_signals() as stop:
                for batch in _batches(messages):
                    counts += _store(batch, streams, decoder).counts
                    reset_queries()  # DEBUG keeps them all
                    if stop.is_set():
                        break
                end = ", then stopped" if stop.is_set() else ""
        except (FinkError, ImproperlyConfigured) as error:
            raise CommandError(f"{error} ({_summary(counts)})") from error
        except (OperationalError, InterfaceError) as error:
            reason = " ".join(str(error).split())
            raise CommandError(
                f"The database cannot be used: {reason} ({_summary(counts)}; the command may be given again)"
            ) from error
        finally:
            decoder.close()
        self.stdout.write(_summary(counts) + end)


def _store(batch: list[Message], streams: list[FinkAlertStream], decoder: Decoder) -> Outcome:
    """Hand a batch to the handlers that its topics have in ALERT_STREAMS, in one transaction."""
    topics = {message.topic for message in batch}
    handlers = Handlers({topic: handlers_of(topic, streams).of(topic) for topic in topics})
    return handlers.store(handlers.decode(batch, decoder))


def _batches(messages: Iterator[Message]) -> Iterator[list[Message]]:
    """Batches that fit into memory; at a record that cannot be read, the messages before it first."""
    batch: list[Message] = []
    size = 0
    fault = None
    while True:
        try:
            message = next(messages, None)
        except AlertFileError as error:
            message, fault = None, error
        if message is not None:
            batch.append(message)
            size += len(message.key or b"") + len(message.value or b"")
        if batch and (message is None or len(batch) == BATCH_MESSAGES or size >= BATCH_BYTES):
            yield batch
            batch, size = [], 0
        if fault is not None:
            raise fault
        if message is None:
            return


def _summary(counts: Counter) -> str:
    return ", ".join(f"{fate} {counts[fate]}" for fate in Fate)
