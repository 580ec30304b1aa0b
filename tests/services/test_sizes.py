"""Messages larger than the usual limits: read as long as they are alerts of up to 10 MB, else kept whole."""

import copy

import pytest

from tests.services.moulds import START, moulds
from tests.services.publishing import Sent, make_topics, publish
from tom_fink.cutouts import Cutout, CutoutKind
from tom_fink.decoding.decode import MAX_MESSAGE_BYTES
from tom_fink.models import Alert, RejectedMessage
from tom_fink.simulate import SimulatedAlert, serialise, simulated_alerts

pytestmark = [pytest.mark.services, pytest.mark.timeout(420)]

KINDS = ("Science", "Template", "Difference")
USUAL_LIMIT = 1_048_576  # of Kafka's clients and brokers
BROKERS_LIMIT = 20_971_520  # of the tests' broker


def large(number: int, size: int) -> tuple[bytes, bytes]:
    """(key, value) of a ZTF alert that has so many bytes together, in three cutouts."""
    found = next(found for found in simulated_alerts(1, START) if found.survey == "ztf")
    alert = copy.deepcopy(found.alert)
    alert["candid"] = alert["candidate"]["candid"] = number
    for kind in KINDS:
        alert[f"cutout{kind}"]["stampData"] = b""
    simulated = SimulatedAlert(found.topic, "ztf", alert)
    rest = (
        size - sum(map(len, serialise(simulated))) - 12
    )  # the lengths take more bytes than those of nothing
    for place, kind in enumerate(KINDS):
        alert[f"cutout{kind}"]["stampData"] = bytes([number % 256]) * (rest // 3 + (place == 0) * (rest % 3))
    key, value = serialise(simulated)
    assert abs(len(key) + len(value) - size) < 12
    return key, value


def test_a_large_alert_is_stored_and_what_is_larger_than_the_limit_is_kept_whole(kafka, unique, command):
    make_topics(kafka, {unique: 1}, **{"max.message.bytes": str(BROKERS_LIMIT)})
    small = [mould.cast(number) for number, mould in enumerate(moulds("ztf", 3))]
    alerts = {number: large(number, size) for number, size in ((101, 2 * USUAL_LIMIT), (102, 9_900_000))}
    beyond = {
        number: large(number, size)
        for number, size in ((103, 10_000_100), (104, 11_000_000), (105, 19_900_000))
    }
    pairs = [
        *((alert.key, alert.value) for alert in small[:1]),
        *alerts.values(),
        *beyond.values(),
        *((alert.key, alert.value) for alert in small[1:]),
    ]
    publish(kafka, [Sent(unique, 0, key, value) for key, value in pairs])

    reader = command("readstreams", "--stop-when-idle", "4")
    assert reader.until_it_ends() == 0, reader.said[-3000:]
    assert "Traceback" not in reader.said
    ids = set(Alert.objects.values_list("alert_id", flat=True))
    assert ids == {alert.alert_id for alert in small} | {"101", "102"}
    assert {len(key) + len(value) > USUAL_LIMIT for key, value in alerts.values()} == {True}
    for number in alerts:
        alert = Alert.objects.get(alert_id=str(number))
        images = [Cutout(alert, kind).stored() for kind in CutoutKind]
        assert {set(image) == {number} for image in images if image is not None} <= {True}
        assert len([image for image in images if image is not None]) in (0, 3), (
            "of the first and latest alert"
        )

    kept = {(bytes(row.key), bytes(row.value)) for row in RejectedMessage.objects.all()}
    assert kept == set(beyond.values())
    for row in RejectedMessage.objects.all():
        assert f"more than {MAX_MESSAGE_BYTES} are not read" in row.error
