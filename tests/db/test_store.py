"""The writer: what a batch becomes, and that doing it twice, in pieces or in any order changes nothing."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import DataError, connection
from guardian.shortcuts import get_group_perms
from tom_dataproducts.models import PhotometryReducedDatum
from tom_targets.merge import target_merge
from tom_targets.models import BaseTarget, Target, TargetList, TargetName

from tests.contents import shown_cutouts
from tom_fink.cutouts import Cutout, CutoutKind, with_cutouts
from tom_fink.decoding.decode import Message, decode_one
from tom_fink.errors import BadMessage
from tom_fink.models import Alert, FinkObject, RejectedMessage, Topic, TopicAlert
from tom_fink.store import alerts as alerts_module
from tom_fink.store import batch as batch_module
from tom_fink.store import store_messages, store_records

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 22, 12, tzinfo=UTC)


def snapshot() -> dict:
    """Everything that counts about the rows, by what names them and not by their keys."""
    return {
        "targets": sorted(
            BaseTarget.objects.values_list("name", "type", "ra", "dec", "epoch", "permissions", "semimajor_axis"),
            key=str,
        ),
        "photometry": sorted(
            PhotometryReducedDatum.objects.values_list(
                "target__name", "timestamp", "bandpass", "brightness", "brightness_error", "limit", "instrument",
                "reduction_version",
            ),
            key=str,
        ),
        "alerts": sorted(Alert.objects.values_list("survey", "alert_id", "target__name", "fink_object__object_id")),
        "objects": sorted(
            FinkObject.objects.values_list(
                "survey", "object_id", "alert_count", "first_seen", "last_seen", "mag_ab", "band", "fink_class"
            )
        ),
        "lists": sorted(TargetList.objects.values_list("name", "targets__name"), key=str),
        "deliveries": sorted(TopicAlert.objects.values_list("topic__name", "alert__alert_id")),
        "cutouts": sorted(shown_cutouts()),
    }  # fmt: skip


def of_object(messages: list[Message], at_least: int = 3) -> list[Message]:
    """The messages of one ZTF object that has several alerts in one topic."""
    by_object: dict[str, list[Message]] = {}
    for message in messages:
        if message.topic == "fink_sn_candidates_ztf":
            by_object.setdefault(decode_one(message)["objectId"], []).append(message)
    return next(found for found in by_object.values() if len(found) >= at_least)


def test_a_batch_adds_up(simulated_messages):
    outcome = store_messages(simulated_messages)
    assert (
        outcome.stored + outcome.duplicate + outcome.rejected == outcome.messages == len(simulated_messages)
    )
    assert outcome.rejected == 0
    assert Alert.objects.count() == outcome.stored
    assert TopicAlert.objects.count() == len({(m.topic, m.value) for m in simulated_messages})
    assert set(Topic.objects.values_list("name", flat=True)) == {m.topic for m in simulated_messages}


def test_twice_is_once(simulated_messages, row_counts):
    store_messages(simulated_messages)
    before, counts = snapshot(), row_counts()
    again = store_messages(simulated_messages)
    assert (again.stored, again.duplicate) == (0, len(simulated_messages))
    assert row_counts() == counts
    assert snapshot() == before


def test_the_size_and_order_of_batches_do_not_matter(simulated_messages, row_counts):
    messages = simulated_messages[:120]
    store_messages(messages)
    expected, counts = snapshot(), row_counts()
    for model in (BaseTarget, Topic, TargetList, FinkObject, Alert):
        model.objects.all().delete()
    for message in reversed(messages):
        store_messages([message])
    found = snapshot()
    # A target keeps the position of the alert that made it, whichever came first.
    for state in (expected, found):
        state["targets"] = [(name, kind, axis) for name, kind, *_, axis in state["targets"]]
    assert found == expected
    assert row_counts() == counts


def test_a_new_object_becomes_a_target_in_the_topic_s_list(simulated_messages):
    message = of_object(simulated_messages)[0]
    alert = decode_one(message)
    store_messages([message])
    target = BaseTarget.objects.get()
    assert target.name == alert["objectId"]
    assert (target.type, target.permissions, target.epoch) == ("SIDEREAL", "PUBLIC", 2000.0)
    assert (target.ra, target.dec) == (alert["candidate"]["ra"], alert["candidate"]["dec"])
    target_list = TargetList.objects.get(name=message.topic)
    assert list(target_list.targets.all()) == [target]
    assert "view_targetlist" in get_group_perms(Group.objects.get(name="Public"), target_list)
    row = Alert.objects.get()
    assert (row.survey, row.alert_id, row.object_id) == ("ztf", str(alert["candid"]), alert["objectId"])
    assert (row.topic, row.partition, row.offset, row.received_at) == (
        message.topic,
        message.partition,
        message.offset,
        message.received_at,
    )
    assert row.target_id == target.pk
    json.dumps(row.fink_values, allow_nan=False)


def test_a_target_that_is_in_the_list_already_uses_up_no_key_of_it(simulated_messages):
    """PostgreSQL would take one for each alert, and TOM Toolkit's have 32 bits."""
    through = TargetList.targets.through
    first, *later = of_object(simulated_messages)
    store_messages([first])
    for message in later:
        store_messages([message])
    assert through.objects.count() == 1
    other = through.objects.create(
        targetlist=TargetList.objects.get(),
        basetarget=BaseTarget.objects.create(name="other", type="SIDEREAL"),
    )
    assert other.pk == through.objects.exclude(pk=other.pk).get().pk + 1


def test_a_second_alert_adds_to_its_object(simulated_messages):
    first, second, third = of_object(simulated_messages)[:3]
    store_messages([first])
    points = PhotometryReducedDatum.objects.count()
    store_messages([second, third])
    found = FinkObject.objects.get()
    alerts = Alert.objects.order_by("observed_at")
    assert BaseTarget.objects.count() == 1
    assert found.alert_count == alerts.count() == 3
    assert (found.first_seen, found.last_seen) == (alerts[0].observed_at, alerts[2].observed_at)
    assert (found.mag_ab, found.band) == (alerts[2].mag_ab, alerts[2].band)
    # Two detections, and the limits of visits between; the history before is the same.
    assert points + 2 <= PhotometryReducedDatum.objects.count() < 2 * points + 2


def test_a_late_alert_does_not_take_the_place_of_the_newest(simulated_messages):
    first, _, third = of_object(simulated_messages)[:3]
    store_messages([third])
    newest = FinkObject.objects.values().get()
    store_messages([first])
    found = FinkObject.objects.get()
    assert (found.last_seen, found.mag_ab) == (newest["last_seen"], newest["mag_ab"])
    assert found.first_seen < newest["first_seen"]


def test_cutouts_of_the_first_and_the_latest_alert_are_kept(simulated_messages):
    messages = of_object(simulated_messages)[:3]
    for message in (messages[1], messages[0], messages[2]):
        store_messages([message])
    first, _, latest = Alert.objects.order_by("observed_at")
    found = with_cutouts(Alert.objects.all())
    assert [alert for alert, _ in found] == [first, latest]
    assert [[cutout.kind for cutout in cutouts] for _, cutouts in found] == [list(CutoutKind)] * 2
    sent = decode_one(messages[2])
    for kind in CutoutKind:
        assert Cutout(latest, kind).stored() == sent[f"cutout{kind.label}"]["stampData"]


def test_an_alert_in_two_topics_is_one_alert_in_two_lists(simulated_messages):
    message = of_object(simulated_messages)[0]
    elsewhere = replace(message, topic="fink_early_sn_candidates_ztf", offset=77)
    for batch in ([message, elsewhere], [elsewhere]):
        store_messages(batch)
    alert = Alert.objects.get()
    assert alert.topic == message.topic, "the topic that brought it first"
    assert {d.topic.name for d in alert.deliveries.all()} == {message.topic, elsewhere.topic}
    assert {target_list.name for target_list in BaseTarget.objects.get().targetlist_set.all()} == {
        message.topic,
        elsewhere.topic,
    }


def test_the_signs_and_limits_of_photometry(simulated_messages):
    store_messages(simulated_messages)
    rows = PhotometryReducedDatum.objects.all()
    assert not rows.filter(brightness=None, limit=None).exists()
    assert not rows.filter(brightness__isnull=False, limit__isnull=False).exists()
    assert set(rows.values_list("unit", "source_name").distinct()) == {("AB mag", "Fink")}
    assert set(rows.values_list("instrument", "telescope").distinct()) == {
        ("ZTF", "Palomar 48-inch"),
        ("LSSTCam", "Simonyi Survey Telescope"),
    }
    kinds = {"brightness": set(), "limit": set()}
    for row in rows:
        kinds["limit" if row.brightness is None else "brightness"].add(row.value["kind"])
        if row.brightness is not None:
            assert row.value["flux_njy"] > 0, "a dip stored as a brightening"
            assert row.brightness_error > 0
        else:
            assert row.brightness_error is None
        assert (row.reduction_version == "forced") == (row.value["kind"] == "forced")
    assert kinds == {"brightness": {"detection", "forced"}, "limit": {"detection", "forced", "limit"}}


def test_a_known_body_is_one_target_however_often_it_is_seen(simulated_messages):
    store_messages([m for m in simulated_messages if "sso" in m.topic or "solar_system" in m.topic])
    bodies = BaseTarget.objects.filter(type="NON_SIDEREAL")
    assert bodies.count() == FinkObject.objects.count() > 1
    seen_often = FinkObject.objects.filter(survey="ztf", alert_count__gt=1).first()
    ids = set(seen_often.alerts.values_list("object_id", flat=True))
    assert len(ids) == seen_often.alert_count, "ZTF gives each detection of a body an id of its own"
    with_orbit = bodies.exclude(epoch_of_elements=None).first()
    assert with_orbit.scheme == "MPC_MINOR_PLANET"
    assert (with_orbit.ra, with_orbit.epoch) == (None, None)
    assert with_orbit.eccentricity is not None
    newest = seen_often.alerts.latest("observed_at")
    assert (seen_often.ra_deg, seen_often.dec_deg) == (newest.ra_deg, newest.dec_deg)


def test_a_body_that_two_surveys_know_by_two_names_is_one_target(simulated_messages):
    rubin = next(decode_one(m) for m in simulated_messages if m.topic == "fink_is_solar_system_lsst")
    ztf = next(decode_one(m) for m in simulated_messages if m.topic == "fink_sso_ztf_candidates_ztf")
    rubin["mpc_orbits"] |= {
        "designation": "2004 JQ12",
        "mpc_orb_jsonb": json.dumps({"designation_data": {"permid": "217301"}}),
    }
    ztf["candidate"]["ssnamenr"] = "217301"
    store_records([ztf], "fink_sso_ztf_candidates_ztf")
    assert BaseTarget.objects.get().scheme == "", "ZTF brings no orbit"
    store_records([rubin], "fink_is_solar_system_lsst")
    target = BaseTarget.objects.get()
    assert target.name == "217301"
    assert "2004 JQ12" in set(TargetName.objects.values_list("name", flat=True))
    assert target.semimajor_axis == rubin["mpc_orbits"]["a"]
    assert target.fink_objects.count() == 2
    older = json.loads(json.dumps(rubin, default=str)) | {"diaSourceId": rubin["diaSourceId"] + 1}
    older["mpc_orbits"] |= {"epoch_mjd": rubin["mpc_orbits"]["epoch_mjd"] - 200, "a": 1.0}
    older |= {name: rubin[name] for name in rubin if name.startswith("cutout")}
    store_records([older], "fink_is_solar_system_lsst")
    assert BaseTarget.objects.get().semimajor_axis == rubin["mpc_orbits"]["a"], (
        "older elements do not replace newer"
    )


def test_a_target_that_is_there_already_is_used_and_left_as_it_is(simulated_messages):
    """Made by hand, private, under the object's name or with it as an alias."""
    message = of_object(simulated_messages)[0]
    name = decode_one(message)["objectId"]
    mine = BaseTarget.objects.create(name="SN 2026abc", type="SIDEREAL", ra=1, dec=2, permissions="PRIVATE")
    TargetName.objects.create(target=mine, name=name)
    store_messages([message])
    target = BaseTarget.objects.get()
    assert (target.pk, target.permissions, target.ra) == (mine.pk, "PRIVATE", 1)
    assert Alert.objects.get().target_id == mine.pk


def test_a_list_that_is_there_already_is_used(simulated_messages):
    mine = TargetList.objects.create(name="fink_sn_candidates_ztf")
    store_messages(of_object(simulated_messages)[:1])
    assert TargetList.objects.get() == mine
    assert mine.targets.count() == 1


def test_a_deleted_list_is_made_again_and_a_deleted_target_stays_away(simulated_messages):
    first, second = of_object(simulated_messages)[:2]
    store_messages([first])
    TargetList.objects.all().delete()
    BaseTarget.objects.all().delete()
    assert Alert.objects.count() == 1, "an alert outlives its target"
    store_messages([first])
    assert BaseTarget.objects.count() == 0, "a replay does not bring back what somebody deleted"
    store_messages([second])
    assert BaseTarget.objects.count() == 1, "a new alert does"
    assert TargetList.objects.get().targets.count() == 1
    assert BaseTarget.objects.get().fink_alerts.count() == 2, (
        "and gives the new target the alerts of the old one"
    )


def test_a_known_alert_in_a_further_topic_lists_the_target_that_was_just_made_anew(simulated_messages):
    first, second = of_object(simulated_messages)[:2]
    store_messages([first])
    BaseTarget.objects.all().delete()
    store_messages([replace(first, topic="fink_another_ztf"), second])
    made = BaseTarget.objects.get()
    assert TargetList.objects.get(name="fink_another_ztf").targets.get() == made
    assert TargetList.objects.get(name=first.topic).targets.get() == made


def test_alerts_that_another_reader_stores_meanwhile_are_known(simulated_messages, monkeypatch, caplog):
    """After this one has looked for them, and before it has locked their objects."""
    messages = of_object(simulated_messages)
    look, overtakes = batch_module.known_alerts, []

    def known_alerts(alerts):
        known = look(alerts)
        if not overtakes:
            overtakes.append(None)
            overtakes[0] = store_messages(messages[:2])
        return known

    monkeypatch.setattr(batch_module, "known_alerts", known_alerts)
    outcome = store_messages([replace(message, topic="fink_another_ztf") for message in messages])
    assert (overtakes[0].stored, overtakes[0].duplicate) == (2, 0)
    assert (outcome.stored, outcome.duplicate) == (len(messages) - 2, 2)
    assert "one by one" not in caplog.text
    assert FinkObject.objects.get().alert_count == Alert.objects.count() == len(messages)
    assert Topic.objects.get(name="fink_another_ztf").deliveries.count() == len(messages)


def test_a_batch_that_nobody_overtakes_looks_for_its_alerts_once(simulated_messages, monkeypatch):
    look, looks = batch_module.known_alerts, []
    monkeypatch.setattr(
        batch_module, "known_alerts", lambda alerts: looks.append(alerts.height) or look(alerts)
    )
    store_messages(simulated_messages)
    store_messages(simulated_messages)
    assert len(looks) == 2


def test_alerts_follow_when_targets_are_merged(simulated_messages):
    """TOM Toolkit's merge deletes the second target and keeps its name as an alias of the first."""
    messages = of_object(simulated_messages)[:2]
    store_messages(messages[:1])
    mine = BaseTarget.objects.create(name="SN 2026abc", type="SIDEREAL", ra=1, dec=2)
    target_merge(mine, BaseTarget.objects.exclude(pk=mine.pk).get())
    assert mine.fink_alerts.count() == mine.fink_objects.count() == 1
    assert PhotometryReducedDatum.objects.filter(target=mine).exists()
    store_messages(messages)
    assert BaseTarget.objects.get() == mine
    assert mine.fink_alerts.count() == 2


def test_multi_messenger_alerts_join_the_ztf_object(simulated_messages):
    grb = next(m for m in simulated_messages if m.topic == "fink_grb_bronze")
    name = decode_one(grb)["objectId"]
    store_messages([grb])
    found = FinkObject.objects.get()
    assert (found.survey, found.object_id) == ("ztf", name)
    assert Alert.objects.get().survey == "mm"
    assert PhotometryReducedDatum.objects.count() == 0


def made(target, created):
    """A target_post_save hook that notes what it sees."""
    seen.append(
        (
            target.name,
            created,
            target.pk is not None,
            PhotometryReducedDatum.objects.filter(target=target).count(),
        )
    )


seen: list[tuple] = []


def test_the_hook_runs_once_for_each_new_target(simulated_messages, settings):
    settings.HOOKS = settings.HOOKS | {"target_post_save": f"{__name__}.made"}
    seen.clear()
    messages = of_object(simulated_messages)
    for message in messages:
        store_messages([message])
    assert len(seen) == 1
    name, created, has_key, points = seen[0]
    assert (name, created, has_key) == (decode_one(messages[0])["objectId"], True, True)
    assert points > 0, "the hook sees the target with its light curve"


def test_a_new_target_is_as_if_it_had_been_saved(simulated_messages):
    """But for its position, its name and when it was made."""
    own = {"id", "name", "ra", "dec", "created", "modified", "galactic_lng", "galactic_lat"}
    saved = Target(name="by hand", type=Target.SIDEREAL, epoch=2000.0, permissions="PUBLIC")
    saved.save()
    before = datetime.now(UTC)
    store_messages(of_object(simulated_messages)[:1])
    made = BaseTarget.objects.exclude(pk=saved.pk).get()
    assert before <= made.created == made.modified <= datetime.now(UTC)
    columns = {field.attname for field in BaseTarget._meta.concrete_fields} - own
    assert {name: getattr(made, name) for name in columns} == {name: getattr(saved, name) for name in columns}


def changes(target, created):
    """A hook of the site's own that saves the target, which runs it again."""
    if created:
        target.distance = 12.5
        target.save()


def test_the_hook_may_save_the_target(simulated_messages, settings):
    settings.HOOKS = settings.HOOKS | {"target_post_save": f"{__name__}.changes"}
    store_messages(of_object(simulated_messages)[:1])
    assert BaseTarget.objects.get().distance == 12.5


def test_extra_fields_get_their_default(simulated_messages, settings):
    settings.EXTRA_FIELDS = [{"name": "priority", "type": "number", "default": 3}]
    settings.HOOKS = settings.HOOKS | {"target_post_save": f"{__name__}.made"}
    seen.clear()
    store_messages(of_object(simulated_messages)[:1])
    assert BaseTarget.objects.get().extra_fields == {"priority": 3.0}
    assert len(seen) == 1


@pytest.mark.parametrize("permission", ["OPEN", "PRIVATE"])
def test_who_may_see_new_targets_is_a_setting(simulated_messages, settings, permission):
    settings.FINK_TARGET_PERMISSION = permission
    store_messages(of_object(simulated_messages)[:1])
    assert BaseTarget.objects.get().permissions == permission


def test_a_rejected_message_is_kept_whole_and_once(simulated_messages, caplog):
    good = simulated_messages[0]
    bad = replace(good, offset=5, value=good.value[:500])
    for _ in range(2):
        outcome = store_messages([bad, good])
        assert outcome.rejected == 1
    row = RejectedMessage.objects.get()
    assert (row.topic, row.partition, row.offset) == (bad.topic, bad.partition, 5)
    assert (bytes(row.key), bytes(row.value), row.error) == (
        bad.key,
        bad.value,
        "The value ends too early (500 bytes).",
    )
    assert "ends too early" in caplog.text
    # A cluster set up anew counts from zero again: another message at the same place is kept too.
    store_messages([replace(bad, value=good.value[:400])])
    assert RejectedMessage.objects.count() == 2


def test_what_the_database_refuses_is_rejected_alone(simulated_messages, monkeypatch):
    """A fault in the data that only the database sees must not hold up the batch for ever."""
    refused = decode_one(of_object(simulated_messages)[0])["objectId"]
    insert = alerts_module.store_alerts

    def choosy(alerts):
        if refused in set(alerts["object_id"]):
            raise DataError("value too long")
        return insert(alerts)

    monkeypatch.setattr("tom_fink.store.batch.store_alerts", choosy)
    messages = [m for m in simulated_messages if m.topic == "fink_sn_candidates_ztf"][:20]
    victims = [m for m in messages if decode_one(m)["objectId"] == refused]
    outcome = store_messages(messages)
    assert outcome.messages == len(messages)
    assert outcome.rejected == RejectedMessage.objects.count() == len(victims) > 0
    assert outcome.stored == len(messages) - len(victims) > 0
    assert "value too long" in RejectedMessage.objects.first().error


def test_a_crash_in_the_middle_leaves_nothing(simulated_messages, monkeypatch, row_counts):
    before = row_counts()

    def crash(*_):
        raise RuntimeError("power cut")

    monkeypatch.setattr("tom_fink.store.batch.update_objects", crash)
    with pytest.raises(RuntimeError):
        store_messages(simulated_messages[:30])
    assert row_counts() == before


def test_records_that_are_no_alerts_store_nothing(simulated_messages, row_counts):
    good, before = decode_one(simulated_messages[0]), row_counts()
    with pytest.raises(BadMessage, match="Neither a ZTF"):
        store_records([{"temperature": 21.5}], "fink_x_ztf")
    bad = (
        good | {"candidate": good["candidate"] | {"ra": None}}
        if "candidate" in good
        else good | {"diaSource": None}
    )
    with pytest.raises(BadMessage):
        store_records([bad], "fink_x_ztf")
    assert row_counts() == before


def test_new_targets_cost_no_more_as_targets_grow(simulated_messages, django_assert_max_num_queries):
    """No look at the other targets: the number of queries is bounded, and none reads names without asking for them."""
    BaseTarget.objects.bulk_create(
        BaseTarget(name=f"T{n}", type="SIDEREAL", ra=0, dec=0, permissions="PUBLIC") for n in range(2000)
    )
    store_messages(simulated_messages[60:])  # the topics are made
    with django_assert_max_num_queries(60) as captured:
        store_messages(simulated_messages[:60])
    reads = [
        q["sql"]
        for q in captured.captured_queries
        if "FROM" in q["sql"] and "tom_targets_basetarget" in q["sql"]
    ]
    assert reads
    assert all(" WHERE " in sql for sql in reads)


def test_times_are_utc_to_the_millisecond(simulated_messages):
    store_messages(simulated_messages[:40])
    for alert in Alert.objects.all():
        assert alert.observed_at.utcoffset() == timedelta(0)
        assert alert.observed_at.microsecond % 1000 == 0


def test_the_database_is_the_one_that_was_asked_for():
    """A run that silently fell back to SQLite would prove nothing about PostgreSQL."""
    import os

    assert connection.vendor == os.environ.get("TEST_DATABASE", "sqlite")
