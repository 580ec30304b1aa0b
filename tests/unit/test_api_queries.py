"""What is sent to Fink: payloads against its reference, and what is refused before anything is sent."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest

from tom_fink.api import lsst, ztf
from tom_fink.api.columns import LSST_ALERTS, LSST_BODY, LSST_POINTS, LSST_SUMMARY, ZTF_ALERTS, ZTF_POINTS
from tom_fink.api.options import LSST_URL, ZTF_URL, ApiOptions
from tom_fink.errors import ApiError, BadQuery, ConfigurationError

ZTF_ID, RUBIN_ID = "ZTF26aamcbly", "170028485706776685"
START, STOP = datetime(2026, 3, 22, 4, tzinfo=UTC), datetime(2026, 3, 23, 4, tzinfo=UTC)
CONE = {"ra": "193.82200000", "dec": "2.89732000", "radius": "5"}


@pytest.mark.parametrize(
    ("query", "endpoint", "payload", "columns"),
    [
        (ztf.alerts(ZTF_ID), "objects", {"objectId": ZTF_ID}, ZTF_ALERTS),
        (
            ztf.light_curve([ZTF_ID, "ZTF21abfmbix", ZTF_ID]),
            "objects",
            {"objectId": "ZTF26aamcbly,ZTF21abfmbix", "withupperlim": True},
            ZTF_POINTS,
        ),
        (ztf.around(193.822, 2.89732, 5), "conesearch", CONE | {"n": 1000}, ZTF_ALERTS),
        (
            ztf.around(193.822, 2.89732, 5, 20, START, STOP),
            "conesearch",
            CONE | {"n": 20, "startdate": "2026-03-22 04:00:00", "stopdate": "2026-03-23 04:00:00"},
            ZTF_ALERTS,
        ),
        (  # an end alone is not looked at
            ztf.around(193.822, 2.89732, 5, stop=STOP),
            "conesearch",
            CONE | {"n": 1000, "startdate": "2017-01-01 00:00:00", "stopdate": "2026-03-23 04:00:00"},
            ZTF_ALERTS,
        ),
        (ztf.latest("(TNS) SN Ia", 5), "latests", {"class": "(TNS) SN Ia", "n": 5}, ZTF_ALERTS),
        (
            ztf.latest("SN candidate", 5, START.astimezone(timezone(timedelta(hours=-3))), trend="rising"),
            "latests",
            {"class": "SN candidate", "n": 5, "startdate": "2026-03-22 04:00:00", "trend": "rising"},
            ZTF_ALERTS,
        ),
        (ztf.body(" C/2020V2 "), "sso", {"n_or_d": "C/2020V2"}, ZTF_ALERTS),
        (ztf.tracklet("2021-10-22 07:29"), "tracklet", {"date": "2021-10-22 07:29"}, ZTF_ALERTS),
        (
            ztf.tracklet("TRCK_20211022_072953_01"),
            "tracklet",
            {"id": "TRCK_20211022_072953_01"},
            ZTF_ALERTS,
        ),
        (
            ztf.anomalies(2, START),
            "anomaly",
            {"n": 2, "start_date": "2026-03-22 04:00:00"},
            ZTF_ALERTS,
        ),
        (
            ztf.in_sky_map("S200219ac", 0.1),
            "skymap",
            {"event_name": "S200219ac", "credible_level": 0.1, "n_day_before": 1.0, "n_day_after": 6.0},
            ZTF_ALERTS,
        ),
        (lsst.alerts(RUBIN_ID), "sources", {"diaObjectId": RUBIN_ID}, LSST_ALERTS),
        (lsst.light_curve(RUBIN_ID), "sources", {"diaObjectId": RUBIN_ID}, LSST_POINTS),
        (lsst.forced(RUBIN_ID), "fp", {"diaObjectId": RUBIN_ID}, LSST_POINTS),
        (lsst.summary(RUBIN_ID), "objects", {"diaObjectId": RUBIN_ID}, LSST_SUMMARY),
        (  # Rubin's dates are TAI, 37 s ahead
            lsst.around(193.822, 2.89732, 5, start=START),
            "conesearch",
            CONE | {"n": 1000, "startdate": "2026-03-22 04:00:37"},
            LSST_ALERTS,
        ),
        (lsst.latest("in_tns", 5), "tags", {"tag": "in_tns", "n": 5}, LSST_ALERTS),
        (
            lsst.latest("fink_in_tns_lsst", 5, stop=STOP),
            "tags",
            {"tag": "in_tns", "n": 5, "stopdate": "2026-03-23 04:00:37"},
            LSST_ALERTS,
        ),
        (lsst.body("2004 JQ12"), "sso", {"n_or_d": "2004 JQ12"}, LSST_BODY),
        (
            lsst.in_sky_map("S200219ac", 1),
            "skymap",
            {"event_name": "S200219ac", "credible_level": 1.0},
            LSST_ALERTS,
        ),
    ],
)
def test_questions_for_rows(query, endpoint, payload, columns):
    assert query.endpoint == endpoint
    assert query.payload == payload | {"columns": ",".join(columns), "output-format": "json"}


@pytest.mark.parametrize(
    ("query", "endpoint", "payload"),
    [
        (
            ztf.resolve("tns", "SN 2023vwy"),
            "resolver",
            {"resolver": "tns", "name": "SN 2023vwy", "nmax": 10},
        ),
        (
            lsst.resolve("simbad", "V* RR Lyr", 1),
            "resolver",
            {"resolver": "simbad", "name_or_id": "V* RR Lyr", "nmax": 1},
        ),
        (
            ztf.names_of("tns", ZTF_ID),
            "resolver",
            {"resolver": "tns", "name": ZTF_ID, "nmax": 10, "reverse": True},
        ),
        (
            lsst.names_of("tns", RUBIN_ID),
            "resolver",
            {"resolver": "tns", "name_or_id": RUBIN_ID, "nmax": 10, "reverse": True},
        ),
        (
            ztf.cutout(ZTF_ID, "Science", "3367463101415010117"),
            "cutouts",
            {
                "objectId": ZTF_ID,
                "kind": "Science",
                "output-format": "FITS",
                "candid": "3367463101415010117",
            },
        ),
        (
            lsst.cutout("170424319673368579", "Template"),
            "cutouts",
            {"diaSourceId": "170424319673368579", "kind": "Template", "output-format": "FITS"},
        ),
        (ztf.statistics("20211103"), "statistics", {"date": "20211103"}),
        (lsst.statistics(""), "statistics", {"date": ""}),
        (lsst.schema("fp"), "schema", {"endpoint": "/api/v1/fp"}),
        (ztf.schema(), "schema", {}),
        (ztf.classes(), "classes", {}),
        (lsst.tags(), "tags", {}),
        (lsst.blocks(), "blocks", {}),
    ],
)
def test_other_questions(query, endpoint, payload):
    assert (query.endpoint, query.payload) == (endpoint, payload)


def test_a_date_alone_is_a_question_for_each_class():
    queries = ztf.between(START, STOP, 7)
    assert [query.payload["class"] for query in queries] == list(ztf.FINK_CLASSES)
    assert {(query.payload["n"], query.payload["stopdate"]) for query in queries} == {
        (7, "2026-03-23 04:00:00")
    }


def test_an_end_within_a_second_is_the_end_of_that_second():
    start = datetime(2026, 3, 1, 1, 2, 3, 900_000, UTC)
    stop = datetime(2026, 3, 22, 4, 0, 59, 1, UTC)
    expected = {"startdate": "2026-03-01 01:02:03", "stopdate": "2026-03-22 04:01:00"}
    assert ztf.latest("SN candidate", 5, start, stop).payload.items() >= expected.items()
    assert lsst.latest("in_tns", 5, start, stop).payload["stopdate"] == "2026-03-22 04:01:37"


@pytest.mark.parametrize("module", [ztf, lsst])
def test_a_wide_cone_has_fewer_columns_and_says_what_helps(module):
    narrow, wide = (module.around(1, 2, radius).payload["columns"].split(",") for radius in (1800, 18_000))
    assert len(wide) < 21 < len(narrow)
    assert set(wide) <= set(narrow)
    assert module.around(1, 2, 18_000).less == "Make the radius smaller."


@pytest.mark.parametrize(
    ("ask", "field", "says"),
    [
        (
            lambda: ztf.alerts("ZTF"),
            "object_id",
            "'ZTF' is no id of an object of ZTF. They are text: ZTF, two",
        ),
        (lambda: ztf.alerts(RUBIN_ID), "object_id", "It has the form of Rubin's ids: search there"),
        (lambda: lsst.alerts(ZTF_ID), "object_id", "It has the form of ZTF's ids: search there"),
        (lambda: lsst.alerts([int(RUBIN_ID)]), "object_id", "They are text: 10 to 19 digits."),
        (lambda: ztf.alerts("ZTF18abc,ZTF18abd"), "object_id", "is no id of an object"),
        (lambda: ztf.alerts("ZTF18abc\u202e\n"), "object_id", r"'ZTF18abc\u202e\n' is no id"),
        (lambda: ztf.alerts([]), "object_id", "Between 1 and 50 ids"),
        (lambda: ztf.alerts([f"ZTF18a{number}" for number in range(51)]), "object_id", "Between 1 and 50"),
        (lambda: ztf.around(360.1, 0, 5), "ra_deg", "from 0 to 360 degrees, not '360.1'"),
        (lambda: ztf.around("12h", 0, 5), "ra_deg", "from 0 to 360 degrees, not '12h'"),
        (lambda: ztf.around(1, -90.5, 5), "dec_deg", "from -90 to 90"),
        (lambda: lsst.around(1, float("nan"), 5), "dec_deg", "from -90 to 90"),
        (lambda: lsst.around(1, None, 5), "dec_deg", "from -90 to 90"),
        (lambda: lsst.around(1, 2, 18001), "radius_arcsec", "5 degrees"),
        (lambda: lsst.around(1, 2, 0), "radius_arcsec", "from 0.01"),
        (lambda: lsst.around(1, 2, 10**400), "radius_arcsec", "5 degrees"),
        (lambda: ztf.around(1, 2, 3, n=0), "n", "from 1 to 10000"),
        (lambda: ztf.latest("SN candidate", 10_001), "n", "from 1 to 10000"),
        (lambda: ztf.latest(""), "label", "A class has a name"),
        (lambda: ztf.latest("a\0b"), "label", r"not 'a\x00b'"),
        (lambda: ztf.latest("x" * 101), "label", "A class has a name"),
        (lambda: ztf.latest("Kilonova candidate", trend="up"), "trend", "rising, fading"),
        (lambda: ztf.latest("Ambiguous", start=datetime(2026, 1, 1)), "start", "time zone"),  # noqa: DTZ001
        (lambda: ztf.latest("Ambiguous", stop=datetime(9999, 1, 1, tzinfo=UTC)), "stop", "1950 and 2100"),
        (lambda: ztf.latest("Ambiguous", start=STOP, stop=START), "stop", "not after its start"),
        (lambda: lsst.latest("in tns"), "tag", "letters, digits and _"),
        (lambda: ztf.body("8467,Ceres"), "name", "a number, a name or a designation"),
        (lambda: lsst.body("  "), "name", "a number, a name or a designation"),
        (lambda: ztf.tracklet("22 October"), "tracklet", "TRCK_YYYYMMDD_HHMMSS_NN"),
        (lambda: ztf.tracklet("٢٠٢١-10-22"), "tracklet", "TRCK_YYYYMMDD_HHMMSS_NN"),
        (lambda: ztf.in_sky_map("b'evil'", 0.9), "event", "S200219ac"),
        (lambda: ztf.in_sky_map("S200219ac", 90), "credible_level", "from 0.001 to 1"),
        (lambda: ztf.in_sky_map("S200219ac", 0.9, 8), "days_before", "from 0 to 7"),
        (lambda: ztf.in_sky_map("S200219ac", 0.9, 1, 15), "days_after", "from 0 to 14"),
        (lambda: ztf.resolve("ned", "M31"), "resolver", "tns, simbad, ssodnet"),
        (lambda: ztf.resolve("tns", ""), "name", "up to 100 characters"),
        (lambda: ztf.cutout(ZTF_ID, "All"), "kind", "Science, Template, Difference"),
        (lambda: lsst.cutout(170424319673368579, "Science"), "alert_id", "given as text"),
        (lambda: ztf.statistics("2021-11-03"), "date", "YYYYMMDD"),
        (lambda: lsst.schema("../.."), "table", "sources, objects"),
    ],
)
def test_what_fink_would_not_understand_is_said_before_it_is_sent(ask, field, says):
    with pytest.raises(BadQuery) as caught:
        ask()
    assert says in str(caught.value)
    assert str(caught.value).isprintable()
    assert caught.value.field == field
    assert isinstance(caught.value, ApiError)


def test_where_the_services_are(settings):
    for name in ("FINK_API_ZTF_URL", "FINK_API_LSST_URL", "FINK_API_TIMEOUT"):
        if hasattr(settings, name):
            delattr(settings, name)
    assert ApiOptions.from_settings() == ApiOptions()
    assert ApiOptions().url("ztf", "objects") == f"{ZTF_URL}objects"
    assert ApiOptions().url("lsst", "sources") == f"{LSST_URL}sources"
    settings.FINK_API_ZTF_URL, settings.FINK_API_LSST_URL = "http://127.0.0.1:8001/ztf/api/v1", ""
    settings.FINK_API_TIMEOUT = 20
    options = ApiOptions.from_settings()
    assert options.url("ztf", "objects") == "http://127.0.0.1:8001/ztf/api/v1/objects"
    assert (options.lsst_url, options.timeout_s) == (LSST_URL, 20)


@pytest.mark.parametrize(
    "address",
    [
        "ftp://fink.example.org/", "fink.example.org", "https://", "https://observer:hunter2@fink.example.org/",
        "https://fink.example.org/?token=hunter2", "https://fink.example.org/#hunter2", "https://a b/hunter2",
        "https://fink.example.org:port/", "https://[hunter2/", "https://fink.example.org/\n", 5,
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_used(address):
    """It is not repeated: it may hold a password."""
    for setting, options in (
        ("FINK_API_ZTF_URL", {"ztf_url": address}),
        ("FINK_API_LSST_URL", {"lsst_url": address}),
    ):
        with pytest.raises(
            ConfigurationError, match=f"^{setting} cannot be used: it takes the address"
        ) as caught:
            ApiOptions(**options)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("timeout_s", [0, -1, float("inf"), float("nan"), "20", True, None])
def test_a_timeout_that_cannot_be_used(timeout_s):
    with pytest.raises(ConfigurationError, match=r"^FINK_API_TIMEOUT="):
        ApiOptions(timeout_s=timeout_s)


def test_questions_and_answers_do_without_django():
    code = "import sys, tom_fink.api.client, tom_fink.api.names; print('django' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
