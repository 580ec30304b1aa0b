"""The benchmark's messages: real alerts in all but that they are copies of a few."""

import io
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fastavro
import polars as pl
import pytest

from bench.alerts import HISTORIES, PERIOD, SPACING_DAYS, START
from bench.messages import MOULDS, Moulds
from tom_fink.decoding.decode import Message, decode
from tom_fink.surveys import normalise

ROOT = Path(__file__).resolve().parents[2]
SURVEYS = ("lsst", "ztf")
OBJECTS = (0, 1, 41, PERIOD + 41, 99_999_999)


@pytest.fixture(scope="module")
def moulds() -> dict[str, Moulds]:
    return {survey: Moulds(survey) for survey in SURVEYS}


@pytest.fixture(scope="module")
def read(moulds):
    """A function that casts a message and reads it with fastavro."""
    schemas = {survey: fastavro.parse_schema(json.loads(moulds[survey].key)) for survey in SURVEYS}

    def read(survey: str, number: int, repeat: int = 0) -> dict:
        source = io.BytesIO(moulds[survey].cast(number, repeat))
        alert = fastavro.schemaless_reader(source, schemas[survey], None)
        assert not source.read(), "nothing behind the record"
        return alert

    return read


def object_ids(alert: dict) -> set:
    """Every place where the object's id stands."""
    if "objectId" in alert:
        return {alert["objectId"]}
    points = [alert["diaSource"], alert["diaObject"], *alert["prvDiaSources"], *alert["prvDiaForcedSources"]]
    return {point["diaObjectId"] for point in points}


def points(alert: dict) -> list[tuple]:
    """(time, id) of every point that the alert tells, its own last but for Rubin's forced ones."""
    if "objectId" in alert:
        return [(point["jd"], point["candid"]) for point in [*alert["prv_candidates"], alert["candidate"]]]
    return [
        *((p["midpointMjdTai"], p["diaSourceId"]) for p in [*alert["prvDiaSources"], alert["diaSource"]]),
        *((p["midpointMjdTai"], p["diaForcedSourceId"]) for p in alert["prvDiaForcedSources"]),
    ]


@pytest.mark.parametrize("survey", SURVEYS)
def test_every_object_has_an_id_of_its_own_in_every_place(read, survey):
    form = r"ZTF\d\d[a-z]{7}" if survey == "ztf" else r"\d{18}"
    seen = set()
    for number in OBJECTS:
        ids = object_ids(read(survey, number))
        assert len(ids) == 1
        assert re.fullmatch(form, str(*ids))
        seen |= ids
    assert len(seen) == len(OBJECTS)


@pytest.mark.parametrize("survey", SURVEYS)
def test_ids_of_points_are_distinct_over_alerts_and_objects(read, survey):
    of_alerts, of_points = [], []
    for number in OBJECTS:
        for repeat in (0, 1):
            alert = read(survey, number, repeat)
            own = alert["candidate"]["candid"] if survey == "ztf" else alert["diaSource"]["diaSourceId"]
            assert alert["candid" if survey == "ztf" else "diaSourceId"] == own
            of_alerts.append(own)
        of_points += [found for _, found in points(alert) if found is not None]
    assert len(set(of_alerts)) == len(of_alerts)
    assert len(set(of_points)) == len(of_points)


@pytest.mark.parametrize("survey", SURVEYS)
@pytest.mark.parametrize("repeat", [0, 1, 3])
def test_the_points_are_as_many_rows_as_the_benchmark_expects(moulds, survey, repeat):
    """None is left out for want of a magnitude, and no two are of one exposure and kind."""
    now = datetime.now(UTC)
    messages = [
        Message("t", 0, n, moulds[survey].key, moulds[survey].cast(n, repeat), now) for n in range(MOULDS)
    ]
    decoded = decode(messages)
    tidy, errors = normalise(decoded.frames)
    assert not errors
    assert not decoded.errors
    assert tidy.alerts["problem"].null_count() == MOULDS
    points = tidy.detections
    assert points.height == MOULDS * HISTORIES[survey].rows(repeat)
    exposures = points.select("message", "observed_at", "band", pl.col("kind") == "forced")
    assert exposures.is_unique().all()
    assert points.select((pl.col("mag_ab").is_not_null() | pl.col("limit_mag_ab").is_not_null()).all()).item()
    assert points["limit_mag_ab"].null_count() == 0
    bright = points.filter(pl.col("mag_ab").is_not_null()).height
    assert 0.1 * points.height < bright < 0.95 * points.height, (
        "some have a brightness, and some only a limit"
    )


@pytest.mark.parametrize("survey", SURVEYS)
def test_a_further_alert_repeats_the_history_and_adds_points(read, survey):
    first, second = (read(survey, 41, repeat) for repeat in (0, 1))
    assert set(points(first)) < set(points(second))
    assert len(points(second)) - len(points(first)) == HISTORIES[survey].added
    if survey == "lsst":
        assert second["prvDiaSources"][:-1] == first["prvDiaSources"]
        assert second["prvDiaSources"][-1] == first["diaSource"]
        assert second["prvDiaForcedSources"][:-1] == first["prvDiaForcedSources"]
        assert second["prvDiaForcedSources"][-1]["midpointMjdTai"] == second["diaSource"]["midpointMjdTai"]
    else:
        *before, last = second["prv_candidates"]
        assert before == first["prv_candidates"]
        told = ("jd", "fid", "candid", "magpsf", "sigmapsf", "diffmaglim", "isdiffpos")
        assert [last[name] for name in told] == [first["candidate"][name] for name in told]


@pytest.mark.parametrize("survey", SURVEYS)
def test_histories_have_the_lengths_and_messages_the_sizes_of_real_ones(read, moulds, survey):
    """Real ones (2026-03): Rubin 270 kB with 345 and 395 points, ZTF 45 to 64 kB with 8 to 88."""
    alert, size = read(survey, 7), len(moulds[survey].cast(7))
    if survey == "lsst":
        assert (len(alert["prvDiaSources"]), len(alert["prvDiaForcedSources"])) == (300, 440)
        assert len(alert["diaSource"]) == 98
        assert 230_000 < size < 270_000
    else:
        kinds = [point["magpsf"] is None for point in alert["prv_candidates"]]
        assert (kinds.count(False), kinds.count(True)) == (8, 22)
        assert 45_000 < size < 64_000


@pytest.mark.parametrize("survey", SURVEYS)
def test_times_ascend_from_visit_to_visit_and_differ_between_objects(moulds, survey):
    now = datetime.now(UTC)
    numbers = (0, 41, PERIOD + 41)
    messages = [Message("t", 0, n, moulds[survey].key, moulds[survey].cast(n), now) for n in numbers]
    tidy, _ = normalise(decode(messages).frames)
    shifts = [found - START for found in tidy.alerts.sort("message")["observed_at"]]
    assert shifts == [timedelta(0), timedelta(seconds=41 * 7), timedelta(seconds=41 * 7)]
    times = tidy.detections.filter(message=0)["observed_at"].unique().sort()
    gaps = times.diff().drop_nulls().dt.total_milliseconds() / 86_400_000
    assert gaps.min() == pytest.approx(SPACING_DAYS)
    assert gaps.max() == pytest.approx(SPACING_DAYS)


@pytest.mark.parametrize("survey", SURVEYS)
def test_a_copy_differs_from_its_mould_in_nothing_but_ids_and_times(read, survey):
    """Objects whose numbers are the same modulo PERIOD: only the ids differ."""
    one, other = read(survey, 41), read(survey, PERIOD + 41)

    def differing(left, right, path="") -> set[str]:
        if isinstance(left, dict):
            return set().union(*(differing(left[name], right[name], f"{path}.{name}") for name in left))
        if isinstance(left, list):
            return set().union(*(differing(a, b, path) for a, b in zip(left, right, strict=True)))
        return set() if left == right or left != left else {path}

    names = {path.rpartition(".")[2] for path in differing(one, other)}
    ids = {"objectId", "candid"} if survey == "ztf" else {"diaObjectId", "diaSourceId", "diaForcedSourceId"}
    assert names == ids


def test_the_sender_runs_without_a_site():
    """It is a process that knows no settings: Django's models cannot be imported there."""
    done = subprocess.run(
        [sys.executable, "-c", "import bench.sender"],
        cwd=ROOT, env=os.environ | {"DJANGO_SETTINGS_MODULE": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
