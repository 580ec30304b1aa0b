"""What a search found is stored as the stream's alerts are: the same rows, by whichever way it came first."""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from tom_dataproducts.models import PhotometryReducedDatum
from tom_targets.models import BaseTarget, Target, TargetList, TargetName

from bench.alerts import long_objects
from tests.conftest import MEASURED
from tests.contents import assert_same, contents, shown_cutouts
from tests.fink_server import FinkServer
from tests.unit.test_api_rows import lsst_rows, ztf_rows
from tests.unit.test_search_run import ztf
from tom_fink.api import lsst as lsst_api
from tom_fink.api.client import FinkClient
from tom_fink.api.rows import frame_of
from tom_fink.decoding.decode import MESSAGE, decode, decode_one
from tom_fink.frames import DETECTIONS, Tidy
from tom_fink.models import Alert, FinkObject, KnownPoints, Topic, TopicAlert
from tom_fink.search import Search, fetch, light_curve, run
from tom_fink.search.answered import empty
from tom_fink.store import found, store_messages, store_records
from tom_fink.store.found import Stored, store_found, store_light_curve
from tom_fink.surveys import normalise

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_proxy")]

TOPIC = "fink_extragalactic_new_candidate_lsst"
FITS = b"SIMPLE  =                    T"


@pytest.fixture
def server():
    with FinkServer() as found:
        yield found


@pytest.fixture
def client(server):
    with FinkClient(server.options(timeout_s=20)) as found:
        yield found


# --- The same rows by stream and by search -----------------------------------------------------


class Service:
    """What Fink's databases have of decoded alerts, and the names that its services take for their objects."""

    def __init__(self, messages):
        self.rows, self.names = {}, {"ztf": [], "lsst": []}
        tidy, _ = normalise(decode(messages).frames)
        keys = dict(tidy.alerts.select(MESSAGE, pl.coalesce("body", "object_id")).rows())
        bodies = set(tidy.alerts.filter(pl.col("body").is_not_null())[MESSAGE])
        for index, message in enumerate(messages):
            add = self._add_ztf if "candidate" in (alert := decode_one(message)) else self._add_rubin
            add(alert, keys[index], index in bodies)
        self.names = {survey: list(dict.fromkeys(names)) for survey, names in self.names.items()}

    def _add(self, survey, endpoint, key, row):
        self.rows.setdefault((survey, endpoint), {}).setdefault(key, row)

    def _add_ztf(self, alert, key, is_body):
        own, *history = ztf_rows(alert)
        self.names["ztf"].append(key)
        endpoint = "sso" if is_body else "objects"
        row = own | {"sso_name": key} if is_body else own
        self.rows.setdefault(("ztf", endpoint), {})[own["i:candid"]] = row
        for row in () if is_body else history:
            # Of Fink's alerts only those that the stream brought: what a history tells is no alert of its own here.
            is_limit = row["i:candid"] in (None, -1)
            key = json.dumps(row, sort_keys=True) if is_limit else row["i:candid"]
            self._add("ztf", "objects", key, row | {"d:tag": "history"})

    def _add_rubin(self, alert, key, is_body):
        (own,) = lsst_rows(alert)
        self.names["lsst"].append(key)
        endpoint = "sso" if is_body else "sources"
        row = own | {"f:sso_name": key} if is_body else own
        self.rows.setdefault(("lsst", endpoint), {})[own["r:diaSourceId"]] = row
        for source in () if is_body else lsst_rows(alert, "prvDiaSources"):
            # The same: without a position it is a point and no alert
            bare = {name: value for name, value in source.items() if name not in ("r:ra", "r:dec")}
            self._add("lsst", "sources", source["r:diaSourceId"], bare | {"r:diaObjectId": int(key)})
        for forced in () if is_body else lsst_rows(alert, "prvDiaForcedSources"):
            self._add("lsst", "fp", forced["r:diaForcedSourceId"], forced | {"r:diaObjectId": int(key)})

    def served(self):
        return {place: list(rows.values()) for place, rows in self.rows.items()}


@pytest.fixture(params=["simulated", "real"])
def messages(request):
    """Alerts of ZTF and Rubin: some of the simulated sky, and real ones where there are some."""
    if request.param == "real":
        return request.getfixturevalue("real_messages")("ztf-2026-03.avro", "lsst-2026-03.avro", topic=TOPIC)
    some = request.getfixturevalue("simulated_messages")
    some = [replace(message, topic=TOPIC) for message in some if b"triggerId" not in message.key]
    return [message for message in some if len(message.value) > 1000]


ALONE = ("objects", "alerts", "targets", "names", "points")


def state() -> dict:
    """What must be the same: without the topics and lists, and the cutouts, of which the stream alone brings some."""
    found = contents()
    found = {label: found[label] for label in ALONE}
    positions = BaseTarget.objects.filter(type="SIDEREAL").values_list("name", "ra", "dec")
    rounded = {name: (round(ra, 8), round(dec, 8)) for name, ra, dec in positions}
    found["full points"] = sorted(
        map(
            repr,
            PhotometryReducedDatum.objects.values_list(
                "target__name", "timestamp", "bandpass", "brightness", "brightness_error", "limit", "unit", "telescope",
                "instrument", "source_name", "source_location", "reduction_version", "value",
            ),
        )
    )  # fmt: skip
    return found | {"positions": rounded}


def fink_values() -> dict[tuple[str, str], dict]:
    """What Fink adds to each alert, by its name there."""
    rows = Alert.objects.values_list("survey", "alert_id", "fink_values", "flux_njy", "flux_err_njy")
    return {
        (survey, one): values | {"flux_njy": flux, "flux_err_njy": flux_err}
        for survey, one, values, flux, flux_err in rows
    }


def by_stream(messages, service, client):
    store_messages(messages)


def by_search(messages, service, client):
    for survey, names in service.names.items():
        whole = fetch(survey, names, client)
        assert whole.missing == ()
        store_found(whole.tidy)


@pytest.mark.parametrize(
    "ways", [(by_search,), (by_stream, by_search), (by_search, by_stream), (by_search,) * 2]
)
def test_rows_are_the_same_by_stream_and_by_search(ways, messages, server, client):
    service = Service(messages)
    server.rows = service.served()
    by_stream(messages, service, client)
    expected, expected_values = state(), fink_values()
    assert expected["points"].total() > len(messages)
    for model in (BaseTarget, Topic, TargetList, FinkObject, Alert, KnownPoints):
        model.objects.all().delete()
    assert not PhotometryReducedDatum.objects.exists()
    for way in ways:
        way(messages, service, client)
    stored = state()
    assert_same({label: stored[label] for label in ALONE}, {label: expected[label] for label in ALONE})
    assert stored["full points"] == expected["full points"]
    assert max(contents()["points"].values()) == 1
    assert stored["positions"] == expected["positions"]
    values = fink_values()
    assert values.keys() == expected_values.keys()
    for alert, of_stream in expected_values.items():
        # The service has some columns that the stream has not, and lacks some.
        shared = values[alert].keys() & of_stream.keys()
        assert len(shared) > 1
        for name in shared:
            value, expected_value = values[alert][name], of_stream[name]
            if isinstance(expected_value, float):  # of which the service prints ten decimals
                expected_value = pytest.approx(expected_value, rel=1e-6, abs=1e-9)
            assert value == expected_value, name
        if ways[-1] is by_stream:
            assert values[alert] == of_stream
    # By either way all that an alert is of is there.
    is_of_topic = by_stream in ways
    assert Alert.objects.filter(topic=TOPIC if is_of_topic else "").count() == expected["alerts"].total()
    assert TopicAlert.objects.exists() is is_of_topic


def alert_row() -> dict:
    """The only alert, without its keys and its position, of which the API prints ten decimals."""
    found = Alert.objects.values().get()
    for name in ("id", "target_id", "fink_object_id", "stored_at", "ra_deg", "dec_deg"):
        del found[name]
    return found


def test_an_alert_alone_and_then_the_stream_s_has_the_history(simulated_messages):
    """The page of results has alerts without their histories; the stream's message of one is a duplicate then."""
    message = max(
        (one for one in simulated_messages if one.topic.endswith("_lsst")), key=lambda one: len(one.value)
    )
    expected_points = store_messages([message]).points
    expected, expected_alert = state(), alert_row()
    for model in (BaseTarget, Topic, TargetList, FinkObject, Alert, KnownPoints):
        model.objects.all().delete()
    store_found(alone(decode_one(message)))
    assert PhotometryReducedDatum.objects.count() == 1 < expected_points
    outcome = store_messages([message])
    assert (outcome.stored, outcome.duplicate) == (0, 1)
    assert state()["points"] == expected["points"]
    assert_same({label: state()[label] for label in ALONE}, {label: expected[label] for label in ALONE})
    assert alert_row() == expected_alert, "of the message, as if it had come first"
    alert = Alert.objects.get()
    assert (alert.topic, alert.partition, alert.offset) == (message.topic, message.partition, message.offset)
    assert alert.received_at == message.received_at
    assert shown_cutouts().total() == 3
    assert store_messages([message]).points == 0, "it is the stream's now"
    assert store_found(alone(decode_one(message))) == Stored(targets={alert.object_id: alert.target_id}), (
        "and nothing of it is new"
    )
    assert Alert.objects.get().topic == message.topic


# --- Histories that are known ------------------------------------------------------------------

RUBIN = next(long_objects("lsst", 1, 1))


def alone(alert: dict) -> Tidy:
    """What a search brings of a Rubin alert: no history."""
    rows = json.loads(json.dumps(lsst_rows(alert)))
    frame = frame_of(lsst_api.alerts(str(alert["diaSource"]["diaObjectId"])), rows).frame
    tidy, errors = normalise([frame])
    assert errors == {}
    return tidy


def test_an_alert_without_a_history_does_not_forget_the_history_that_is_known():
    first = store_records([RUBIN.alert(0)], TOPIC).points
    known = len(KnownPoints.objects.get().digests)
    assert known == 8 * first
    assert store_found(alone(RUBIN.alert(1))).points == 1
    assert len(KnownPoints.objects.get().digests) == known + 8
    # Alert 2 tells the forced point of visit 1 and both of its own; the detection of visit 1 is there.
    assert store_records([RUBIN.alert(2)], TOPIC).points == 3
    assert PhotometryReducedDatum.objects.count() == first + 4
    assert store_found(alone(RUBIN.alert(1))).points == 0
    assert store_records([RUBIN.alert(3)], TOPIC).points == 2


def test_an_old_alert_that_a_search_brings_changes_nothing_of_the_newest():
    store_records([RUBIN.alert(2)], TOPIC)
    summary = FinkObject.objects.values("last_seen", "summary_at", "mag_ab", "band").get()
    stored = store_found(alone(RUBIN.alert(1)))
    assert (stored.alerts, stored.points, stored.new_targets) == (1, 0, ())
    assert FinkObject.objects.values("last_seen", "summary_at", "mag_ab", "band").get() == summary
    assert FinkObject.objects.get().alert_count == 2


@pytest.mark.parametrize("digests", [None, b"", b"abc"], ids=["no row", "none", "damaged"])
def test_digests_that_are_lost_only_cost_time(digests):
    store_records([RUBIN.alert(0)], TOPIC)
    points = PhotometryReducedDatum.objects.count()
    if digests is None:
        KnownPoints.objects.all().delete()
    else:
        KnownPoints.objects.update(digests=digests)
    assert store_found(alone(RUBIN.alert(0))).points == 0
    assert PhotometryReducedDatum.objects.count() == points
    assert len(KnownPoints.objects.get().digests) == 8


def test_the_stream_does_not_pay_for_searches_where_no_alert_is_known_already():
    with CaptureQueriesContext(connection) as captured:
        store_records([RUBIN.alert(0)], TOPIC)
    asked = [
        query["sql"] for query in captured.captured_queries if '"tom_fink_alert"."topic" = ' in query["sql"]
    ]
    assert asked == []


# --- What is made of it ------------------------------------------------------------------------

ID, OTHER_ID = "ZTF26aamcbly", "ZTF26aaklfaa"
JD = 2461121.5


@pytest.fixture
def whole(server, client):
    """Two ZTF objects, of which the first has three alerts and a limit."""
    limit = {
        "i:candid": -1,
        "i:jd": JD - 3,
        "i:fid": 2,
        "i:diffmaglim": 19.5,
        "i:magpsf": None,
        "d:tag": "upperlim",
    }
    server.rows["ztf", "objects"] = [
        ztf(3, ID, 2, **{"i:ra": 150.10001}), ztf(2, ID, 1), ztf(1, ID, **{"i:ra": 150.09999}),
        limit | {"i:objectId": ID}, ztf(9, OTHER_ID, **{"i:ra": 10.0}),
    ]  # fmt: skip
    server.cutouts = {ID: FITS, OTHER_ID: FITS}
    return fetch("ztf", [ID, OTHER_ID], client, cutouts=True)


def test_objects_become_targets_in_no_list(whole):
    stored = store_found(whole.tidy)
    assert (stored.alerts, stored.points) == (4, 5)
    targets = {target.name: target for target in Target.objects.all()}
    assert stored.targets == {name: target.pk for name, target in targets.items()}
    assert set(stored.new_targets) == set(stored.targets.values())
    target = targets[ID]
    # The first alert's position, as from the stream
    assert (target.type, target.ra, target.dec, target.permissions) == ("SIDEREAL", 150.09999, 2.21, "PUBLIC")
    assert target.epoch == 2000.0
    assert FinkObject.objects.get(object_id=ID).alert_count == 3
    assert not Topic.objects.exists()
    assert not TopicAlert.objects.exists()
    assert not TargetList.objects.exists()
    assert set(Alert.objects.values_list("topic", "partition", "offset")) == {("", None, None)}
    shown = Counter(alert_id for _, alert_id, _ in shown_cutouts().elements())
    assert shown == {"1": 3, "3": 3, "9": 3}


def test_twice_is_once(whole, row_counts):
    store_found(whole.tidy)
    before, counts = state(), row_counts()
    stored = store_found(whole.tidy)
    assert (stored.alerts, stored.points, stored.new_targets) == (0, 0, ())
    assert set(stored.targets) == {ID, OTHER_ID}
    assert (state(), row_counts()) == (before, counts)


def test_nothing_is_nothing(row_counts):
    counts = row_counts()
    assert store_found(empty()) == Stored()
    assert row_counts() == counts


def test_a_list_and_a_topic_that_are_asked_for(whole):
    mine = TargetList.objects.create(name="mine")
    store_found(whole.tidy, target_list=mine)
    store_found(whole.tidy, target_list=mine)
    assert sorted(mine.targets.values_list("name", flat=True)) == [OTHER_ID, ID]
    # What the stream lost is mended: the alerts count as of the topic.
    stored = store_found(whole.tidy, topic="fink_sn_candidates_ztf")
    assert stored.alerts == 0
    assert TopicAlert.objects.count() == 4
    assert Topic.objects.get().target_list.targets.count() == 2


def test_what_a_search_brought_for_a_topic_gets_its_history_from_the_stream_too():
    store_found(alone(RUBIN.alert(0)), topic=TOPIC)
    assert (Alert.objects.get().topic, TopicAlert.objects.count()) == ("", 1)
    outcome = store_records([RUBIN.alert(0)], TOPIC)
    assert (outcome.duplicate, Alert.objects.get().topic, TopicAlert.objects.count()) == (1, TOPIC, 1)
    # The history has 300 detections and 440 forced points; of these and its own one was there.
    assert (outcome.points, PhotometryReducedDatum.objects.count()) == (740, 741)


def test_a_target_that_was_deleted_is_made_anew_with_its_points(whole):
    first = store_found(whole.tidy)
    Target.objects.get(name=ID).delete()
    stored = store_found(whole.tidy)
    assert (stored.alerts, stored.points) == (0, 4)
    assert stored.new_targets == (stored.targets[ID],)
    assert stored.targets[ID] != first.targets[ID]
    assert set(Alert.objects.filter(object_id=ID).values_list("target", flat=True)) == {stored.targets[ID]}


def test_a_target_of_that_name_or_alias_is_taken(whole):
    mine = Target.objects.create(name="my supernova", type="SIDEREAL", ra=150.1, dec=2.21)
    TargetName.objects.create(target=mine, name=ID)
    stored = store_found(whole.tidy)
    assert stored.targets[ID] == mine.pk
    assert PhotometryReducedDatum.objects.filter(target=mine).count() == 4


def test_aliases_are_kept_and_those_of_others_are_not(whole):
    other = Target.objects.create(name="SN 2026zzz", type="SIDEREAL", ra=1, dec=2)
    third = Target.objects.create(name="third", type="SIDEREAL", ra=1, dec=2)
    TargetName.objects.create(target=third, name="ATLAS26abc")
    aliases = {ID: ("SN 2026abc", "SN 2026zzz", "ATLAS26abc"), "ZTF26nothing": ("SN 2026x",)}
    for _ in range(2):
        stored = store_found(whole.tidy, aliases)
        assert stored.taken == {"SN 2026zzz": other.pk, "ATLAS26abc": third.pk}
        names = TargetName.objects.filter(target=stored.targets[ID]).values_list("name", flat=True)
        assert list(names) == ["SN 2026abc"]


def test_a_body_becomes_a_target_that_moves(server, client):
    body = {"i:ssnamenr": "8467", "d:roid": 3, "sso_name": "8467", "sso_number": 8467}
    server.rows["ztf", "sso"] = [ztf(2, OTHER_ID, 1, **body), ztf(1, ID, 0, **body)]
    stored = store_found(fetch("ztf", ["8467"], client).tidy)
    target = Target.objects.get()
    assert (target.name, target.type, target.ra) == ("8467", "NON_SIDEREAL", None)
    assert stored.targets == {"8467": target.pk}
    assert FinkObject.objects.get().alert_count == 2
    assert sorted(Alert.objects.values_list("object_id", flat=True)) == [OTHER_ID, ID]


def test_results_can_be_stored_as_they_came(server, client):
    server.rows["ztf", "conesearch"] = [ztf(1), ztf(2, OTHER_ID)]
    came = run(Search("ztf", ra_deg=150.1, dec_deg=2.21), client)
    stored = store_found(came.tidy)
    assert (stored.alerts, stored.points) == (2, 2)
    assert set(stored.targets) == set(came.objects["object_key"])


@pytest.mark.parametrize("step", ["insert_points", "remember_more", "cutouts_kept", "update_objects"])
def test_a_crash_leaves_nothing(step, whole, row_counts, monkeypatch):
    counts = row_counts()

    def crash(*_):
        raise DatabaseError("the disk is full")

    monkeypatch.setattr(found, step, crash)
    with pytest.raises(DatabaseError):
        store_found(whole.tidy, {ID: ("SN 2026abc",)}, topic="fink_sn_candidates_ztf")
    assert row_counts() == counts
    assert not KnownPoints.objects.exists()


# --- A light curve for a target of whatever name -----------------------------------------------


def points(number: int) -> pl.DataFrame:
    """So many points (frames.DETECTIONS): detections, and every fourth a limit."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        {
            MESSAGE: 0, "observed_at": start + timedelta(hours=index), "band": "gri"[index % 3],
            "kind": "limit" if index % 4 == 0 else "detection", "mag_ab": None if index % 4 == 0 else 18 + index / 1000,
            "mag_err": None if index % 4 == 0 else 0.1, "limit_mag_ab": 20.5, "flux_njy": 1000.0 + index,
            "flux_err_njy": 10.0, "source_id": str(index + 1),
        }
        for index in range(number)
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=DETECTIONS)


def test_a_light_curve_of_a_target_of_whatever_name(server, client, whole):
    mine = Target.objects.create(name="my supernova", type="SIDEREAL", ra=150.1, dec=2.21)
    url = f"https://ztf.fink-portal.org/{ID}"
    curve = light_curve("ztf", ID, client)
    assert store_light_curve(mine, curve, "ztf", url) == 4
    assert store_light_curve(mine, curve, "ztf", url) == 0
    rows = PhotometryReducedDatum.objects.filter(target=mine)
    assert set(rows.values_list("instrument", "source_location")) == {("ZTF", url)}
    store_found(whole.tidy)
    name = "target__name"
    assert as_rows(target=mine) == as_rows(**{name: ID}), "the same rows as those of the object's own target"
    assert not FinkObject.objects.filter(target=mine).exists()


def as_rows(**of) -> list:
    names = (
        "timestamp",
        "bandpass",
        "brightness",
        "brightness_error",
        "limit",
        "instrument",
        "source_location",
        "value",
    )
    return sorted(map(repr, PhotometryReducedDatum.objects.filter(**of).values_list(*names)))


def test_an_empty_light_curve_and_a_target_that_is_gone():
    mine = Target.objects.create(name="my supernova", type="SIDEREAL", ra=150.1, dec=2.21)
    assert store_light_curve(mine, points(0), "ztf") == 0
    gone = BaseTarget(pk=mine.pk + 1)
    with pytest.raises(BaseTarget.DoesNotExist):
        store_light_curve(gone, points(1), "ztf")


def test_the_stream_goes_on_where_a_light_curve_was_refreshed():
    """What is refreshed by hand is not stored twice by the next alert."""
    store_records([RUBIN.alert(0)], TOPIC)
    target = BaseTarget.objects.get()
    curve = alone(RUBIN.alert(1)).detections
    assert (
        store_light_curve(target, curve, "lsst", PhotometryReducedDatum.objects.first().source_location) == 1
    )
    before = PhotometryReducedDatum.objects.count()
    store_records([RUBIN.alert(1)], TOPIC)
    assert PhotometryReducedDatum.objects.count() == before + 1, "its forced point"


def test_a_thousand_points_take_less_than_half_a_second(record_property):
    mine = Target.objects.create(name="mine", type="SIDEREAL", ra=150.1, dec=2.21)
    curve, taken = points(1000), []
    for _ in range(2):
        PhotometryReducedDatum.objects.all().delete()
        started = time.perf_counter()
        assert store_light_curve(mine, curve, "ztf") == 1000
        taken.append(time.perf_counter() - started)
    one_by_one = Target.objects.create(name="one by one", type="SIDEREAL", ra=150.1, dec=2.21)
    some = curve.head(50).rows(named=True)
    started = time.perf_counter()
    for row in some:
        PhotometryReducedDatum.objects.get_or_create(
            target=one_by_one, timestamp=row["observed_at"], bandpass=row["band"], brightness=row["mag_ab"],
            limit=None if row["mag_ab"] else row["limit_mag_ab"], instrument="ZTF", source_name="Fink",
        )  # fmt: skip
    slow = (time.perf_counter() - started) * len(curve) / len(some)
    record_property(
        MEASURED, f"1,000 points: {min(taken):.3f} s at once, {slow:.2f} s one by one ({connection.vendor})"
    )
    assert min(taken) < 0.5
    assert min(taken) < slow / 3


# --- Together with readers of the stream -------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_searches_and_readers_meet_at_the_same_objects(simulated_messages, server):
    """Three at once, in orders of their own: each waits for the other's rows, and nothing is there twice."""
    some = [
        replace(message, topic=TOPIC) for message in simulated_messages if b"triggerId" not in message.key
    ]
    # Not the bodies, whose search has a question each
    some = [message for message in some if b'"roid"' in message.key or _is_static(message)][:60]
    service = Service(some)
    names = service.names["ztf"]
    server.rows = service.served()
    with FinkClient(server.options(timeout_s=20)) as client:
        whole = fetch("ztf", [name for name in names if name.startswith("ZTF")], client)
    url = "https://ztf.fink-portal.org/"
    curves = {
        object_id: whole.tidy.detections.filter(pl.col(MESSAGE).is_in(group[MESSAGE].implode()))
        for (object_id,), group in whole.tidy.alerts.group_by("object_id")
    }
    assert len(curves) > 3

    def read():
        for message in reversed(some):
            store_messages([message])

    def search():
        for _ in range(3):
            store_found(whole.tidy)

    def refresh():
        for object_id, curve in list(curves.items()) * 2:
            if target := BaseTarget.objects.filter(name=object_id).first():
                store_light_curve(target, curve, "ztf", url + object_id)

    def on_its_own(work):
        try:
            work()
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(on_its_own, work) for work in (read, search, refresh)]:
            done.result(timeout=100)
    found = state()
    assert max(found["points"].values()) == 1
    for model in (BaseTarget, Topic, TargetList, FinkObject, Alert, KnownPoints):
        model.objects.all().delete()
    store_found(whole.tidy)
    store_messages(some)
    assert_same({label: found[label] for label in ALONE}, {label: state()[label] for label in ALONE})


def _is_static(message) -> bool:
    return decode_one(message)["diaSource"]["diaObjectId"] != 0
