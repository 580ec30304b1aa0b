"""The simulated sky: its alerts keep the surveys' conventions, repeat exactly and agree with each other."""

import io
import itertools
import json
import math
from collections import defaultdict
from datetime import UTC, datetime

import fastavro
import numpy as np
import pytest

from tom_fink.simulate import SimulatedAlert, serialise, simulated_alerts
from tom_fink.simulate.observations import mjd_of
from tom_fink.simulate.schemas import LSST_SCHEMA, ZTF_SCHEMA, record
from tom_fink.simulate.sky import packed_designation

START = datetime(2026, 3, 22, 4, tzinfo=UTC)
SEED = 7
TOPICS = {
    "fink_sn_candidates_ztf",
    "fink_early_sn_candidates_ztf",
    "fink_sso_ztf_candidates_ztf",
    "fink_blazar_ztf",
    "fink_sn_near_galaxy_candidate_lsst",
    "fink_hostless_candidate_lsst",
    "fink_uniform_sample_lsst",
    "fink_is_solar_system_lsst",
    "fink_grb_bronze",
}
TAI_MINUS_UTC_DAYS = 37 / 86400
SECOND_DAYS = 1 / 86400


@pytest.fixture(scope="module")
def alerts() -> list[SimulatedAlert]:
    """More than one night, so that objects come back often."""
    return list(simulated_alerts(SEED, START, 900))


def of_survey(alerts, survey: str) -> list[dict]:
    """Each alert of a survey once, in order."""
    return list({id(sent.alert): sent.alert for sent in alerts if sent.survey == survey}.values())


def by_object(alerts, survey: str) -> dict:
    """The alerts of each fixed object, in order."""
    found = defaultdict(list)
    for alert in of_survey(alerts, survey):
        name = alert["objectId"] if survey == "ztf" else alert["diaSource"]["diaObjectId"]
        if name:
            found[name].append(alert)
    return found


def ztf_detections(alerts) -> list[dict]:
    return [alert["candidate"] for alert in of_survey(alerts, "ztf")]


def test_same_seed_and_start_give_the_same_bytes():
    first, second = (
        [(sent.topic, *serialise(sent)) for sent in simulated_alerts(SEED, START, 150)] for _ in range(2)
    )
    assert first == second


def test_another_seed_gives_other_objects(alerts):
    others = list(simulated_alerts(SEED + 1, START, 200))
    assert not by_object(alerts, "ztf").keys() & by_object(others, "ztf").keys()


@pytest.mark.parametrize("seed", range(6))
def test_first_200_alerts_cover_the_topics(seed):
    sent = list(simulated_alerts(seed, START, 200))
    assert {one.topic for one in sent} == TOPICS
    ztf, lsst = of_survey(sent, "ztf"), of_survey(sent, "lsst")
    assert 0.3 < sum(one.survey == "lsst" for one in sent) / len(sent) < 0.5
    assert {candidate["isdiffpos"] for candidate in ztf_detections(sent)} == {"t", "f"}
    assert any(alert["diaSource"]["psfFlux"] < 0 for alert in lsst)
    assert any(point["magpsf"] is None for alert in ztf for point in alert["prv_candidates"])
    assert any(
        abs(point["psfFlux"]) < 3 * point["psfFluxErr"]
        for alert in lsst
        for point in alert["prvDiaForcedSources"] or ()
    )
    names = {candidate["ssnamenr"] for candidate in ztf_detections(sent)} - {"null"}
    assert any(name.isdigit() for name in names)
    assert any(not name.isdigit() for name in names)
    numbers = {permid(alert) for alert in lsst if alert["pred"]["is_sso"]}
    assert None in numbers
    assert len(numbers) > 1
    assert max(map(len, by_object(sent, "ztf").values())) > 1
    assert max(map(len, by_object(sent, "lsst").values())) > 1
    assert len({id(one.alert) for one in sent}) < len(sent)


def permid(alert: dict) -> str | None:
    return json.loads(alert["mpc_orbits"]["mpc_orb_jsonb"])["designation_data"]["permid"]


def test_times_start_at_start_and_go_on(alerts):
    ztf, lsst = of_survey(alerts, "ztf"), of_survey(alerts, "lsst")
    times = [candidate["jd"] - 2400000.5 for candidate in ztf_detections(alerts)]
    assert times == sorted(times)
    times += [alert["diaSource"]["midpointMjdTai"] - TAI_MINUS_UTC_DAYS for alert in lsst]
    assert 0 <= (min(times) - mjd_of(START)) * 1440 < 5
    assert max(times) > mjd_of(START) + 1
    assert len(ztf) + len(lsst) == len(times)


@pytest.mark.parametrize("survey", ["ztf", "lsst", "mm"])
def test_alerts_survive_their_bytes(alerts, survey):
    for sent in [one for one in alerts if one.survey == survey][:40]:
        key, value = serialise(sent)
        schema = fastavro.parse_schema(json.loads(key))
        read = fastavro.schemaless_reader(io.BytesIO(value), schema, None)
        # repr tells NaN from other values, and is equal for equal floats only.
        assert repr(read) == repr(sorted_like(sent.alert, read))


def sorted_like(value, example):
    """`value` with the keys of its dicts in the order of `example`: Avro has the schema's order."""
    if isinstance(value, dict):
        assert value.keys() == example.keys()
        return {name: sorted_like(value[name], example[name]) for name in example}
    if isinstance(value, list):
        return [sorted_like(one, other) for one, other in zip(value, example, strict=True)]
    return value


def test_ztf_histories_repeat_earlier_alerts(alerts):
    compared = 0
    for history in by_object(alerts, "ztf").values():
        for earlier, later in itertools.pairwise(history):
            past = {point["jd"]: point for point in later["prv_candidates"]}
            assert later["candidate"]["jd"] not in past
            oldest = min(past)
            for point in earlier["prv_candidates"]:
                if point["jd"] >= oldest:
                    assert past[point["jd"]] == point
                    compared += 1
            before = earlier["candidate"]
            unlike = {"ssdistnr", "ssmagnr", "ssnamenr"}  # not told in histories
            told = past[before["jd"]]
            assert {name: before[name] for name in told if name not in unlike} == {
                name: told[name] for name in told if name not in unlike
            }
    assert compared > 1000


def test_ztf_histories_are_30_days_oldest_first(alerts):
    for alert in of_survey(alerts, "ztf"):
        times = [point["jd"] for point in alert["prv_candidates"]]
        assert times == sorted(times)
        assert all(
            alert["candidate"]["jd"] - 30 - SECOND_DAYS < time < alert["candidate"]["jd"] for time in times
        )


def test_rubin_histories_repeat_earlier_alerts(alerts):
    compared = 0
    for history in by_object(alerts, "lsst").values():
        for earlier, later in itertools.pairwise(history):
            for name, key in (("prvDiaSources", "diaSourceId"), ("prvDiaForcedSources", "diaForcedSourceId")):
                past = {point[key]: point for point in later[name]}
                oldest = min(point["midpointMjdTai"] for point in later[name])
                for point in earlier[name]:
                    if point["midpointMjdTai"] >= oldest:
                        assert past[point[key]] == point
                        compared += 1
            past = {point["diaSourceId"]: point for point in later["prvDiaSources"]}
            assert past[earlier["diaSourceId"]] == earlier["diaSource"]
    assert compared > 1000


def test_rubin_forced_photometry_includes_the_current_visit(alerts):
    for alert in of_survey(alerts, "lsst"):
        if alert["pred"]["is_sso"]:
            continue
        forced, source = alert["prvDiaForcedSources"], alert["diaSource"]
        assert forced[-1]["midpointMjdTai"] == source["midpointMjdTai"]
        assert forced[-1]["psfFlux"] == source["psfFlux"]
        assert source["diaSourceId"] not in {point["diaSourceId"] for point in alert["prvDiaSources"]}
        assert len(forced) <= 100


def test_ids_are_distinct_and_beyond_double_precision(alerts):
    candids = [alert["candid"] for alert in of_survey(alerts, "ztf")]
    sources = [alert["diaSourceId"] for alert in of_survey(alerts, "lsst")]
    for ids in (candids, sources):
        assert len(set(ids)) == len(ids)
        assert 2**53 < min(ids) <= max(ids) < 2**63
    assert any(int(float(number)) != number for number in candids)


def test_ztf_conventions(alerts):
    for alert in of_survey(alerts, "ztf"):
        candidate = alert["candidate"]
        moving = alert["roid"] == 3
        assert candidate["candid"] == alert["candid"]
        shown = datetime.fromisoformat(alert["timestamp"]).replace(tzinfo=UTC)
        assert mjd_of(shown) + 2400000.5 == pytest.approx(candidate["jd"], abs=1e-7)
        assert (candidate["ssnamenr"] == "null") is (not moving)
        assert (candidate["ssdistnr"] == -999) is (not moving)
        assert candidate["sgmag2"] == -999
        assert candidate["magpsf"] == float(np.float32(candidate["magpsf"]))
        assert alert["DR3Name"] == "nan" or alert["DR3Name"].startswith("Gaia DR3")
        assert alert["tracklet"] is None
        limits = [point for point in alert["prv_candidates"] if point["magpsf"] is None]
        for point in limits:
            assert {point[name] for name in ("candid", "ra", "dec", "isdiffpos", "sigmapsf")} == {None}
            assert 17 < point["diffmaglim"] < 23


def test_a_minor_planet_has_a_new_ztf_name_at_each_detection(alerts):
    names = defaultdict(list)
    for alert in of_survey(alerts, "ztf"):
        if alert["roid"] == 3:
            names[alert["candidate"]["ssnamenr"]].append(alert["objectId"])
    assert len(names) == 5
    assert all(len(set(ids)) == len(ids) > 1 for ids in names.values())


def test_rubin_clock_is_37_seconds_ahead_of_utc(alerts):
    for alert in of_survey(alerts, "lsst"):
        tai = alert["diaSource"]["midpointMjdTai"]
        shown = datetime.fromisoformat(alert["timestamp"]).replace(tzinfo=UTC)
        assert mjd_of(shown) == pytest.approx(tai, abs=1e-9)
        utc_second = (tai - TAI_MINUS_UTC_DAYS) * 86400
        assert utc_second == pytest.approx(round(utc_second), abs=1e-3)


def test_rubin_static_and_moving_parts(alerts):
    moving_seen = 0
    for alert in of_survey(alerts, "lsst"):
        source = alert["diaSource"]
        if alert["pred"]["is_sso"]:
            moving_seen += 1
            assert source["diaObjectId"] == 0
            assert source["ssObjectId"] == alert["ssSource"]["ssObjectId"] > 2**53
            assert set(alert["diaObject"].values()) == {None}
            assert alert["prvDiaSources"] is None
            assert alert["prvDiaForcedSources"] is None
            assert alert["pred"]["is_first"] is None
            orbit = alert["mpc_orbits"]
            assert orbit["q"] == pytest.approx(orbit["a"] * (1 - orbit["e"]))
            assert orbit["designation"] == alert["ssSource"]["designation"]
            assert orbit["packed_primary_provisional_designation"] == packed_designation(orbit["designation"])
            # Ranges come in a wrong unit; with the right factor they are those of the main belt.
            assert 0.8 < alert["ssSource"]["topoRange"] * 1.495978707e8 < 3
        else:
            assert source["ssObjectId"] == 0
            assert alert["diaObject"]["diaObjectId"] == source["diaObjectId"] > 2**53
            assert alert["diaObject"]["nDiaSources"] > 0
            assert alert["diaObject"]["firstDiaSourceMjdTai"] is None
            assert set(alert["mpc_orbits"].values()) == set(alert["ssSource"].values()) == {None}
    assert moving_seen > 10


def test_uniform_sample_is_what_its_filter_says(alerts):
    for sent in alerts:
        if sent.survey == "lsst":
            sampled = sent.alert["diaSourceId"] % 113 == 0
            assert sampled or sent.topic != "fink_uniform_sample_lsst"


def test_multi_messenger_alert_is_flat_with_a_32_bit_candid(alerts):
    twins = {(alert["objectId"], alert["candidate"]["jd"]): alert for alert in of_survey(alerts, "ztf")}
    # The association comes from a burst's first detection on; ZTF's topic wants two.
    first = next(alert for alert in of_survey(alerts, "mm") if (alert["objectId"], alert["jd"]) in twins)
    twin = twins[first["objectId"], first["jd"]]
    assert not {"candidate", "prv_candidates", "cutoutScience"} & first.keys()
    assert -(2**31) <= first["candid"] < 2**31
    assert (first["candid"] - twin["candid"]) % 2**32 == 0
    assert (first["ztf_ra"], first["ztf_dec"]) == (twin["candidate"]["ra"], twin["candidate"]["dec"])
    assert datetime.fromisoformat(first["triggerTimeUTC"]).replace(tzinfo=UTC) < START
    away = math.hypot(
        (first["gcn_ra"] - first["ztf_ra"]) * math.cos(math.radians(first["ztf_dec"])),
        first["gcn_dec"] - first["ztf_dec"],
    )
    assert away < first["gcn_loc_error"] / 60


def test_lc_features_hold_numbers_and_nan(alerts):
    values = [
        alert["lc_features_r"][name] for alert in of_survey(alerts, "ztf") for name in ("median", "skew")
    ]
    assert any(math.isnan(value) for value in values)
    assert any(math.isfinite(value) for value in values)


def test_start_must_be_aware_and_in_range():
    for start in (datetime(2026, 3, 22), START.replace(year=2045)):  # noqa: DTZ001 - naive on purpose
        with pytest.raises(ValueError, match="start"):
            simulated_alerts(SEED, start)
    with pytest.raises(ValueError, match="seed"):
        simulated_alerts(-1, START)


def test_records_refuse_unknown_fields():
    with pytest.raises(KeyError, match="psFlux"):
        record("diaSource", {"psFlux": 1.0})


def test_every_field_is_nullable():
    for schema in (ZTF_SCHEMA, LSST_SCHEMA):
        assert all(field["type"][1] == "null" for field in schema["fields"])


def test_the_time_of_an_alert_is_that_of_its_visit():
    alerts = list(simulated_alerts(3, START, 120))
    assert {alert.survey for alert in alerts} == {"ztf", "lsst", "mm"}
    for alert in alerts:
        assert 0 <= (alert.observed_at - START).total_seconds() < 8 * 3600
    ztf = next(alert for alert in alerts if alert.survey == "ztf")
    assert ztf.observed_at.strftime("%Y-%m-%d %H:%M:%S") == ztf.alert["timestamp"][:19]
