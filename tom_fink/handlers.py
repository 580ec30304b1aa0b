"""What is done with the alerts of a topic: ours store them, a handler of the user's gets each one."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl
from django.db import InterfaceError, OperationalError, transaction

from tom_fink.decode import Message, decode_one
from tom_fink.errors import BadMessage
from tom_fink.options import fits
from tom_fink.store import Outcome, store_messages, store_records
from tom_fink.store.rejected import store_rejected

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
class Handlers:
    """The handlers of a stream, by topic, pattern or `fink.stream`."""

    by_key: dict[str, Handler]

    def of(self, topic: str) -> Handler:
        """The handler of a topic: its own, else the first pattern that it fits, else fink.stream's."""
        if topic in self.by_key:
            return self.by_key[topic]
        patterns = (key for key in self.by_key if key != ANY_TOPIC and fits(topic, key))
        return self.by_key.get(next(patterns, ANY_TOPIC), alert_saver)

    def handle(self, messages: list[Message]) -> Outcome:
        """Hand a batch to its handlers in one transaction.

        Our own handlers store theirs together. A handler of the user's gets its alerts one by one,
        each in a savepoint: if it raises, what it wrote is taken back and the message is rejected.
        """
        outcome = Outcome()
        ours: list[Message] = []
        logged: set[str] = set()
        with transaction.atomic():
            for message in messages:
                handler = self.of(message.topic)
                if handler in (alert_saver, alert_logger):
                    ours.append(message)
                    if handler is alert_logger:
                        logged.add(message.topic)
                else:
                    outcome += _handle_one(handler, message)
            if ours:
                stored = store_messages(ours)
                outcome += stored
        if ours and logged and stored.alerts is not None:
            log_alerts(stored.alerts.filter(pl.col("topic").is_in(list(logged))), datetime.now(UTC))
        return outcome


def _handle_one(handler: Handler, message: Message) -> Outcome:
    try:
        alert = decode_one(message)
        with transaction.atomic():
            handler(alert, message.topic)
    except (OperationalError, InterfaceError):
        raise  # the database is at fault, not the handler or the alert
    except BadMessage as error:
        store_rejected([(message, str(error))])
        return Outcome(rejected=1)
    except Exception as error:
        name = f"{getattr(handler, '__module__', '?')}.{getattr(handler, '__qualname__', handler)}"
        logger.exception("The handler %s raised on an alert of %s", name, message.topic)
        store_rejected([(message, f"The handler {name} raised {type(error).__name__}: {error}")])
        return Outcome(rejected=1)
    return Outcome(handled=1)
