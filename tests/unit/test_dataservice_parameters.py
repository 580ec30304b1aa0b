"""What a form holds, as searches; and light curves of the height of a line."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from tom_fink.dataservices.parameters import searches
from tom_fink.dataservices.sparkline import HEIGHT, MARGIN, MAX_POINTS, WIDTH, sparkline
from tom_fink.errors import BadQuery

NIGHT = datetime(2026, 3, 22, 4, tzinfo=UTC)


def ztf(**parameters):
    return searches(parameters, ("ztf",))["ztf"]


@pytest.mark.parametrize(
    ("parameters", "field", "value"),
    [
        ({"what": "ZTF26aamcbly"}, "object_ids", ("ZTF26aamcbly",)),
        ({"object_ids": "ZTF26aamcbly, ZTF26aaklfaa"}, "object_ids", ("ZTF26aamcbly", "ZTF26aaklfaa")),
        # 10 h 0 m 24 s are 150.1 degrees: (10 + 24 / 3600) * 15
        ({"ra": "10:00:24", "dec": "+02:12:36"}, "ra_deg", 150.1),
        ({"ra": "10:00:24", "dec": "+02:12:36"}, "dec_deg", 2.21),
        ({"ra": "10:00:24 +02:12:36"}, "dec_deg", 2.21),
        ({"what": "150.1 2.21", "radius": 0.5, "radius_unit": "arcmin"}, "radius_arcsec", 30.0),
        ({"what": "150.1 2.21", "radius": 1, "radius_unit": "deg"}, "radius_arcsec", 3600.0),
        ({"what": "150.1 2.21", "radius": None, "radius_unit": "deg"}, "radius_arcsec", None),
        ({"what": "SN 2026abc"}, "name", "SN 2026abc"),
        ({"what": "8467"}, "body", "8467"),
        ({"classes": "SN candidate; (TNS) SN Ia;"}, "classes", ("SN candidate", "(TNS) SN Ia")),
        ({"start": "2026-03-22"}, "start", datetime(2026, 3, 22, tzinfo=UTC)),
        ({"start": "2026-03-22 04:00+02:00"}, "start", datetime(2026, 3, 22, 2, tzinfo=UTC)),
        ({"stop": "2026-03-22"}, "stop", datetime(2026, 3, 23, tzinfo=UTC)),  # that day is in it
        ({"stop": "20260322"}, "stop", datetime(2026, 3, 23, tzinfo=UTC)),
        ({"stop": "2026-W12-7"}, "stop", datetime(2026, 3, 23, tzinfo=UTC)),  # the Sunday
        ({"stop": "2026-03-22 00:00"}, "stop", datetime(2026, 3, 22, tzinfo=UTC)),
        # MJD 61121 is 2026-03-22, JD 2461121.5 its start
        ({"start": "61121"}, "start", datetime(2026, 3, 22, tzinfo=UTC)),
        ({"stop": "61121"}, "stop", datetime(2026, 3, 23, tzinfo=UTC)),
        ({"start": "61121.25"}, "start", datetime(2026, 3, 22, 6, tzinfo=UTC)),
        ({"stop": "61121.0"}, "stop", datetime(2026, 3, 22, tzinfo=UTC)),
        ({"stop": "2461121.75"}, "stop", datetime(2026, 3, 22, 6, tzinfo=UTC)),
        ({"start": "2461122"}, "start", datetime(2026, 3, 22, 12, tzinfo=UTC)),
        ({"event": "S230518h", "days_before": 3.0}, "days_before", 3.0),
        ({"what": "S230518h", "credible_level": 0.5}, "credible_level", 0.5),
        ({"what": "SN 2026abc", "resolver": "tns"}, "resolver", "tns"),
        ({"name": "SN 2026abc", "radius": 7}, "radius_arcsec", 7.0),
        ({"what": "SN 2026abc", "brightest_mag_ab": 0.0}, "brightest_mag_ab", 0.0),
        ({"what": "SN 2026abc", "n": ""}, "n", 100),
        ({"anomalies": True}, "anomalies", True),
    ],
)
def test_fields_become_criteria(parameters, field, value):
    found = getattr(ztf(**parameters), field)
    assert found == (pytest.approx(value, abs=1e-9) if isinstance(value, float) else value)


def test_what_tom_toolkit_adds_is_no_criterion():
    of_tom = {"data_service": "Fink ZTF", "query_save": True, "query_name": "mine"}
    assert ztf(what="SN 2026abc", **of_tom) == ztf(what="SN 2026abc")


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"what": "150.1 2.21", "radius": 6, "radius_unit": "deg"}, "radius"),
        ({"what": "150.1 2.21", "radius": "wide"}, "radius"),
        ({"what": "SN 2026abc", "name": "SN 2026abd"}, "name"),
        ({"what": "99:99:99 +10:00:00"}, "what"),
        ({"stop": "9999-12-31"}, "stop"),
        ({"start": "6112"}, "start"),
        ({"start": "2361121.5"}, "start"),
        ({"what": "ZTF26aamcbly", "radius": 5}, "radius"),
        ({"what": "ZTF26aamcbly", "resolver": "tns"}, "resolver"),
        ({"what": "150.1 2.21", "resolver": "tns"}, "resolver"),
        ({"what": "150.1 2.21", "credible_level": 0.9}, "credible_level"),
        ({"what": "150.1 2.21", "days_before": 1}, "days_before"),
        ({"classes": "SN candidate", "days_after": 0.0}, "days_after"),
        ({"tags": "in_tns"}, "tags"),
        ({"what": "170028485706776685"}, "what"),
        ({"redshift": 1}, ""),
        ({}, ""),
    ],
)
def test_errors_name_the_form_s_field(parameters, field):
    with pytest.raises(BadQuery) as error:
        ztf(**parameters)
    assert error.value.field == field


def test_ids_are_asked_of_their_own_survey_alone():
    both = ("ztf", "lsst")
    assert list(searches({"what": "ZTF26aamcbly"}, both)) == ["ztf"]
    assert list(searches({"what": "170028485706776685"}, both)) == ["lsst"]
    assert list(searches({"what": "150.1 2.21"}, both)) == ["ztf", "lsst"]
    for field in ("what", "object_ids"):
        found = searches({field: "ZTF26aamcbly, 170028485706776685 ZTF26aaklfaa"}, both)
        assert found["ztf"].object_ids == ("ZTF26aamcbly", "ZTF26aaklfaa")
        assert found["lsst"].object_ids == ("170028485706776685",)
    with pytest.raises(BadQuery):
        searches({"object_ids": "ZTF26aamcbly nonsense 170028485706776685"}, both)


def dots(svg):
    return [(int(x), int(y)) for x, y in re.findall(r"M(\d+) (\d+)h0", svg)]


def test_a_sparkline_has_time_to_the_right_and_brightness_upwards():
    svg = sparkline([(NIGHT + timedelta(days=1), "r", 18.0), (NIGHT, "g", 20.0)])
    assert sorted(dots(svg)) == [(MARGIN, HEIGHT - MARGIN), (WIDTH - MARGIN, MARGIN)]
    assert svg.count("<path") == 2  # a colour for each band
    assert "2 points, 18.0 to 20.0 mag" in svg


def test_a_sparkline_of_little_change_is_not_stretched():
    ys = [y for _, y in dots(sparkline([(NIGHT, "r", 18.0), (NIGHT + timedelta(days=1), "r", 18.05)]))]
    # 0.05 of 0.5 mag, which the height between the margins stands for
    assert max(ys) - min(ys) <= 0.1 * (HEIGHT - 2 * MARGIN) + 1


def test_a_sparkline_needs_two_points_and_has_a_bounded_size():
    assert sparkline([(NIGHT, "r", 18.0), (NIGHT, "r", None)]) == ""
    assert len(dots(sparkline([(NIGHT + timedelta(days=n), "r", 18.0) for n in range(500)]))) == MAX_POINTS
    assert "<script>" not in sparkline([(NIGHT, "<script>", 18.0)] * 2)
