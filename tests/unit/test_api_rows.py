"""Rows of the REST APIs become what the stream's alerts become: the same points, the same alerts.

There is no recorded answer here. Rows are made from alerts, flattened and printed as Fink's sources do it.
"""

import json
import math
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tom_fink.api import lsst, ztf
from tom_fink.api.columns import (
    CLASS,
    LSST_ALERTS,
    LSST_BODY,
    LSST_POINTS,
    ZTF_ALERTS,
    ZTF_POINTS,
    column,
    path,
)
from tom_fink.api.rows import MAX_CELLS, MAX_COLUMNS, frame_of
from tom_fink.decoding.decode import MESSAGE, decode, decode_one
from tom_fink.frames import DETECTIONS
from tom_fink.surveys import lsst as lsst_survey
from tom_fink.surveys import normalise
from tom_fink.surveys import ztf as ztf_survey

ZTF_ID, RUBIN_ID = "ZTF26aamcbly", "170028485706776685"
OF_ZTF, OF_RUBIN = ztf.alerts(ZTF_ID), lsst.alerts(RUBIN_ID)
PRINTED = ["ra_deg", "dec_deg", "fink_values", "orbit"]
POINT = [name for name in DETECTIONS if name != MESSAGE]


def printed(value: Any) -> Any:
    """A value as it is in the API's JSON: ten decimals, no NaN."""
    if isinstance(value, float):
        return None if math.isnan(value) else float(f"{value:.10f}")
    return value


def ztf_rows(alert: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of `objects` with upper limits for a decoded ZTF alert: the alert, then its history."""
    flat = {f"i:{name}": value for name, value in alert["candidate"].items()}
    flat |= {"i:objectId": alert["objectId"], "i:candid": alert["candid"], "d:tag": "valid"}
    for name, value in alert.items():
        if name in ("mangrove", "blazar_stats"):
            flat |= {f"d:{name}_{key}": inner for key, inner in (value or {}).items()}
        elif not isinstance(value, dict | list | bytes) and name not in ("objectId", "candid"):
            flat[f"d:{name}"] = value
    rows = [flat]
    for point in reversed(alert.get("prv_candidates") or []):
        row = {f"i:{name}": value for name, value in point.items()} | {"i:objectId": alert["objectId"]}
        rows.append(row | _tag(point))
    return [{name: printed(value) for name, value in row.items()} for row in rows]


def _tag(point: dict[str, Any]) -> dict[str, Any]:
    if point["magpsf"] is None:
        # As HBase has them: as text
        return {
            "d:tag": "upperlim",
            "i:candid": -1,
            "i:diffmaglim": str(point["diffmaglim"]),
            "i:fid": str(point["fid"]),
        }
    return {"d:tag": "valid" if point["isdiffpos"] is not None else "badquality"}


def lsst_rows(alert: dict[str, Any], history: str | None = None) -> list[dict[str, Any]]:
    """The row of `sources` for a decoded Rubin alert, or rows of its `history`, newest first."""
    if history is not None:
        points = reversed(alert[history] or [])
        return [{f"r:{name}": printed(value) for name, value in point.items()} for point in points]
    flat = {}
    for record in ("ssSource", "mpc_orbits", "diaObject", "diaSource"):
        flat |= {f"r:{name}": value for name, value in (alert.get(record) or {}).items()}
    for record, prefix in (("xm", "xm_"), ("clf", "clf_"), ("pred", ""), ("misc", "")):
        flat |= {f"f:{prefix}{name}": value for name, value in (alert.get(record) or {}).items()}
    for name in ("lsst_schema_version", "fink_broker_version", "fink_science_version"):
        flat[f"f:{name}"] = alert.get(name)
    return [{name: printed(value) for name, value in flat.items()}]


def served(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """Rows with the columns that were asked for, by way of JSON."""
    return json.loads(json.dumps([{name: row[name] for name in columns if name in row} for row in rows]))


def in_order(points: pl.DataFrame) -> pl.DataFrame:
    return points.select(POINT).unique().sort(POINT)


@pytest.fixture(params=["simulated", "real"])
def messages(request):
    """Messages of the simulated sky, and real ones where there are some."""
    if request.param == "simulated":
        return request.getfixturevalue("simulated_messages")
    return request.getfixturevalue("real_messages")("ztf-2026-03.avro", "lsst-2026-03.avro")


@pytest.fixture
def pairs(messages):
    """For each alert of ZTF and Rubin: the decoded alert, and what the stream makes of it."""
    tidy, errors = normalise(decode(messages).frames)
    assert errors == {}
    found = []
    for (index,), alert in tidy.alerts.group_by(MESSAGE, maintain_order=True):
        if alert["survey"].item() != "mm":
            points = tidy.detections.filter(pl.col(MESSAGE) == index)
            found.append((decode_one(messages[index]), alert, points))
    assert {alert["survey"].item() for _, alert, _ in found} == {"ztf", "lsst"}
    return found


def test_a_light_curve_has_the_points_of_the_stream(pairs):
    """Detections, upper limits and forced photometry; to the millisecond and the last decimal."""
    seen = set()
    for decoded, alert, streamed in pairs:
        if "candidate" in decoded:
            if alert["body"].item() is not None:  # the stream's history is of the place, the service has none
                decoded = decoded | {"prv_candidates": []}
            query = ztf.light_curve(decoded["objectId"])
            found = ztf_survey.points(frame_of(query, served(ztf_rows(decoded), ZTF_POINTS)).frame)
        else:
            static = str(decoded["diaSource"]["diaObjectId"])
            of_object = lsst.light_curve(static) if static != "0" else lsst.body("2004 JQ12")
            parts = [
                (of_object, lsst_rows(decoded), "detection"),
                (of_object, lsst_rows(decoded, "prvDiaSources"), "detection"),
                (lsst.forced(static.rjust(18, "1")), lsst_rows(decoded, "prvDiaForcedSources"), "forced"),
            ]
            found = pl.concat(
                lsst_survey.points(frame_of(query, served(rows, LSST_POINTS)).frame, kind)
                for query, rows, kind in parts
            )
        seen |= set(found["kind"])
        assert_frame_equal(in_order(found), in_order(streamed), check_exact=True)
    assert seen == {"detection", "limit", "forced"}


def test_an_alert_found_is_the_alert_streamed(pairs):
    """In all that the API serves, which neither the cutouts nor the time at which Fink was done are."""
    not_served = [
        "cutout_science",
        "cutout_template",
        "cutout_difference",
        "broker_end_at",
        MESSAGE,
    ]
    for decoded, streamed, _ in pairs:
        if "candidate" in decoded:
            query, rows = ztf.body("8467"), served(ztf_rows(decoded)[:1], ZTF_ALERTS)
        else:
            query, rows = lsst.body("2004 JQ12"), served(lsst_rows(decoded), LSST_BODY)
        found, errors = normalise([frame_of(query, rows).frame])
        assert errors == {}
        alert, streamed_alert = found.alerts.drop(not_served), streamed.drop(not_served)
        assert_frame_equal(alert.drop(PRINTED), streamed_alert.drop(PRINTED), check_exact=True)
        # The API prints ten decimals of numbers of which the stream brings more.
        for name in PRINTED:
            values, expected = alert[name].item(), streamed_alert[name].item()
            if isinstance(values, str):
                values, expected = json.loads(values), json.loads(expected)
                expected.pop("observation_reason", None)  # of the stream alone
            assert values == pytest.approx(expected, abs=1e-9), name


@pytest.mark.parametrize(
    ("survey", "endpoint", "served_as", "inside"),
    [
        ("ztf", "objects", "i:objectId", "objectId"),
        ("ztf", "objects", "i:jd", "candidate.jd"),
        ("ztf", "objects", "d:tns", "tns"),
        ("ztf", "objects", "d:mangrove_2MASS_name", "mangrove.2MASS_name"),
        ("ztf", "objects", "d:blazar_stats_m0", "blazar_stats.m0"),
        ("ztf", "objects", "v:classification", "finkclass"),
        ("ztf", "conesearch", "d:classification", "finkclass"),
        ("ztf", "conesearch", "v:separation_degree", "separation_degree"),
        ("lsst", "sources", "r:psfFlux", "diaSource.psfFlux"),
        ("lsst", "objects", "r:ra", "diaObject.ra"),
        ("lsst", "fp", "r:psfFlux", "psfFlux"),
        ("lsst", "sso", "r:a", "mpc_orbits.a"),
        ("lsst", "sso", "r:phaseAngle", "ssSource.phaseAngle"),
        ("lsst", "sso", "f:sso_name", "ssSource.designation"),
        ("lsst", "tags", "f:xm_tns_type", "xm.tns_type"),
        ("lsst", "tags", "f:clf_cats_class", "clf.cats_class"),
        ("lsst", "tags", "f:is_first", "pred.is_first"),
        ("lsst", "tags", "f:firstDiaSourceMjdTaiFink", "misc.firstDiaSourceMjdTaiFink"),
        ("ztf", "sso", "sso_name", "sso_name"),
    ],
)
def test_where_an_alert_has_a_column(survey, endpoint, served_as, inside):
    assert path(survey, endpoint, served_as) == inside


@pytest.mark.parametrize(("survey", "module"), [("ztf", ztf_survey), ("lsst", lsst_survey)])
def test_all_that_a_survey_reads_is_asked_for(survey, module):
    asked = ZTF_ALERTS if survey == "ztf" else LSST_ALERTS
    for value in module.VALUES:
        if value.path != CLASS:
            assert column(survey, value.path) in asked
            assert path(survey, "sources", column(survey, value.path)) == value.path
    assert not any(name.startswith("v:") for name in asked), "these cannot be asked for"
    assert len(set(asked)) == len(asked)


def test_ids_are_text_to_the_last_digit():
    """Beyond 2^53 a float would round them, and one that came as a float is rounded already."""
    found = [{"i:objectId": ZTF_ID, "i:candid": number, "r:diaObjectId": 170028485706776685} for number in (
        3367463101415010117, "3367463101415010118", -1, 3.367463101415010e18, None, True,
    )]  # fmt: skip
    frame = frame_of(OF_ZTF, found).frame
    assert frame["candid"].to_list() == [
        "3367463101415010117", "3367463101415010118", "-1", None, None, None,
    ][: frame.height]  # fmt: skip
    assert frame["diaObjectId"].unique().to_list() == ["170028485706776685"]


def test_limits_come_as_text_and_without_an_id():
    """Raw HBase: fid, jd and diffmaglim as text, candid -1, no magnitude. Row of Fink's documentation."""
    limit = {
        "i:objectId": ZTF_ID, "i:jd": "2461120.5", "i:fid": "3", "i:diffmaglim": "19.123456", "i:magpsf": None,
        "i:candid": -1, "d:tag": "upperlim",
    }  # fmt: skip
    bad = limit | {
        "i:jd": 2461121.5,
        "i:fid": 1,
        "i:magpsf": 18.5,
        "i:diffmaglim": 20.0,
        "d:tag": "badquality",
    }
    points = ztf_survey.points(frame_of(ztf.light_curve(ZTF_ID), [limit, bad]).frame)
    assert points.select("band", "kind", "mag_ab", "limit_mag_ab", "source_id").rows() == [
        ("i", "limit", None, 19.1235, None),
        ("g", "detection", None, 20.0, None),
    ]
    assert [moment.isoformat() for moment in points["observed_at"]] == [
        "2026-03-21T00:00:00+00:00",
        "2026-03-22T00:00:00+00:00",
    ]


def test_each_row_and_each_alert_once():
    limit = {"i:objectId": ZTF_ID, "i:candid": -1, "i:jd": 2461121.0}
    alert = {"i:objectId": ZTF_ID, "i:candid": 5, "i:jd": 2461120.0}
    other_limit = limit | {"i:jd": 2461119.0}
    found = frame_of(OF_ZTF, [limit, alert, limit, alert | {"d:tns": "SN Ia"}, other_limit])
    assert found.frame["jd"].to_list() == [2461121.0, 2461120.0, 2461119.0]
    assert found.frame[MESSAGE].to_list() == [0, 1, 2]
    assert found.frame.schema[MESSAGE] == pl.UInt32


def test_objects_that_were_not_asked_for_are_left_out():
    """Fink looks for keys that begin with the id."""
    rows = [
        {"i:objectId": name, "i:jd": 2461120.0} for name in ("ZTF26aamcbly", "ZTF26aamcblyx", "ZTF26aamcbl")
    ]
    assert frame_of(OF_ZTF, rows).frame["objectId"].to_list() == ["ZTF26aamcbly"]


@pytest.mark.parametrize(
    ("query", "number", "may_be_cut"),
    [
        (ztf.latest("SN candidate", 3), 2, False),
        (ztf.latest("SN candidate", 3), 3, True),
        (ztf.latest("SN candidate", 3, trend="rising"), 1, True),  # those without the trend were taken off
        (ztf.around(1, 2, 3, n=2), 5, True),
        (lsst.latest("in_tns", 3), 3, True),
        (ztf.statistics("2026"), 365, False),
    ],
)
def test_what_may_be_cut(query, number, may_be_cut):
    rows = [{"i:candid": index, "i:jd": float(index)} for index in range(1, number + 1)]
    assert frame_of(query, rows).may_be_cut is may_be_cut


@pytest.mark.parametrize("survey", [ztf, lsst])
def test_what_may_be_cut_of_several_objects_is_one_of_them(survey):
    """Fink looks each id up by itself, for all that begins so, and its cap is of each."""
    ids = (
        ("ZTF26aamcbly", "ZTF26aamcblyx", "ZTF26b") if survey is ztf else ("1700284857", "17002848570", "18")
    )
    column = "i:objectId" if survey is ztf else "r:diaObjectId"
    ids = [one if survey is ztf else one.ljust(10, "1") for one in ids]

    def may_be_cut(*numbers: int) -> bool:
        rows = [
            {column: one, "i:jd": 1.0}
            for one, number in zip(ids, numbers, strict=True)
            for _ in range(number)
        ]
        return frame_of(survey.light_curve([ids[0], ids[2]]), rows).may_be_cut

    assert not may_be_cut(9_999, 0, 9_999)
    assert may_be_cut(0, 0, 10_000)
    assert may_be_cut(9_000, 1_000, 0), "the look-up of the first brought the second's"


def test_nothing_found_is_a_frame_that_the_surveys_read():
    found = frame_of(OF_ZTF, [])
    assert found.frame.height == 0
    assert ztf_survey.points(found.frame).is_empty()
    assert lsst_survey.points(found.frame, "forced").is_empty()
    assert normalise([found.frame])[1] == {}


@pytest.mark.parametrize(
    ("values", "kept", "dtype"),
    [
        ([1.5, None, 3], [1.5, None, 3.0], pl.Float64),
        ([1, None, 2**70], [1, None, None], pl.Int64),
        ([1.5, float("inf"), 10**400], [1.5, None, None], pl.Float64),
        (["18.5", 19.25, None], ["18.5", "19.25", None], pl.String),
        ([True, None], [True, None], pl.Boolean),
        (["a", True, 3], ["a", "true", "3"], pl.String),
        ([[1, [2]], {"a": 1}, "x"], [None, None, "x"], pl.String),
        ([[1], None], [None, None], pl.Null),
    ],
)
def test_kinds_of_values(values, kept, dtype):
    frame = frame_of(
        ztf.statistics("2026"), [{"x": value, "row": row} for row, value in enumerate(values)]
    ).frame
    assert frame["x"].to_list() == kept
    assert frame.schema["x"] == dtype


def test_a_column_cannot_take_the_place_of_a_record_or_the_index():
    row = {
        "message": 9,
        "candidate": "x",
        "d:candidate": "y",
        "d:mangrove": "z",
        "i:jd": 1.0,
        "d:jd": 2.0,
        "jd": 3.0,
    }
    frame = frame_of(OF_ZTF, [row]).frame
    assert frame[MESSAGE].to_list() == [0]
    assert frame["candidate"].to_list() == [{"jd": 1.0}]
    assert frame.select("jd", "i:jd", "d:jd").row(0) == (3.0, 1.0, 2.0)


@pytest.mark.parametrize(
    "name", ["", "*", "i:*", "^.*$", "i:^j.$", "i:", "d:\ud800", "d:a\u202eb", "x" * 101]
)
def test_a_column_without_a_possible_name_is_left_out(name):
    """Polars takes some for patterns."""
    frame = frame_of(OF_ZTF, [{"i:jd": 1.0, name: "x"}]).frame
    assert frame.drop("candidate").columns == [MESSAGE, "jd"]
    assert frame["candidate"].to_list() == [{"jd": 1.0}]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{f"c{index}": 1 for index in range(MAX_COLUMNS + 1)}], "columns"),
        ([{f"c{index}": 1} for index in range(MAX_COLUMNS + 1)], "columns"),
        ([{f"c{index}": 1 for index in range(100)}] * (MAX_CELLS // 100 + 1), "cells"),
        ([{"x": "\ud800"}], "surrogates"),
    ],
    ids=["columns", "columns one by one", "cells", "half a character"],
)
def test_what_is_too_much_or_broken_is_said(rows, says):
    with pytest.raises(ValueError, match=says):
        frame_of(OF_ZTF, rows)


def test_missing_is_null_in_every_spelling():
    row = {
        "i:objectId": ZTF_ID,
        "i:candid": 5,
        "i:jd": 2461120.5,
        "i:ra": 1.0,
        "i:dec": 2.0,
        "d:cdsxmatch": "nan",
    }
    row |= {"d:tns": "None", "d:DR3Name": "Unknown", "d:Plx": None, "d:slsn_score": -1.0, "i:distnr": -999.0}
    found, errors = normalise([frame_of(OF_ZTF, [row]).frame])
    assert errors == {}
    assert found.alerts["fink_class"].item() == "Unknown"
    assert json.loads(found.alerts["fink_values"].item()) == {}
