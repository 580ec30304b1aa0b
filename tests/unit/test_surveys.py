"""Survey modules: from decoded alerts to tidy frames, on simulated alerts and on hand-made ones."""

import copy
import json
import math
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from tom_fink.decoding.decode import MESSAGE, decode, decode_one, frame_of_records
from tom_fink.frames import ALERTS, DETECTIONS
from tom_fink.surveys import normalise
from tom_fink.surveys._bodies import aliases


def tidy(*records: dict):
    """The tidy frames of decoded alerts, none of which may be rejected."""
    frame = frame_of_records(list(records)).with_columns(
        pl.Series(MESSAGE, range(len(records)), dtype=pl.UInt32)
    )
    found, errors = normalise([frame])
    assert errors == {}
    return found


def rejection(record: dict) -> str:
    """Why a decoded alert is rejected."""
    frame = frame_of_records([record]).with_columns(pl.Series(MESSAGE, [0], dtype=pl.UInt32))
    found, errors = normalise([frame])
    assert found.alerts.is_empty()
    assert found.detections.is_empty()
    return str(errors[0])


@pytest.fixture
def by_kind(simulated_messages):
    """A decoded alert of each kind, fresh for each test."""
    alerts = [decode_one(message) for message in simulated_messages]
    return {
        "ztf": copy.deepcopy(
            next(a for a in alerts if "candidate" in a and a["roid"] != 3 and a["prv_candidates"])
        ),
        "lsst": copy.deepcopy(
            next(a for a in alerts if "diaSource" in a and len(a["prvDiaSources"] or ()) > 3)
        ),
        "mm": copy.deepcopy(next(a for a in alerts if "triggerId" in a)),
        "ztf_body": copy.deepcopy(next(a for a in alerts if a.get("roid") == 3 and "candidate" in a)),
        "lsst_body": copy.deepcopy(next(a for a in alerts if "pred" in a and a["pred"]["is_sso"])),
    }


def test_every_message_is_an_alert_or_an_error(simulated_messages):
    found, errors = normalise(decode(simulated_messages).frames)
    assert sorted([*found.alerts[MESSAGE], *errors]) == list(range(len(simulated_messages)))
    assert dict(found.alerts.schema) == ALERTS
    assert dict(found.detections.schema) == DETECTIONS
    assert set(found.alerts["survey"]) == {"ztf", "lsst", "mm"}
    assert found.detections.filter(
        pl.col("observed_at").is_null() | pl.col("band").is_null() | pl.col("kind").is_null()
    ).is_empty()
    assert set(found.detections["kind"]) == {"detection", "limit", "forced"}


def test_columns_and_dictionaries_lead_to_the_same_rows(simulated_messages):
    """jetliner reads a map as a list and a number as float32; a dictionary has neither. The rows agree."""
    frames = decode(simulated_messages).frames
    fast, _ = normalise(frames)
    slow, _ = normalise(
        [
            frame_of_records(
                [decode_one(simulated_messages[index]) for index in frame[MESSAGE]]
            ).with_columns(frame[MESSAGE])
            for frame in frames
        ]
    )
    assert fast.alerts.equals(slow.alerts)
    assert fast.detections.equals(slow.detections)


# --- ZTF ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("isdiffpos", "is_positive"),
    [("t", True), ("1", True), ("f", False), ("0", False), (None, None), ("?", None)],
)
def test_ztf_sign(by_kind, isdiffpos, is_positive):
    """Four spellings; a dip has no magnitude among the detections, and neither has an unknown sign."""
    alert = by_kind["ztf"]
    alert["candidate"] |= {"isdiffpos": isdiffpos, "magpsf": 18.9, "sigmapsf": 0.1, "diffmaglim": 20.5}
    found = tidy(alert)
    row = found.alerts.row(0, named=True)
    point = found.detections.filter(source_id=row["alert_id"]).row(0, named=True)
    assert row["is_positive"] is is_positive
    assert row["mag_ab"] == 18.9
    assert point["mag_ab"] == (18.9 if is_positive else None)
    assert point["limit_mag_ab"] == 20.5
    # 10 ** ((31.4 - 18.9) / 2.5) = 10 ** 5
    assert point["flux_njy"] == {True: 1e5, False: -1e5, None: None}[is_positive]
    if is_positive is not None:
        assert point["flux_err_njy"] == pytest.approx(1e5 * 0.1 / 1.0857362, abs=0.01)


def test_ztf_upper_limit_is_no_detection(by_kind):
    alert = by_kind["ztf"]
    empty = dict.fromkeys(alert["prv_candidates"][0])
    alert["prv_candidates"] = [empty | {"jd": 2461120.5, "fid": 3, "diffmaglim": 19.123456}]
    limit = tidy(alert).detections.row(0, named=True)
    assert limit == {
        MESSAGE: 0, "observed_at": datetime(2026, 3, 21, tzinfo=UTC), "band": "i", "kind": "limit", "mag_ab": None,
        "mag_err": None, "limit_mag_ab": 19.1235, "flux_njy": None, "flux_err_njy": None, "source_id": None,
    }  # fmt: skip


@pytest.mark.parametrize("history", [None, []])
def test_ztf_without_history(by_kind, history):
    alert = by_kind["ztf"] | {"prv_candidates": history}
    assert tidy(alert).detections.height == 1


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({"tns": "SN Ia", "cdsxmatch": "RRLyrae"}, "(TNS) SN Ia"),
        ({"cdsxmatch": "RRLyrae"}, "RRLyrae"),
        ({"cdsxmatch": "Galaxy_in_Group"}, "Unknown"),
        ({"cdsxmatch": "Fail 503"}, "Unknown"),
        ({"cdsxmatch": "Transient", "roid": 2}, "Solar System candidate"),
        ({"cdsxmatch": "Unknown", "tns": ""}, "Unknown"),
        ({"cdsxmatch": "x" * 300}, "x" * 100),
    ],
)
def test_ztf_class(by_kind, changes, label):
    alert = by_kind["ztf"] | {"tns": "", "cdsxmatch": "Unknown", "roid": 0} | changes
    assert tidy(alert).alerts["fink_class"].item() == label


def test_ztf_known_body_is_named_by_the_mpc(by_kind):
    alert = by_kind["ztf_body"]
    alert["candidate"]["ssnamenr"] = "2004JQ12"
    assert tidy(alert).alerts["body"].item() == "2004 JQ12"
    alert["candidate"]["ssnamenr"] = "8467"
    assert tidy(alert).alerts["body"].item() == "8467"
    for nobody in ("null", "0", None):
        alert["candidate"]["ssnamenr"] = nobody
        assert tidy(alert).alerts["body"].item() is None


def test_ztf_history_at_a_body_s_place_is_not_the_body_s(by_kind):
    """ZTF's history is of a place (prv_candidates: within 1.5 arcsec), where the body was for one night."""
    alert, other = by_kind["ztf_body"], by_kind["ztf"]
    place = alert | {"prv_candidates": other["prv_candidates"]}
    assert (
        tidy(place)
        .detections.drop("message")
        .equals(tidy(alert | {"prv_candidates": None}).detections.drop("message"))
    )
    assert tidy(place).detections["source_id"].to_list() == [str(alert["candidate"]["candid"])]
    assert tidy(place | {"roid": 0}).detections.height == 1 + len(other["prv_candidates"])


def test_ztf_neighbour_is_not_the_body_itself(by_kind):
    """ssnamenr names whatever is within 30 arcsec; only roid 3 says that it is this."""
    alert = by_kind["ztf"] | {"roid": 0}
    alert["candidate"]["ssnamenr"] = "8467"
    assert tidy(alert).alerts["body"].item() is None


def test_ztf_of_before_fink_is_an_alert_too(by_kind):
    """An old packet has none of Fink's columns."""
    alert = by_kind["ztf"]
    old = {name: alert[name] for name in ("objectId", "candid", "candidate", "prv_candidates")}
    row = tidy(old).alerts.row(0, named=True)
    assert row["fink_class"] == "Unknown"
    assert row["cutout_science"] is None
    assert row["broker_end_at"] is None


# --- Rubin -------------------------------------------------------------------------------------


def test_rubin_flux_and_time(by_kind):
    alert = by_kind["lsst"]
    alert["diaSource"] |= {"midpointMjdTai": 61105.0, "psfFlux": 1000.0, "psfFluxErr": 100.0, "band": "z"}
    found = tidy(alert)
    point = found.detections.filter(kind="detection", source_id=str(alert["diaSourceId"])).row(0, named=True)
    assert point["observed_at"] == datetime(2026, 3, 6, tzinfo=UTC) - timedelta(seconds=37)
    assert point["mag_ab"] == 23.9  # a microjansky
    assert point["mag_err"] == 0.1086  # 1.0857 / 10
    assert point["limit_mag_ab"] == 24.6526  # 5 sigma: 31.4 - 2.5 log10(500) = 24.65257
    assert (point["flux_njy"], point["flux_err_njy"], point["band"]) == (1000.0, 100.0, "z")


def test_rubin_negative_flux_has_no_magnitude_and_keeps_its_flux(by_kind):
    alert = by_kind["lsst"]
    alert["diaSource"] |= {"psfFlux": -1000.0, "psfFluxErr": 100.0}
    found = tidy(alert)
    point = found.detections.filter(kind="detection", source_id=str(alert["diaSourceId"])).row(0, named=True)
    assert (point["mag_ab"], point["flux_njy"]) == (None, -1000.0)
    row = found.alerts.row(0, named=True)
    assert (row["mag_ab"], row["is_positive"]) == (23.9, False)


def test_rubin_forced_photometry_is_marked(by_kind):
    alert = by_kind["lsst"]
    forced = tidy(alert).detections.filter(kind="forced")
    assert forced.height == len(alert["prvDiaForcedSources"]) > 0


def test_rubin_absent_records_are_full_of_nulls(by_kind):
    """diaObject of an asteroid is there, with nothing in it; ids are 0."""
    row = tidy(by_kind["lsst_body"]).alerts.row(0, named=True)
    assert by_kind["lsst_body"]["diaObject"] is not None
    assert row["body"] == row["object_id"] == by_kind["lsst_body"]["mpc_orbits"]["designation"]
    assert json.loads(row["orbit"])["scheme"] == "MPC_MINOR_PLANET"
    static = tidy(by_kind["lsst"]).alerts.row(0, named=True)
    assert (static["body"], static["orbit"]) == (None, None)


def test_rubin_body_without_designation_is_named_by_its_number(by_kind):
    alert = by_kind["lsst_body"]
    alert["mpc_orbits"] = dict.fromkeys(alert["mpc_orbits"])
    alert["ssSource"] = dict.fromkeys(alert["ssSource"])
    row = tidy(alert).alerts.row(0, named=True)
    assert row["body"] == f"ssObject {alert['diaSource']['ssObjectId']}"
    assert row["orbit"] is None


def test_rubin_class(by_kind):
    alert = by_kind["lsst"]
    alert["xm"] |= {"tns_type": None, "simbad_otype": None}
    alert["pred"]["main_label_crossmatch"] = None
    for cats, label in ((11, "SN-like"), (22, "AGN-like"), (-1, "Unknown"), (None, "Unknown")):
        alert["clf"]["cats_class"] = cats
        assert tidy(alert).alerts["fink_class"].item() == label
    alert["xm"]["simbad_otype"] = "QSO"
    assert tidy(alert).alerts["fink_class"].item() == "QSO"
    alert["xm"]["tns_type"] = "SN II"
    assert tidy(alert).alerts["fink_class"].item() == "(TNS) SN II"


def test_other_names_of_a_body():
    orbit = {
        "designation_data": {
            "permid": "217301",
            "iau_name": "",
            "unpacked_primary_provisional_designation": "2004 JQ12",
            "unpacked_secondary_provisional_designations": ["1991 VP16", 5, None],
        }
    }
    assert aliases("2004 JQ12", "K04J12Q", json.dumps(orbit)) == ["K04J12Q", "217301", "1991 VP16"]
    for broken in (None, "", "{", "[]", "3", '{"designation_data": 5}'):
        assert aliases("2004 JQ12", None, broken) == []


# --- Multi-messenger ---------------------------------------------------------------------------


def test_multi_messenger_alert_is_one_of_the_ztf_object(by_kind):
    alert = by_kind["mm"] | {"objectId": "ZTF26aaa", "triggerId": "683571622", "jd": 2461121.5, "candid": -5}
    row = tidy(alert).alerts.row(0, named=True)
    assert (row["survey"], row["object_survey"], row["object_id"]) == ("mm", "ztf", "ZTF26aaa")
    assert row["alert_id"] == "ZTF26aaa 683571622 2461121.5"
    assert row["observed_at"] == datetime(2026, 3, 22, tzinfo=UTC)
    assert json.loads(row["fink_values"])["triggerId"] == "683571622"


# --- Bad alerts --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "field", "bad", "says"),
    [
        ("ztf", "objectId", None, "objectId is missing"),
        ("ztf", "objectId", "ZTF<script>", "none of ZTF's"),
        ("ztf", "objectId", "Z" * 101, "none of ZTF's"),
        ("ztf", "candid candidate.candid", None, "no candid"),
        ("ztf", "candidate.jd", None, "no observation time"),
        ("ztf", "candidate.jd", math.nan, "no observation time"),
        ("ztf", "candidate.ra", None, "no right ascension"),
        ("ztf", "candidate.ra", 360.5, "no right ascension"),
        ("ztf", "candidate.dec", -90.1, "no declination"),
        ("ztf", "candidate.dec", math.inf, "no declination"),
        ("lsst", "diaSourceId diaSource.diaSourceId", 0, "no diaSourceId"),
        ("lsst", "diaSource.diaObjectId diaObject.diaObjectId", 0, "neither a diaObjectId nor"),
        ("lsst", "diaSource.midpointMjdTai", None, "no observation time"),
        ("lsst", "diaSource.ra", None, "no right ascension"),
        ("mm", "triggerId", None, "triggerId is missing"),
        ("mm", "ztf_ra", None, "no right ascension"),
    ],
)
def test_without_id_time_or_position_there_is_no_alert(by_kind, kind, field, bad, says):
    alert = by_kind[kind]
    for path in field.split():
        *outer, name = path.split(".")
        record = alert
        for step in outer:
            record = record[step]
        record[name] = bad
    assert says in rejection(alert)


def test_a_reduced_packet_says_what_it_lacks():
    """Fink's in_simbad topic sends two fields only."""
    reason = rejection({"diaObject": {"diaObjectId": 170028485706776685}, "xm": {"simbad_otype": "QSO"}})
    assert "no diaSourceId; no observation time" in reason


def test_what_is_no_alert_is_said_to_be_none():
    assert "Neither a ZTF, a Rubin nor" in rejection({"temperature": 21.5})


def test_values_are_json_without_nulls_and_nan(by_kind):
    alert = by_kind["ztf"] | {"Plx": math.nan, "slsn_score": -1.0, "DR3Name": "nan", "rf_kn_vs_nonkn": 0.25}
    values = json.loads(tidy(alert).alerts["fink_values"].item())
    assert values["rf_kn_vs_nonkn"] == 0.25
    assert not {"Plx", "slsn_score", "DR3Name"} & values.keys()
    assert None not in values.values()


def test_nul_characters_are_taken_out(by_kind):
    """PostgreSQL stores none, neither in text nor in JSON."""
    row = tidy(by_kind["ztf"] | {"tns": "SN\0 Ia", "vsx": "RR\0"}).alerts.row(0, named=True)
    assert row["fink_class"] == "(TNS) SN Ia"
    assert json.loads(row["fink_values"])["vsx"] == "RR"


def test_the_address_in_fink_s_portal(by_kind):
    ztf = tidy(by_kind["ztf"]).alerts
    assert ztf["url"].item() == f"https://ztf.fink-portal.org/{by_kind['ztf']['objectId']}"
    body = by_kind["lsst_body"]
    body["mpc_orbits"] |= {"designation": "2004 JQ12", "packed_primary_provisional_designation": "K04J12Q"}
    assert tidy(body).alerts["url"].item() == "https://lsst.fink-portal.org/K04J12Q"
    body["mpc_orbits"] |= {"designation": "C/2020 V2", "packed_primary_provisional_designation": "<b>"}
    assert tidy(body).alerts["url"].item() == "https://lsst.fink-portal.org/C%2F2020%20V2"


@pytest.mark.parametrize("kind", ["ztf", "lsst", "mm"])
def test_a_schema_of_the_needed_fields_alone(by_kind, kind):
    """Without any of the optional fields, and with several alerts in the batch."""
    needed = {
        "ztf": ("objectId", "candid", "candidate"),
        "lsst": ("diaSourceId", "diaSource"),
        "mm": ("objectId", "triggerId", "jd", "ztf_ra", "ztf_dec"),
    }[kind]
    alert = {name: by_kind[kind][name] for name in needed}
    if kind == "ztf":
        alert["candidate"] = {name: alert["candidate"][name] for name in ("jd", "ra", "dec", "fid")}
    if kind == "lsst":
        names = ("midpointMjdTai", "ra", "dec", "diaObjectId")
        alert["diaSource"] = {name: alert["diaSource"][name] for name in names}
    found = tidy(alert, alert, alert).alerts
    assert found.height == 3
    assert found["fink_class"].to_list() == ["Unknown"] * 3
    expected = {"triggerId": alert["triggerId"]} if kind == "mm" else {}
    assert [json.loads(values) for values in found["fink_values"]] == [expected] * 3
