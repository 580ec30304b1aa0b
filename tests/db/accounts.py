"""What the tests of the stream's page make: accounts of partitions, readers, rejected messages, delays."""

import re
from datetime import timedelta

from django.utils import timezone

from tom_fink.models import DelayHour, PartitionLedger, Reader, RejectedMessage

STATUS = "/fink/status/"
HISTOGRAM = {"400": 50, "500": 47, "600": 3}
STEPS = ("emitted_to_broker", "broker_to_received", "received_to_stored", "emitted_to_stored")


def account(topic="fink_sn_ztf", partition=0, group="secret-group", *, waiting=0, lost=0, **values):
    """A partition of which ten messages were stored, the last ones a moment ago."""
    now = timezone.now()
    return PartitionLedger.objects.create(
        group_id=group,
        topic=topic,
        partition=partition,
        first_offset=0,
        next_offset=10 + lost,
        read=10,
        stored=10,
        lost=lost,
        lost_at=now if lost else None,
        **({"end_offset": 10 + lost + waiting, "seen_at": now, "updated_at": now} | values),
    )


def reader(group="secret-group", silent_s=4, pid=4711):
    now = timezone.now()
    return Reader.objects.create(
        host="secret-host",
        pid=pid,
        stream="ztf",
        group_id=group,
        started_at=now - timedelta(days=1),
        beat_at=now - timedelta(seconds=silent_s),
    )


def reject(topic="fink_sn_ztf", **values):
    return RejectedMessage.objects.create(
        topic=topic, digest="d", error="why", received_at=timezone.now(), **values
    )


def delays(topic="fink_sn_ztf", partition=0, hours=0, **steps):
    hour = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours)
    steps = steps or dict.fromkeys(STEPS, HISTOGRAM)
    return DelayHour.objects.create(topic=topic, partition=partition, hour=hour, **steps)


def text_of(response) -> str:
    """What a reader sees: without tags, one blank between words."""
    assert response.status_code == 200
    content = response.content.decode()
    return " ".join(re.sub(r"<wbr>|<[^>]+>", lambda tag: "" if tag[0] == "<wbr>" else " ", content).split())
