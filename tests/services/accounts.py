"""Whether the numbers add up: the ledger against the broker, and no row of any table twice."""

from collections import Counter
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from django.apps import apps
from tom_dataproducts.models import PhotometryReducedDatum
from tom_targets.models import BaseTarget, TargetList, TargetName

from tests.services.needs import wait_until
from tom_fink.models import (
    Alert,
    DelayHour,
    FinkObject,
    KnownPoints,
    PartitionLedger,
    Reader,
    RejectedMessage,
    Topic,
    TopicAlert,
)

# What may be there once only, told without primary keys and without times of storing.
NATURAL = {
    FinkObject: ("survey", "object_id"),
    Alert: ("survey", "alert_id"),
    TopicAlert: ("topic__name", "alert__survey", "alert__alert_id"),
    Topic: ("name",),
    KnownPoints: ("fink_object__survey", "fink_object__object_id"),
    RejectedMessage: ("topic", "partition", "offset"),
    PartitionLedger: ("group_id", "topic", "partition"),
    DelayHour: ("topic", "partition", "hour"),
    Reader: ("host", "pid", "stream"),
    BaseTarget: ("name",),
    TargetName: ("target__name", "name"),
    TargetList: ("name",),
    TargetList.targets.through: ("targetlist__name", "basetarget__name"),
    PhotometryReducedDatum: ("target__name", "timestamp", "bandpass", "reduction_version", "source_name"),
}
# What `migrate` and the start of a site write.
NOT_OURS = {
    "django",
    "auth",
    "contenttypes",
    "sites",
    "tom_common",
    "guardian",
    "sessions",
    "admin",
    "authtoken",
}


def assert_nothing_twice(are_alerts_true: bool = True) -> None:
    """No row is there twice in any table that has rows, and none of them is forgotten here.

    Where alerts are not true, they tell of one exposure with different brightnesses: other points then.
    """
    for model in apps.get_models(include_auto_created=True):
        if model not in NATURAL:
            is_ours = model._meta.app_label not in NOT_OURS and not model._meta.proxy and model._meta.managed
            assert not is_ours or not model._default_manager.exists(), f"{model.__name__} is written too"
            continue
        names = NATURAL[model]
        if model is PhotometryReducedDatum and not are_alerts_true:
            names += ("brightness", "limit")
        found = Counter(model._default_manager.order_by().values_list(*names))
        twice = [key for key, number in found.items() if number > 1]
        assert not twice, f"{model.__name__}: {len(twice)} are there twice: {twice[:3]}"


@dataclass
class Sums:
    """The ledger of a group, added up."""

    read: int = 0
    stored: int = 0
    duplicate: int = 0
    rejected: int = 0
    handled: int = 0
    replayed: int = 0
    lost: int = 0
    skipped: int = 0


def ledger_sums(group: str) -> Sums:
    """Add up every column; asserts that each row adds up by itself."""
    sums = Sums()
    for row in PartitionLedger.objects.filter(group_id=group):
        assert row.read == row.stored + row.duplicate + row.rejected + row.handled, row
        assert row.next_offset - row.first_offset == row.read - row.replayed + row.lost + row.skipped, row
        for name in vars(sums):
            setattr(sums, name, getattr(sums, name) + getattr(row, name))
    return sums


def next_offsets(group: str) -> dict[tuple[str, int], int]:
    """Up to where the ledger has accounted, by topic and partition."""
    rows = PartitionLedger.objects.filter(group_id=group)
    return {
        (topic, number): offset
        for topic, number, offset in rows.values_list("topic", "partition", "next_offset")
    }


def broker_ends(address: str, *topics: str) -> dict[tuple[str, int], int]:
    """Where the partitions end, but for those that never had a message."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "asks-for-ends", "log_level": 0})
    try:
        found = {}
        for topic in topics:
            for number in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
                if high := _end(consumer, TopicPartition(topic, number)):
                    found[topic, number] = high
        return found
    finally:
        consumer.close()


def _end(consumer: Consumer, place: TopicPartition) -> int:
    """Where a partition ends. A broker that has just started answers before it leads its partitions: asked again."""
    found: list[int] = []

    def is_told() -> bool:
        try:
            found.append(consumer.get_watermark_offsets(place, timeout=10)[1])
        except KafkaException as error:
            if error.args[0].code() != KafkaError.NOT_LEADER_FOR_PARTITION:
                raise
        return bool(found)

    wait_until(is_told, f"the end of {place.topic} [{place.partition}]")
    return found[0]


def group_offsets(address: str, group: str, *topics: str) -> dict[tuple[str, int], int]:
    """What the group has committed, where it has."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": group, "log_level": 0})
    try:
        places = [
            TopicPartition(topic, number)
            for topic in topics
            for number in consumer.list_topics(topic, timeout=10).topics[topic].partitions
        ]
        committed = consumer.committed(places, timeout=10)
        return {(found.topic, found.partition): found.offset for found in committed if found.offset > 0}
    finally:
        consumer.close()
