"""What is wanted of Fink: recognised in a box of text, checked, turned into questions, kept as JSON."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from astropy import units
from astropy.coordinates import Angle

from tom_fink import conf
from tom_fink.errors import BadQuery, ConfigurationError
from tom_fink.search import Search, recognise
from tom_fink.search.coordinates import declination, position, right_ascension
from tom_fink.search.plan import left, needs_tags, plan

ZTF_ID, RUBIN_ID = "ZTF26aamcbly", "170028485706776685"
START, STOP = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 22, 4, tzinfo=UTC)
PLACE = {"ra_deg": 150.1, "dec_deg": 2.21}


# --- Positions --------------------------------------------------------------------------------

# 10:00:24 is 15 * (10 + 24 / 3600) = 150.1 degrees; 02:12:36 is 2 + 12 / 60 + 36 / 3600 = 2.21 degrees
SAME_PLACE = """
150.1 2.21
150.1, +2.21
150.1,2.21
150.1; 2.21
150.1+2.21
150.1° 2.21°
10:00:24 +02:12:36
10:00:24.0 2:12:36.0
10:00:24, +02:12:36
10:00:24+02:12:36
10h00m24s +2d12m36s
10h 00m 24s 2d 12m 36s
10h00m24s, +2°12'36"
10h00m24s +2°12′36″
10 00 24 +02 12 36
10 00 24 02 12 36
10 0.4 2 12.6
10h0.4m +2d12.6m
10H00M24S +2D12M36S
150d06m00s +2d12m36s
J2000 10:00:24 +02:12:36
RA 10:00:24 Dec +02:12:36
RA=150.1, Dec=2.21
(150.1, 2.21)
[150.1 2.21]
10h00m24s,02d12m36s (J2000)
(10:00:24 +02:12:36) (ICRS)
J100024.00+021236.0
SDSS J100024.0+021236
WISE J100024.00+021236.0
"""


@pytest.mark.parametrize("text", SAME_PLACE.strip().splitlines())
def test_a_position_in_the_usual_spellings(text):
    assert position(text) == pytest.approx((150.1, 2.21), abs=1e-9)
    found = recognise(f" {text} ", "lsst")
    assert (found["ra_deg"], found["dec_deg"]) == pytest.approx((150.1, 2.21), abs=1e-9)


@pytest.mark.parametrize(
    ("text", "ra_deg", "dec_deg"),
    [
        ("10:00:24 -02:12:36", 150.1, -2.21),
        ("10:00:24-00:30:00", 150.1, -0.5),  # the sign of nothing
        ("10 00 24 −00 30 00", 150.1, -0.5),
        ("J100024-003000", 150.1, -0.5),
        ("0 -90", 0, -90),
        ("360 90", 0, 90),
        ("23:59:59.99 +00:00:00.01", 359.9999583333, 0.0000027778),
        (".5 -.5", 0.5, -0.5),
    ],
)
def test_signs_and_ends(text, ra_deg, dec_deg):
    assert position(text) == pytest.approx((ra_deg, dec_deg), abs=1e-9)


@pytest.mark.parametrize(
    "text",
    ["M 31", "NGC 4993", "PG 1115+080", "3C 273", "433", "2004 JQ12", "SN 2023vwy", "PSR J1012+5307", "HD 12345",
     "1E 0657-56", "10P", "2MASS J10002400+0212360", "a" * 10_000, "1" * 10_000, "10:00:24", "1 2 3", "", "-", ",",
     "nan nan", "1e2 3", "SDSS J1000+0212"],
)  # fmt: skip
def test_a_name_is_no_position(text):
    assert position(text) is None


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("361 2", "ra_deg"),
        ("25:00:00 +02:12:36", "ra_deg"),
        ("-10:00:00 +02:12:36", "ra_deg"),
        ("150.1 91", "dec_deg"),
        ("150.1 -90.5", "dec_deg"),
        ("10:60:00 +02:12:36", "ra_deg"),
        ("10:00:24 +02:12:61", "dec_deg"),
        ("10:00:24 +90:00:01", "dec_deg"),
        ("10.5:00:24 +02:12:36", "ra_deg"),
        ("10h 2h", "dec_deg"),
    ],
)
def test_a_position_that_cannot_be_is_told_from_a_name(text, field):
    with pytest.raises(BadQuery) as caught:
        position(text)
    assert caught.value.field == field


@pytest.mark.parametrize("text", ["150.1", "10:00:24", "10h00m24s", "10 00 24", "150d06m", "10.0066666667h"])
def test_right_ascension_alone(text):
    assert right_ascension(text) == pytest.approx(150.1, abs=1e-8)


@pytest.mark.parametrize("text", ["2.21", "+02:12:36", "2d12m36s", "2 12 36", "+2°12'36\""])
def test_declination_alone(text):
    assert declination(text) == pytest.approx(2.21, abs=1e-9)


@pytest.mark.parametrize(("read", "field"), [(right_ascension, "ra_deg"), (declination, "dec_deg")])
@pytest.mark.parametrize("text", ["", "here", "1 2 3 4", "--1", "1,2", "x" * 1000])
def test_no_angle(read, field, text):
    with pytest.raises(BadQuery, match="is no angle such as") as caught:
        read(text)
    assert caught.value.field == field


@pytest.mark.parametrize("text", ["150.1 2.2", "10 00 24 +02 12 36", "10:00:24, -02:12:36"])
def test_a_position_in_the_place_of_a_right_ascension(text):
    with pytest.raises(
        BadQuery, match="but a position: with a declination beside it that is given twice"
    ) as caught:
        right_ascension(text)
    assert caught.value.field == "ra_deg"


def test_astropy_reads_the_same():
    for text in ("10:00:24.123", "23h59m59.5s", "0 0 0.01"):
        assert right_ascension(text) == pytest.approx(Angle(text, units.hourangle).deg, abs=1e-10)
    for text in ("-89:59:59.9", "+12d34m56.7s", "-0 0 0.5", "45.6789"):
        assert declination(text) == pytest.approx(Angle(text, units.deg).deg, abs=1e-10)


# --- One box of text --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "survey", "found"),
    [
        (ZTF_ID, "ztf", {"object_ids": (ZTF_ID,)}),
        (f"{ZTF_ID}, ZTF26aaklfaa\nZTF26aamcbly", "ztf", {"object_ids": (ZTF_ID, "ZTF26aaklfaa")}),
        ("ztf26AAMCBLY", "ztf", {"object_ids": (ZTF_ID,)}),
        ("ZTF26AAMCBLY", "ztf", {"object_ids": (ZTF_ID,)}),
        ("ztf 26aamcbly", "ztf", {"object_ids": (ZTF_ID,)}),
        ("ztf26aamcbly, Ztf26aaklfaa", "ztf", {"object_ids": (ZTF_ID, "ZTF26aaklfaa")}),
        (f"({RUBIN_ID})", "lsst", {"object_ids": (RUBIN_ID,)}),
        ("s230518h", "ztf", {"event": "S230518h"}),
        ("gw170817", "lsst", {"event": "GW170817"}),
        ("(433)", "ztf", {"body": "433"}),
        ("433 Eros", "ztf", {"name": "433 Eros"}),
        ("(433) Eros", "ztf", {"name": "(433) Eros"}),
        (RUBIN_ID, "lsst", {"object_ids": (RUBIN_ID,)}),
        ("TRCK_20211022_072953_01", "ztf", {"tracklet": "TRCK_20211022_072953_01"}),
        ("S200219ac", "lsst", {"event": "S200219ac"}),
        ("GW170817", "ztf", {"event": "GW170817"}),
        ("8467", "ztf", {"body": "8467"}),
        ("2004 JQ12", "lsst", {"body": "2004 JQ12"}),
        ("2004JQ12", "ztf", {"body": "2004JQ12"}),
        ("K04J12Q", "lsst", {"body": "K04J12Q"}),
        ("C/2020 V2 (ZTF)", "ztf", {"body": "C/2020 V2 (ZTF)"}),
        ("10P", "ztf", {"body": "10P"}),
        ("1P/Halley", "ztf", {"body": "1P/Halley"}),
        ("SN 2023vwy", "ztf", {"name": "SN 2023vwy"}),
        ("2023vwy", "ztf", {"name": "2023vwy"}),
        ("2023abcd", "ztf", {"name": "2023abcd"}),
        ("M 31", "lsst", {"name": "M 31"}),
        ("Benoitcarry", "ztf", {"name": "Benoitcarry"}),
    ],
)
def test_a_text_is_recognised(text, survey, found):
    assert recognise(text, survey) == found
    Search(survey, **found)


@pytest.mark.parametrize(
    ("text", "survey", "says"),
    [
        (ZTF_ID, "lsst", "It has the form of ZTF's ids: search there"),
        (RUBIN_ID, "ztf", "It has the form of Rubin's ids: search there"),
        (f"{RUBIN_ID} {ZTF_ID}", "ztf", "It has the form of Rubin's ids: search there"),
        (" ".join(f"ZTF26a{number}" for number in range(51)), "ztf", "Between 1 and 50 ids"),
        ("  ", "ztf", "Give an id"),
        ("x" * 101, "ztf", "up to 100 characters"),
        ("3367463101415010117", "ztf", "has the form of Rubin's ids"),  # one of ZTF's alerts
        ("()", "ztf", "Give an id"),
        ("400 2", "ztf", "Right ascension"),
        ("1" * 100_000 + "x", "lsst", "up to 100 characters"),
    ],
)
def test_a_text_that_cannot_be_searched_for(text, survey, says):
    with pytest.raises(BadQuery, match=says):
        recognise(text, survey)


# --- A search ---------------------------------------------------------------------------------

FULL = {
    "ztf": Search(
        "ztf", (ZTF_ID,), 150.1, 2.21, 30.0, "M 31", "simbad", ("SN candidate", "(TNS) SN Ia"), (), START, STOP, "first",
        "8467", "2021-10-22", True, "S200219ac", 0.5, 2.0, 3.0, 7, 15.0, 19.5, ("g", "r"), 4,
    ),
    "lsst": Search(
        "lsst", (RUBIN_ID,), 150.1, 2.21, 30.0, tags=("hostless_candidate",), start=START, body="2004 JQ12",
        event="S200219ac", bands=("y",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("search", [*FULL.values(), Search("ztf", body="8467")], ids=["ztf", "lsst", "short"])
def test_a_search_is_kept_as_json(search):
    kept = json.loads(json.dumps(search.to_dict()))
    assert Search.from_dict(kept) == search
    assert hash(Search.from_dict(kept)) == hash(search)


def test_what_is_kept_is_what_was_given():
    assert Search("ztf", body="8467", start=START).to_dict() == {
        "survey": "ztf",
        "body": "8467",
        "start": "2026-03-01T00:00:00+00:00",
    }


def test_values_become_what_they_are():
    search = Search(
        "ztf", [ZTF_ID, ZTF_ID], "150.1", "2", "5", classes=" SN candidate ", n="7", min_detections="3"
    )
    assert (search.object_ids, search.classes) == ((ZTF_ID,), ("SN candidate",))
    assert (search.ra_deg, search.dec_deg, search.radius_arcsec) == (150.1, 2.0, 5.0)
    assert (search.n, search.min_detections) == (7, 3)


@pytest.mark.parametrize(
    ("given", "field", "says"),
    [
        ({}, "", "Say what to search for"),
        ({"faintest_mag_ab": 19}, "", "Say what to search for"),
        ({"survey": "mm", "body": "8467"}, "survey", "'mm' is none of ztf, lsst"),
        ({"object_ids": (RUBIN_ID,)}, "object_ids", "search there"),
        ({"object_ids": (5,)}, "object_ids", "takes text"),
        ({"ra_deg": 10}, "dec_deg", "right ascension and a declination"),
        ({"dec_deg": 10}, "ra_deg", "right ascension and a declination"),
        ({"ra_deg": 361, "dec_deg": 2}, "ra_deg", "0 to 360"),
        ({"ra_deg": 1, "dec_deg": float("nan")}, "dec_deg", "-90 to 90"),
        (PLACE | {"radius_arcsec": 18_001}, "radius_arcsec", "18000 arc seconds"),
        (PLACE | {"radius_arcsec": 0}, "radius_arcsec", "18000 arc seconds"),
        ({"name": "M 31", "resolver": "ned"}, "resolver", "none of tns, simbad, ssodnet"),
        ({"name": "x" * 101}, "name", "up to 100"),
        ({"name": 5}, "name", "takes text"),
        ({"classes": "\x00"}, "classes", "class has a name"),
        ({"classes": [f"c{number}" for number in range(31)]}, "classes", "Up to 30"),
        ({"tags": "hostless_candidate"}, "tags", "classes and no tags"),
        ({"survey": "lsst", "classes": "SN candidate"}, "classes", "tags and no classes"),
        ({"survey": "lsst", "tags": "a b"}, "tags", "letters, digits and _"),
        ({"survey": "lsst", "tracklet": "2021-10-22"}, "tracklet", "ZTF's alone"),
        ({"survey": "lsst", "anomalies": True}, "anomalies", "ZTF's alone"),
        ({"tracklet": "yesterday"}, "tracklet", "TRCK_YYYYMMDD"),
        ({"event": "../x"}, "event", "GraceDB"),
        ({"event": "S200219ac", "credible_level": 90}, "credible_level", "0.001 to 1"),
        ({"event": "S200219ac", "days_after": 15}, "days_after", "0 to 14"),
        ({"body": "a,b"}, "body", "number, a name"),
        ({"start": STOP, "stop": START}, "stop", "not after its start"),
        ({"start": datetime(2026, 3, 1)}, "start", "time zone"),  # noqa: DTZ001 - what is refused
        ({"start": "2026-03-01"}, "start", "takes a time"),
        ({"start": START, "dates_of": "sky"}, "dates_of", "alerts, first"),
        ({"body": "8467", "n": 0}, "n", "1 to 10000"),
        ({"body": "8467", "bands": ("y",)}, "bands", "none of g, r, i"),
        ({"body": "8467", "brightest_mag_ab": 19, "faintest_mag_ab": 18}, "faintest_mag_ab", "not above"),
        ({"body": "8467", "brightest_mag_ab": "bright"}, "brightest_mag_ab", "-30 to 60"),
        ({"body": "8467", "min_detections": -1}, "min_detections", "0 to 10000"),
    ],
)  # fmt: skip
def test_what_cannot_be_wanted_is_said_by_field(given, field, says):
    with pytest.raises(BadQuery, match=says) as caught:
        Search(**{"survey": "ztf"} | given)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("kept", "says"),
    [
        ({"survey": "ztf", "x": 1}, "no 'x'"),
        ({"survey": "ztf", "start": "soon"}, "no time"),
        ({}, "none of ztf"),
    ],
)
def test_what_was_kept_and_is_no_search(kept, says):
    with pytest.raises(BadQuery, match=says):
        Search.from_dict(kept)


# --- Which questions are asked ----------------------------------------------------------------


def asked(search: Search, tags: tuple[str, ...] = ()) -> list[tuple[str, dict]]:
    """Endpoint and payload of each question, without what all have."""
    rest = ("columns", "output-format")
    return [
        (query.endpoint, {name: value for name, value in query.payload.items() if name not in rest})
        for step in plan(search, tags)
        for query in step.queries
    ]


CONE = {"ra": "150.10000000", "dec": "2.21000000", "radius": "5"}
DATES = {"startdate": "2026-03-01 00:00:00", "stopdate": "2026-03-22 04:00:00"}
TAI_DATES = {"startdate": "2026-03-01 00:00:37", "stopdate": "2026-03-22 04:00:37"}
BETWEEN = {"start": START, "stop": STOP}


@pytest.mark.parametrize(
    ("survey", "given", "expected"),
    [
        ("ztf", {"object_ids": ZTF_ID}, [("objects", {"objectId": ZTF_ID})]),
        ("lsst", {"object_ids": RUBIN_ID}, [("sources", {"diaObjectId": RUBIN_ID})]),
        ("ztf", PLACE, [("conesearch", CONE | {"n": 1000})]),
        ("lsst", PLACE | {"n": 2000, "radius_arcsec": 60}, [("conesearch", CONE | {"n": 4000, "radius": "60"})]),
        ("ztf", {"classes": "SN candidate"}, [("latests", {"class": "SN candidate", "n": 200})]),
        ("ztf", {"classes": ("Kilonova candidate", "(TNS) SN Ia"), "n": 5} | BETWEEN,
         [("latests", {"class": label, "n": 10} | DATES) for label in ("Kilonova candidate", "(TNS) SN Ia")]),
        ("lsst", {"tags": "hostless_candidate"} | BETWEEN,
         [("tags", {"tag": "hostless_candidate", "n": 200} | TAI_DATES)]),
        ("ztf", {"body": "8467"}, [("sso", {"n_or_d": "8467"})]),
        ("ztf", {"tracklet": "2021-10-22"}, [("tracklet", {"date": "2021-10-22"})]),
        ("ztf", {"anomalies": True, "start": START}, [("anomaly", {"n": 200, "start_date": DATES["startdate"]})]),
        ("ztf", {"event": "S200219ac"},
         [("skymap", {"event_name": "S200219ac", "credible_level": 0.9, "n_day_before": 1, "n_day_after": 6})]),
        ("lsst", {"event": "S200219ac"}, [("skymap", {"event_name": "S200219ac", "credible_level": 0.9})]),
        # A cone's dates are those of the first detection; of the alerts they are looked for in the rows.
        ("ztf", PLACE | BETWEEN | {"dates_of": "first"}, [("conesearch", CONE | {"n": 1000} | DATES)]),
        ("ztf", PLACE | BETWEEN, [("conesearch", CONE | {"n": 10_000})]),
        # An object that was seen first then has no alert before
        ("ztf", {"classes": "SN candidate", "dates_of": "first"} | BETWEEN,
         [("latests", {"class": "SN candidate", "n": 10_000, "startdate": DATES["startdate"]})]),
        # The most selective question, and the rest in the rows; all is asked for then
        ("ztf", PLACE | {"classes": "SN candidate"} | BETWEEN, [("conesearch", CONE | {"n": 10_000})]),
        ("ztf", PLACE | {"object_ids": ZTF_ID, "anomalies": True}, [("objects", {"objectId": ZTF_ID})]),
        ("ztf", {"anomalies": True, "classes": "SN candidate"},
         [("latests", {"class": "SN candidate", "n": 10_000})]),
        ("ztf", {"classes": "SN candidate", "faintest_mag_ab": 19},
         [("latests", {"class": "SN candidate", "n": 10_000})]),
        # Fewer results are fewer rows, as far as that can be
        ("ztf", {"classes": "SN candidate", "faintest_mag_ab": 19, "n": 5},
         [("latests", {"class": "SN candidate", "n": 500})]),
        # Of a wide cone fewer rows of each part of the sky: 446 of ZTF's of 0.21 square degrees, 24,584 of Rubin's
        ("ztf", PLACE | {"radius_arcsec": 18_000}, [("conesearch", CONE | {"n": 89, "radius": "18000"})]),
        ("lsst", PLACE | {"radius_arcsec": 18_000}, [("conesearch", CONE | {"n": 1, "radius": "18000"})]),
        # What only Fink knows is asked, each
        ("lsst", PLACE | {"tags": "in_tns"}, [("tags", {"tag": "in_tns", "n": 10_000})]),
        ("lsst", {"event": "S200219ac", "tags": "in_tns"},
         [("skymap", {"event_name": "S200219ac", "credible_level": 0.9}), ("tags", {"tag": "in_tns", "n": 10_000})]),
    ],
)  # fmt: skip
def test_what_is_asked(survey, given, expected):
    assert asked(Search(survey, **given)) == expected


def test_dates_alone_are_asked_of_each_class_or_tag():
    found = asked(Search("ztf", **BETWEEN))
    assert len(found) == 11
    assert found[0] == ("latests", {"class": "Early SN Ia candidate", "n": 200} | DATES)
    search = Search("lsst", **BETWEEN)
    assert needs_tags(search)
    assert asked(search, ("a", "b")) == [("tags", {"tag": tag, "n": 200} | TAI_DATES) for tag in "ab"]
    assert not needs_tags(Search("lsst", **BETWEEN, **PLACE))


def test_many_ids_are_asked_for_in_parts():
    ids = [f"ZTF26aaaaa{letter}" for letter in "abcdefghijklmnopqrstuvw"]
    parts = [payload["objectId"].split(",") for _, payload in asked(Search("ztf", ids))]
    assert [len(part) for part in parts] == [10, 10, 3]
    assert [one for part in parts for one in part] == ids


@pytest.mark.parametrize(
    ("survey", "given", "expected"),
    [
        ("ztf", {"classes": "SN candidate"} | BETWEEN, set()),
        ("ztf", {"classes": "SN candidate", "dates_of": "first"} | BETWEEN, {"dates"}),
        ("ztf", BETWEEN | {"dates_of": "first"}, {"dates"}),
        ("ztf", PLACE | BETWEEN | {"dates_of": "first"}, set()),
        ("ztf", PLACE | BETWEEN | {"classes": "SN candidate"}, {"dates", "classes"}),
        ("lsst", PLACE | {"tags": "in_tns", "event": "S200219ac", "body": "1"}, {"cone"}),
    ],
)
def test_what_is_left_for_the_rows(survey, given, expected):
    search = Search(survey, **given)
    assert left(search, plan(search)) == expected


def test_searching_does_without_django():
    code = "import sys, tom_fink.search; print('django' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [("FINK_API_ZTF_URL", "ftp://x"), ("FINK_API_LSST_URL", "x"), ("FINK_API_TIMEOUT", 0.0)],
)
def test_a_check_of_the_settings_reads_those_of_the_apis(name, value, settings):
    conf.check()
    setattr(settings, name, value)
    with pytest.raises(ConfigurationError, match=name):
        conf.check()
