"""The shared expressions against values worked out by hand."""

import math
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from tom_fink import fields, frames


def value(expression: pl.Expr):
    """The single value of an expression without columns."""
    return pl.select(expression).item()


@pytest.mark.parametrize(
    ("jd", "utc"),
    [
        (2440587.5, datetime(1970, 1, 1, tzinfo=UTC)),  # the Unix epoch, by definition
        (2451545.0, datetime(2000, 1, 1, 12, tzinfo=UTC)),  # J2000.0 (IAU 1994)
        # 0.4631019 d after 0 h = 40012.00416 s = 11:06:52.00416
        (2461121.9631019, datetime(2026, 3, 22, 11, 6, 52, 4000, tzinfo=UTC)),
    ],
)
def test_utc_from_jd(jd, utc):
    assert value(frames.utc_from_jd(pl.lit(jd))) == utc


@pytest.mark.parametrize(
    ("mjd_tai", "utc"),
    [
        # TAI was 37 s ahead of UTC at 2017-01-01T00:00:00 UTC = MJD 57754 (IERS Bulletin C 52)
        (57754 + 37 / 86400, datetime(2017, 1, 1, tzinfo=UTC)),
        # 0.093643486834 d = 8090.797262 s; less 37 s = 8053.797262 s = 02:14:13.797
        (61105.093643486834, datetime(2026, 3, 6, 2, 14, 13, 797000, tzinfo=UTC)),
    ],
)
def test_utc_from_mjd_tai(mjd_tai, utc):
    assert value(frames.utc_from_mjd_tai(pl.lit(mjd_tai))) == utc


@pytest.mark.parametrize("jd", [None, math.nan, math.inf, -math.inf, 0.0, 1e300, 2433282.4, 2488070.0])
def test_a_time_that_cannot_be_is_null(jd):
    """Before 1950 (JD 2433282.5) and after 2100 (JD 2488069.5)."""
    assert value(frames.utc_from_jd(pl.lit(jd, pl.Float64))) is None


def test_utc_from_text():
    text = pl.lit("2026-03-22 13:28:18.277568")
    assert value(frames.utc_from_text(text)) == datetime(2026, 3, 22, 13, 28, 18, 277000, tzinfo=UTC)
    assert value(frames.utc_from_text(pl.lit("yesterday"))) is None


@pytest.mark.parametrize(
    ("flux_njy", "mag_ab"),
    [
        (1000.0, 23.9),  # one microjansky: 31.4 - 2.5 * 3
        (1.0, 31.4),
        (3.631e9, 7.5),  # 3.631 Jy is a thousandth of zero magnitude: 7.5 (7.49993 with 31.4 for 31.40006)
        (15362.61328125, 20.9338),  # 31.4 - 2.5 log10(15362.613) = 20.93384
        (0.0, None),
        (-5.0, None),
        (None, None),
    ],
)
def test_mag_of_flux(flux_njy, mag_ab):
    found = value(frames.mag_of_flux(pl.lit(flux_njy, pl.Float64)))
    assert found == mag_ab or found == pytest.approx(mag_ab, abs=1e-4)


def test_mag_error_of_flux():
    """1.0857 * 406.541 / 15362.613 = 0.02873; the sign of the flux does not matter."""
    for sign in (1, -1):
        found = value(frames.mag_error_of_flux(pl.lit(sign * 15362.61328125), pl.lit(406.541015625)))
        assert found == 0.0287


def test_flux_of_mag_is_the_inverse():
    assert value(frames.flux_of_mag(pl.lit(23.9))) == pytest.approx(1000.0)


def test_a_float32_and_its_print_in_the_api_become_one_value():
    """The stream brings float32, the REST API the same number with ten decimals."""
    rng = np.random.default_rng(7)
    singles = rng.uniform(10, 25, 20_000).astype(np.float32)
    from_stream = pl.Series(singles).cast(pl.Float64)
    from_api = pl.Series([float(f"{single:.10f}") for single in singles])
    rounded = pl.DataFrame({"stream": from_stream, "api": from_api}).select(
        frames.rounded(pl.col("stream", "api"))
    )
    assert rounded["stream"].equals(rounded["api"])
    fluxes = pl.DataFrame({"stream": from_stream * 100 - 1500, "api": (from_stream * 100 - 1500).round(10)})
    mags = fluxes.select(frames.mag_of_flux(pl.col(name)).alias(name) for name in ("stream", "api"))
    assert mags["stream"].equals(mags["api"])


def test_a_time_in_the_stream_and_its_print_in_the_api_become_one_value():
    rng = np.random.default_rng(8)
    mjd = pl.Series(61105 + rng.uniform(0, 1, 20_000))
    printed = pl.Series([float(f"{time:.10f}") for time in mjd])
    times = pl.DataFrame({"stream": mjd, "api": printed}).select(
        frames.utc_from_mjd_tai(pl.col(name)).alias(name) for name in ("stream", "api")
    )
    assert times["stream"].equals(times["api"])


@pytest.mark.parametrize("word", ["", " ", "null", "nan", "None", "Unknown"])
def test_words_that_mean_missing(word):
    frame = pl.DataFrame({"a": [word]})
    assert frame.select(fields.text(frame.schema, "a")).item() is None
    assert frame.select(fields.label(frame.schema, "a")).item() is None


def test_a_label_is_cleaned_and_a_text_is_not():
    """A text may be an id: it must not become another one."""
    frame = pl.DataFrame({"a": ["  ZTF\x0018\u202e  ", "\0", "x" * 101]})
    assert frame.select(fields.label(frame.schema, "a")).to_series().to_list() == ["ZTF18", None, "x" * 100]
    assert frame.select(fields.text(frame.schema, "a")).to_series()[0] == "ZTF\x0018\u202e"


@pytest.mark.parametrize("number", [-999.0, math.nan, math.inf, None])
def test_numbers_that_mean_missing(number):
    frame = pl.DataFrame({"a": [number]}, schema={"a": pl.Float64})
    assert frame.select(fields.number(frame.schema, "a")).item() is None


def test_pick_reads_fields_of_records_and_what_is_not_there_as_null():
    frame = fields.flattened(pl.DataFrame({"a": [{"b": "1.5", "c": {"d": 2}}], "e": [3], "f": [[4]]}))
    assert frame.columns == ["a.b", "a.c", "e"], "lists are left out"
    assert frame.select(fields.pick(frame.schema, "a.b", pl.Float64)).item() == 1.5
    for path in ("a.x", "x.b", "x", "a", "a.c", "f"):
        assert frame.select(fields.pick(frame.schema, path, pl.Float64)).item() is None


def test_a_record_that_is_missing_has_no_fields():
    frame = pl.DataFrame({"a": [{"b": 1}, None]}, schema={"a": pl.Struct({"b": pl.Int64})})
    assert fields.flattened(frame).rows() == [(1,), (None,)]


def test_a_field_of_a_record_goes_before_a_column_that_has_its_path_for_a_name():
    """No Avro name has a dot in it, but a hostile schema's may."""
    frame = pl.DataFrame({"a.b": [1], "a": [{"b": 2}]})
    assert fields.flattened(frame).rows(named=True) == [{"a.b": 2}]


def test_records_of_a_column_or_a_list_with_the_message_of_each():
    frame = pl.DataFrame(
        {
            "message": pl.Series([3, 4, 5, 6], dtype=pl.UInt32),
            "list": [[{"x": 1}, {"x": 2}], None, [], [{"x": 3}]],
            "one": [{"x": 1}, None, {"x": None}, {"x": 4}],
            "none": [1, 2, 3, 4],
        }
    )
    assert fields.records(frame, "list", ("x", "y")).rows() == [(3, 1), (3, 2), (6, 3)]
    assert fields.records(frame, "one", ("x",)).rows() == [(3, 1), (4, None), (5, None), (6, 4)]
    assert fields.records(frame, "none", ("x",)) is None
    assert fields.records(frame, "missing", ("x",)) is None


def test_frames_are_put_together_unless_a_column_s_types_differ():
    whole, text = pl.DataFrame({"x": [1], "y": [2]}), pl.DataFrame({"x": ["1"]})
    (both,) = fields.together([whole, pl.DataFrame({"x": [3]})])
    assert both.rows() == [(1, 2), (3, None)]
    assert [frame.rows() for frame in fields.together([whole, text])] == [[(1, 2)], [("1",)]]
    assert fields.together([]) == []


def test_identifiers_stay_whole():
    """Beyond 2^53 a float would round them."""
    frame = pl.DataFrame({"id": [3367463101415010117, 0, -1, None]})
    assert frame.select(fields.identifier(frame.schema, "id")).to_series().to_list() == [
        "3367463101415010117",
        None,
        None,
        None,
    ]
