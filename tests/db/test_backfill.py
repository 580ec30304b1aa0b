"""manage.py backfill, over HTTP: what the stream lost is mended, in parts, and a run that was killed goes on."""

import io
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import OperationalError, connection
from tom_dataproducts.models import PhotometryReducedDatum
from tom_targets.models import BaseTarget, TargetList, TargetName

from tests.contents import assert_same, contents
from tests.fink_server import FinkServer, says
from tests.unit.test_search_run import JD, OTHER_ID, ZTF_ID, day, rubin, ztf
from tom_fink.api.options import ApiOptions
from tom_fink.backfill import client as gentle
from tom_fink.backfill import fill
from tom_fink.backfill.pace import RateLimit
from tom_fink.backfill.topics import Source
from tom_fink.backfill.windows import parts_between
from tom_fink.decoding.decode import Message
from tom_fink.management.commands import backfill as command
from tom_fink.models import Alert, Backfill, FinkObject, KnownPoints, Topic, TopicAlert
from tom_fink.simulate import serialise, simulated_alerts
from tom_fink.simulate.observations import mjd_of
from tom_fink.simulate.service import simulated_service
from tom_fink.simulate.service.feed import visits
from tom_fink.stopping import Stop
from tom_fink.store import store_messages

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_proxy")]
START = datetime(2026, 3, 22, 4, tzinfo=UTC)
SN, SSO = "fink_sn_candidates_ztf", "fink_sso_ztf_candidates_ztf"
HOSTLESS = "fink_hostless_candidate_lsst"
EARLY_SN, BLAZAR = "fink_early_sn_candidates_ztf", "fink_blazar_ztf"
SEED = 7
ROOT = Path(__file__).resolve().parents[2]
FAST = {"requests_per_minute": 1e9}


@pytest.fixture(scope="module")
def service():
    """The stand-in service with one night of a sky."""
    with simulated_service(SEED, START, nights=1) as found:
        yield found


@pytest.fixture
def stand_in(service, settings):
    settings.FINK_API_ZTF_URL, settings.FINK_API_LSST_URL = service.url("ztf"), service.url("lsst")
    return service


@pytest.fixture
def server(settings):
    """A server whose rows a test gives, and which can fail."""
    with FinkServer() as found:
        options = found.options()
        settings.FINK_API_ZTF_URL, settings.FINK_API_LSST_URL = options.ztf_url, options.lsst_url
        found.lists["lsst", "tags"] = {
            "hostless_candidate": {"description": "No host", "API support": True},
            "in_simbad": {"description": "In SIMBAD", "API support": False},
        }
        yield found


def run(**options) -> str:
    out, err = io.StringIO(), io.StringIO()
    given = FAST | {"topic": SN, "since": "2026-03-22", "until": "2026-03-25"} | options
    call_command("backfill", stdout=out, stderr=err, **given)
    return out.getvalue() + err.getvalue()


def client_of(options: ApiOptions, **more) -> gentle.GentleClient:
    return gentle.GentleClient(options, RateLimit(1e9), Stop(), **({"first_wait_s": 0.01} | more))


def forget_all() -> None:
    for model in (BaseTarget, Topic, TargetList, FinkObject, Alert, KnownPoints, Backfill):
        model.objects.all().delete()


def delivered(topic: str) -> set[str]:
    return set(TopicAlert.objects.filter(topic__name=topic).values_list("alert__alert_id", flat=True))


def state() -> dict:
    """What must be the same; cutouts come by the stream alone."""
    found = contents()
    return {
        name: found[name]
        for name in ("objects", "alerts", "targets", "points", "deliveries", "members", "names")
    }


# --- What comes is what the topic has ----------------------------------------------------------


@pytest.mark.parametrize("topic", [SN, EARLY_SN, SSO, BLAZAR, HOSTLESS])
def test_alerts_of_the_topic_and_no_others(stand_in, topic):
    """Of the stream's sky, the service has the alerts that the topic's filter sends; it has another sky beside."""
    sent = {}
    for visit in visits(SEED, mjd_of(START), 1):
        if visit.survey == topic[-len(visit.survey) :]:
            alert_id = visit.alert["candid" if visit.survey == "ztf" else "diaSourceId"]
            # What SIMBAD has a type of is of that class, whichever filter sends it.
            is_hidden = topic in (SN, EARLY_SN) and visit.alert["cdsxmatch"] != "Unknown"
            sent[str(alert_id)] = topic in visit.topics and not is_hidden
    said = run(topic=topic)
    found = delivered(topic)
    assert found & sent.keys() == {alert_id for alert_id, is_of_topic in sent.items() if is_of_topic}
    assert len(found & sent.keys()) > 10
    assert f" {Alert.objects.count()} alerts, {PhotometryReducedDatum.objects.count()} points, " in said
    assert Topic.objects.get().target_list.targets.count() == BaseTarget.objects.count() > 1
    # Twice adds nothing, and nothing is left of the run.
    before = contents()
    assert "Added: 0 targets, 0 alerts, 0 points, 0 aliases, 0 problems." in run(topic=topic)
    assert_same(contents(), before)
    assert not Backfill.objects.exists()


@pytest.mark.parametrize("topic", [SN, HOSTLESS])
def test_what_the_stream_lost_is_mended(stand_in, topic):
    """With an hour of the night not read, the rows are in the end those of a whole night."""
    some = [one for one in simulated_alerts(SEED, START, 1500) if one.topic == topic]
    some = [one for one in some if one.observed_at < START + timedelta(hours=20)]  # what the service knows
    assert len(some) > 30
    messages = [Message(topic, 0, at, *serialise(one), START) for at, one in enumerate(some)]
    lost = slice(10, -10)
    if topic == SN:  # what SIMBAD has a type of is not of the class
        assert any(one.alert["cdsxmatch"] != "Unknown" for one in some)
    found_by_class = [topic != SN or one.alert["cdsxmatch"] == "Unknown" for one in some]
    kept = [
        message
        for at, message in enumerate(messages)
        if at not in range(len(messages))[lost] or not found_by_class[at]
    ]
    store_messages(messages)
    run(topic=topic)
    whole = state()
    forget_all()
    store_messages(kept)
    assert Alert.objects.count() < len(messages) - 10
    said = run(topic=topic)
    assert_same(state(), whole)
    assert max(state()["points"].values()) == 1
    assert "0 problems" in said


def test_the_light_curve_is_whole_as_by_the_stream(server):
    limit = {"i:objectId": ZTF_ID, "i:candid": -1, "i:jd": 2461110.5, "i:fid": 2, "i:diffmaglim": 19.5}
    server.rows["ztf", "latests"] = [ztf(2, days=1)]
    server.rows["ztf", "objects"] = [
        ztf(2, days=1),
        ztf(1, days=-40),
        limit | {"i:magpsf": None, "d:tag": "upperlim"},
    ]
    assert "1 target, 1 alert, 3 points" in run()
    assert Alert.objects.get().alert_id == "2", "the other alert is not known to be of the topic"
    forget_all()
    assert "1 target, 1 alert, 1 point" in run(no_light_curves=True)


def test_alerts_that_were_there_become_the_topic_s(server):
    server.rows["ztf", "latests"] = [ztf(2, days=1), ztf(1)]
    run(no_light_curves=True)
    TopicAlert.objects.all().delete()
    said = run(no_light_curves=True)
    assert "0 alerts, 0 points, 0 aliases, 0 problems; 2 alerts that were there are of the topic now" in said


def test_a_class_that_is_wider_than_the_topic(server):
    """sn_candidates sends what was detected more than once, and is not older than 90 days."""
    server.rows["ztf", "latests"] = [
        ztf(1, **{"i:ndethist": 1}), ztf(2, days=0.1, **{"i:ndethist": 2, "i:jdstarthist": JD - 80}),
        ztf(3, days=0.2, **{"i:ndethist": 9, "i:jdstarthist": JD - 91}), ztf(4, days=0.3),
    ]  # fmt: skip
    run(no_light_curves=True)
    assert delivered(SN) == {"2", "4"}


RANKED = {
    # Beside a supernova of Fink's, what outranks it; the scores that tell are served with every class.
    "Kilonova candidate": {"d:snn_sn_vs_all": 0.8, "d:rf_kn_vs_nonkn": 0.7, "d:roid": 0},
    "Ambiguous": {"d:snn_snia_vs_nonia": 0.8, "d:mulens": 0.5, "d:roid": 0},
    "Tracklet": {"d:snn_sn_vs_all": 0.8, "d:tracklet": "TRCK_20260322_040000_00", "d:roid": 1},
}


@pytest.mark.parametrize("label", RANKED)
def test_an_alert_whose_class_ranks_above_the_topic_s(server, label):
    more = {"i:ndethist": 5, "i:jdstarthist": JD - 3, "d:classification": label}
    scores = RANKED[label] | more
    server.rows["ztf", "latests"] = [
        ztf(1, **scores),
        ztf(2, **scores | {"d:snn_sn_vs_all": 0.2, "d:snn_snia_vs_nonia": 0.0}),
        ztf(3, **scores | {"d:roid": 3}),
        ztf(4, **scores | {"i:jdstarthist": JD - 100}),
        ztf(5, **more),  # without the scores, it is not known to be one
    ]
    run(no_light_curves=True)
    assert delivered(SN) == {"1"}


@pytest.mark.parametrize(
    ("topic", "label", "sent", "other"),
    [
        ("early_sn", "Kilonova candidate", {"d:rf_snia_vs_nonia": 0.6, "d:snn_sn_vs_all": 0.6}, {"i:ndethist": 21}),
        ("early_sn", "Early SN Ia candidate", {"i:drb": 0.9}, {"i:drb": 0.4}),
        ("kn", "Ambiguous", {"d:rf_kn_vs_nonkn": 0.6}, {"d:rf_kn_vs_nonkn": 0.4}),
        ("kn", "Kilonova candidate", {"i:jdstarthist": JD - 4}, {"i:jdstarthist": JD - 6}),
        ("microlensing", "Ambiguous", {"d:mulens": 0.1}, {"d:mulens": 0.0}),
        ("microlensing", "Early SN Ia candidate", {"d:mulens": 0.1}, {"d:mulens": 0.0}),
        ("sso_ztf", "Ambiguous", {"d:roid": 3}, {"d:roid": 2}),
        ("sso_fink", "Tracklet", {"d:roid": 2}, {"d:roid": 1}),
    ],
)  # fmt: skip
def test_each_filter_s_own_cuts(server, topic, label, sent, other):
    topic = f"fink_{topic}_candidates_ztf"
    base = {"d:classification": label} | sent
    server.rows["ztf", "latests"] = [ztf(1, **base), ztf(2, OTHER_ID, **base | other)]
    said = run(topic=topic, no_light_curves=True)
    assert delivered(topic) == {"1"}
    assert f"{topic} is filled from class" in said
    assert "Not found are alerts whose class is a type of SIMBAD's" in said


def test_other_names(server):
    server.rows["ztf", "latests"] = [ztf(1)]
    record = {"d:fullname": "SN 2026abc", "d:internalname": ZTF_ID, "d:ra": 150.1, "d:declination": 2.21}
    server.rows["ztf", "resolver"] = [record, record | {"d:internalname": "ATLAS26xyz"}]
    assert "2 aliases" in run(aliases=True)
    assert set(TargetName.objects.values_list("name", flat=True)) == {"SN 2026abc", "ATLAS26xyz"}
    assert "0 aliases" in run(aliases=True)


def test_names_that_cannot_be_had_keep_nothing_from_being_stored(server):
    server.rows["ztf", "latests"] = [ztf(2, OTHER_ID, 0.1), ztf(1)]
    answered = server.answer
    server.answer = lambda survey, endpoint, payload: (
        (503, "text/html", b"") if endpoint == "resolver" else answered(survey, endpoint, payload)
    )
    said = run(aliases=True, give_up_after=0.05)
    assert "Done. Added: 2 targets, 2 alerts" in said
    assert "1 problem." in said


# --- Windows -----------------------------------------------------------------------------------


def test_an_interval_that_has_more_than_fink_sends_is_halved(stand_in):
    source = Source(SN, "ztf", ("SN candidate",))
    with client_of(ApiOptions.from_settings()) as client:
        whole = list(parts_between(source, START, START + timedelta(days=3), client, size=20))
        cut = list(parts_between(source, START, START + timedelta(days=3), client, size=20, n=30))
    ids = [one for part in whole for one in part.tidy.alerts["alert_id"]]
    assert len(ids) > 100
    assert [one for part in cut for one in part.tidy.alerts["alert_id"]] == ids
    assert len(ids) == len(set(ids))
    for parts in (whole, cut):
        assert [part.until for part in parts] == sorted(part.until for part in parts)
        assert parts[-1].until == START + timedelta(days=3)
        assert all(part.problems == () for part in parts)
        for before, after in pairwise(parts):
            assert before.until <= (after.tidy.alerts["observed_at"].min() or after.until)


def test_more_at_once_than_fink_sends_is_a_problem_and_no_endless_run(server):
    server.rows["ztf", "latests"] = [ztf(candid) for candid in range(1, 21)]
    source = Source(SN, "ztf", ("SN candidate",))
    with client_of(server.options()) as client:
        parts = list(parts_between(source, day(0), day(0) + timedelta(seconds=8), client, n=10))
    said = [problem for part in parts for problem in part.problems]
    assert "Fink has more than 10 alerts of 2026-03-22 00:00:00 and sends no more." in said


def test_an_answer_that_is_too_large_is_asked_for_in_halves(server):
    server.rows["ztf", "latests"] = [ztf(1)]
    server.faults = [says(200, b" " * 3_000_000)]
    source = Source(SN, "ztf", ("SN candidate",))
    with client_of(server.options(max_bytes=1_000_000)) as client:
        (first, *_) = parts_between(source, day(0), day(1), client)
    assert first.until == day(0.5)
    assert [asked.payload["stopdate"] for asked in server.asked[:2]] == [
        "2026-03-23 00:00:00",
        "2026-03-22 12:00:00",
    ]


def test_an_interval_that_is_too_slow_is_halved_before_it_is_waited_for(server):
    """A day always takes too long, and an hour does not. It is not tried again at once what was too long."""
    server.rows["ztf", "latests"] = [ztf(1)]
    answered, spans = server.answer, []

    def slow(survey, endpoint, payload):
        start, stop = (datetime.fromisoformat(payload[name]) for name in ("startdate", "stopdate"))
        spans.append((stop - start) / timedelta(hours=1))
        return (504, "text/html", b"") if spans[-1] > 6 else answered(survey, endpoint, payload)

    server.answer = slow
    source = Source(SN, "ztf", ("SN candidate",))
    with client_of(server.options(), give_up_after_s=0.0) as client:
        parts = list(parts_between(source, day(0), day(3), client))
    assert parts[-1].until == day(3)
    assert spans[:5] == [24, 12, 6, 6, 6]
    assert spans.count(12) == 2, "again after eight that were in time"


def test_an_hour_that_is_too_slow_is_waited_for(server):
    server.rows["ztf", "latests"] = [ztf(1)]
    server.faults = [says(504)] * 3
    source = Source(SN, "ztf", ("SN candidate",))
    with client_of(server.options()) as client:
        (part,) = parts_between(source, day(0), day(1 / 24), client)
    assert part.tidy.alerts.height == 1
    assert len(server.asked) == 4


def test_an_answer_that_is_none_ends_it(server):
    server.faults = [says(200, b"<html>Log in to the guest network</html>")] * 9
    with pytest.raises(
        CommandError, match=r"sent no JSON.*Added: 0 targets.*To go on, give the same command again"
    ):
        run()
    assert len(server.faults) == 3, "a day, and halves down to an hour"


# --- Killed, stopped, and gone on --------------------------------------------------------------


class Killed(BaseException):
    """What no handler catches."""


@pytest.mark.parametrize("topic", [SN, HOSTLESS])
def test_a_run_that_was_killed_goes_on(stand_in, topic, monkeypatch):
    monkeypatch.setattr(parts_between, "__kwdefaults__", parts_between.__kwdefaults__ | {"size": 20})
    run(topic=topic)
    whole = state()
    forget_all()
    store, calls = command.store_part, []

    def killed(*args):
        if len(calls) == 2:
            raise Killed
        calls.append(args[1].until)
        store(*args)

    with monkeypatch.context() as patched:
        patched.setattr(command, "store_part", killed)
        with pytest.raises(Killed):
            run(topic=topic)
    assert Backfill.objects.get().done_until == calls[-1]
    assert 0 < Alert.objects.count() < whole["alerts"].total()
    said = run(topic=topic)
    assert f"Going on from {calls[-1]:%Y-%m-%d %H:%M:%S} UTC." in said
    new = whole["alerts"].total() - 40
    assert f" {new} alerts" in said, "what was stored before is not asked for again"
    assert_same(state(), whole)
    assert not Backfill.objects.exists()


def test_a_crash_in_a_part_leaves_the_part_before(stand_in, monkeypatch):
    monkeypatch.setattr(parts_between, "__kwdefaults__", parts_between.__kwdefaults__ | {"size": 20})
    keep, calls = fill.keep, []

    def crash(*args):
        if calls:
            raise OperationalError("the disk is full\n")
        calls.append(args)
        keep(*args)

    monkeypatch.setattr(fill, "keep", crash)
    with pytest.raises(
        CommandError, match=r"The database cannot be used: the disk is full \(Added: .* 20 alerts.*go on"
    ):
        run()
    assert Alert.objects.count() == 20
    assert Backfill.objects.get().done_until == calls[0][1]


def test_a_run_does_not_step_over_what_is_not_loaded_yet(server):
    """ZTF's alerts are loaded once a day, after the night: a run that stops goes on from before it."""
    now = datetime.now(UTC)
    answered = server.answer
    server.answer = lambda survey, endpoint, payload: (
        (503, "text/html", b"")
        if payload["startdate"] > f"{now - timedelta(hours=30):%Y-%m-%d %H:%M:%S}"
        else answered(survey, endpoint, payload)
    )
    since = (now - timedelta(days=2)).isoformat()
    with pytest.raises(CommandError, match="out of order"):
        run(since=since, until=None, give_up_after=0.05)
    found = Backfill.objects.get()
    assert timedelta(hours=35.9) < now - found.done_until < timedelta(hours=36.1)
    server.answer = answered
    server.asked.clear()
    said = run(since=since, until=None)
    assert server.asked[0].payload["startdate"] == f"{found.done_until:%Y-%m-%d %H:%M:%S}"
    assert "Fink's ZTF service may need 36 hours to have an alert. For those after " in said
    assert not Backfill.objects.exists(), "who asks again asks anew"
    assert "may need" not in run(), "all of that is old"


def test_nothing_is_kept_of_a_run_that_is_too_fresh(server):
    server.rows["lsst", "tags"] = []
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    source = Source(HOSTLESS, "lsst", ("hostless_candidate",))
    assert source.loaded_within == timedelta(hours=2)
    said = run(topic=HOSTLESS, since=since, until=None)
    assert "Fink's Rubin service may need 2 hours" in said
    assert not Backfill.objects.exists()


def test_a_run_that_stores_more_does_not_go_on_from_one_that_stored_less(server):
    server.rows["ztf", "latests"] = [ztf(1)]
    Backfill.objects.create(topic=SN, since=day(0), done_until=day(2), light_curves=False)
    assert "Going on" not in run()
    assert server.asked[0].payload["startdate"] == "2026-03-22 00:00:00"
    assert Backfill.objects.get().done_until == day(2), "the other one is not ended"
    assert "Going on from 2026-03-24" in run(no_light_curves=True)
    assert not Backfill.objects.exists()
    Backfill.objects.create(topic=SN, since=day(0), done_until=day(2))
    assert "Going on" not in run(aliases=True)


def test_a_shorter_run_leaves_the_place_of_a_longer_one(server):
    Backfill.objects.create(topic=SN, since=day(0), done_until=day(2))
    said = run(until="2026-03-23")
    assert (
        "An earlier run has come to 2026-03-24 00:00:00 UTC: nothing is asked. --afresh asks again." in said
    )
    assert server.asked == []
    assert Backfill.objects.get().done_until == day(2)


def test_what_is_wrong_with_an_interval_is_told_with_its_first_part(server):
    """A run may be stopped before the last."""
    server.rows["ztf", "latests"] = [ztf(candid, days=candid / 100) for candid in range(9, 0, -1)]
    server.rows["ztf", "latests"][0]["i:ra"] = None
    source = Source(SN, "ztf", ("SN candidate",))
    with client_of(server.options()) as client:
        parts = list(parts_between(source, day(0), day(1), client, size=3))
    assert [len(part.problems) for part in parts] == [1, 0, 0]


def test_afresh(server):
    server.rows["ztf", "latests"] = [ztf(1)]
    Backfill.objects.create(topic=SN, since=day(0), done_until=day(2))
    run()
    assert server.asked[0].payload["startdate"] == "2026-03-24 00:00:00"
    Backfill.objects.create(topic=SN, since=day(0), done_until=day(2))
    server.asked.clear()
    assert "Going on" not in run(afresh=True)
    assert server.asked[0].payload["startdate"] == "2026-03-22 00:00:00"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_in_the_middle_of_a_process(stand_in, tmp_path, number):
    """SIGTERM ends it after the part in hand with status 0; SIGKILL at once; either way it goes on."""
    names = ("ENGINE", "NAME", "HOST", "PORT", "USER", "PASSWORD", "OPTIONS")
    place = {name: connection.settings_dict[name] for name in names}
    text = "from pathlib import PosixPath\nfrom tests.settings import *\n"
    text += f"DATABASES = {{'default': {place!r}}}\n"
    text += f"FINK_API_ZTF_URL, FINK_API_LSST_URL = {stand_in.url('ztf')!r}, {stand_in.url('lsst')!r}\n"
    (tmp_path / "of_test.py").write_text(text)
    # sqlite: so that it starts no PostgreSQL of its own
    own = {"DJANGO_SETTINGS_MODULE": "of_test", "TEST_DATABASE": "sqlite", "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    env = os.environ | own
    order = ["backfill", "--topic", SN, "--since", "2026-03-22", "--until", "2026-03-25"]
    process = subprocess.Popen(
        [sys.executable, "manage.py", *order, "--requests-per-minute", "240"],
        cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        ends_at = time.monotonic() + 100
        while not Backfill.objects.exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < ends_at
            time.sleep(0.05)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    if number == signal.SIGTERM:
        assert process.returncode == 0, err
        assert "Stopped. Added: " in out
        assert out.endswith("To go on, give the same command again.\n")
    else:
        assert process.returncode == -signal.SIGKILL
    stopped_at = Backfill.objects.get().done_until
    some = Alert.objects.count()
    assert some > 0
    said = run()
    assert f"Going on from {stopped_at:%Y-%m-%d %H:%M:%S} UTC." in said
    whole = state()
    forget_all()
    run()
    assert_same(state(), whole)
    assert stopped_at < datetime(2026, 3, 25, tzinfo=UTC)


# --- The service away --------------------------------------------------------------------------


def test_a_service_that_comes_back_is_waited_for(server, monkeypatch, caplog):
    monkeypatch.setattr(gentle.GentleClient.__init__, "__defaults__", (gentle.GIVE_UP_AFTER_S, 0.01))
    server.rows["ztf", "latests"] = [ztf(1)]
    server.faults = [says(503)] * 2
    assert "1 target, 1 alert" in run()
    assert caplog.text.count("Asking again in") == 2


def test_a_service_that_stays_away_is_given_up_and_the_run_goes_on_later(server):
    server.rows["ztf", "latests"] = [ztf(2, days=1.5), ztf(1)]
    answered = server.answer

    def away_on_the_second_day(survey, endpoint, payload):
        if payload.get("startdate", "") >= "2026-03-23":
            return 503, "text/html", b""
        return answered(survey, endpoint, payload)

    server.answer = away_on_the_second_day
    with pytest.raises(CommandError) as caught:
        run(give_up_after=0.05, no_light_curves=True)
    assert "out of order (status 503)" in str(caught.value)
    assert str(caught.value).endswith("0 problems. To go on, give the same command again.)")
    assert Backfill.objects.get().done_until == day(1)
    server.answer = answered
    server.asked.clear()
    assert "Going on from 2026-03-23" in run(no_light_curves=True)
    assert server.asked[0].payload["startdate"] == "2026-03-23 00:00:00"


def test_light_curves_that_are_refused_are_a_problem(server):
    """Of ten that are asked for together, those of the others come."""
    server.rows["ztf", "latests"] = [ztf(2, OTHER_ID, 0.1), ztf(1)]
    server.rows["ztf", "objects"] = [ztf(1), ztf(3, days=-5)]
    answered = server.answer
    server.answer = lambda survey, endpoint, payload: (
        says_500()
        if endpoint == "objects" and OTHER_ID in payload["objectId"]
        else answered(survey, endpoint, payload)
    )
    said = run(until="2026-03-22T12:00")
    assert "2 targets, 2 alerts, 3 points, 0 aliases, 1 problem." in said
    assert f"was asked for the light curve of {OTHER_ID} and failed (status 500)" in said


def says_500():
    return 500, "application/json", b'{"message": "Internal Server Error"}'


# --- Bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"topic": "fink_unknowns_ztf"}, "no class that stands for fink_unknowns_ztf. Topics that can be filled: fink_early"),
        ({"topic": "fink_nothing_lsst"}, "no tag for fink_nothing_lsst. Topics that can be filled: fink_hostless_candidate_lsst."),
        ({"topic": "fink_in_simbad_lsst"}, "does not search for the alerts of fink_in_simbad_lsst. Topics that"),
        ({"topic": "fink_grb_gold"}, "not 'fink_grb_gold'. Fink's services do not have multi-messenger alerts."),
        ({"topic": "sn_candidates"}, "or the name of a filter with --survey, not 'sn_candidates'."),
        ({"topic": "fink_\x1b[2J_ztf"}, "not 'fink_\\x1b[2J_ztf'"),
        ({"survey": "lsst"}, f"{SN} is a topic of ZTF's, not of Rubin's."),
        ({"since": "yesterday"}, "--since takes a date such as 2026-03-22"),
        ({"since": "2026-02-30"}, "--since takes a date"),
        ({"until": "x\x00"}, "--until takes a date such as 2026-03-22 or 2026-03-22T04:00:00, not 'x\\x00'"),
        ({"since": "1926-02-03"}, "--since is between 2017"),
        ({"until": "2026-03-22"}, "There is nothing between --since 2026-03-22T00:00:00+00:00 and 2026-03-22"),
        ({"since": "2099-01-01", "until": None}, "There is nothing between --since 2099"),
    ],
)  # fmt: skip
def test_bad_input_is_named(server, options, said, row_counts):
    before = row_counts()
    with pytest.raises(CommandError) as caught:
        run(**options)
    assert said in str(caught.value)
    assert "go on" not in str(caught.value)
    assert row_counts() == before


@pytest.mark.parametrize("option", ["--requests-per-minute", "--give-up-after"])
@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "x"])
def test_rates_that_are_none(option, value):
    with pytest.raises(CommandError, match=option):
        call_command("backfill", f"--topic={SN}", "--since=2026-03-22", f"{option}={value}")


def test_a_filter_s_name_and_a_time_with_a_zone(server):
    server.rows["lsst", "tags"] = [rubin(1)]
    run(topic="hostless_candidate", survey="lsst", since="2026-03-22T01:00:00+02:00", no_light_curves=True)
    assert Topic.objects.get().name == HOSTLESS
    asked = next(one for one in server.asked if one.payload)
    assert asked.payload["startdate"] == "2026-03-21 23:00:37", "TAI"
    assert asked.payload["tag"] == "hostless_candidate"
