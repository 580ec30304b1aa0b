"""Searches over real HTTP: objects summed up, criteria that narrow each other, names, objects whole."""

import json
import time
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from tests.fink_server import FinkServer, says
from tests.unit.test_api_rows import lsst_rows, served, ztf_rows
from tom_fink.api import answers
from tom_fink.api.answers import Answer
from tom_fink.api.client import FinkClient
from tom_fink.api.columns import LSST_ALERTS, LSST_CONE, ZTF_ALERTS, ZTF_CONE
from tom_fink.api.options import MAX_BYTES
from tom_fink.decoding.decode import MESSAGE
from tom_fink.errors import BadAnswer, BadQuery, QueryRefused, ServiceUnavailable
from tom_fink.frames import ALERTS, DETECTIONS
from tom_fink.search import (
    OBJECTS,
    Search,
    fetch,
    fetch_in_parts,
    identify,
    light_curve,
    light_curves,
    look_up,
    run,
    with_counts,
)
from tom_fink.search.fetch import sparklines
from tom_fink.search.plan import MOST_OF_A_CONE
from tom_fink.simulate import simulated_alerts

pytestmark = pytest.mark.usefixtures("no_proxy")

ZTF_ID, OTHER_ID = "ZTF26aamcbly", "ZTF26aaklfaa"
RUBIN_ID, OTHER_RUBIN_ID = "170028485706776685", "170028513894596704"
JD = 2461121.5  # 2026-03-22T00:00 UTC
MJD_TAI = 61121 + 37 / 86400  # the same


def day(days: float) -> datetime:
    return datetime(2026, 3, 22, tzinfo=UTC) + timedelta(days=days)


def ztf(candid: int, object_id: str = ZTF_ID, days: float = 0.0, **more) -> dict:
    """A row of ZTF's `objects`: an alert so many days after 2026-03-22T00:00 UTC."""
    return {
        "i:objectId": object_id, "i:candid": candid, "i:jd": JD + days, "i:ra": 150.1, "i:dec": 2.21, "i:fid": 1,
        "i:magpsf": 18.0, "i:sigmapsf": 0.1, "i:isdiffpos": "t", "i:diffmaglim": 20.0, "d:tag": "valid",
        "d:classification": "SN candidate",
    } | more  # fmt: skip


def rubin(source_id: int, object_id: str = RUBIN_ID, days: float = 0.0, **more) -> dict:
    """A row of Rubin's `sources`."""
    return {
        "r:diaObjectId": int(object_id), "r:diaSourceId": source_id, "r:midpointMjdTai": MJD_TAI + days, "r:ra": 150.1,
        "r:dec": 2.21, "r:band": "r", "r:psfFlux": 3631.0, "r:psfFluxErr": 36.31,
    } | more  # fmt: skip


@pytest.fixture
def server():
    with FinkServer() as found:
        yield found


@pytest.fixture
def client(server):
    with FinkClient(server.options(timeout_s=10)) as found:
        yield found


def answers_with(rows: list[dict]):
    """A fault that is none: the server answers with these rows, with all their columns."""
    return says(200, json.dumps(rows).encode(), "application/json")


def found_ids(found) -> list[str]:
    return found.objects["object_id"].to_list()


# --- An object a row --------------------------------------------------------------------------


def test_an_object_is_summed_up_over_its_alerts(server, client):
    server.rows["ztf", "objects"] = [
        ztf(5, days=2, **{"i:magpsf": None}),
        ztf(
            4,
            days=1,
            **{"i:magpsf": 17.25, "i:fid": 2, "i:isdiffpos": "f", "i:ndethist": 9, "d:nalerthist": 6},
        ),
        ztf(3, days=0, **{"i:jdstarthist": JD - 10, "d:tns": "SN Ia"}),
    ]
    found = run(Search("ztf", (ZTF_ID,)), client)
    assert found.objects.schema == pl.Schema(OBJECTS)
    (row,) = found.objects.rows(named=True)
    assert (row["object_key"], row["object_id"], row["survey"], row["is_body"]) == (
        ZTF_ID,
        ZTF_ID,
        "ztf",
        False,
    )
    # The newest brightness, of a dip, is that of the alert before the last.
    assert (row["mag_ab"], row["mag_err"], row["band"], row["is_positive"]) == (17.25, 0.1, "r", False)
    assert (row["alerts_came"], row["alert_count"], row["detection_count"]) == (3, 6, 9)
    assert (row["first_seen"], row["last_seen"]) == (day(-10), day(2))
    assert row["separation_arcsec"] is None
    assert row["url"] == f"https://ztf.fink-portal.org/{ZTF_ID}"
    # 10 ** ((31.4 - 18) / 2.5) = 229,086.765 nJy; 10 ** ((31.4 - 17.25) / 2.5) = 457,088.19, and below zero
    assert row["points"] == [
        {
            "observed_at": day(0),
            "band": "g",
            "mag_ab": 18.0,
            "flux_njy": pytest.approx(229_086.765, abs=0.01),
        },
        {
            "observed_at": day(1),
            "band": "r",
            "mag_ab": 17.25,
            "flux_njy": pytest.approx(-457_088.19, abs=0.01),
        },
    ]
    assert (found.has_more, found.notes, found.problems) == (False, (), ())
    assert found.tidy.alerts.schema == pl.Schema(ALERTS)
    assert found.tidy.alerts["alert_id"].to_list() == ["5", "4", "3"]
    assert found.tidy.detections.schema == pl.Schema(DETECTIONS)


def test_a_rubin_object(server, client):
    server.rows["lsst", "sources"] = [
        rubin(8, days=1, **{"f:firstDiaSourceMjdTaiFink": MJD_TAI - 3, "r:nDiaSources": 7}),
        rubin(7, **{"r:psfFlux": -36310.0}),
    ]
    (row,) = run(Search("lsst", (RUBIN_ID,)), client).objects.rows(named=True)
    # 31.4 - 2.5 log10(3631) = 22.49993; error 1.0857 * 0.01
    assert (row["mag_ab"], row["mag_err"], row["band"], row["is_positive"]) == (22.4999, 0.0109, "r", True)
    assert (row["first_seen"], row["last_seen"]) == (day(-3), day(1))
    assert (row["alert_count"], row["detection_count"]) == (2, 7)
    assert [point["mag_ab"] for point in row["points"]] == [19.9999, 22.4999]
    assert row["url"] == f"https://lsst.fink-portal.org/{RUBIN_ID}"


def test_a_cone_has_separations_and_the_nearest_first(server, client):
    # In declination; and in right ascension at declination 2.21, where 0.002 degrees are 7.195 arc seconds
    server.rows["ztf", "conesearch"] = [
        ztf(1, "ZTF26aaaaaaa", **{"i:ra": 150.102}),
        ztf(2, "ZTF26aaaaaab", **{"i:dec": 2.211}),
        ztf(3, "ZTF26aaaaaac", **{"i:dec": 2.22}),
    ]
    found = run(Search("ztf", ra_deg=150.1, dec_deg=2.21, radius_arcsec=10), client)
    assert found_ids(found) == ["ZTF26aaaaaab", "ZTF26aaaaaaa"]
    assert found.objects["separation_arcsec"].to_list() == pytest.approx([3.6, 7.1946], abs=1e-3)


def test_no_more_than_was_asked_for_is_shown_and_more_is_told(server, client):
    server.rows["ztf", "latests"] = [ztf(number, f"ZTF26a{number}", days=-number) for number in range(1, 10)]
    found = run(Search("ztf", classes=("SN candidate",), n=3), client)
    assert found_ids(found) == ["ZTF26a1", "ZTF26a2", "ZTF26a3"]
    assert found.has_more
    assert set(found.tidy.alerts["object_id"]) == set(found_ids(found))
    assert set(found.tidy.detections[MESSAGE]) == set(found.tidy.alerts[MESSAGE])
    assert not run(Search("ztf", classes=("SN candidate",), n=9), client).has_more


def test_nothing_found(server, client):
    found = run(Search("ztf", ra_deg=1, dec_deg=2), client)
    assert (len(found), found.has_more) == (0, False)
    assert found.objects.schema == pl.Schema(OBJECTS)
    assert found.tidy.alerts.is_empty()


def test_rows_that_hold_no_alert_are_told_and_the_others_shown(server, client):
    server.rows["ztf", "objects"] = [ztf(3), *(ztf(number, **{"i:ra": 1000.0}) for number in (4, 5))]
    found = run(Search("ztf", (ZTF_ID,)), client)
    assert found.objects["alert_count"].to_list() == [1]
    assert found.problems == (
        "A ZTF message without an alert: no right ascension from 0 to 360 degrees. (2 rows)",
    )


def test_a_body_is_one_object_whatever_its_ids(server, client):
    body = {"i:ssnamenr": "8467", "d:roid": 3, "sso_name": "Benoitcarry", "sso_number": 8467}
    server.rows["ztf", "sso"] = [ztf(2, OTHER_ID, 1, **body), ztf(1, ZTF_ID, 0, **body)]
    (row,) = run(Search("ztf", body="8467"), client).objects.rows(named=True)
    assert (row["object_key"], row["object_id"], row["is_body"]) == ("8467", OTHER_ID, True)
    assert (row["alert_count"], row["fink_class"]) == (2, "Solar System MPC")


# --- Criteria narrow each other ---------------------------------------------------------------

SEVERAL = [
    ztf(1, "ZTF26aaaaaaa", -1, **{"i:jdstarthist": JD - 30}),
    ztf(2, "ZTF26aaaaaab", -2, **{"d:tns": "SN Ia", "d:classification": "Unknown", "i:magpsf": 19.5}),
    ztf(3, "ZTF26aaaaaac", -8, **{"d:cdsxmatch": "Star", "d:classification": "Star", "i:fid": 2}),
    ztf(4, "ZTF26aaaaaad", 5, **{"d:anomaly_score": -0.2, "i:jdstarthist": JD + 4, "i:ndethist": 3}),
    ztf(5, "ZTF26aaaaaae", 6, **{"d:anomaly_score": -0.4, "d:tracklet": "TRCK_20211022_072953_01", "i:magpsf": None}),
    ztf(6, "ZTF26aaaaaaf", 7, **{"d:anomaly_score": 0.0, "d:classification": None}),
]  # fmt: skip
SEVERAL = [{"i:ndethist": 1} | row for row in SEVERAL]
CONE = {"ra_deg": 150.1, "dec_deg": 2.21}


@pytest.mark.parametrize(
    ("given", "letters"),
    [
        ({}, "abcdef"),
        ({"object_ids": ("ZTF26aaaaaab", "ZTF26aaaaaax")}, "b"),
        ({"classes": "(TNS) SN Ia"}, "b"),
        ({"classes": "(SIMBAD) Star"}, "c"),
        ({"classes": "Star"}, "c"),
        ({"classes": ("(TNS) SN Ia", "(SIMBAD) Star")}, "bc"),
        ({"classes": "SN candidate"}, "adef"),  # of f Fink does not say it, and that is told
        # Seen at some time between, as far as the last alert and the first detection tell
        ({"start": day(-3), "stop": day(-1)}, "ab"),
        ({"start": day(-3), "stop": day(4.5)}, "abd"),
        ({"start": day(-20), "stop": day(-9)}, "a"),
        ({"start": day(-40), "stop": day(-31)}, ""),
        ({"stop": day(-9)}, "a"),
        ({"start": day(4.5)}, "def"),
        ({"anomalies": True}, "ed"),
        ({"tracklet": "2021-10-22 07"}, "e"),
        ({"tracklet": "TRCK_20211022_072953_01", "anomalies": True}, "e"),
        ({"bands": ("r",)}, "c"),
        ({"faintest_mag_ab": 19}, "acdf"),
        ({"brightest_mag_ab": 18.5}, "b"),
        ({"min_detections": 2}, "d"),
        ({"classes": "(TNS) SN Ia", "start": day(0)}, ""),
        ({"classes": "(TNS) SN Ia", "start": day(-3), "bands": ("g",), "faintest_mag_ab": 19.5}, "b"),
    ],
)
def test_a_cone_is_narrowed(given, letters, server, client):
    """Whatever is asked, the result is the same: by what was asked and what was looked for in the rows."""
    by_endpoint = {"conesearch": SEVERAL, "objects": SEVERAL, "tracklet": [SEVERAL[4]]}
    server.rows |= {("ztf", endpoint): rows for endpoint, rows in by_endpoint.items()}
    found = run(Search("ztf", **CONE, **given), client)
    assert sorted(found_ids(found)) == sorted(f"ZTF26aaaaaa{letter}" for letter in letters)
    is_told = any("Fink does not say" in note for note in found.notes)
    assert is_told is (given.get("classes") == "SN candidate")


def test_the_strangest_come_first(server, client):
    server.rows["ztf", "anomaly"] = [row for row in SEVERAL if row.get("d:anomaly_score")]
    found = run(Search("ztf", anomalies=True), client)
    assert found.objects.select("object_id", "anomaly_score").rows() == [
        ("ZTF26aaaaaae", -0.4),
        ("ZTF26aaaaaad", -0.2),
    ]


def test_dates_are_those_of_alerts_where_all_of_them_come(server, client):
    """The object was seen before and after, but not between."""
    server.rows["ztf", "objects"] = [ztf(2, days=5), ztf(1, days=-5)]
    assert len(run(Search("ztf", (ZTF_ID,), start=day(-1), stop=day(1)), client)) == 0
    found = run(Search("ztf", (ZTF_ID,), start=day(1)), client)
    assert found.objects["alert_count"].to_list() == [2], "what is told of an object is of all that came"


def test_how_often_a_rubin_object_was_detected_is_asked_where_rows_do_not_tell_it(server, client):
    server.rows["lsst", "conesearch"] = [rubin(1), rubin(2, OTHER_RUBIN_ID), rubin(3, "170028513894599999")]
    server.rows["lsst", "objects"] = [
        {"r:diaObjectId": int(RUBIN_ID), "r:nDiaSources": 7, "f:firstDiaSourceMjdTaiFink": MJD_TAI - 3},
        {"r:diaObjectId": int(OTHER_RUBIN_ID), "r:nDiaSources": 2},
    ]
    found = run(Search("lsst", **CONE), client)
    assert found.objects["detection_count"].to_list() == [None, None, None]
    assert found.objects["alerts_came"].to_list() == [1, 1, 1]
    counted = with_counts(found.objects, client)
    assert counted.schema == pl.Schema(OBJECTS)
    names = ("object_id", "alert_count", "detection_count", "first_seen")
    assert counted.select(names).rows() == [
        (RUBIN_ID, 7, 7, day(-3)),
        (OTHER_RUBIN_ID, 2, 2, day(0)),
        ("170028513894599999", None, None, day(0)),
    ]
    found = run(Search("lsst", min_detections=3, **CONE), client)
    assert found_ids(found) == [RUBIN_ID, "170028513894599999"]
    assert found.notes == (
        "Fink does not say of all that came how often it was detected; such objects are shown.",
    )
    asked = len(server.asked)
    with_counts(run(Search("ztf", (ZTF_ID,)), client).objects, client)
    assert len(server.asked) == asked + 1, "what is told is not asked for"


def test_first_detections(server, client):
    server.rows["ztf", "objects"] = SEVERAL
    ids = [row["i:objectId"] for row in SEVERAL]
    found = run(Search("ztf", ids, start=day(-31), stop=day(-2), dates_of="first"), client)
    assert sorted(found_ids(found)) == ["ZTF26aaaaaaa", "ZTF26aaaaaab", "ZTF26aaaaaac"]


def test_what_only_fink_knows_is_asked_and_has_to_be_in_each_answer(server, client):
    server.lists["lsst", "tags"] = {"in_tns": {"description": "", "API support": True}}
    server.rows["lsst", "tags"] = [rubin(1), rubin(2, OTHER_RUBIN_ID, **{"r:ra": 151.0})]
    server.rows["lsst", "skymap"] = [rubin(2, OTHER_RUBIN_ID), rubin(3, "170028513894599999")]
    assert found_ids(run(Search("lsst", tags="in_tns", event="S200219ac"), client)) == [OTHER_RUBIN_ID]
    assert found_ids(run(Search("lsst", tags="in_tns", **CONE), client)) == [RUBIN_ID]


def test_the_days_of_an_event(server, client):
    """Rubin's service does not look at the time; its rows tell when the event was."""
    event = {"v:startgwMjdTai": MJD_TAI}
    rows = [
        rubin(1, days=-2, **event),
        rubin(2, OTHER_RUBIN_ID, 3, **event),
        rubin(3, "170028513894599999", 9, **event, **{"f:firstDiaSourceMjdTaiFink": MJD_TAI + 7}),
        # Still seen, and first seen in these days or before them
        rubin(4, "170028513894590004", 40, **event, **{"f:firstDiaSourceMjdTaiFink": MJD_TAI + 2}),
        rubin(5, "170028513894590005", 40, **event, **{"f:firstDiaSourceMjdTaiFink": MJD_TAI - 90}),
        rubin(6, "170028513894590006", 40, **event),
    ]
    server.faults.append(answers_with(rows))
    found = found_ids(run(Search("lsst", event="S200219ac"), client))
    assert sorted(found) == ["170028513894590004", "170028513894590005", OTHER_RUBIN_ID]
    server.lists["lsst", "tags"] = {"in_tns": {"description": "", "API support": True}}
    server.rows["lsst", "tags"] = [rubin(11, days=-2.5), rubin(12, OTHER_RUBIN_ID, 3)]
    server.faults.append(answers_with(rows))
    found = run(Search("lsst", event="S200219ac", tags="in_tns"), client)
    assert (found_ids(found), found.notes) == ([OTHER_RUBIN_ID], ()), (
        "a tag's rows do not tell the event's time"
    )
    server.rows["lsst", "skymap"] = [rubin(1, days=-2)]
    found = run(Search("lsst", event="S200219ac"), client)
    assert found_ids(found) == [RUBIN_ID]
    assert "does not say when the event was" in found.notes[0]


def test_rubin_by_dates_alone_is_every_tag_that_can_be_searched(server, client):
    server.lists["lsst", "tags"] = {
        name: {"description": "", "API support": name != "c"} for name in ("a", "b", "c")
    }
    server.rows["lsst", "tags"] = [rubin(1), rubin(2, OTHER_RUBIN_ID)]
    found = run(Search("lsst", start=day(-1), stop=day(1)), client)
    assert sorted(found_ids(found)) == [RUBIN_ID, OTHER_RUBIN_ID]
    assert [one.payload.get("tag") for one in server.asked if one.payload] == ["a", "b"]


def test_one_class_that_fink_refuses_is_told_and_the_others_are_shown(server, client):
    server.rows["ztf", "latests"] = [ztf(1)]
    server.faults.append(says(400, b"{'status': 'error', 'text': 'no such class'}"))
    found = run(Search("ztf", classes=("Nonsense", "SN candidate")), client)
    assert found_ids(found) == [ZTF_ID]
    assert "no such class" in found.notes[0]
    server.faults += [says(400, b"{'status': 'error', 'text': 'no such class'}")] * 2
    with pytest.raises(QueryRefused, match="no such class"):
        run(Search("ztf", classes=("Nonsense", "SN candidate")), client)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (says(500, b'{"message": "Internal Server Error"}', "application/json"), QueryRefused),
        (says(200, b"<html>", "text/html"), BadAnswer),
        (says(302, b"", Location="https://example.org/"), BadAnswer),
        (says(200, b'[{"i:objectId":', "application/json"), BadAnswer),
    ],
)
def test_errors_of_the_service_are_those_of_the_client(fault, error, server, client):
    server.faults.append(fault)
    with pytest.raises(error):
        run(Search("ztf", **CONE), client)


class Prepared:
    """A client whose answer is there already; the time that reading takes is not counted."""

    def __init__(self, rows: list[dict]):
        self.answer = Answer(200, json.dumps(rows).encode())

    def get(self, query, read=answers.rows):
        return read(query, self.answer)


@pytest.mark.parametrize("survey", ["ztf", "lsst"])
def test_a_thousand_results_take_well_under_a_second(survey):
    start = datetime(2026, 3, 22, 4, tzinfo=UTC)
    simulated = [one.alert for one in simulated_alerts(1, start, 240) if one.survey == survey]
    rows = []
    for number in range(1000):
        alert = simulated[number % len(simulated)]
        if survey == "ztf":
            own = {"i:objectId": f"ZTF26a{number:06}", "i:candid": number + 1, "d:roid": 0}
            rows += served([ztf_rows(alert)[0] | own], ZTF_ALERTS)
        else:
            own = {"r:diaObjectId": 170028485706776685 + number, "r:diaSourceId": number + 1}
            rows += served([lsst_rows(alert)[0] | own], LSST_ALERTS)
    client, search = Prepared(rows), Search(survey, ra_deg=1, dec_deg=2, radius_arcsec=18_000, n=1000)
    taken = []
    for _ in range(3):
        started = time.process_time()
        found = run(search, client)
        taken.append(time.process_time() - started)
    assert len(found) == 1000
    assert min(taken) < 0.8, "0.1 s on an idle machine; of the processor, which other tests keep busy too"


# --- Names ------------------------------------------------------------------------------------

SN_2023VWY = [
    {"d:fullname": "SN 2023vwy", "d:internalname": "ATLAS23url", "d:ra": 47.765951, "d:declination": 52.219894,
     "d:redshift": 0.031, "d:type": "SN Ia"},
    {"d:fullname": "SN 2023vwy", "d:internalname": "ZTF23abmwsrw", "d:ra": "47.765951", "d:declination": "52.219894",
     "d:redshift": "0.031", "d:type": "SN Ia"},
]  # fmt: skip
M31 = {"name": "M 31", "oname": "M 31", "otype": "Galaxy", "jradeg": 10.684708, "jdedeg": 41.26875}


@pytest.mark.parametrize("name", ["SN 2023vwy", "2023vwy", "AT2023vwy", "sn2023VWY"])
def test_a_transient_s_name_is_tns_s(name, server, client):
    server.faults.append(answers_with(SN_2023VWY))
    (place,) = look_up(name, "ztf", client)
    assert (place.ra_deg, place.dec_deg, place.object_ids) == (47.765951, 52.219894, ("ZTF23abmwsrw",))
    assert str(place) == "SN 2023vwy (TNS, SN Ia)"
    assert [one.payload["resolver"] for one in server.asked] == ["tns"]


def test_a_name_is_searched_by_id_where_tns_tells_it_and_by_place_with_a_radius(server, client):
    server.rows["ztf", "resolver"] = SN_2023VWY
    server.rows["ztf", "objects"] = [ztf(1, "ZTF23abmwsrw")]
    found = run(Search("ztf", name="SN 2023vwy"), client)
    assert found_ids(found) == ["ZTF23abmwsrw"]
    assert found.notes == ("SN 2023vwy is SN 2023vwy (TNS, SN Ia).",)
    assert found.search == Search("ztf", ("ZTF23abmwsrw",))
    server.rows["ztf", "conesearch"] = [ztf(1, **{"i:ra": 47.766, "i:dec": 52.22})]
    found = run(Search("ztf", name="SN 2023vwy", radius_arcsec=2), client)
    assert (found_ids(found), found.search.ra_deg) == ([ZTF_ID], 47.765951)


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("M 31", ["simbad", "tns", "ssodnet"]),
        ("SN 2099zzz", ["tns", "simbad", "ssodnet"]),
        ("ATLAS23url", ["tns", "simbad", "ssodnet"]),
        ("10P", ["ssodnet", "simbad", "tns"]),
    ],
)
def test_the_order_in_which_resolvers_are_asked(name, order, server, client):
    assert look_up(name, "lsst", client) == []
    assert [one.payload["resolver"] for one in server.asked] == order
    assert look_up(name, "lsst", client, "tns") == []
    assert server.asked[-1].payload["resolver"] == "tns"
    with pytest.raises(BadQuery, match="not known to TNS, SIMBAD, SsODNet") as caught:
        run(Search("lsst", name=name), client)
    assert caught.value.field == "name"


def test_a_name_from_simbad_is_a_place(server, client):
    server.rows["lsst", "resolver"] = [M31]
    server.rows["lsst", "conesearch"] = [rubin(1, **{"r:ra": 10.6848, "r:dec": 41.2688})]
    found = run(Search("lsst", name="m 31"), client)
    assert found_ids(found) == [RUBIN_ID]
    assert found.notes == ("m 31 is M 31 (SIMBAD, Galaxy).",)


def test_a_body_s_name_is_a_search_for_the_body(server, client):
    server.rows["ztf", "resolver"] = [
        {"i:name": "Benoitcarry", "i:number": 8467, "i:ssnamenr": "8467"},
        {"i:name": "Benoitcarryx", "i:number": 8468, "i:ssnamenr": "8468"},
    ]
    found = look_up("benoitcarry", "ztf", client, "ssodnet")
    assert [(place.name, place.body) for place in found] == [("Benoitcarry", "8467")]
    server.rows["ztf", "sso"] = [ztf(1, **{"i:ssnamenr": "8467", "d:roid": 3})]
    server.faults += [answers_with([])] * 2  # SIMBAD and TNS
    found = run(Search("ztf", name="Benoitcarry"), client)
    assert found.search == Search("ztf", body="8467")
    assert found.objects["object_key"].to_list() == ["8467"]


def test_a_name_that_may_be_several_things_is_refused_with_their_names(server, client):
    server.rows["ztf", "resolver"] = [
        SN_2023VWY[0],
        SN_2023VWY[0] | {"d:fullname": "SN 2023vwz", "d:ra": 12.0},
    ]
    with pytest.raises(BadQuery, match=r"may be SN 2023vwy \(TNS, SN Ia\), SN 2023vwz") as caught:
        run(Search("ztf", name="SN 2023vw"), client)
    assert caught.value.field == "name"
    assert len(look_up("SN 2023vwz", "ztf", client)) == 1, "one that is named exactly so comes first"


def test_a_resolver_that_is_away_matters_only_if_no_other_knows_the_name(server):
    is_away = says(503, b"")
    server.rows["ztf", "resolver"] = [M31]
    server.faults.append(is_away)  # SIMBAD, which is asked first
    with FinkClient(server.options(timeout_s=10, retries=0)) as client:
        assert [place.name for place in look_up("M 31", "ztf", client)] == ["M 31"]
        server.rows.clear()
        server.faults.append(is_away)
        with pytest.raises(ServiceUnavailable):
            look_up("M 31", "ztf", client)


def test_a_name_that_a_resolver_fails_on_is_not_the_observer_s_mistake(server, client):
    """A service that says 400 does not know the name; one that fails says nothing."""
    failed = says(500, b'{"message": "Internal Server Error"}', "application/json")
    server.faults += [failed, says(400, b"{'status': 'error', 'text': 'unknown'}"), answers_with([])]
    with pytest.raises(QueryRefused, match="the name 'M 31' in simbad and failed"):
        run(Search("ztf", name="M 31"), client)
    server.faults += [says(404, b"")] * 3
    with pytest.raises(QueryRefused, match="Check FINK_API_ZTF_URL"):
        run(Search("ztf", name="M 31"), client)
    server.faults += [says(400, b"{'status': 'error', 'text': 'unknown'}")] * 3
    with pytest.raises(BadQuery, match="not known to TNS, SIMBAD, SsODNet"):
        run(Search("ztf", name="M 31"), client)
    server.faults += [failed, answers_with(SN_2023VWY)]
    assert [place.name for place in look_up("M 31x", "ztf", client)] == ["SN 2023vwy"], "another one knows it"


EROS = {"i:name": "Eros", "i:number": 433, "i:ssnamenr": "433"}


@pytest.mark.parametrize("name", ["433 Eros", "(433) Eros", "(433) eros"])
def test_a_body_by_number_and_name(name, server, client):
    server.faults.append(answers_with([EROS, EROS | {"i:name": "Erosita", "i:number": 9999}]))
    assert [place.body for place in look_up(name, "ztf", client)] == ["433"]
    (asked,) = server.asked
    assert (asked.payload["resolver"], asked.payload["name"].lower()) == ("ssodnet", "eros")


def test_what_looks_like_number_and_name_is_another_service_s(server, client):
    server.faults += [
        answers_with([{"i:name": "Tucana", "i:number": 50}]),
        answers_with([M31 | {"oname": "47 Tuc"}]),
    ]
    assert [str(place) for place in look_up("47 Tuc", "ztf", client)] == ["47 Tuc (SIMBAD, Galaxy)"]
    assert [one.payload["name"] for one in server.asked] == ["Tuc", "47 Tuc"]


# --- A name beside other criteria -------------------------------------------------------------


def test_a_body_s_name_beside_a_position_is_the_body_there(server, client):
    body = {"i:ssnamenr": "433", "d:roid": 3, "sso_name": "Eros", "sso_number": 433}
    server.faults += [answers_with([]), answers_with([]), answers_with([EROS])]
    server.rows["ztf", "conesearch"] = [ztf(7, OTHER_ID)]
    server.rows["ztf", "sso"] = [ztf(1, **body), ztf(2, OTHER_ID, **body, **{"i:ra": 10.0})]
    found = run(Search("ztf", name="Eros", **CONE), client)
    assert found.search == Search("ztf", body="433", **CONE)
    assert found.objects.select("object_key", "alerts_came").rows() == [("433", 2)]
    server.faults += [answers_with([]), answers_with([]), answers_with([EROS])]
    assert len(run(Search("ztf", name="Eros", ra_deg=11, dec_deg=2), client)) == 0


def test_two_names_of_a_body_are_one_and_two_bodies_are_none(server, client):
    body = {"i:ssnamenr": "433", "d:roid": 3, "sso_name": "Eros", "sso_number": 433}
    server.rows["ztf", "sso"] = [ztf(1, **body)]
    for other in ("433", "Eros"):
        server.faults += [answers_with([]), answers_with([]), answers_with([EROS])]
        assert found_ids(run(Search("ztf", name="Eros", body=other), client)) == [ZTF_ID]
    asked = len(server.asked)
    server.faults += [answers_with([]), answers_with([]), answers_with([EROS])]
    server.faults += [answers_with([EROS | {"i:name": "1898 DQ"}]), answers_with([ztf(1, **body)])]
    assert found_ids(run(Search("ztf", name="Eros", body="1898 DQ"), client)) == [ZTF_ID]
    assert len(server.asked) == asked + 5, "whether they are the same is asked"
    pallas = {"i:name": "Pallas", "i:number": 2, "i:ssnamenr": "2"}
    server.faults += [answers_with([]), answers_with([]), answers_with([EROS]), answers_with([pallas])]
    found = run(Search("ztf", name="Eros", body="Pallas"), client)
    assert (len(found), found.notes[-1]) == (0, "Nothing is both Eros and Pallas.")
    assert found.objects.schema == pl.Schema(OBJECTS)


def test_a_place_s_name_beside_a_position_is_both(server, client):
    server.rows["ztf", "resolver"] = [M31 | {"jradeg": 150.1, "jdedeg": 2.212}]  # 7.2 arc seconds away
    server.rows["ztf", "conesearch"] = [
        ztf(1, **{"i:dec": 2.2101}),
        ztf(2, OTHER_ID, **{"i:dec": 2.2111}),  # 4.0 and 3.2 arc seconds away
    ]
    found = run(Search("ztf", name="M 31", **CONE), client)
    assert found_ids(found) == [OTHER_ID]
    assert found.notes == ("M 31 is M 31 (SIMBAD, Galaxy).",)
    server.rows["ztf", "resolver"] = [M31]
    assert len(run(Search("ztf", name="M 31", **CONE), client)) == 0


def test_a_transient_s_name_beside_a_position_is_its_object_there(server, client):
    server.rows["ztf", "resolver"] = SN_2023VWY
    server.rows["ztf", "objects"] = [ztf(1, "ZTF23abmwsrw")]
    found = run(Search("ztf", name="SN 2023vwy", radius_arcsec=10, **CONE), client)
    assert found_ids(found) == ["ZTF23abmwsrw"]
    assert len(run(Search("ztf", name="SN 2023vwy", radius_arcsec=10, ra_deg=1, dec_deg=2), client)) == 0


# --- What is not answered ---------------------------------------------------------------------


def test_what_came_before_a_late_answer_is_shown(server):
    server.rows["ztf", "latests"] = [ztf(1)]
    search = Search("ztf", classes=("SN candidate", "Tracklet", "Ambiguous"))
    with FinkClient(server.options(timeout_s=10, retries=0)) as client:
        server.faults += [answers_with(server.rows["ztf", "latests"]), says(503)]
        found = run(search, client)
        assert (found_ids(found), found.has_more) == ([ZTF_ID], True)
        missing = "the newest alerts of class 'Tracklet', the newest alerts of class 'Ambiguous'"
        assert found.notes[0].endswith(f"(status 503). Try again in some minutes. Missing here: {missing}.")
        assert len(server.asked) == 2, "the rest would take as long"
        server.faults.append(says(503))
        with pytest.raises(ServiceUnavailable):
            run(search, client)


def test_one_answer_that_is_too_large_is_told_and_the_others_are_shown(server):
    server.rows["ztf", "latests"] = [ztf(1)]
    with FinkClient(server.options(timeout_s=10, max_bytes=20_000)) as client:
        server.faults.append(says(200, b" " * 30_000))
        found = run(Search("ztf", classes=("Ambiguous", "SN candidate")), client)
    assert (found_ids(found), found.has_more) == ([ZTF_ID], True)
    assert "'Ambiguous' and sent more than" in found.notes[0]


def test_a_cone_that_is_too_wide_says_what_helps(server):
    with FinkClient(server.options(timeout_s=10, max_bytes=20_000)) as client:
        server.faults.append(says(200, b" " * 30_000))
        with pytest.raises(BadAnswer, match=r"sent more than 0 MB\. Make the radius smaller\."):
            run(Search("ztf", **CONE, radius_arcsec=18_000), client)


@pytest.mark.parametrize("survey", ["ztf", "lsst"])
def test_the_rows_of_the_widest_cone_are_read(survey):
    """As many as are asked for of all its parts together: ZTF's widest has them at 500 objects a square degree."""
    simulated = [one.alert for one in simulated_alerts(1, day(0), 120) if one.survey == survey]
    columns = (ZTF_CONE if survey == "ztf" else LSST_CONE) + ("v:separation_degree",)
    rows = [(ztf_rows if survey == "ztf" else lsst_rows)(alert)[0] for alert in simulated]
    rows = served([row | {"v:separation_degree": 4.9876543210} for row in rows], columns)
    size = len(json.dumps(rows, separators=(",", ":"))) / len(rows)
    assert size * MOST_OF_A_CONE < MAX_BYTES


# A row as the reference has it: of the id of an alert it does not speak.
OF_REFERENCE = {
    "r:diaObjectId": int(RUBIN_ID), "r:ra": 150.1, "r:dec": 2.21, "r:midpointMjdTai": MJD_TAI,
    "f:firstDiaSourceMjdTaiFink": MJD_TAI - 3, "v:separation_degree": 0.0,
}  # fmt: skip


def test_a_cone_whose_rows_do_not_say_of_which_alerts_they_are(server, client):
    other = OF_REFERENCE | {"r:diaObjectId": int(OTHER_RUBIN_ID)}
    server.faults.append(answers_with([OF_REFERENCE, other]))
    server.rows["lsst", "sources"] = [rubin(2, days=1), rubin(1), rubin(3, OTHER_RUBIN_ID)]
    found = run(Search("lsst", **CONE), client)
    assert found.objects.select("object_id", "alert_count").sort("alert_count").rows() == [
        (OTHER_RUBIN_ID, 1),
        (RUBIN_ID, 2),
    ]
    assert (found.problems, found.notes, found.has_more) == ((), (), False)
    assert server.asked[1].payload["diaObjectId"] == f"{RUBIN_ID},{OTHER_RUBIN_ID}"
    server.asked.clear()
    many = [OF_REFERENCE | {"r:diaObjectId": int(RUBIN_ID) + number} for number in range(201)]
    server.faults.append(answers_with(many))
    assert run(Search("lsst", **CONE), client).has_more
    assert len(server.asked) == 21


# --- Objects whole ----------------------------------------------------------------------------

LIMIT = {
    "i:candid": -1,
    "i:jd": JD - 3,
    "i:fid": "2",
    "i:diffmaglim": "19.5",
    "i:magpsf": None,
    "d:tag": "upperlim",
}
BAD = {
    "i:candid": -1,
    "i:jd": JD - 4,
    "i:fid": 1,
    "i:diffmaglim": 19.0,
    "i:magpsf": 18.5,
    "d:tag": "badquality",
}


def test_a_ztf_object_whole(server, client):
    object_id = {"i:objectId": ZTF_ID}
    server.rows["ztf", "objects"] = [
        ztf(2, days=1),
        ztf(1),
        LIMIT | object_id,
        BAD | object_id,
        ztf(9, OTHER_ID),
    ]
    whole = fetch("ztf", [ZTF_ID, OTHER_ID, "ZTF26nothing"], client)
    assert (whole.asked, whole.missing) == ((ZTF_ID, OTHER_ID, "ZTF26nothing"), ("ZTF26nothing",))
    assert sorted(whole.tidy.alerts["alert_id"]) == ["1", "2", "9"]
    newest = dict(whole.tidy.alerts.select("alert_id", MESSAGE).rows())
    points = whole.tidy.detections.sort("observed_at")
    assert points.filter(pl.col(MESSAGE) == newest["2"])["kind"].to_list() == [
        "detection", "limit", "detection", "detection",
    ]  # fmt: skip
    assert points.filter(pl.col(MESSAGE) == newest["9"]).height == 1
    assert points.filter(pl.col(MESSAGE) == newest["1"]).is_empty(), "a light curve is its newest alert's"
    assert whole.problems == ()


def test_a_rubin_object_whole(server, client):
    forced = {"r:diaObjectId": int(RUBIN_ID), "r:band": "r", "r:psfFlux": 10.0, "r:psfFluxErr": 36.31}
    server.rows["lsst", "sources"] = [rubin(2, days=1), rubin(1)]
    server.rows["lsst", "fp"] = [
        forced | {"r:diaForcedSourceId": 100 + number, "r:midpointMjdTai": MJD_TAI - number}
        for number in range(3)
    ]
    whole = fetch("lsst", [RUBIN_ID], client)
    assert whole.tidy.detections.group_by("kind").len().sort("kind").rows() == [
        ("detection", 2),
        ("forced", 3),
    ]
    (newest,) = whole.tidy.alerts.filter(pl.col("alert_id") == "2")[MESSAGE]
    assert set(whole.tidy.detections[MESSAGE]) == {newest}
    server.faults += [answers_with(server.rows["lsst", "sources"]), says(500, b"", "text/html")]
    whole = fetch("lsst", [RUBIN_ID], client)
    assert set(whole.tidy.detections["kind"]) == {"detection"}
    assert "forced photometry" in whole.problems[0]


def test_a_body_whole(server, client):
    body = {"i:ssnamenr": "8467", "d:roid": 3, "sso_name": "Benoitcarry", "sso_number": 8467}
    rows = [ztf(2, OTHER_ID, 1, **body), ztf(1, ZTF_ID, 0, **body | {"i:ssnamenr": "Benoitcarry"})]
    server.faults.append(answers_with(rows))
    whole = fetch("ztf", ["8467"], client)
    assert whole.tidy.alerts.select("body", "body_aliases").rows() == [
        ("8467", ["Benoitcarry"]),
        ("Benoitcarry", ["8467"]),
    ]
    assert whole.tidy.detections.height == 2
    assert len(set(whole.tidy.detections[MESSAGE])) == 2, "two objects of the store's, of one target"


@pytest.mark.parametrize("name", ["<script>", "ZTF26aamcbly", "x" * 101])
def test_a_name_that_a_body_may_not_have_is_left_out(name, server, client):
    row = ztf(2, **{"i:ssnamenr": "8467", "d:roid": 3, "sso_name": name})
    server.faults.append(answers_with([row]))
    assert fetch("ztf", ["8467"], client).tidy.alerts["body_aliases"].to_list() == [None]


def test_objects_come_in_parts(server, client):
    ids = [f"ZTF26aaaaaa{letter}" for letter in "abcde"]
    server.rows["ztf", "objects"] = [ztf(number, one) for number, one in enumerate(ids, 1)]
    parts = list(fetch_in_parts("ztf", ids, client, at_once=2))
    assert [part.asked for part in parts] == [("ZTF26aaaaaaa", "ZTF26aaaaaab"), ("ZTF26aaaaaac", "ZTF26aaaaaad"), ("ZTF26aaaaaae",)]  # fmt: skip
    together = fetch("ztf", ids, client)
    assert sorted(together.tidy.alerts["object_id"]) == ids
    assert together.tidy.alerts[MESSAGE].is_unique().all()
    assert set(together.tidy.detections[MESSAGE]) == set(together.tidy.alerts[MESSAGE])
    assert together.tidy.detections.height == 5


@pytest.mark.parametrize(
    ("survey", "names", "says_"),
    [
        ("ztf", [], "Say which"),
        ("ztf", [RUBIN_ID], "Rubin's"),
        ("lsst", [ZTF_ID], "ZTF's"),
        ("ztf", ["a,b"], "body"),
    ],
)
def test_what_cannot_be_fetched_is_said_before_anything_is_asked(survey, names, says_, server, client):
    with pytest.raises(BadQuery, match=says_):
        list(fetch_in_parts(survey, names, client))
    assert server.asked == []


def of_ten(letters: str = "abcdefghij") -> list[str]:
    return [f"ZTF26aaaaaa{letter}" for letter in letters]


def spoiled_by(server, endpoint: str, spoils: str, response=None):
    """A question of this endpoint that has this id in it gets this answer."""
    answered = server.answer
    response = response or (500, "application/json", b'{"message": "Internal Server Error"}')

    def answer(survey, its, payload):
        is_spoiled = its == endpoint and spoils in str(payload)
        return response if is_spoiled else answered(survey, its, payload)

    server.answer = answer


@pytest.mark.parametrize("response", [None, (200, "text/html", b"<html>")], ids=["refused", "no JSON"])
def test_one_object_that_spoils_the_answer_is_missing_and_the_others_come(response, server, client):
    server.rows["ztf", "objects"] = [ztf(number, one) for number, one in enumerate(of_ten(), 1)]
    spoiled_by(server, "objects", "ZTF26aaaaaad", response)
    whole = fetch("ztf", of_ten(), client)
    assert sorted(whole.tidy.alerts["object_id"]) == of_ten("abcefghij")
    assert (sorted(whole.asked), whole.missing) == (of_ten(), ("ZTF26aaaaaad",))
    assert "the alerts of ZTF26aaaaaad and" in whole.problems[0]
    assert [str(error) for error in whole.failed.values()] == list(whole.problems)
    assert whole.tidy.detections.height == 9
    problems: list[str] = []
    points = light_curves("ztf", of_ten(), client, problems)
    assert sorted(points["object_id"]) == of_ten("abcefghij")
    assert len(problems) == 1
    assert "the light curve of ZTF26aaaaaad and" in problems[0]
    server.asked.clear()
    with pytest.raises((QueryRefused, BadAnswer)):
        fetch("ztf", ["ZTF26aaaaaad"], client)
    assert len(server.asked) == 1


def test_a_wrong_address_is_not_asked_for_each_object(server, client):
    server.answer = lambda *args: (404, "text/html", b"")
    with pytest.raises(QueryRefused, match="FINK_API_ZTF_URL"):
        fetch("ztf", of_ten(), client)
    assert len(server.asked) == 1


def test_all_of_several_that_are_refused_are_refused_together(server, client):
    spoiled_by(server, "objects", "ZTF")
    with pytest.raises(QueryRefused, match="ZTF26aaaaaaa, ZTF26aaaaaab and failed"):
        fetch("ztf", of_ten("ab"), client)


def test_an_object_whose_light_curve_is_refused_has_the_points_of_its_alerts(server, client):
    server.rows["ztf", "objects"] = [ztf(2, OTHER_ID), ztf(1), LIMIT | {"i:objectId": OTHER_ID}]
    answered = server.answer
    server.answer = lambda survey, endpoint, payload: (
        (500, "text/html", b"")
        if "withupperlim" in payload and ZTF_ID in payload["objectId"]
        else answered(survey, endpoint, payload)
    )
    whole = fetch("ztf", [ZTF_ID, OTHER_ID], client)
    assert whole.missing == ()
    assert sorted(whole.tidy.detections["kind"]) == ["detection", "detection", "limit"]
    assert "the light curve of ZTF26aamcbly and failed" in whole.problems[0]
    assert fetch("ztf", [ZTF_ID], client).tidy.detections.height == 1


def test_detections_are_not_lost_with_the_forced_photometry(server, client, caplog):
    server.rows["lsst", "sources"] = [rubin(1), rubin(2, OTHER_RUBIN_ID)]
    spoiled_by(server, "fp", RUBIN_ID)
    problems: list[str] = []
    points = light_curves("lsst", [RUBIN_ID, OTHER_RUBIN_ID], client, problems)
    assert points["kind"].to_list() == ["detection", "detection"]
    assert "the forced photometry of 170028485706776685 and failed" in problems[0]
    assert not caplog.messages
    assert light_curve("lsst", RUBIN_ID, client).height == 1
    assert "the forced photometry of 170028485706776685 and failed" in caplog.messages[0]


def test_a_light_curve_that_may_be_cut_is_told(server, client):
    server.rows["lsst", "sources"] = [rubin(1)]
    point = {"r:diaObjectId": int(RUBIN_ID), "r:band": "r", "r:psfFlux": 10.0, "r:psfFluxErr": 1.0}
    server.rows["lsst", "fp"] = [
        point | {"r:diaForcedSourceId": number, "r:midpointMjdTai": MJD_TAI + number / 1000}
        for number in range(10_000)
    ]
    whole = fetch("lsst", [RUBIN_ID], client)
    assert whole.problems == (f"Fink may have more of the forced photometry of {RUBIN_ID} than it sends.",)
    problems: list[str] = []
    light_curves("lsst", [RUBIN_ID], client, problems)
    assert problems == list(whole.problems)


BENOITCARRY = {"i:ssnamenr": "8467", "d:roid": 3, "sso_name": "Benoitcarry", "sso_number": 8467}
KLIO = {"i:ssnamenr": "84", "d:roid": 3, "sso_name": "Klio", "sso_number": 84}


@pytest.mark.parametrize(
    ("asked", "rows", "candids"),
    [
        ("84", [BENOITCARRY], []),  # looked up by its beginning
        ("84", [BENOITCARRY, KLIO], [2]),
        ("klio", [BENOITCARRY, KLIO, KLIO | {"i:ssnamenr": "Klio"}], [2, 3]),
        ("8467", [BENOITCARRY, BENOITCARRY | {"i:ssnamenr": "Benoitcarry"}], [1, 2]),
        ("1981 EA1", [BENOITCARRY], [1]),  # a name that Fink knows it by and does not send
        ("1981 EA1", [BENOITCARRY, KLIO], []),
        ("84", [{"i:ssnamenr": "84", "d:roid": 3}], [1]),
    ],
)
def test_points_of_another_body_are_not_taken(asked, rows, candids, server, client):
    rows = [ztf(number, f"ZTF26a{number}", number, **row) for number, row in enumerate(rows, 1)]
    server.faults += [answers_with(rows)] * 3
    found = [str(number) for number in candids]
    assert light_curve("ztf", asked, client)["source_id"].to_list() == found
    assert sorted(fetch("ztf", [asked], client).tidy.alerts["alert_id"]) == found
    assert sorted(run(Search("ztf", body=asked), client).tidy.alerts["alert_id"]) == found


def test_light_curves_alone(server, client):
    server.rows["ztf", "objects"] = [ztf(2, days=1), LIMIT | {"i:objectId": ZTF_ID}, ztf(9, OTHER_ID)]
    points = light_curve("ztf", ZTF_ID, client)
    assert points.schema == pl.Schema(DETECTIONS)
    assert points["kind"].to_list() == ["limit", "detection"]
    assert light_curve("ztf", "ZTF26nothing", client).is_empty()
    shown = sparklines(light_curves("ztf", [ZTF_ID, OTHER_ID], client))
    assert {key: points.height for key, points in shown.items()} == {ZTF_ID: 1, OTHER_ID: 1}
    server.rows["lsst", "sources"] = [rubin(1)]
    server.rows["lsst", "sso"] = [rubin(3, "0", **{"f:sso_name": "1996 TC28"})]
    assert light_curve("lsst", RUBIN_ID, client)["kind"].to_list() == ["detection"]
    assert light_curve("lsst", "1996 TC28", client).height == 1


def test_a_target_is_an_object_by_its_names_or_its_place(server, client):
    names = ("my supernova", "SN 2026abc", ZTF_ID, RUBIN_ID)
    assert identify("ztf", names, client) == [ZTF_ID]
    assert identify("lsst", names, client) == [RUBIN_ID]
    assert identify("ztf", ("my supernova",), client) == []
    assert server.asked == []
    server.rows["ztf", "conesearch"] = [
        ztf(1, "ZTF26aaaaaaa", **{"i:dec": 2.2104}),  # 1.4 arc seconds away
        ztf(2, OTHER_ID, **{"i:dec": 2.2102}),
        ztf(3, "ZTF26aaaaaab", **{"i:ssnamenr": "8467", "d:roid": 3}),  # an asteroid that passed
    ]
    assert identify("ztf", ("my supernova",), client, (150.1, 2.21)) == [OTHER_ID]
    assert identify("ztf", ("my supernova",), client, (151.0, 2.21)) == []


GAIA, TIC = "2079000330051813504", "0123456789"


@pytest.mark.parametrize("place", [None, (150.1, 2.21)])
def test_a_number_of_another_catalogue_hides_no_object(place, server, client):
    """Both have the form of Rubin's ids."""
    server.rows["lsst", "sources"] = [rubin(2, OTHER_RUBIN_ID), rubin(1)]
    found = identify("lsst", ("Gaia DR3 1", GAIA, TIC, RUBIN_ID, OTHER_RUBIN_ID), client, place)
    assert found == [RUBIN_ID, OTHER_RUBIN_ID], "both are the target's, in their order"
    (asked,) = server.asked
    assert asked.payload["diaObjectId"] == f"{GAIA},{TIC},{RUBIN_ID},{OTHER_RUBIN_ID}"
    assert len(asked.payload["columns"].split(",")) == 2


def test_an_id_that_fink_does_not_have_hides_no_place(server, client):
    server.rows["lsst", "conesearch"] = [rubin(1)]
    server.rows["ztf", "conesearch"] = [ztf(2, OTHER_ID)]
    server.rows["ztf", "objects"] = [ztf(3, f"{ZTF_ID}x")]  # what begins so
    assert identify("lsst", (GAIA,), client, (150.1, 2.21)) == [RUBIN_ID]
    assert identify("ztf", (ZTF_ID,), client, (150.1, 2.21)) == [OTHER_ID]
    assert identify("lsst", (GAIA, TIC), client) == []


def test_a_target_of_many_numbers_asks_for_some(server, client):
    assert identify("lsst", [f"12345678{number}" for number in range(10, 30)], client) == []
    assert server.asked[0].payload["diaObjectId"].count(",") == 4


# --- Other names and cutouts ------------------------------------------------------------------


def test_names_that_tns_has_of_an_object_at_its_place(server, client):
    place = {"i:ra": 47.7661, "i:dec": 52.2199}
    server.rows["ztf", "objects"] = [ztf(1, "ZTF23abmwsrw", **place)]
    server.rows["ztf", "resolver"] = [
        *SN_2023VWY,
        SN_2023VWY[0] | {"d:fullname": "AT 2023vwy", "d:internalname": "ZTF23abmwsrw"},
        SN_2023VWY[0] | {"d:fullname": "SN 2023aaa", "d:internalname": "ZTF23abmwsrwx"},  # contains the id
        SN_2023VWY[0] | {"d:internalname": "Gaia23far", "d:ra": 47.77},  # 9 arc seconds away
        SN_2023VWY[0] | {"d:internalname": "ZTF23another"},
        SN_2023VWY[0] | {"d:internalname": "<b>x"},
    ]
    whole = fetch("ztf", ["ZTF23abmwsrw"], client, aliases=True)
    assert whole.aliases == {"ZTF23abmwsrw": ("SN 2023vwy", "ATLAS23url")}


def test_a_rubin_object_gets_ztf_s_id_by_way_of_tns(server, client):
    place = {"r:ra": 47.7661, "r:dec": 52.2199}
    server.rows["lsst", "sources"] = [rubin(1, **place, **{"f:xm_tns_fullname": "SN 2023vwy"})]
    server.rows["lsst", "resolver"] = [
        {name.replace("d:", "f:"): value for name, value in row.items()} for row in SN_2023VWY
    ]
    whole = fetch("lsst", [RUBIN_ID], client, aliases=True)
    assert whole.aliases == {RUBIN_ID: ("SN 2023vwy", "ATLAS23url", "ZTF23abmwsrw")}
    server.rows["lsst", "sources"] = [rubin(1, **{"f:xm_tns_fullname": "SN 2023vwy"})]
    assert fetch("lsst", [RUBIN_ID], client, aliases=True).aliases == {}, "what TNS calls so is elsewhere"
    server.rows["lsst", "resolver"] = []
    assert fetch("lsst", [RUBIN_ID], client, aliases=True).aliases == {RUBIN_ID: ("SN 2023vwy",)}


def test_an_object_without_other_names(server, client):
    server.rows["ztf", "objects"] = [ztf(1)]
    assert fetch("ztf", [ZTF_ID], client, aliases=True).aliases == {}
    asked = len(server.asked)
    assert fetch("ztf", [ZTF_ID], client).aliases == {}
    assert len(server.asked) == asked + 2, "without names, a question for alerts and one for the light curve"


def test_cutouts_of_the_first_and_the_latest_alert(server, client):
    fits = b"SIMPLE  =                    T"
    server.rows["lsst", "sources"] = [rubin(3, days=2), rubin(2, days=1), rubin(1)]
    server.cutouts = {"1": fits + b"1", "3": fits + b"3"}
    alerts = fetch("lsst", [RUBIN_ID], client, cutouts=True).tidy.alerts.sort("alert_id")
    images = ["cutout_science", "cutout_template", "cutout_difference"]
    assert alerts.select(images).rows() == [(fits + b"1",) * 3, (None,) * 3, (fits + b"3",) * 3]
    assert alerts.schema == pl.Schema(ALERTS)
    server.cutouts.pop("1")
    whole = fetch("lsst", [RUBIN_ID], client, cutouts=True)
    assert "the science cutout of alert 1 and has none" in whole.problems[0]
    assert len(whole.problems) == 3
