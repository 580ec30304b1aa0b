"""Whether a reader could do its work: database, broker, topics, group; and whether the one here does."""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor

from tom_fink.alertstream import FinkAlertStream
from tom_fink.errors import ConfigurationError, MissingCredentials
from tom_fink.kafka.options import StreamOptions, fits
from tom_fink.kafka.security import hint
from tom_fink.models import Reader
from tom_fink.status.status import STUCK_AFTER_S

TIMEOUT_S = 10.0
OK, FAULT, COULD_NOT_ASK = 0, 1, 2


@dataclass(frozen=True)
class Finding:
    """One thing that was asked: `OK`, `FAULT`, or `COULD_NOT_ASK`, and what a person should know."""

    status: int
    text: str
    is_of_broker: bool = False


def check(streams: list[FinkAlertStream]) -> Iterator[Finding]:
    """Ask everything, one after the other. Nothing is changed, and no group is joined."""
    database = _database()
    yield database
    if not streams:
        yield Finding(COULD_NOT_ASK, "ALERT_STREAMS has no active Fink stream.")
    for stream in streams:
        try:
            options = stream.options
        except MissingCredentials as error:
            yield Finding(COULD_NOT_ASK, str(error))
        except ConfigurationError as error:
            yield Finding(FAULT, str(error))
        else:
            yield from _broker(options)
    if database.status == OK:
        yield from _readers()


def worst(findings: list[Finding]) -> int:
    """The status of all: a fault if there is one; that nothing could be asked if no broker was."""
    if any(finding.status == FAULT for finding in findings):
        return FAULT
    return OK if any(finding.is_of_broker for finding in findings) else COULD_NOT_ASK


def _database() -> Finding:
    connection = connections[DEFAULT_DB_ALIAS]
    try:
        connection.ensure_connection()
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        return Finding(FAULT, f"Database: cannot be used: {' '.join(str(error).split())}")
    if missing:
        return Finding(FAULT, f"Database: {len(missing)} migrations are not applied: run manage.py migrate.")
    return Finding(OK, f"Database: {connection.vendor}, all migrations are applied.")


def _broker(options: StreamOptions) -> Iterator[Finding]:
    complaints: list[KafkaError] = []
    try:
        consumer = Consumer(options.kafka() | {"error_cb": complaints.append, "log_level": 0})
    except KafkaException as error:
        yield Finding(
            FAULT, f"Broker {options.url}: the Kafka settings cannot be used: {error.args[0].str()}"
        )
        return
    try:
        found = consumer.list_topics(timeout=TIMEOUT_S)
    except KafkaException as error:
        reason = (complaints or [error.args[0]])[-1].str()
        reason += hint(reason, options.survey)
        yield Finding(FAULT, f"Broker {options.url}: cannot be used: {reason}")
        return
    yield Finding(OK, f"Broker {options.url}: answers.", is_of_broker=True)
    partitions = []
    for pattern in options.topics:
        names = sorted(name for name in found.topics if fits(name, pattern) and not name.startswith("__"))
        numbers = [TopicPartition(name, number) for name in names for number in found.topics[name].partitions]
        partitions += numbers
        if names:
            yield Finding(OK, f"Topic {pattern}: {len(names)} topics, {len(numbers)} partitions.")
        else:
            yield Finding(OK, f"Topic {pattern}: not there yet; Fink makes a topic with its first alert.")
    yield _group(consumer, options, partitions)
    consumer.close()


def _group(consumer: Consumer, options: StreamOptions, partitions: list[TopicPartition]) -> Finding:
    name = f"Group {options.group_id}"
    try:
        committed = consumer.committed(partitions, timeout=TIMEOUT_S) if partitions else []
        waiting = 0
        for place in committed:
            low, high = consumer.get_watermark_offsets(place, timeout=TIMEOUT_S)
            waiting += high - max(place.offset, low)
    except KafkaException as error:
        return Finding(FAULT, f"{name}: cannot be used: {error.args[0].str()}")
    if all(place.offset < 0 for place in committed):
        return Finding(OK, f"{name}: has read nothing yet; the broker holds {waiting} alerts.")
    return Finding(OK, f"{name}: {waiting} alerts wait to be read.")


def _readers() -> Iterator[Finding]:
    """The readers of this machine, or of this container, whose processes live."""
    now = datetime.now(UTC)
    for found in Reader.objects.filter(host=socket.gethostname()).order_by("pid", "stream"):
        if not _lives(found.pid):
            continue
        silent_s = (now - found.beat_at).total_seconds()
        name = f"Reader {found.pid} of the {found.stream} stream"
        if silent_s > STUCK_AFTER_S:
            yield Finding(FAULT, f"{name}: is stuck, it gave no sign of life for {silent_s:.0f} s.")
        else:
            yield Finding(OK, f"{name}: gave a sign of life {max(0, silent_s):.0f} s ago.")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # another user's
    return True
