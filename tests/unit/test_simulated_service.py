"""The simulated services answer as Fink's do, quirks and errors among it: over HTTP, with bare requests.

What is expected is from Fink's published sources: endpoints, parameters, shapes, status codes, error bodies.
"""

import ast
import csv
import io
import json
import math
from datetime import UTC, datetime
from xml.etree import ElementTree

import polars as pl
import pytest
import requests

from tom_fink.simulate import simulated_alerts
from tom_fink.simulate.service import Catalogue, SimulatedService, simulated_service
from tom_fink.simulate.service.events import Event, separation_deg
from tom_fink.simulate.service.labels import ztf_label

SEED, START, NIGHTS = 5, datetime(2026, 3, 22, 4, tzinfo=UTC), 1
NAMES = {"ztf": "i:objectId", "lsst": "r:diaObjectId"}


@pytest.fixture(scope="module")
def service():
    with simulated_service(SEED, START, NIGHTS) as running:
        yield running


class Asker:
    """A session with the service."""

    def __init__(self, service: SimulatedService):
        self.service = service
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy

    def post(self, survey: str, endpoint: str, payload: dict) -> requests.Response:
        return self.session.post(self.service.url(survey) + endpoint, json=payload, timeout=30)

    def get(self, survey: str, endpoint: str, **parameters) -> requests.Response:
        return self.session.get(self.service.url(survey) + endpoint, params=parameters, timeout=30)

    def rows(self, survey: str, endpoint: str, **payload) -> list[dict]:
        payload = {
            name.replace("_", "-") if name == "output_format" else name: value
            for name, value in payload.items()
        }
        response = self.post(survey, endpoint, payload)
        assert response.status_code == 200, response.text
        assert response.headers["Content-Type"] == "application/json"
        return response.json()


@pytest.fixture(scope="module")
def ask(service):
    asker = Asker(service)
    with asker.session:
        yield asker


@pytest.fixture(scope="module")
def ztf(service):
    """A supernova of ZTF's with several alerts, the last of them."""
    table = service.catalogue.tables["ztf"]
    return next(
        alert
        for alert in table.last_of_objects().values()
        if alert.row["d:classification"] == "Early SN Ia candidate"
        and len(table.points[alert.object_id]) > 30
    )


@pytest.fixture(scope="module")
def lsst(service):
    """A fixed object of Rubin's with several alerts, the last of them."""
    table = service.catalogue.tables["lsst"]
    return next(a for a in table.last_of_objects().values() if len(table.points[a.object_id]) > 15)


def refusal(response: requests.Response) -> str:
    """The text of an error body of Fink's, which no JSON parser reads."""
    assert response.status_code == 400
    assert response.headers["Content-Type"].startswith("text/html")
    with pytest.raises(ValueError, match="property name"):
        json.loads(response.text)
    said = ast.literal_eval(response.text)
    assert said.keys() == {"status", "text"}
    assert said["status"] == "error"
    return said["text"]


def failure(response: requests.Response) -> None:
    assert response.status_code == 500
    assert response.json() == {"message": "Internal Server Error"}


# --- What holds for every endpoint ----------------------------------------------------------------


REQUIRED = [
    ("ztf", "objects", ["objectId"]), ("ztf", "conesearch", ["ra", "dec", "radius"]), ("ztf", "latests", ["class"]),
    ("ztf", "cutouts", ["objectId", "kind"]), ("ztf", "sso", ["n_or_d"]), ("ztf", "resolver", ["resolver", "name"]),
    ("ztf", "statistics", ["date"]), ("ztf", "skymap", ["credible_level"]), ("ztf", "ssocand", ["kind"]),
    ("lsst", "sources", ["diaObjectId"]), ("lsst", "objects", ["diaObjectId"]), ("lsst", "fp", ["diaObjectId"]),
    ("lsst", "conesearch", ["ra", "dec", "radius"]), ("lsst", "tags", ["tag"]), ("lsst", "sso", ["n_or_d"]),
    ("lsst", "cutouts", ["diaSourceId", "kind"]), ("lsst", "resolver", ["resolver", "name_or_id"]),
    ("lsst", "schema", ["endpoint"]), ("lsst", "skymap", ["credible_level"]), ("lsst", "statistics", ["date"]),
]  # fmt: skip


@pytest.mark.parametrize(("survey", "endpoint", "required"), REQUIRED)
def test_what_is_required(ask, survey, endpoint, required):
    for name in required:
        payload = {other: "1" for other in required if other != name}
        said = refusal(ask.post(survey, endpoint, payload))
        assert said == f"A value for `{name}` is required. See https://api.ztf.fink-portal.org \n"


@pytest.mark.parametrize(("survey", "endpoint"), [row[:2] for row in REQUIRED if row[1] != "tags"])
def test_a_get_without_parameters_is_a_page(ask, survey, endpoint):
    response = ask.get(survey, endpoint)
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/html")
    with pytest.raises(ValueError, match="Expecting value"):
        response.json()


def test_lists_that_a_bare_get_gives(ask):
    classes = ask.get("ztf", "classes").json()
    assert [len(labels) for labels in classes.values()][:2] == [11, 43]
    assert "(TNS) SN Iax[02cx-like]" in classes["Cross-match with TNS"]
    tags = ask.get("lsst", "tags").json()
    assert len(tags) == 14
    assert tags["in_tns"] == {"description": "With a counterpart in TNS", "API support": True}
    assert tags["uniform_sample"]["API support"] is False
    assert all(name.startswith("b_") for name in ask.get("lsst", "blocks").json())
    assert [family[-3:-1] for family in ask.get("ztf", "schema").json()] == ["i:", "b:", "d:", "v:"]


@pytest.mark.parametrize(
    "path",
    [
        "ztf/api/v1/explorer",
        "ztf/api/v1/sources",
        "lsst/api/v1/latests",
        "api/v1/objects",
        "mm/api/v1/objects",
    ],
)
def test_unknown_routes(ask, service, path):
    response = ask.session.post(f"{service.address}/{path}", json={"objectId": "ZTF"}, timeout=30)
    assert response.status_code == 404
    assert response.headers["Content-Type"].startswith("text/html")


def test_get_and_post_give_the_same(ask, ztf):
    parameters = {"objectId": ztf.object_id, "columns": "i:jd,i:magpsf"}
    assert ask.get("ztf", "objects", **parameters).json() == ask.rows("ztf", "objects", **parameters)


def test_parameters_of_the_url_hide_the_body(ask, service, ztf):
    url = service.url("ztf") + "objects?columns=i:jd"
    response = ask.session.post(url, json={"objectId": ztf.object_id}, timeout=30)
    assert "`objectId` is required" in refusal(response)


def test_formats(ask, ztf):
    parameters = {"objectId": ztf.object_id, "columns": "i:objectId,i:candid,i:jd"}
    rows = ask.rows("ztf", "objects", **parameters)
    as_csv = ask.post("ztf", "objects", parameters | {"output-format": "csv"})
    assert as_csv.headers["Content-Type"] == "application/csv"
    read = list(csv.DictReader(io.StringIO(as_csv.text)))
    assert [(row["i:objectId"], int(row["i:candid"]), float(row["i:jd"])) for row in read] == [
        tuple(row.values()) for row in rows
    ]
    table = ask.post("ztf", "objects", parameters | {"output-format": "votable"})
    assert table.headers["Content-Type"] == "text/xml"
    tree = ElementTree.fromstring(table.content)  # noqa: S314 - made by this process
    space = "{http://www.ivoa.net/xml/VOTable/v1.3}"
    assert [field.get("name") for field in tree.iter(f"{space}FIELD")] == ["i_objectId", "i_candid", "i_jd"]
    assert len(list(tree.iter(f"{space}TR"))) == len(rows)
    parquet = ask.post("ztf", "objects", parameters | {"output-format": "parquet"})
    assert parquet.headers["Content-Type"] == "parquet"
    assert pl.read_parquet(io.BytesIO(parquet.content)).to_dicts() == rows
    said = refusal(ask.post("ztf", "objects", parameters | {"output-format": "xml"}))
    assert said.startswith("Output format `xml` is not supported.")
    # With an underscore it is not looked at.
    assert ask.post("ztf", "objects", parameters | {"output_format": "csv"}).json() == rows


@pytest.mark.parametrize("output_format", ["json", "csv", "votable", "parquet"])
def test_nothing_found(ask, output_format):
    response = ask.post("ztf", "objects", {"objectId": "ZTF99nope", "output-format": output_format})
    assert response.status_code == 200
    if output_format in ("json", "csv"):
        assert response.text == {"json": "[]", "csv": "\n"}[output_format]


def test_numbers_have_ten_decimals_and_there_is_no_nan(ask, ztf, lsst):
    for survey, endpoint, payload in (
        ("ztf", "objects", {"objectId": ztf.object_id}),
        ("lsst", "sources", {"diaObjectId": lsst.object_id}),
    ):
        text = ask.post(survey, endpoint, payload).text
        rows = json.loads(text, parse_constant=pytest.fail, parse_float=str)
        decimals = [
            value.partition(".")[2]
            for row in rows
            for value in row.values()
            if isinstance(value, str) and value[-1:].isdigit() and "." in value and "e" not in value
        ]
        assert max(len(one) for one in decimals if one.isdigit()) == 10
        assert rows[0][NAMES[survey]] == (ztf.object_id if survey == "ztf" else int(lsst.object_id))


def test_columns(ask, ztf, lsst):
    rows = ask.rows("ztf", "objects", objectId=ztf.object_id, columns=" i:jd, i:nope ,v:classification,d:tns")
    assert {tuple(row) for row in rows} == {("i:jd", "d:tns")}
    rows = ask.rows("lsst", "sources", diaObjectId=lsst.object_id, columns="r:band,f:clf_cats_class")
    assert {tuple(row) for row in rows} == {("r:band", "f:clf_cats_class")}


@pytest.mark.parametrize(
    ("survey", "endpoint", "argument", "time"),
    [("ztf", "objects", "objectId", "i:jd"), ("lsst", "sources", "diaObjectId", "r:midpointMjdTai"),
     ("lsst", "fp", "diaObjectId", "r:midpointMjdTai")],
)  # fmt: skip
def test_objects_are_looked_for_by_the_beginning_of_their_ids(service, ask, survey, endpoint, argument, time):
    ids = sorted(service.catalogue.tables[survey].points)
    rows = ask.rows(survey, endpoint, **{argument: ids[0][:5], "columns": f"{NAMES[survey]},{time}"})
    found = {str(row[NAMES[survey]]) for row in rows}
    assert len(found) > 3
    assert all(one.startswith(ids[0][:5]) for one in found)
    assert [row[time] for row in rows] == sorted((row[time] for row in rows), reverse=True)
    two = ask.rows(survey, endpoint, **{argument: f"{ids[1]},{ids[2]}", "columns": NAMES[survey]})
    one_by_one = [ask.rows(survey, endpoint, **{argument: one, "columns": NAMES[survey]}) for one in ids[1:3]]
    assert len(two) == sum(map(len, one_by_one))


# --- ZTF ------------------------------------------------------------------------------------------


def test_upper_limits(ask, ztf):
    plain = ask.rows("ztf", "objects", objectId=ztf.object_id)
    assert not {"d:tag", "d:classification"} & {name for row in plain for name in row}
    assert all(row["i:candid"] > 2**53 for row in plain)
    for value in (True, "True"):
        rows = ask.rows("ztf", "objects", objectId=ztf.object_id, withupperlim=value)
        limits = [row for row in rows if row["d:tag"] == "upperlim"]
        assert [row for row in rows if row["d:tag"] != "upperlim"] == [
            row | {"d:tag": "valid"} for row in plain
        ]
        assert {row["i:candid"] for row in limits} == {-1}
        assert {row["i:magpsf"] for row in limits} == {None}
        assert all(
            isinstance(row["i:diffmaglim"], str) and 17 < float(row["i:diffmaglim"]) < 23 for row in limits
        )
        assert not any("i:ra" in row or "v:lapse" in row for row in limits)
    for value in (False, "true", 1, "1"):
        assert ask.rows("ztf", "objects", objectId=ztf.object_id, withupperlim=value) == plain


def test_a_point_that_was_measured_badly():
    """It has a magnitude, but neither sign nor reference (fink-broker#778)."""
    catalogue = Catalogue()
    alert = next(
        one.alert for one in simulated_alerts(SEED, START) if one.survey == "ztf" and not one.alert["roid"]
    )
    bad = dict(
        next(point for point in alert["prv_candidates"] if point["magpsf"] is not None), isdiffpos=None
    )
    catalogue.add("ztf", alert | {"prv_candidates": [bad]})
    with SimulatedService(catalogue) as running:
        ask = Asker(running)
        with ask.session:
            tags = {
                row["d:tag"]: row
                for row in ask.rows("ztf", "objects", objectId=alert["objectId"], withupperlim=True)
            }
            assert len(ask.rows("ztf", "objects", objectId=alert["objectId"])) == 1
    assert tags.keys() == {"valid", "badquality"}
    row = tags["badquality"]
    assert (row["i:candid"], row["i:isdiffpos"], row["i:magnr"]) == (-1, None, None)
    assert row["i:magpsf"] == round(bad["magpsf"], 10)


def test_computed_columns(ask, ztf):
    row = ask.rows("ztf", "objects", objectId=ztf.object_id)[0]
    assert row["v:classification"] == "Early SN Ia candidate"
    # JD 2461121.5 is 2026-03-22 00:00 (USNO's converter), and these alerts are of that day from 4 h on.
    assert row["v:lastdate"].startswith("2026-03-22 ")
    days = row["i:jd"] - 2461121.5
    hours, minutes = int(days * 24), int(days * 1440 % 60)
    assert row["v:lastdate"][11:16] == f"{hours:02d}:{minutes:02d}"
    assert row["v:lapse"] == pytest.approx(row["i:jd"] - row["i:jdstarthist"])
    assert row["v:constellation"]
    assert row["v:g-r"] is None
    assert ast.literal_eval(row["d:lc_features_g"].replace("nan", "None"))[0] > 15
    assert 100 < len(row) < 170


def test_cutouts_in_rows(ask, ztf):
    rows = ask.rows(
        "ztf",
        "objects",
        objectId=ztf.object_id,
        withcutouts=True,
        **{"cutout-kind": "Science"},
        columns="i:jd",
    )
    arrays = [row["b:cutoutScience_stampData"] for row in rows]
    assert (len(arrays[0]), len(arrays[0][0])) == (63, 63)
    assert arrays[-1] is None  # before the first night nothing was kept
    assert {name for row in rows for name in row} == {"i:jd", "b:cutoutScience_stampData"}


def at(ztf, **more):
    return {"ra": ztf.row["i:ra"], "dec": ztf.row["i:dec"], "radius": 5, **more}


def test_cone(ask, ztf):
    (row,) = ask.rows("ztf", "conesearch", **at(ztf))
    assert row["i:objectId"] == ztf.object_id
    assert row["i:candid"] == int(ztf.alert_id)
    assert row["d:classification"] == "Early SN Ia candidate"
    assert row["v:separation_degree"] == 0
    assert 60 < len(row) < 100
    assert not {"v:classification", "d:lc_features_g", "i:chinr"} & row.keys()
    near = at(ztf, columns="i:objectId,i:jd") | {"dec": ztf.row["i:dec"] + 4 / 3600}
    (row,) = ask.rows("ztf", "conesearch", **near)
    assert row.keys() == {"i:objectId", "i:jd", "v:separation_degree"}
    assert row["v:separation_degree"] == pytest.approx(4 / 3600, abs=1e-9)
    assert ask.rows("ztf", "conesearch", **near | {"radius": "3.9"}) == []


def sexagesimal(value: float, marks: str, units: float) -> str:
    size = abs(value) / units
    minutes, seconds = divmod(round(size * 3600, 3), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{'-' if value < 0 else '+' if units == 1 else ''}{hours:02d}{marks[0]}{minutes:02d}{marks[1]}{seconds:06.3f}{marks[2]}"


@pytest.mark.parametrize(("ra_marks", "dec_marks"), [("hms", "dms"), (":: ", ":: "), ("   ", "   ")])
def test_cone_in_other_spellings(ask, ztf, ra_marks, dec_marks):
    place = {
        "ra": sexagesimal(ztf.row["i:ra"], ra_marks, 15).strip(),
        "dec": sexagesimal(ztf.row["i:dec"], dec_marks, 1).strip(),
    }
    (row,) = ask.rows("ztf", "conesearch", **at(ztf) | place)
    assert row["i:objectId"] == ztf.object_id


def test_cones_are_as_large_as_the_angle_says():
    """Bearings of known length: a degree along a meridian, along the equator, over the pole, half a degree of RA at 60."""
    assert separation_deg(10, 20, 10, 21) == pytest.approx(1)
    assert separation_deg(359.5, 0, 0.5, 0) == pytest.approx(1)
    assert separation_deg(0, 89.5, 180, 89.5) == pytest.approx(1)
    assert separation_deg(10, 60, 10.001, 60) == pytest.approx(0.0005, rel=1e-6)


def test_cone_of_many(ask, service, ztf):
    wide = at(ztf, radius=18000, columns="i:objectId,i:jd,i:ra,i:dec")
    rows = ask.rows("ztf", "conesearch", **wide)
    separations = [row["v:separation_degree"] for row in rows]
    assert separations == sorted(separations)
    assert max(separations) <= 5
    last = service.catalogue.tables["ztf"].last_of_objects().values()
    inside = [a for a in last if separation_deg(*_place(ztf), *_place(a)) <= 5]
    assert len(rows) == len(inside) == len({row["i:objectId"] for row in rows})


def _place(alert):
    return alert.row["i:ra"], alert.row["i:dec"]


def test_n_is_of_each_pixel(service, ask):
    """Two far objects in one answer, although n is 1; without, all."""
    table = service.catalogue.tables["ztf"].last_of_objects().values()
    first, second = next(
        (a, b) for a in table for b in table if 1 < separation_deg(*_place(a), *_place(b)) < 5
    )
    rows = ask.rows("ztf", "conesearch", **at(first, radius=18000, n=1, columns="i:objectId,i:jd"))
    assert {first.object_id, second.object_id} <= {row["i:objectId"] for row in rows}
    assert ask.rows("ztf", "conesearch", **at(first, n=0)) == []


def test_dates_of_a_cone_are_of_the_first_detection(ask, ztf):
    first = ztf.row["i:jdstarthist"]
    for before, after in ((first - 0.1, first + 0.1), (first - 2400000.6, first - 2400000.4)):
        assert len(ask.rows("ztf", "conesearch", **at(ztf, startdate=before))) == 1
        assert ask.rows("ztf", "conesearch", **at(ztf, startdate=after)) == []
        assert ask.rows("ztf", "conesearch", **at(ztf, startdate=before - 1, stopdate=before)) == []
        assert ask.rows("ztf", "conesearch", **at(ztf, startdate=str(before - 1), window="0.5")) == []
        # An end is not looked at without a start.
        assert len(ask.rows("ztf", "conesearch", **at(ztf, stopdate=before))) == 1
    assert len(ask.rows("ztf", "conesearch", **at(ztf, startdate="2026-01-01"))) == 1
    failure(ask.post("ztf", "conesearch", at(ztf, startdate="yesterday")))


def test_bad_cones(ask, ztf):
    said = refusal(ask.post("ztf", "conesearch", at(ztf, radius=36000)))
    assert said == "`radius` cannot be bigger than 18,000 arcseconds (5 degrees).\n"
    response = ask.post("ztf", "conesearch", at(ztf) | {"ra": "kfdlkj"})
    assert response.status_code == 400
    # The repr of an exception, unquoted
    assert response.text.startswith("{'status': 'error', 'text': ValueError(")
    assert ask.post("ztf", "conesearch", at(ztf) | {"dec": 91}).status_code == 400
    for bad in ({"radius": "wide"}, {"radius": "nan"}, {"n": "many"}, {"columns": "i:jd"}, {"columns": 3}):
        failure(ask.post("ztf", "conesearch", at(ztf) | bad))


def test_latests(ask):
    rows = ask.rows("ztf", "latests", **{"class": "SN candidate"})
    assert len(rows) == 10
    many = ask.rows("ztf", "latests", **{"class": "SN candidate", "n": "1000"})
    assert many[:10] == rows
    assert len(many) > 50
    assert {row["d:classification"] for row in many} == {"SN candidate"}
    assert [row["i:jd"] for row in many] == sorted((row["i:jd"] for row in many), reverse=True)
    assert len({row["i:objectId"] for row in many}) < len(many)


@pytest.mark.parametrize(
    ("label", "column", "value"),
    [
        ("(TNS) SN Ia", "d:tns", "SN Ia"),
        ("(SIMBAD) BLLac", "d:cdsxmatch", "BLLac"),
        ("BLLac", "d:classification", "BLLac"),
        ("Solar System MPC", "d:roid", 3),
        ("Unknown", "d:classification", "Unknown"),
        ("(CTA) Blazar low state", "d:blazar_stats_m2", 0.5),
    ],
)
def test_classes(ask, label, column, value):
    rows = ask.rows("ztf", "latests", **{"class": label, "n": 1000})
    assert rows
    assert {row[column] for row in rows} == {value}


def test_a_class_that_there_is_not(ask):
    assert ask.rows("ztf", "latests", **{"class": "Nothing"}) == []


def test_trends_are_looked_for_after_the_cut(ask):
    asked = {"class": "SN candidate", "n": 40}
    rising = ask.rows("ztf", "latests", **asked, trend="rising")
    fading = ask.rows("ztf", "latests", **asked, trend="fading")
    assert 0 < len(rising) < 40
    assert 0 < len(fading) < 40
    assert all(row["d:mag_rate"] < 0 for row in rising)
    assert all(row["d:mag_rate"] > 0 for row in fading)
    assert len(rising) + len(fading) <= 40
    bad = ask.post("ztf", "latests", asked | {"trend": "sideways"})
    assert bad.status_code == 400
    assert bad.text.count("\n") > 1
    assert "{" not in bad.text


@pytest.mark.parametrize("color", [True, False, "false"])
def test_colours_of_latests_whatever_color_says(ask, color):
    """They are empty here."""
    (row,) = ask.rows("ztf", "latests", **{"class": "SN candidate", "n": 1}, color=color)
    assert {"v:g-r", "v:rate"} <= row.keys()
    (row,) = ask.rows("ztf", "latests", **{"class": "SN candidate", "n": 1})
    assert not any(name.startswith("v:") for name in row)


def test_dates_of_latests_are_iso_only(ask, ztf):
    asked = {"class": "SN candidate", "n": 1000}
    rows = ask.rows(
        "ztf", "latests", **asked, startdate="2026-03-22 05:00:00", stopdate="2026-03-22 06:00:00"
    )
    assert rows
    # JD 2461121.5 is 2026-03-22 00:00.
    assert all(2461121.5 + 5 / 24 <= row["i:jd"] <= 2461121.5 + 6 / 24 for row in rows)
    assert ask.rows("ztf", "latests", **asked, startdate="2026-04-22") == []
    for bad in (2461121.5, "2461121.5", "61121", "soon", ""):
        failure(ask.post("ztf", "latests", asked | {"startdate": bad}))


def test_ztf_cutouts(ask, ztf):
    asked = {"objectId": ztf.object_id, "kind": "Science"}
    png = ask.post("ztf", "cutouts", asked)
    assert png.headers["Content-Type"] == "image/png"
    assert png.content.startswith(b"\x89PNG")
    array = ask.post("ztf", "cutouts", asked | {"output-format": "array"}).json()
    assert array.keys() == {"b:cutoutScience_stampData"}
    assert len(array["b:cutoutScience_stampData"]) == 63
    every = ask.post("ztf", "cutouts", asked | {"kind": "All", "output-format": "array"}).json()
    assert len(every) == 3
    fits = ask.post("ztf", "cutouts", asked | {"output-format": "FITS", "candid": int(ztf.alert_id)})
    assert fits.content.startswith(b"SIMPLE  =")
    for stretch in ("linear", "sqrt", "power", "log"):
        assert ask.post("ztf", "cutouts", asked | {"stretch": stretch}).content.startswith(b"\x89PNG")
    for bad in (
        {"kind": "All"},
        {"kind": "Nice"},
        {"objectId": "ZTF99nope"},
        {"candid": 5},
        {"objectId": 7},
        {"pmin": 200},
    ):
        failure(ask.post("ztf", "cutouts", asked | bad))


def test_ztf_bodies(ask, service):
    bodies = {a.row["i:ssnamenr"] for a in service.catalogue.tables["ztf"].alerts.values()} - {"null"}
    for name in bodies:
        rows = ask.rows("ztf", "sso", n_or_d=name, columns="i:jd,i:ssnamenr", withEphem=True)
        assert {row["i:ssnamenr"] for row in rows} == {name}
        body = service.catalogue.bodies.find(name)
        assert {(row["sso_name"], row["sso_number"]) for row in rows} == {(body.name, body.number)}
        # A main-belt body near opposition
        assert all(0 <= row["Phase"] < 30 and 0.8 < row["Dobs"] < 3 for row in rows)
    numbered, other = (next(n for n in bodies if n.isdecimal() is is_so) for is_so in (True, False))
    # By number, designation, designation without its blank, packed
    for name in (numbered, other):
        body = service.catalogue.bodies.find(name)
        found = [ask.rows("ztf", "sso", n_or_d=n) for n in (name, body.name, body.packed)]
        assert found[0] == found[1] == found[2] != []
    both = ask.rows("ztf", "sso", n_or_d=f"{numbered},{other}")
    assert {row["i:ssnamenr"] for row in both} == {numbered, other}
    assert "several" in refusal(
        ask.post("ztf", "sso", {"n_or_d": f"{numbered},{other}", "withResiduals": True})
    )
    assert refusal(ask.post("ztf", "sso", {"n_or_d": "kdflsjffld"})).startswith(
        "kdflsjffld is not a valid name"
    )
    assert ask.rows("ztf", "sso", n_or_d="10P") == []


def test_resolver_of_ztf(ask, service):
    known = next(
        one for one in service.catalogue.tns.objects if any(n.startswith("ZTF") for n in one.internal_names)
    )
    rows = ask.rows("ztf", "resolver", resolver="tns", name=known.fullname.lower())
    assert [row["d:internalname"] for row in rows] == known.internal_names
    assert rows[0].keys() == {
        "d:fullname", "d:internalname", "d:ra", "d:declination", "d:redshift", "d:type",
    }  # fmt: skip
    ztf_name = next(name for name in known.internal_names if name.startswith("ZTF"))
    before = f"AT{known.fullname.removeprefix('SN')}"
    names = [known.fullname, before] if ztf_name == known.internal_names[-1] else [known.fullname]
    for reverse, expected in ((True, names), ("True", []), ("true", [])):
        found = ask.rows("ztf", "resolver", resolver="tns", name=ztf_name, reverse=reverse)
        assert [row["d:fullname"] for row in found] == expected
    (row,) = ask.rows("ztf", "resolver", resolver="tns", name=before)
    assert (row["d:type"], row["d:redshift"], row["d:ra"]) == ("nan", "nan", str(known.ra)), (
        "text, as Fink may"
    )
    assert len(ask.rows("ztf", "resolver", resolver="tns", name="SN 20", nmax=2)) == 2
    star = next(
        a for a in service.catalogue.tables["ztf"].alerts.values() if a.row["d:cdsxmatch"] == "RRLyrae"
    )
    (found,) = ask.rows("ztf", "resolver", resolver="simbad", name=star.object_id, reverse=True)
    assert found["d:cdsxmatch"] == "RRLyrae"
    (named,) = ask.rows("ztf", "resolver", resolver="simbad", name=star.row["d:DR3Name"])
    assert named["otype"] == "RRLyrae"
    assert (named["jradeg"], named["jdedeg"]) == pytest.approx(_place(star), abs=1e-4)
    body = next(one for one in service.catalogue.bodies if one.number)
    row = {"i:name": body.name, "i:number": body.number, "i:ssnamenr": str(body.number)}
    assert ask.rows("ztf", "resolver", resolver="ssodnet", name=str(body.number), nmax=1) == [row]
    assert row in ask.rows("ztf", "resolver", resolver="ssodnet", name=body.name[:4], nmax=1000)
    assert ask.rows("ztf", "resolver", resolver="ssodnet", name=body.name[:4], nmax=1) == []
    failure(ask.post("ztf", "resolver", {"resolver": "ned", "name": "M 31"}))


def test_sky_map(ask, service):
    (event, *_) = service.catalogue.events.values()
    rows = ask.rows("ztf", "skymap", event_name=event.name, credible_level=0.99)
    assert rows
    assert len({row["i:objectId"] for row in rows}) == len(rows)
    assert {row["v:jdstartgw"] for row in rows} == {round(event.mjd + 2400000.5, 10)}
    assert all(event.mjd - 1 <= row["i:jd"] - 2400000.5 <= event.mjd + 6 for row in rows)
    smaller = ask.rows("ztf", "skymap", event_name=event.name, credible_level=0.001)
    assert len(smaller) < len(rows)
    assert (
        ask.rows("ztf", "skymap", event_name=event.name, credible_level=0.99, n_day_after=0, n_day_before=7)
        == []
    )
    assert ask.rows("ztf", "skymap", event_name="S200219ac", credible_level=0.1) == [
        {"status": "b'404 page not found'"}
    ]
    assert (
        ask.post(
            "ztf", "skymap", {"event_name": event.name, "credible_level": 1, "n_day_after": 15}
        ).status_code
        == 400
    )
    failure(ask.post("ztf", "skymap", {"credible_level": 0.1}))
    (row, *_) = ask.rows("lsst", "skymap", event_name=event.name, credible_level=1) or [
        {"v:startgwMjdTai": None}
    ]
    assert row["v:startgwMjdTai"] in (None, round(event.mjd + 37 / 86400, 10))


def test_a_credible_region_is_a_circle():
    """Of a two-dimensional Gaussian 39.35 % lie within one sigma, 86.47 % within two (Rayleigh distribution)."""
    event = Event("S260322a", 61121.0, 50.0, 0.0, 3.0)
    assert event.radius_deg(0.3935) == pytest.approx(3.0, rel=1e-3)
    assert event.radius_deg(0.8647) == pytest.approx(6.0, rel=1e-3)
    assert event.radius_deg(1) == 30
    assert event.holds(52.9, 0, 0.3935)
    assert not event.holds(53.1, 0, 0.3935)


def test_anomalies_and_tracklets():
    """The simulated sky has neither: alerts are given what Fink's modules would add."""
    catalogue = Catalogue()
    alerts = [one.alert for one in simulated_alerts(SEED, START, 60) if one.survey == "ztf"]
    alerts = list({alert["candid"]: alert for alert in alerts}.values())[:5]
    for n, alert in enumerate(alerts[:4]):
        more = {"anomaly_score": -0.01 * n, "tracklet": "TRCK_20260322_040500_01" if n < 2 else None}
        catalogue.add("ztf", alert | more)
    catalogue.add("ztf", alerts[4] | {"anomaly_score": None})
    with SimulatedService(catalogue) as running:
        ask = Asker(running)
        with ask.session:
            rows = ask.rows("ztf", "anomaly", n=2, columns="i:objectId,d:anomaly_score")
            assert [row["d:anomaly_score"] for row in rows] == [-0.03, -0.02]
            assert len(ask.rows("ztf", "anomaly")) == 4
            assert ask.rows("ztf", "anomaly", start_date="2026-04-01") == []
            failure(ask.post("ztf", "anomaly", {"start_date": 2461121.5}))
            for given, number in (
                ({"id": "TRCK_20260322_040500_01"}, 2), ({"date": "2026-03-22"}, 2), ({"date": "2026-03-22 04"}, 2),
                ({"date": "2026-03-22 04:05:00"}, 2), ({"date": "2026-03-22 05"}, 0), ({"id": "TRCK_2025"}, 0),
            ):  # fmt: skip
                assert len(ask.rows("ztf", "tracklet", **given)) == number
            assert "date or an ID" in refusal(ask.post("ztf", "tracklet", {}))
            failure(ask.post("ztf", "tracklet", {"date": "then"}))
            failure(ask.post("ztf", "ssocand", {"kind": "all"}))
            assert ask.rows("ztf", "ssocand", kind="orbParams") == []


def test_statistics(ask, service):
    (row,) = ask.rows("ztf", "statistics", date="20260322")
    assert row["basic:raw"] == len(service.catalogue.tables["ztf"].alerts)
    assert row["key:key"] == "ztf_20260322"
    assert isinstance(row["class:SN candidate"], str)
    (few,) = ask.rows("ztf", "statistics", date="2026", columns="basic:raw,basic:sci")
    assert few.keys() == {"basic:raw", "basic:sci", "key:key", "key:time"}
    assert few["key:time"] == datetime(2026, 3, 22, tzinfo=UTC).timestamp()
    assert ask.rows("ztf", "statistics", date="") == [row]
    assert ask.rows("ztf", "statistics", date="2025") == []
    (row,) = ask.rows("lsst", "statistics", date="202603")
    assert row["f:night"] == "20260322"
    assert int(row["f:alerts"]) == len(service.catalogue.tables["lsst"].alerts)
    assert sum(int(row[f"f:alerts_{band}"]) for band in "ugrizy") == int(row["f:alerts"])


@pytest.mark.parametrize(
    ("values", "label"),
    [
        ({}, "Unknown"),
        ({"d:snn_sn_vs_all": 0.9, "i:ndethist": 3}, "SN candidate"),
        ({"d:snn_sn_vs_all": 0.9, "i:ndethist": 3, "d:rf_snia_vs_nonia": 0.6}, "Early SN Ia candidate"),
        ({"d:snn_sn_vs_all": 0.9, "i:ndethist": 21, "d:rf_snia_vs_nonia": 0.6}, "SN candidate"),
        ({"d:mulens": 0.1}, "Microlensing candidate"),
        ({"d:roid": 2}, "Solar System candidate"),
        ({"d:roid": 3}, "Solar System MPC"),
        ({"d:roid": 2, "d:tracklet": "TRCK_1"}, "Tracklet"),
        ({"d:roid": 3, "d:mulens": 0.1}, "Ambiguous"),
        ({"d:roid": 3, "d:cdsxmatch": "Star"}, "Star"),
        ({"d:roid": 3, "d:cdsxmatch": "Galaxy"}, "Solar System MPC"),
        ({"d:roid": 3, "d:cdsxmatch": "GinGroup"}, "GinGroup"),
        ({"d:roid": 3, "d:cdsxmatch": "Fail 503"}, "Solar System MPC"),
        ({"d:mulens": 0.1, "d:cdsxmatch": "Transient"}, "Microlensing candidate"),
    ],
)
def test_fink_s_class(values, label):
    assert ztf_label({"i:jd": 2461121.5, "i:jdstarthist": 2461101.5, **values}) == label


# --- Rubin ----------------------------------------------------------------------------------------


def test_ids_of_rubin_are_text(ask, lsst):
    for endpoint in ("sources", "objects", "fp"):
        assert ask.rows("lsst", endpoint, diaObjectId=lsst.object_id)
        failure(ask.post("lsst", endpoint, {"diaObjectId": int(lsst.object_id)}))
    text = ask.post("lsst", "sources", {"diaObjectId": lsst.object_id, "columns": "r:diaObjectId"}).text
    assert f'"r:diaObjectId":{lsst.object_id}' in text  # bare integers beyond 2^53


def test_sources(ask, lsst):
    rows = ask.rows("lsst", "sources", diaObjectId=lsst.object_id)
    assert rows[0]["r:diaSourceId"] == int(lsst.alert_id)
    moment = rows[3]["r:midpointMjdTai"]
    assert (
        ask.rows("lsst", "sources", diaObjectId=lsst.object_id, midpointMjdTai=moment)[0]["r:diaSourceId"]
        == (rows[3]["r:diaSourceId"])
    )
    both = f"{lsst.object_id},{lsst.object_id}"
    assert "list" in refusal(ask.post("lsst", "sources", {"diaObjectId": both, "midpointMjdTai": moment}))
    # All rows have all columns; gaps are null, and in texts a word.
    assert len({tuple(row) for row in rows}) == 1
    assert not any(name.startswith(("d:", "i:")) for name in rows[0])
    gaps = {name for row in rows for name, value in row.items() if value == "None"}
    assert gaps == {"r:observation_reason", "r:target_name", "f:lsst_schema_version"}
    assert rows[0]["r:observation_reason"] == "simulated"
    assert rows[0]["r:timeWithdrawnMjdTai"] is None


def test_summaries(ask, lsst):
    (row,) = ask.rows("lsst", "objects", diaObjectId=lsst.object_id)
    assert row["r:diaObjectId"] == int(lsst.object_id)
    assert row["r:nDiaSources"] == len(ask.rows("lsst", "sources", diaObjectId=lsst.object_id))
    assert row["f:is_sso"] is False
    assert {f"r:{band}_psfFluxMean" for band in "ugrizy"} <= row.keys()


def test_forced_photometry_begins_with_the_second_detection():
    alert = next(
        one.alert
        for one in simulated_alerts(SEED, START)
        if one.survey == "lsst" and (one.alert["prvDiaSources"] or [])
    )
    object_id = str(alert["diaSource"]["diaObjectId"])
    for history, number in (([], 0), (alert["prvDiaSources"], len(alert["prvDiaForcedSources"]))):
        catalogue = Catalogue()
        catalogue.add("lsst", alert | {"prvDiaSources": history})
        with SimulatedService(catalogue) as running:
            ask = Asker(running)
            with ask.session:
                rows = ask.rows("lsst", "fp", diaObjectId=object_id)
        assert len(rows) == number
    assert rows[0].keys() == {
        f"r:{name}"
        for name in (
            "diaForcedSourceId", "diaObjectId", "ra", "dec", "visit", "detector", "psfFlux", "psfFluxErr",
            "midpointMjdTai", "scienceFlux", "scienceFluxErr", "band", "timeProcessedMjdTai", "timeWithdrawnMjdTai",
        )
    }  # fmt: skip


def at_rubin(lsst, **more):
    return {"ra": lsst.row["r:ra"], "dec": lsst.row["r:dec"], "radius": 5, **more}


def test_cone_of_rubin(ask, service, lsst):
    first = "f:firstDiaSourceMjdTaiFink"
    (row,) = ask.rows("lsst", "conesearch", **at_rubin(lsst, columns=f"r:diaObjectId,{first}"))
    assert list(row) == ["r:diaObjectId", first, "r:ra", "r:dec", "r:midpointMjdTai", "v:separation_degree"]
    assert row["r:diaObjectId"] == int(lsst.object_id)
    start = {"startdate": row[first] - 1}
    assert "firstDiaSource" in refusal(
        ask.post("lsst", "conesearch", at_rubin(lsst, columns="r:diaObjectId", **start))
    )
    assert (
        len(ask.rows("lsst", "conesearch", **at_rubin(lsst, columns=f"r:diaObjectId,{first}", **start))) == 1
    )
    assert len(ask.rows("lsst", "conesearch", **at_rubin(lsst, **start))) == 1
    # Dates are TAI: 37 s are not added.
    late = {"startdate": row[first] + 1 / 86400}
    assert ask.rows("lsst", "conesearch", **at_rubin(lsst, **late)) == []
    failure(ask.post("lsst", "conesearch", at_rubin(lsst, columns="r:ra")))
    body = next(a for a in service.catalogue.tables["lsst"].alerts.values() if a.body_row)
    assert ask.rows("lsst", "conesearch", **at_rubin(body)) == []


def test_tags(ask):
    rows = ask.rows("lsst", "tags", tag="hostless_candidate")
    assert len(rows) == 10
    many = ask.rows("lsst", "tags", tag="hostless_candidate", n="5000")
    assert len(many) > 30
    assert not {"r:nDiaSources", "r:a"} & many[0].keys()
    named = ask.rows("lsst", "tags", tag="in_tns", n=1000, columns="f:xm_tns_fullname")
    assert all(row["f:xm_tns_fullname"].startswith("SN 2026") for row in named)
    assert ask.rows("lsst", "tags", tag="faint_trails") == []
    assert ask.rows("lsst", "tags", tag="hostless_candidate", startdate="2026-04-01") == []
    failure(ask.post("lsst", "tags", {"tag": "hostless_candidate", "startdate": 61121}))
    for bad in ("uniform_sample", "nope", "fink_in_tns_lsst", 5, ["in_tns"]):
        response = ask.post("lsst", "tags", {"tag": bad})
        assert response.status_code == 400
        assert "not a valid tag" in response.text
        assert response.text.count("\n") > 2


def test_rubin_cutouts(ask, lsst):
    asked = {"diaSourceId": lsst.alert_id, "kind": "Template"}
    array = ask.post("lsst", "cutouts", asked | {"output-format": "array"}).json()
    assert (len(array["b:cutoutTemplate"]), len(array["b:cutoutTemplate"][0])) == (30, 30)
    fits = ask.post("lsst", "cutouts", asked | {"output-format": "FITS"}).content
    assert fits.count(b"XTENSION=") == 2
    unknown = ask.post("lsst", "cutouts", {"diaSourceId": "5", "kind": "Science"})
    assert (unknown.status_code, unknown.headers["Content-Type"], unknown.content) == (200, "image/png", b"")
    failure(ask.post("lsst", "cutouts", {"diaSourceId": int(lsst.alert_id), "kind": "Science"}))
    assert "kind=All" in refusal(ask.post("lsst", "cutouts", asked | {"kind": "All", "output-format": "PNG"}))


def test_rubin_bodies(ask, service):
    body = next(one for one in service.catalogue.bodies if one.ss_object_id)
    found = [ask.rows("lsst", "sso", n_or_d=name) for name in (body.name, body.packed)]
    assert found[0] == found[1] != []
    assert {row["f:sso_name"] for row in found[0]} == {body.name}
    assert {row["r:packed_primary_provisional_designation"] for row in found[0]} == {body.packed}
    (row, *_) = ask.rows("lsst", "sso", n_or_d=body.packed, columns="r:band")
    assert row.keys() == {"r:band", "f:sso_name"}
    assert 0 <= ask.rows("lsst", "sso", n_or_d=body.packed, withEphem="True")[0]["Phase"] < 30
    assert ask.rows("lsst", "sso", n_or_d="10P") == []
    assert "quaero" in refusal(ask.post("lsst", "sso", {"n_or_d": "kdflsjffld"}))
    asked = {"resolver": "ssodnet", "name_or_id": str(body.ss_object_id), "reverse": True}
    (named,) = ask.rows("lsst", "resolver", **asked)
    assert named["r:unpacked_primary_provisional_designation"] == body.name


def test_resolver_of_rubin(ask, service):
    alert = next(a for a in service.catalogue.tables["lsst"].alerts.values() if a.row["f:xm_tns_fullname"])
    name = alert.row["f:xm_tns_fullname"]
    (row, *_) = ask.rows("lsst", "resolver", resolver="tns", name_or_id=name)
    assert row["f:fullname"] == name
    assert separation_deg(row["f:ra"], row["f:declination"], alert.row["r:ra"], alert.row["r:dec"]) * 3600 < 2
    asked = {"resolver": "tns", "name_or_id": alert.object_id, "reverse": True}
    (row,) = ask.rows("lsst", "resolver", **asked)
    assert row["r:diaObjectId"] == int(alert.object_id)
    assert row["f:xm_tns_fullname"] == name
    # ZTF's argument is not Rubin's.
    assert "name_or_id" in refusal(ask.post("lsst", "resolver", {"resolver": "tns", "name": name}))


def test_schema_of_rubin(ask, lsst):
    sources = ask.post("lsst", "schema", {"endpoint": "/api/v1/sources"}).json()
    names = {name for columns in sources.values() for name in columns}
    assert {"psfFlux", "xm_tns_type", "is_sso"} <= names
    assert sources["Rubin original fields (r:)"]["psfFlux"]["type"] == "double"
    unknown = ask.post("lsst", "schema", {"endpoint": "/api/v1/latests"})
    assert unknown.status_code == 404
    assert unknown.headers["Content-Type"].startswith("text/html")


def test_a_supernova_that_both_surveys_see_has_one_name(service):
    shared = [one for one in service.catalogue.tns.objects if one.redshift and one.internal_names]
    assert shared
    for one in shared:
        assert not math.isnan(one.redshift)
        assert all(name.startswith("ZTF") for name in one.internal_names)
