"""manage.py refresh_targets, over HTTP: what Fink has of targets, whatever they are called."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from tom_dataproducts.models import PhotometryReducedDatum
from tom_targets.models import BaseTarget, Target, TargetList, TargetName

from tests.contents import assert_same, contents
from tests.fink_server import FinkServer
from tests.unit.test_search_run import OTHER_ID, RUBIN_ID, ZTF_ID, rubin, ztf
from tom_fink.management.commands import refresh_targets as command
from tom_fink.models import Alert, FinkObject, TargetRefresh
from tom_fink.simulate.service import simulated_service

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_proxy")]
START = datetime(2026, 3, 22, 4, tzinfo=UTC)
FAST = {"requests_per_minute": 1e9}
FAR = {"ra": 10.0, "dec": -30.0, "type": "SIDEREAL"}


@pytest.fixture(scope="module")
def service():
    with simulated_service(7, START, nights=1) as found:
        yield found


@pytest.fixture
def server(settings):
    """A server that knows a ZTF object, with a limit and a dip, and a Rubin object elsewhere."""
    limit = {"i:candid": -1, "i:jd": 2461110.5, "i:fid": 2, "i:diffmaglim": 19.5, "i:magpsf": None}
    with FinkServer() as found:
        options = found.options()
        settings.FINK_API_ZTF_URL, settings.FINK_API_LSST_URL = options.ztf_url, options.lsst_url
        found.rows["ztf", "objects"] = [
            ztf(2, days=1), ztf(1), limit | {"i:objectId": ZTF_ID, "d:tag": "upperlim"},
        ]  # fmt: skip
        found.rows["ztf", "conesearch"] = [ztf(2, days=1)]
        found.rows["lsst", "sources"] = [rubin(7, days=1), rubin(6)]
        found.rows["lsst", "fp"] = [rubin(7, days=2) | {"r:diaForcedSourceId": 5}]
        yield found


def run(**options) -> str:
    out, err = io.StringIO(), io.StringIO()
    call_command("refresh_targets", stdout=out, stderr=err, **(FAST | options))
    return out.getvalue() + err.getvalue()


def points(target: BaseTarget) -> int:
    return PhotometryReducedDatum.objects.filter(target=target).count()


def test_a_target_whose_name_is_an_id_gets_alerts_and_light_curve(server):
    target = Target.objects.create(name=ZTF_ID, **FAR)
    said = run()
    assert "Asked for 1 of 1 targets: 1 known to Fink, 0 to be tried again." in said
    assert "Done. Added: 0 targets, 2 alerts, 3 points, 0 aliases, 0 problems." in said
    assert FinkObject.objects.get().target_id == target.pk
    assert (Target.objects.get().ra, points(target)) == (10.0, 3), "the target is left as it is"
    assert "0 alerts, 0 points" in run(stale_after=0)


def test_a_target_with_ids_of_both_surveys_among_its_aliases(server):
    target = Target.objects.create(name="my supernova", **FAR)
    for name in (ZTF_ID, RUBIN_ID):
        TargetName.objects.create(target=target, name=name)
    assert "0 targets, 4 alerts, 6 points" in run()
    assert set(FinkObject.objects.values_list("object_id", "target")) == {
        (ZTF_ID, target.pk), (RUBIN_ID, target.pk),
    }  # fmt: skip
    assert points(target) == 6


def test_a_target_that_is_linked_to_an_object(server):
    """As those of a search or of the stream are: whatever it is called now."""
    target = Target.objects.create(name=ZTF_ID, **FAR)
    run()
    Target.objects.filter(pk=target.pk).update(name="renamed")
    server.rows["ztf", "objects"].insert(0, ztf(3, days=2))
    assert "0 targets, 1 alert, 1 point" in run(stale_after=0)
    assert points(target) == 4


def test_a_target_of_whatever_name_at_an_object_s_place(server):
    mine = Target.objects.create(name="my supernova", ra=150.1, dec=2.21, type="SIDEREAL")
    near = Target.objects.create(name="4 arc seconds off", ra=150.1, dec=2.21 + 4 / 3600, type="SIDEREAL")
    said = run()
    assert "Asked for 2 of 2 targets: 1 known to Fink" in said
    assert "0 targets, 0 alerts, 3 points" in said
    assert (points(mine), points(near)) == (3, 0)
    assert not FinkObject.objects.exists(), "it is not claimed for the object"
    row = PhotometryReducedDatum.objects.filter(target=mine).first()
    assert row.source_location == f"https://ztf.fink-portal.org/{ZTF_ID}"
    assert "0 points" in run(stale_after=0)


def test_names_of_tns_are_added(server):
    target = Target.objects.create(name=ZTF_ID, **FAR)
    other = Target.objects.create(name="ATLAS26xyz", ra=1, dec=1, type="SIDEREAL")
    record = {"d:fullname": "SN 2026abc", "d:internalname": ZTF_ID, "d:ra": 150.1, "d:declination": 2.21}
    server.rows["ztf", "resolver"] = [record, record | {"d:internalname": "ATLAS26xyz"}]
    said = run()
    assert "1 alias, 1 problem." in said
    assert "ATLAS26xyz is the name of another target and was not taken." in said
    assert list(TargetName.objects.values_list("target", "name")) == [(target.pk, "SN 2026abc")]
    assert points(other) == 0


def test_bodies(server):
    """One that is linked, one by its name, and one that Fink does not know, which is no problem."""
    row = {"i:ssnamenr": "8467", "d:roid": 3, "sso_name": "Benoitcarry", "sso_number": 8467}
    server.rows["ztf", "sso"] = [ztf(2, OTHER_ID, 1, **row), ztf(1, ZTF_ID, 0, **row)]
    mine = Target.objects.create(name="8467", type="NON_SIDEREAL")
    unknown = Target.objects.create(name="Oumuamua", type="NON_SIDEREAL")
    said = run()
    assert "Asked for 2 of 2 targets: 1 known to Fink, 0 to be tried again." in said
    assert "0 alerts, 2 points, 0 aliases, 0 problems" in said
    assert (points(mine), points(unknown)) == (2, 0)
    object_ = FinkObject.objects.create(survey="ztf", object_id="8467", target=mine)
    said = run(stale_after=0)
    assert "0 targets, 2 alerts, 0 points, 1 alias, 0 problems" in said
    assert TargetName.objects.get().name == "Benoitcarry"
    assert Alert.objects.filter(fink_object=object_, target=mine).count() == 2


def test_a_target_of_one_survey_is_looked_for_in_the_other(server):
    """By place, as Fink does not say which are the same."""
    server.rows["lsst", "conesearch"] = [rubin(7, days=1)]
    target = Target.objects.create(name=ZTF_ID, ra=150.1, dec=2.21, type="SIDEREAL")
    for expected in ("2 alerts, 6 points", "0 alerts, 0 points"):
        assert expected in run(stale_after=0)
    assert FinkObject.objects.get().survey == "ztf", "only a light curve is taken from there"
    Target.objects.all().delete()
    target = Target.objects.create(name=RUBIN_ID, ra=150.1, dec=2.21, type="SIDEREAL")
    assert "2 alerts, 6 points" in run()
    assert points(target) == 6


@pytest.mark.parametrize("ra_deg", [150.1 - 360, 150.1 + 360])
def test_a_right_ascension_beyond_the_circle(server, ra_deg):
    target = Target.objects.create(name="mine", ra=ra_deg, dec=2.21, type="SIDEREAL")
    assert "0 problems" in run()
    assert points(target) == 3


def test_a_number_that_is_no_id_of_fink_s_does_not_hide_the_place(server):
    """Such as one of Gaia's, which has the form of one of Rubin's."""
    server.rows["lsst", "conesearch"] = [rubin(7, days=1)]
    target = Target.objects.create(name="mine", ra=150.1, dec=2.21, type="SIDEREAL")
    for name in ("4657988441478429824", "ZTF18zzzzzzz"):
        TargetName.objects.create(target=target, name=name)
    assert "1 known to Fink" in run()
    assert points(target) == 6


@pytest.mark.parametrize(
    ("name", "aliases", "asked"),
    [
        ("my comet", ["8467"], ["my comet", "8467"]),
        ("(433) Eros", [], ["433", "Eros"]),
        ("433 Eros", [], ["433", "Eros"]),
        ("2004 JQ12", ["4657988441478429824"], ["2004 JQ12"]),
        ("a", list("bcdefg"), list("abcde")),
    ],
)
def test_a_body_is_asked_for_by_its_names(server, name, aliases, asked):
    row = {"i:ssnamenr": "8467", "d:roid": 3, "sso_name": "Benoitcarry", "sso_number": 8467}
    server.rows["ztf", "sso"] = [ztf(1, **row)]
    target = Target.objects.create(name=name, type="NON_SIDEREAL", ra=150.1, dec=2.21)
    for one in aliases:
        TargetName.objects.create(target=target, name=one)
    assert "0 to be tried again" in run()
    of_ztf = [one.payload["n_or_d"] for one in server.asked if one.path == "/ztf/api/v1/sso"]
    assert of_ztf == asked
    assert points(target) == ("8467" in aliases)
    assert not any("conesearch" in one.path for one in server.asked)


@pytest.mark.parametrize("status", [404, 500])
def test_a_body_that_the_service_fails_on_is_tried_again(server, status):
    Target.objects.create(name="8467", type="NON_SIDEREAL")
    server.answer = lambda *given: (status, "text/html", b"<title>no</title>")
    said = run()
    assert "0 known to Fink, 1 to be tried again." in said
    assert f"status {status}" in said
    assert not TargetRefresh.objects.exists()


@pytest.mark.parametrize("fault", [(503, b""), (200, b"<html>"), (500, b"")])
def test_names_that_cannot_be_had_keep_nothing_from_being_stored(server, fault):
    Target.objects.create(name=ZTF_ID, **FAR)
    answered = server.answer
    server.answer = lambda survey, endpoint, payload: (
        (fault[0], "text/html", fault[1]) if endpoint == "resolver" else answered(survey, endpoint, payload)
    )
    said = run(give_up_after=0.05)
    assert "2 alerts, 3 points, 0 aliases, 1 problem." in said
    assert "1 known to Fink, 0 to be tried again" in said
    assert f"was asked for the name of {ZTF_ID} in tns" in said


def test_only_a_list(server):
    listed = Target.objects.create(name=ZTF_ID, **FAR)
    Target.objects.create(name=RUBIN_ID, ra=11, dec=1, type="SIDEREAL")
    for _ in range(2):  # TOM Toolkit keeps no list's name unique
        TargetList.objects.create(name="mine").targets.add(listed)
    assert "Asked for 1 of 1 targets" in run(list="mine")
    with pytest.raises(CommandError, match=r"There is no target list 'yours\\n'\. --list takes its name."):
        run(list="yours\n")


def test_private_targets_are_refreshed_and_stay_private(server):
    target = Target.objects.create(name=ZTF_ID, permissions="PRIVATE", **FAR)
    assert "2 alerts" in run()
    target.refresh_from_db()
    assert target.permissions == "PRIVATE"


def test_only_what_was_not_asked_for_lately_the_oldest_first(server):
    names = [ZTF_ID, OTHER_ID, RUBIN_ID]
    now = datetime.now(UTC)
    for name, hours in zip(names, (11, 13, 30), strict=True):
        target = Target.objects.create(name=name, **FAR)
        TargetRefresh.objects.create(target=target, refreshed_at=now - timedelta(hours=hours))
    Target.objects.create(name="never", type="SIDEREAL", ra=1, dec=1)
    assert "Asked for 3 of 3 targets" in run()
    assert "Asked for 0 of 0 targets" in run()
    assert "Asked for 1 of 1 targets" in run(stale_after=5), "that of 11 hours ago"
    assert "Asked for 4 of 4 targets" in run(stale_after=0)


def test_none():
    assert run() == (
        "Asked for 0 of 0 targets: 0 known to Fink, 0 to be tried again.\n"
        "Done. Added: 0 targets, 0 alerts, 0 points, 0 aliases, 0 problems.\n"
    )


# --- In chunks ---------------------------------------------------------------------------------


class Killed(BaseException):
    """What no handler catches."""


@pytest.fixture
def many(service, settings):
    """Thirty targets: objects of the stand-in service by id, and one that it does not know."""
    settings.FINK_API_ZTF_URL, settings.FINK_API_LSST_URL = service.url("ztf"), service.url("lsst")
    for survey, number in (("ztf", 20), ("lsst", 9)):
        for name in list(service.catalogue.tables[survey].points)[:number]:
            Target.objects.create(name=name, **FAR)
    Target.objects.create(name="mine", **FAR)
    return list(Target.objects.order_by("pk"))


def test_objects_are_asked_for_together(many, service, monkeypatch):
    asked = []
    answer = service.answer
    monkeypatch.setattr(service, "answer", lambda *given: (asked.append(given[1]), answer(*given))[1])
    run()
    # Of ten targets one question for the alerts, and one for the light curves; a body's detection is by itself.
    single = Target.objects.filter(name__startswith="ZTF", fink_objects=None).count()
    assert asked.count("objects") == 4 + single
    assert asked.count("sources") == asked.count("fp") == 1
    assert asked.count("conesearch") == 29 + 2, (
        "each place where the target has no id, and both of the other one"
    )


def test_a_run_that_was_killed_goes_on(many, monkeypatch):
    assert "Done. Added: 0 targets" in run(), "not even of the bodies that some of the ids are of"
    whole = contents()
    assert whole["alerts"].total() > 100
    for model in (PhotometryReducedDatum, Alert, FinkObject, TargetName, TargetRefresh):
        model.objects.all().delete()
    refresh, calls = command.refresh, []

    def killed(targets, *given):
        if len(calls) == 1:
            raise Killed
        calls.append(targets)
        return refresh(targets, *given)

    with monkeypatch.context() as patched:
        patched.setattr(command, "refresh", killed)
        with pytest.raises(Killed):
            run()
    assert TargetRefresh.objects.count() == 10
    assert "Asked for 20 of 20 targets: 19 known to Fink" in run()
    assert_same(contents(), whole)


def test_a_stop_ends_it_after_the_chunk_in_hand(many, monkeypatch):
    refresh = command.refresh

    def stopped(*given):
        given[1]._stop.set()
        return refresh(*given)

    monkeypatch.setattr(command, "refresh", stopped)
    said = run()
    assert "Asked for 10 of 30 targets" in said
    assert "Stopped. Added: " in said
    assert said.rstrip().endswith("To go on, give the same command again.")
    assert TargetRefresh.objects.count() == 10


def test_a_target_that_was_deleted_meanwhile(server, monkeypatch):
    Target.objects.create(name=ZTF_ID, **FAR)
    Target.objects.create(name="mine", ra=150.1, dec=2.21, type="SIDEREAL")
    refresh = command.refresh

    def late(targets, *given):
        Target.objects.filter(name="mine").delete()
        return refresh(targets, *given)

    monkeypatch.setattr(command, "refresh", late)
    assert "Asked for 2 of 2 targets: 1 known to Fink" in run()
    assert TargetRefresh.objects.count() == 1


# --- Faults ------------------------------------------------------------------------------------


def fails_for(server, text: str, status: int = 500):
    """Have the server fail on what has `text` in its payload."""
    answered = server.answer
    server.answer = lambda survey, endpoint, payload: (
        (status, "application/json", b'{"message": "Internal Server Error"}')
        if text in str(payload.get("objectId", payload.get("ra", "")))
        else answered(survey, endpoint, payload)
    )


def test_an_object_that_fails_keeps_no_other_from_being_refreshed(server):
    good, bad = (Target.objects.create(name=name, **FAR) for name in (ZTF_ID, OTHER_ID))
    fails_for(server, OTHER_ID)
    said = run()
    assert "Asked for 2 of 2 targets: 1 known to Fink, 1 to be tried again." in said
    assert f"{OTHER_ID}: Fink's ZTF service was asked for the alerts of {OTHER_ID} and failed" in said
    assert "2 alerts, 3 points, 0 aliases, 1 problem." in said
    assert list(TargetRefresh.objects.values_list("target", flat=True)) == [good.pk]
    assert points(bad) == 0


def test_a_place_that_fails(server):
    Target.objects.create(name="mine", ra=150.1, dec=2.21, type="SIDEREAL")
    fails_for(server, "150.1")
    assert "0 known to Fink, 1 to be tried again" in run()
    assert not TargetRefresh.objects.exists()


def test_a_service_that_stays_away_is_given_up_and_the_run_goes_on_later(server):
    Target.objects.create(name=ZTF_ID, **FAR)
    fails_for(server, ZTF_ID, 503)
    with pytest.raises(
        CommandError, match=r"status 503.*Added: 0 targets.*To go on, give the same command again"
    ):
        run(give_up_after=0.05)
    assert not TargetRefresh.objects.exists()
    assert not PhotometryReducedDatum.objects.exists()


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "x"])
def test_hours_that_are_none(value):
    with pytest.raises(CommandError, match="--stale-after"):
        call_command("refresh_targets", f"--stale-after={value}")
