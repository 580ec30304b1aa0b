"""Rejected messages are mended: by the command and in the admin, with the rows that the alert would have made."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from tests.contents import contents
from tom_fink.alertstream import alert_saver
from tom_fink.decoding.decode import Message
from tom_fink.decoding.decoder import Decoder
from tom_fink.models import Alert, RejectedMessage
from tom_fink.store import batch, store_messages
from tom_fink.store.rejected import close_rejected, prune_rejected
from tom_fink.stream.handlers import Decoded, Handlers

pytestmark = pytest.mark.django_db

TOPIC = "fink_sn_candidates_ztf"
NAME = "tom_fink.alertstream.FinkAlertStream"


@pytest.fixture
def alerts(simulated_messages) -> list[Message]:
    """Three alerts, at places of a partition."""
    found = [message for message in simulated_messages if message.topic == TOPIC][:3]
    return [replace(message, partition=2, offset=100 + n) for n, message in enumerate(found)]


@pytest.fixture
def refused(alerts, monkeypatch) -> list[Message]:
    """The alerts, rejected by a fault in the code that is mended since."""
    with monkeypatch.context() as patch:
        patch.setattr(batch, "store_alerts", _fault)
        assert store_messages(alerts).rejected == 3
    assert Alert.objects.count() == 0
    return alerts


def _fault(*_):
    from django.db import DataError

    raise DataError("value too long")


def run(*arguments, **options) -> str:
    said = StringIO()
    call_command("retry_rejected", *arguments, stdout=said, **options)
    return said.getvalue()


def states() -> list[tuple]:
    return list(RejectedMessage.objects.order_by("pk").values_list("closed_as", "tries"))


def test_a_retry_makes_the_rows_that_the_alert_would_have_made(refused):
    assert "3 closed, 0 still rejected" in run()
    mended = contents()
    rows = list(
        Alert.objects.order_by("alert_id").values_list(
            "alert_id", "topic", "partition", "offset", "received_at"
        )
    )
    assert states() == [("stored", 1)] * 3
    assert "0 closed, 0 still rejected" in run()
    for model in (Alert, RejectedMessage):
        model.objects.all().delete()
    from tom_targets.models import BaseTarget, TargetList

    from tom_fink.models import FinkObject, Topic

    for model in (FinkObject, Topic, BaseTarget, TargetList):
        model.objects.all().delete()
    store_messages(refused)
    assert rows == list(
        Alert.objects.order_by("alert_id").values_list(
            "alert_id", "topic", "partition", "offset", "received_at"
        )
    )
    expected = contents()
    del mended["rejected"], expected["rejected"]
    assert mended == expected


def test_what_is_still_bad_stays_open(alerts):
    bad = replace(alerts[0], value=alerts[0].value[:50])
    store_messages([bad])
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 1
    assert states() == [("", 2)]
    found = RejectedMessage.objects.get()
    assert "value" in found.error
    assert (bytes(found.key), bytes(found.value)) == (bad.key, bad.value)


def test_an_alert_that_came_meanwhile_closes_as_a_duplicate(refused):
    store_messages([replace(refused[0], offset=500)])
    run()
    assert sorted(states()) == [("duplicate", 1), ("stored", 1), ("stored", 1)]
    assert Alert.objects.count() == 3


def test_one_topic_or_some_ids(refused, alerts):
    store_messages([replace(alerts[0], topic="another", value=b"x")])
    with pytest.raises(SystemExit):
        run(topic="another")
    keys = list(RejectedMessage.objects.filter(topic=TOPIC).order_by("pk").values_list("pk", flat=True))
    run("--id", str(keys[0]), str(keys[2]))
    assert states() == [("stored", 1), ("", 1), ("stored", 1), ("", 2)]
    with pytest.raises(CommandError, match=f"Not open, or not there: {keys[0]}, 999999"):
        run("--id", str(keys[0]), "999999", str(keys[1]))
    assert "0 closed" in run(topic="no_such_topic")


def careful(alert, topic):
    """A handler that has a fault until somebody mends it."""
    if careful.has_fault:
        raise ZeroDivisionError("in a handler")
    alert_saver(alert, topic)


def test_a_handler_s_fault_keeps_its_traceback_and_is_tried_with_the_handler_again(
    alerts, settings, monkeypatch
):
    key = f"{__name__}.careful"
    settings.ALERT_STREAMS = [
        {"NAME": NAME, "OPTIONS": {"TOPIC": "fink_sn_*", "TOPIC_HANDLERS": {"fink_sn_*": key}}}
    ]
    monkeypatch.setenv("HOME", "/nonexistent")
    decoder, handlers = Decoder(), Handlers({"fink_sn_*": careful})
    careful.has_fault = True
    try:
        decoded = handlers.decode(alerts[:1], decoder)
    finally:
        decoder.close()
    assert isinstance(decoded, Decoded)
    assert handlers.store(decoded).rejected == 1
    found = RejectedMessage.objects.get()
    assert "ZeroDivisionError: in a handler" in found.error
    assert "in careful" in found.traceback
    with pytest.raises(SystemExit):
        run()
    careful.has_fault = False
    run()
    assert states() == [("handled", 2)]
    assert Alert.objects.count() == 1


def test_a_message_that_is_rejected_again_is_one_row_with_the_newest_reason(alerts):
    bad = replace(alerts[0], value=b"\x02")
    store_messages([bad, bad])
    first = RejectedMessage.objects.get()
    RejectedMessage.objects.update(error="an older reason")
    store_messages([bad])
    assert RejectedMessage.objects.get().error == first.error
    nowhere = replace(bad, partition=None, offset=None)
    store_messages([nowhere])
    store_messages([nowhere])
    assert RejectedMessage.objects.count() == 2


def test_closed_ones_are_kept_for_some_days_and_open_ones_for_ever(alerts):
    for offset in range(3):
        store_messages([replace(alerts[0], value=b"\x02", offset=offset)])
    long_ago = datetime.now(UTC) - timedelta(days=40)
    RejectedMessage.objects.update(received_at=long_ago)
    kept, closed, old = RejectedMessage.objects.order_by("pk")
    close_rejected(closed, "discarded")
    close_rejected(old, "stored")
    RejectedMessage.objects.filter(pk=old.pk).update(closed_at=long_ago)
    assert prune_rejected(30) == 1
    assert set(RejectedMessage.objects.values_list("pk", flat=True)) == {kept.pk, closed.pk}


class TestAdmin:
    """Looking needs the permission to view, acting the one to change."""

    address = "/admin/tom_fink/rejectedmessage/"

    @pytest.fixture
    def staff(self, client, django_user_model):
        from django.contrib.auth.models import Permission

        def log_in(*permissions):
            user = django_user_model.objects.create_user("staff", password="x", is_staff=True)
            user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
            client.force_login(user)
            return client

        return log_in

    def act(self, client, action):
        keys = list(RejectedMessage.objects.values_list("pk", flat=True))
        answer = client.post(self.address, {"action": action, "_selected_action": keys}, follow=True)
        return answer.content.decode()

    def test_try_again(self, refused, staff):
        client = staff("view_rejectedmessage", "change_rejectedmessage")
        assert "3 closed, 0 still rejected" in self.act(client, "try_again")
        assert Alert.objects.count() == 3
        assert "0 rejected messages" in client.get(self.address).content.decode()
        assert "3 rejected messages" in client.get(f"{self.address}?state=closed").content.decode()

    def test_discard(self, refused, staff):
        assert "3 discarded" in self.act(staff("view_rejectedmessage", "change_rejectedmessage"), "discard")
        assert states() == [("discarded", 1)] * 3
        assert Alert.objects.count() == 0

    @pytest.mark.parametrize("action", ["try_again", "discard"])
    def test_who_may_only_look_may_not_act(self, refused, staff, action):
        self.act(staff("view_rejectedmessage"), action)
        assert states() == [("", 1)] * 3

    def test_the_page_of_a_message_has_its_error_and_its_bytes(self, alerts, staff):
        bad = replace(alerts[0], value=b"<script>alert(1)</script>")
        store_messages([bad])
        found = RejectedMessage.objects.get()
        client = staff("view_rejectedmessage")
        page = client.get(f"{self.address}{found.pk}/change/").content.decode()
        assert f"{len(bad.value)} bytes" in page
        assert "<script>alert(1)" not in page
        part = client.get(reverse("admin:tom_fink_rejectedmessage_part", args=[found.pk, "value"]))
        assert part.content == bad.value
        assert part["Content-Type"] == "application/octet-stream"
        assert part["X-Content-Type-Options"] == "nosniff"
        assert client.get(f"{self.address}{found.pk}/error.bin").status_code == 404
        client.logout()
        assert client.get(part.wsgi_request.path).status_code == 302

    def test_who_may_not_look_gets_no_bytes(self, alerts, staff):
        store_messages([replace(alerts[0], value=b"\x02")])
        address = reverse(
            "admin:tom_fink_rejectedmessage_part", args=[RejectedMessage.objects.get().pk, "key"]
        )
        assert staff().get(address).status_code == 404
