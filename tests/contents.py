"""What is stored, to be compared: after crashes it has to be what one writer makes in peace."""

from collections import Counter
from dataclasses import replace

from django.db import transaction
from tom_dataproducts.models import PhotometryReducedDatum
from tom_targets.models import BaseTarget, TargetList, TargetName

from tom_fink.cutouts import with_cutouts
from tom_fink.decoding.decode import Message
from tom_fink.models import Alert, FinkObject, RejectedMessage, TopicAlert
from tom_fink.store import store_messages


def contents() -> dict[str, Counter]:
    """What is stored, told by names and times.

    Not by keys, which depend on the order, as does a target's position: it is that of the first alert.
    """
    rows = {
        "objects": FinkObject.objects.values_list(
            "survey", "object_id", "target__name", "alert_count", "first_seen", "last_seen", "summary_at",
            "mag_ab", "is_positive", "band", "fink_class",
        ),
        "alerts": Alert.objects.values_list(
            "survey", "alert_id", "target__name", "fink_object__object_id", "observed_at", "mag_ab", "mag_err",
            "is_positive", "band", "fink_class", "url",
        ),
        "deliveries": TopicAlert.objects.values_list("topic__name", "alert__survey", "alert__alert_id"),
        "targets": BaseTarget.objects.values_list("name", "type", "permissions"),
        "names": TargetName.objects.values_list("target__name", "name"),
        "members": TargetList.targets.through.objects.values_list("targetlist__name", "basetarget__name"),
        "points": PhotometryReducedDatum.objects.values_list(
            "target__name", "timestamp", "bandpass", "brightness", "limit", "reduction_version",
        ),
        "rejected": RejectedMessage.objects.values_list("digest"),
    }  # fmt: skip
    return {label: Counter(found.order_by()) for label, found in rows.items()} | {"cutouts": shown_cutouts()}


def shown_cutouts() -> Counter:
    """The cutouts that pages show of all targets."""
    return Counter(
        (alert.survey, alert.alert_id, cutout.kind.value)
        for alert, cutouts in with_cutouts(Alert.objects.all())
        for cutout in cutouts
    )


def undisturbed(messages: list[Message], topic: str, alerts: int | None = None) -> dict[str, Counter]:
    """What is stored when one writer gets the messages in order; taken back again.

    `alerts` is how many different alerts there are, if some messages hold none.
    """
    with transaction.atomic():
        store_messages([replace(message, topic=topic) for message in messages])
        found = contents()
        transaction.set_rollback(True)
    if alerts is None:
        alerts = len({message.value for message in messages})
    assert found["alerts"].total() == alerts
    assert not Alert.objects.exists()
    return found


def assert_same(found: dict[str, Counter], expected: dict[str, Counter]) -> None:
    for label in expected:
        missing, extra = expected[label] - found[label], found[label] - expected[label]
        assert not missing, (
            f"{label}: {len(missing)} missing, {len(extra)} others: {list(missing)[:3]}, {list(extra)[:3]}"
        )
        assert not extra, f"{label}: {len(extra)} too many: {list(extra)[:3]}"
