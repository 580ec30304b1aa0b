"""What is done with the alerts of a topic: ours store them, a handler of the user's gets each one."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl
from django.db import InterfaceError, OperationalError, connection, transaction

from tom_fink.decoding.decode import Message
from tom_fink.decoding.decoder import Decoder, Read
from tom_fink.errors import BadMessage
from tom_fink.kafka.options import fits
from tom_fink.store import Fate, Outcome, reject, store_records, store_tidy

logger = logging.getLogger("tom_fink.alertstream")

Handler = Callable[[dict[str, Any], str], None]
ANY_TOPIC = "fink.stream"  # the key of the handler of every topic that has none of its own


def alert_saver(alert: dict[str, Any], topic: str) -> None:
    """Store one decoded alert. Raises `BadMessage` if it is none."""
    store_records([alert], topic)


def alert_logger(alert: dict[str, Any], topic: str) -> None:
    """Store one decoded alert and log what it is. Raises `BadMessage` if it is none."""
    log_alerts(store_records([alert], topic).alerts, datetime.now(UTC))


def log_alerts(alerts: pl.DataFrame, received_at: datetime) -> None:
    """Log each alert's topic, object and times (UTC), in the words that users of Fink's TOM module know."""
    for topic, object_id, observed_at in alerts.select("topic", "object_id", "observed_at").iter_rows():
        logger.info("fink.alert_logger topic: %s", topic)
        logger.info(
            "fink.alert_logger value: %s emitted %s (received %s)",
            object_id,
            observed_at.strftime("%Y-%m-%d %H:%M:%S.%f"),
            received_at.strftime("%Y-%m-%d %H:%M:%S"),
        )


@dataclass(frozen=True)
class Decoded:
    """A batch and what was read of it: dictionaries for handlers of the user's, tidy frames for ours."""

    messages: list[Message]
    read: Read


@dataclass(frozen=True)
class Handlers:
    """The handlers of a stream, by topic, pattern or `fink.stream`."""

    by_key: dict[str, Handler]

    def of(self, topic: str) -> Handler:
        """The handler of a topic: its own, else the first pattern that it fits, else fink.stream's."""
        if topic in self.by_key:
            return self.by_key[topic]
        patterns = (key for key in self.by_key if key != ANY_TOPIC and fits(topic, key))
        return self.by_key.get(next(patterns, ANY_TOPIC), alert_saver)

    def decode(self, messages: list[Message], decoder: Decoder) -> Decoded:
        """Decode a batch, each message as its handler takes it. Raises `DecoderError`."""
        as_records = [
            index
            for index, message in enumerate(messages)
            if self.of(message.topic) not in (alert_saver, alert_logger)
        ]
        return Decoded(messages, decoder.read(messages, as_records))

    def store(self, decoded: Decoded) -> Outcome:
        """Hand a batch to its handlers in one transaction.

        Our own handlers store theirs together. A handler of the user's gets its alerts one by one,
        each in a savepoint: if it raises, what it wrote is taken back and the message is rejected.
        """
        messages, read = decoded.messages, decoded.read
        with transaction.atomic():
            outcome = store_tidy(read.tidy, read.errors, messages)
            failed = {}
            for index in sorted(read.records):
                handler = self.of(messages[index].topic)
                # A new one each time: a handler may have changed what it got before the database went away.
                error = _call(handler, read.record(index), messages[index].topic)
                if error is None:
                    outcome.fates[index] = Fate.HANDLED
                else:
                    failed[index] = error
            outcome.add(reject(messages, failed))
        return outcome

    def log(self, decoded: Decoded, outcome: Outcome) -> None:
        """Log the alerts of the topics that `alert_logger` has, when they are stored for good."""
        topics = {message.topic for message in decoded.messages}
        logged = [topic for topic in topics if self.of(topic) is alert_logger]
        if logged and outcome.alerts is not None:
            log_alerts(outcome.alerts.filter(pl.col("topic").is_in(logged)), datetime.now(UTC))


def _call(handler: Handler, alert: dict[str, Any], topic: str) -> BadMessage | None:
    """Give an alert to a handler of the user's; why it could not take it."""
    try:
        with transaction.atomic():
            handler(alert, topic)
            if connection.vendor == "postgresql":
                # Else a reference to a row that is not there would fail the commit of the whole batch.
                connection.check_constraints()
    except (OperationalError, InterfaceError):
        raise  # the database is at fault, not the handler or the alert
    except BadMessage as error:
        return error
    except Exception as error:
        name = f"{getattr(handler, '__module__', '?')}.{getattr(handler, '__qualname__', handler)}"
        logger.exception("The handler %s raised on an alert of %s", name, topic)
        rejection = BadMessage(f"The handler {name} raised {type(error).__name__}: {error}")
        rejection.__cause__ = error
        return rejection
    return None
