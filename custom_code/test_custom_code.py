"""The examples work; keep, change or remove these with the code."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from tom_targets.models import Target, TargetList

from custom_code import handlers
from tom_fink.models import FinkObject
from tom_fink.simulate import simulated_alerts

pytestmark = pytest.mark.django_db


def make_object(name: str, permission: str, mag_ab: float, age: timedelta) -> None:
    target = Target.objects.create(name=name, type="SIDEREAL", ra=150.1, dec=2.2, permissions=permission)
    seen = timezone.now() - age
    FinkObject.objects.create(
        survey="ztf", object_id=name, target=target, mag_ab=mag_ab, last_seen=seen, fink_class="<b>SN</b>"
    )


def test_last_night_has_what_the_user_may_see_the_brightest_first(client):
    make_object("ZTFfaint", "OPEN", 20.0, timedelta(hours=2))
    make_object("ZTFbright", "OPEN", 15.0, timedelta(hours=3))
    make_object("ZTFolder", "OPEN", 14.0, timedelta(hours=25))
    make_object("ZTFhidden", "PRIVATE", 13.0, timedelta(hours=1))
    make_object("ZTFpublic", "PUBLIC", 16.0, timedelta(hours=1))

    def listed() -> list[str]:
        response = client.get(reverse("custom:last-night"))
        assert "private" in response["Cache-Control"]
        assert "<b>SN" not in response.content.decode()
        return [found.object_id for found in response.context["objects"]]

    assert listed() == ["ZTFbright", "ZTFfaint"]
    client.force_login(User.objects.create_user("somebody"))
    assert listed() == ["ZTFbright", "ZTFpublic", "ZTFfaint"]


def test_bright_alerts_are_stored_as_all_are_and_their_targets_listed(monkeypatch):
    start = datetime(2026, 3, 22, 4, tzinfo=UTC)
    simulated = [
        found
        for found in simulated_alerts(1, start, 100)
        if found.survey == "ztf" and found.alert["candidate"]["ssnamenr"] in (None, "null")
    ]
    magnitudes = {}  # of each object at its brightest
    for found in simulated:
        name, magnitude = found.alert["objectId"], found.alert["candidate"]["magpsf"]
        magnitudes[name] = min(magnitude, magnitudes.get(name, magnitude))
    limit = sorted(magnitudes.values())[len(magnitudes) // 2]
    monkeypatch.setattr(handlers, "BRIGHT_MAG", limit)
    for found in simulated:
        handlers.list_bright(found.alert, found.topic)
    assert set(FinkObject.objects.values_list("object_id", flat=True)) == magnitudes.keys()
    bright = {name for name, magnitude in magnitudes.items() if magnitude < limit}
    assert bright
    listed = TargetList.objects.get(name=handlers.LIST_NAME).targets
    assert set(listed.values_list("name", flat=True)) == bright
