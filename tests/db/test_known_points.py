"""A history that is stored already is not offered again, and nothing of it is missed for that."""

import os
import random
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from itertools import permutations

import polars as pl
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tom_dataproducts.models import PhotometryReducedDatum
from tom_targets.merge import target_merge
from tom_targets.models import BaseTarget, TargetList, TargetName

from bench.alerts import OWN_VISIT, long_objects
from tom_fink.decoding.decode import MESSAGE, decode_one
from tom_fink.frames import DETECTIONS, conform
from tom_fink.models import Alert, FinkObject, KnownPoints, Topic
from tom_fink.store import photometry, store_messages, store_records
from tom_fink.store.known import DIGEST, with_digest

pytestmark = pytest.mark.django_db

TOPIC = "fink_extragalactic_new_candidate_lsst"
FIRST = OWN_VISIT["lsst"]  # the visit of alert 0
SINCE = FIRST - 5  # of the history
RUBIN = next(long_objects("lsst", 1, 1))
OTHER = next(long_objects("lsst", 1, 2))
ZTF = next(long_objects("ztf", 1, 1))


def alert(repeat: int, since: int = SINCE, without: int | None = None, of=RUBIN) -> dict:
    """Alert `repeat` of a Rubin object: detections and forced points of the visits from `since` on.

    without: a visit whose forced photometry is not there yet.
    """
    found = of.alert(repeat)
    seen = found["prvDiaSources"][since - (FIRST + repeat) :] if since < FIRST + repeat else []
    forced = [
        found["prvDiaForcedSources"][visit] for visit in range(since, FIRST + repeat + 1) if visit != without
    ]
    return found | {"prvDiaSources": seen, "prvDiaForcedSources": forced}


def store(*alerts: dict) -> int:
    """Store alerts as one batch; how many points were offered to the table."""
    outcome = store_records(list(alerts), TOPIC)
    assert outcome.stored == len(alerts)
    return outcome.points


def points_of(repeat: int, since: int = SINCE) -> int:
    """Each visit is a detection and a forced point."""
    return 2 * (FIRST + repeat - since + 1)


def rows(*names: str) -> Counter:
    """All that a point says, but for its key in the database."""
    names = names or ("target__name", "timestamp", "bandpass", "brightness", "brightness_error", "limit", "telescope",
                      "instrument", "source_location", "reduction_version", "value")  # fmt: skip
    return Counter(map(repr, PhotometryReducedDatum.objects.values_list(*names)))


def forget() -> None:
    for model in (BaseTarget, Topic, TargetList, FinkObject, Alert):
        model.objects.all().delete()


def test_a_history_that_is_stored_is_not_offered_again():
    assert store(alert(0)) == points_of(0) == rows().total()
    assert store(alert(1)) == store(alert(2)) == 2, "a detection and its forced photometry"
    assert store(alert(3), alert(4)) == 4
    assert rows().total() == points_of(4)
    known = KnownPoints.objects.get()
    assert len(known.digests) == 8 * points_of(4)
    assert known.target == FinkObject.objects.get().target


def test_an_alert_without_a_new_point_does_not_touch_the_light_curve():
    store(alert(0), alert(2))
    with CaptureQueriesContext(connection) as captured:
        assert store(alert(1)) == 0
    said = [query["sql"] for query in captured.captured_queries]
    assert any(KnownPoints._meta.db_table in sql for sql in said)
    assert not any(PhotometryReducedDatum._meta.db_table in sql for sql in said)


@pytest.mark.parametrize("order", list(permutations(range(4)))[1::3])
def test_the_order_of_alerts_does_not_matter(order):
    for repeat in order:
        store(alert(repeat))
    found = rows()
    forget()
    store(*map(alert, range(4)))
    assert found == rows()
    assert found.total() == points_of(3)


def test_an_object_that_is_back_after_months_has_its_points_once():
    """Its new history does not tell the old points, and what comes late tells them again."""
    store(alert(0))
    since = FIRST + 10
    assert store(alert(12, since)) == points_of(12, since)
    assert len(KnownPoints.objects.get().digests) == 8 * points_of(12, since)
    late = store(alert(1))
    assert late == points_of(1), "what the newest history does not tell is for the table to judge"
    assert store(alert(13, since)) == 2, "a late alert does not take the place of the newest"
    assert rows().total() == points_of(1) + points_of(13, since)
    assert max(rows().values()) == 1


def test_a_point_that_comes_late_gets_in():
    missing = FIRST - 2
    assert store(alert(0, without=missing)) == points_of(0) - 1
    assert store(alert(1)) == 3
    assert rows().total() == points_of(1)


def test_a_point_that_has_changed_gets_in():
    """As a reprocessing would have it: both values of the time are kept, as TOM Toolkit's keys tell them apart."""
    store(alert(0))
    found = alert(1)
    changed = found["prvDiaSources"][2] = found["prvDiaSources"][2] | {"psfFlux": 12_345.0}
    assert store(found) == 3
    of_source = PhotometryReducedDatum.objects.filter(value__source_id=str(changed["diaSourceId"]))
    assert of_source.filter(value__flux_njy=12_345.0).count() == 1
    assert of_source.count() == 2
    assert store(alert(2)) == 3, "it is back to what it was, which the table has"
    assert of_source.count() == 2


def changed_beside_the_keys(found: dict, kind: str) -> tuple[dict, dict]:
    """An alert in which one known point says something new that TOM Toolkit's unique keys do not look at.

    And what is to be in its row. A forced point below 3 sigma has the limit of its error, whatever its flux.
    """
    if kind == "flux":
        points = found["prvDiaForcedSources"]
        place = next(n for n, point in enumerate(points) if 0 < point["psfFlux"] < 2 * point["psfFluxErr"])
        change = {"psfFlux": -3 * points[place]["psfFlux"]}
    else:
        points = found["prvDiaSources"]
        place = next(n for n, point in enumerate(points) if point["psfFlux"] > 0)
        change = {"psfFluxErr": 2 * points[place]["psfFluxErr"]}
    points = [*points[:place], points[place] | change, *points[place + 1 :]]
    wanted = {"flux_njy": points[place]["psfFlux"], "flux_err_njy": points[place]["psfFluxErr"]}
    name = "prvDiaForcedSources" if kind == "flux" else "prvDiaSources"
    return found | {name: points}, {key: round(value, 3) for key, value in wanted.items()}


@pytest.mark.parametrize("how", ["next", "same batch", "no digests"])
@pytest.mark.parametrize("kind", ["flux", "error"])
def test_what_a_newer_alert_says_of_a_point_is_what_is_stored(kind, how):
    changed, wanted = changed_beside_the_keys(alert(2, since=FIRST - 30), kind)
    if how == "same batch":
        store(alert(0, since=FIRST - 30), changed)
    else:
        store(alert(0, since=FIRST - 30))
        if how == "no digests":
            KnownPoints.objects.all().delete()
        offered = store(changed)
        assert offered == (points_of(2, FIRST - 30) if how == "no digests" else 5)
    assert rows().total() == points_of(2, FIRST - 30), "it is still one point"
    point = PhotometryReducedDatum.objects.get(**{f"value__{key}": value for key, value in wanted.items()})
    if kind == "error":
        assert point.brightness_error == pytest.approx(
            1.0857 * wanted["flux_err_njy"] / wanted["flux_njy"], abs=1e-4
        )
    found = rows()
    assert store(alert(1, since=FIRST - 30)) == 1
    assert rows() == found, "an older alert that comes late does not take it back"


def test_a_target_that_was_deleted_and_is_made_anew_gets_the_whole_history():
    store(alert(0))
    BaseTarget.objects.all().delete()
    assert not KnownPoints.objects.exists()
    assert store(alert(1)) == points_of(1) == rows().total()


def test_a_target_that_was_merged_gets_the_whole_history():
    store(alert(0))
    mine = BaseTarget.objects.create(name="SN 2026abc", type="SIDEREAL", ra=1, dec=2)
    target_merge(mine, BaseTarget.objects.exclude(pk=mine.pk).get())
    assert store(alert(1)) == points_of(1)
    assert store(alert(2)) == 2
    assert set(PhotometryReducedDatum.objects.values_list("target", flat=True)) == {mine.pk}
    assert rows().total() == points_of(2), "what the merge had moved is not doubled"


def test_a_target_that_takes_the_object_over_gets_the_whole_history():
    store(alert(0))
    mine = BaseTarget.objects.create(name="SN 2026abc", type="SIDEREAL", ra=1, dec=2)
    TargetName.objects.create(target=mine, name=FinkObject.objects.get().object_id)
    assert KnownPoints.objects.get().target != mine
    assert store(alert(1)) == points_of(1) == PhotometryReducedDatum.objects.filter(target=mine).count()
    assert KnownPoints.objects.get().target == mine


@pytest.mark.parametrize(
    "digests", [None, b"", b"abc", b"8 bytes!" * 9, b"not multiples"], ids=["no row", "none", "3", "72", "13"]
)
def test_digests_that_are_lost_or_wrong_only_cost_time(digests):
    store(alert(0), alert(0, of=OTHER))
    found = KnownPoints.objects.filter(fink_object__object_id=alert(0)["diaObject"]["diaObjectId"])
    if digests is None:
        found.delete()
    else:
        found.update(digests=digests)
    store(alert(1), alert(1, of=OTHER))
    assert rows().total() == 2 * points_of(1)
    assert len(found.get().digests) == 8 * points_of(1)
    assert store(alert(2)) == 2


def test_a_point_that_somebody_deletes_stays_away_until_the_digests_are_deleted():
    store(alert(0))
    PhotometryReducedDatum.objects.order_by("timestamp").first().delete()
    store(alert(1))
    assert rows().total() == points_of(1) - 1
    KnownPoints.objects.all().delete()
    store(alert(2))
    assert rows().total() == points_of(2)


@pytest.mark.parametrize("step", ["photometry.remember", "batch.cutouts_kept", "batch.update_objects"])
def test_a_crash_leaves_neither_points_nor_digests(step, monkeypatch):
    def crash(*_):
        raise RuntimeError("power cut")

    store(alert(0))
    before, digests = rows(), bytes(KnownPoints.objects.get().digests)
    with monkeypatch.context() as patched:
        patched.setattr(f"tom_fink.store.{step}", crash)
        with pytest.raises(RuntimeError):
            store(alert(1))
    assert rows() == before
    assert bytes(KnownPoints.objects.get().digests) == digests
    assert store(alert(1)) == 2


def test_two_surveys_objects_at_one_target_keep_their_own():
    store(alert(0))
    target = BaseTarget.objects.get()
    TargetName.objects.create(target=target, name=ZTF.alert(0)["objectId"])
    first = store(ZTF.alert(0))
    assert first == rows().total() - points_of(0)
    assert set(KnownPoints.objects.values_list("target", flat=True)) == {target.pk}
    for repeat in (1, 2):
        assert (store(ZTF.alert(repeat)), store(alert(repeat))) == (1, 2)
    assert rows().total() == points_of(2) + first + 2


def test_an_alert_without_photometry_leaves_the_digests_as_they_are(simulated_messages):
    """A multi-messenger alert joins a ZTF object."""
    burst = next(m for m in simulated_messages if m.topic == "fink_grb_bronze")
    name = decode_one(burst)["objectId"]
    same = [m for m in simulated_messages if decode_one(m).get("objectId") == name and m.topic != burst.topic]
    store_messages(same[:1])
    digests = bytes(KnownPoints.objects.get().digests)
    assert digests
    store_messages([burst])
    assert bytes(KnownPoints.objects.get().digests) == digests


@pytest.mark.parametrize("seed", range(3))
def test_the_rows_are_those_that_there_would_be_without_digests(seed, simulated_messages, monkeypatch):
    rng, batches = random.Random(seed), []  # noqa: S311 - of a test
    waiting = rng.sample(simulated_messages, len(simulated_messages))
    while waiting:
        size = rng.choice([1, 7, 40])
        batches.append(waiting[:size])
        del waiting[:size]
    offered = sum(store_messages(batch).points for batch in batches)
    found, total = rows(), rows().total()
    forget()
    monkeypatch.setattr(photometry, "known_digests", lambda objects: pl.Series(DIGEST, [], pl.UInt64))
    without = sum(store_messages(batch).points for batch in batches)
    assert found == rows()
    assert total <= offered < without
    in_order = (
        "target__name",
        "timestamp",
        "bandpass",
        "brightness",
        "limit",
        "instrument",
        "reduction_version",
    )
    found = rows(*in_order)
    forget()
    store_messages(simulated_messages)
    assert found == rows(*in_order)


DIGESTS = """
import django
django.setup()
from tests.db.test_known_points import digests
print(digests())
"""


def digests() -> list[int]:
    at = datetime(2026, 3, 22, 4, tzinfo=UTC)
    points = pl.DataFrame(
        {
            MESSAGE: [0, 1, 0, 0, 0],
            "fink_object_id": [1, 1, 2, 1, 1],
            "observed_at": [at] * 5,
            "kind": ["limit", "limit", "limit", "limit", None],
            "limit_mag_ab": [20.5, 20.5, 20.5, None, 20.5],
            "flux_njy": [None, None, None, 20.5, None],
        }
    )
    points = conform(points, DETECTIONS).with_columns(points["fink_object_id"])
    return with_digest(points)[DIGEST].to_list()


def test_a_digest_is_of_the_object_and_the_point_in_every_process():
    found = digests()
    assert found[0] == found[1], "which alert brought it does not count"
    assert len(set(found)) == 4, "of another object, and where another column is null, it is another"
    environment = {name: value for name, value in os.environ.items() if name != "TEST_DATABASE"}
    done = subprocess.run(
        [sys.executable, "-c", DIGESTS],
        capture_output=True,
        text=True,
        check=True,
        env=environment | {"DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONHASHSEED": "7"},
    )
    assert done.stdout == f"{found}\n"
