"""Hostile alerts: whatever a field holds and whatever type it has, what comes out keeps the rules.

The rules are those of docs/reference.md, "What is cut, dropped or rejected".
"""

import copy
import json
import math
import random
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from tom_fink import fields, frames, text
from tom_fink.decoding.decode import MESSAGE, decode_one, frame_of_records
from tom_fink.simulate.schemas import SCHEMAS
from tom_fink.surveys import normalise
from tom_fink.surveys._bodies import MAX_ALIASES, MAX_ORBIT_RECORD, aliases

REFERENCE = Path(__file__).resolve().parents[2] / "docs/reference.md"
EVIL = "</script><script>alert('x')</script>"
KINDS = ("ztf", "ztf_body", "lsst", "lsst_body", "mm")
RANGES = {
    "ra_deg": (0, 360),
    "dec_deg": (-90, 90),
    "mag_ab": fields.MAG_RANGE,
    "limit_mag_ab": fields.MAG_RANGE,
    "mag_err": (0, fields.MAX_MAG_ERR),
    "flux_njy": (-3e24, 3e24),  # a flux worked out of ZTF's brightest magnitude is 2.3e24 nJy
    "flux_err_njy": (0, 3e26),
}
LENGTHS = {
    "alert_id": 100,
    "object_id": 100,
    "body": 100,
    "fink_class": 100,
    "url": 400,
    "band": 8,
    "source_id": 20,
}


@pytest.fixture(scope="module")
def kinds(simulated_messages):
    """A decoded alert of each kind, with a short history."""
    alerts = [decode_one(message) for message in simulated_messages]
    for alert in alerts:
        for name in ("prv_candidates", "prvDiaSources", "prvDiaForcedSources"):
            if alert.get(name):
                alert[name] = alert[name][:5]
    return {
        "ztf": next(a for a in alerts if "candidate" in a and a["roid"] != 3 and a["prv_candidates"]),
        "ztf_body": next(a for a in alerts if "candidate" in a and a["roid"] == 3),
        "lsst": next(a for a in alerts if "diaSource" in a and a["prvDiaSources"]),
        "lsst_body": next(a for a in alerts if "pred" in a and a["pred"]["is_sso"]),
        "mm": next(a for a in alerts if "triggerId" in a),
    }


@pytest.fixture
def by_kind(kinds):
    """The same, fresh for each test."""
    return copy.deepcopy(kinds)


def put(alert: dict, path: str, value) -> dict:
    """`alert` with the field at `path` set."""
    *outer, name = path.split(".")
    record = alert
    for step in outer:
        record = record[step]
    record[name] = value
    return alert


def normalised(frame: pl.DataFrame):
    """(tidy frames, errors) of a frame without `message`, held to the rules."""
    frame = frame.with_columns(pl.Series(MESSAGE, range(frame.height), dtype=pl.UInt32))
    found, errors = normalise([frame])
    assert sorted([*found.alerts[MESSAGE], *errors]) == list(range(frame.height))
    assert dict(found.alerts.schema) == frames.ALERTS
    assert dict(found.detections.schema) == frames.DETECTIONS
    assert set(found.detections[MESSAGE]) <= set(found.alerts[MESSAGE])
    for table in (found.alerts, found.detections):
        keep_the_rules(table)
    return found, errors


def keep_the_rules(table: pl.DataFrame) -> None:
    for name, (low, high) in RANGES.items():
        if name in table.columns:
            values = table[name].drop_nulls()
            assert values.is_finite().all(), name
            assert values.is_between(low, high).all(), (name, values)
    for name in ("mag_err", "flux_err_njy"):
        assert (table[name].drop_nulls() >= 0).all(), name
    for name, length in LENGTHS.items():
        if name in table.columns:
            texts = table[name].drop_nulls()
            assert (texts.str.len_chars() <= length).all(), name
            assert not texts.str.contains(text.UNPRINTABLE).any(), name
    for row in table.iter_rows(named=True):
        for name in ("observed_at", "broker_end_at"):
            assert row.get(name) is None or 1950 <= row[name].year <= 2100
        for name in row.get("body_aliases") or ():
            assert len(name) <= 100
            assert "<" not in name
            assert name.isprintable()
        for value in json.loads(row.get("fink_values") or "{}", parse_constant=pytest.fail).values():
            assert not isinstance(value, str) or (value.isprintable() and len(value) <= fields.VALUE_LENGTH)
        assert len(row.get("fink_values") or "") < 100_000
        json.loads(row.get("orbit") or "{}", parse_constant=pytest.fail)
        for name in ("cutout_science", "cutout_template", "cutout_difference"):
            assert len(row.get(name) or b"") <= fields.MAX_CUTOUT_BYTES


def alert_of(record: dict) -> dict:
    """The tidy row of a decoded alert, which must not be rejected, with its points in `points`."""
    found, errors = normalised(frame_of_records([record]))
    assert errors == {}
    return found.alerts.row(0, named=True) | {"points": found.detections.rows(named=True)}


def rejection(record: dict) -> str:
    """Why a decoded alert is rejected."""
    found, errors = normalised(frame_of_records([record]))
    assert found.alerts.is_empty()
    assert found.detections.is_empty()
    return str(errors[0])


# --- What is cut, dropped or rejected ----------------------------------------------------------


LABELS = [
    ("ztf", "tns", "(TNS) "),
    ("ztf", "cdsxmatch", ""),
    ("lsst", "xm.tns_type", "(TNS) "),
    ("lsst", "xm.simbad_otype", ""),
    ("mm", "fink_class", ""),
]


@pytest.mark.parametrize(("kind", "path", "before"), LABELS)
def test_a_class_is_cut_to_its_column(by_kind, kind, path, before):
    alert = by_kind[kind]
    if kind != "mm":
        alert = put(alert, {"ztf": "tns", "lsst": "xm.tns_type"}[kind], None)
    row = alert_of(put(alert, path, "é" * 10_000_000))
    assert row["fink_class"] == before + "é" * (100 - len(before))


@pytest.mark.parametrize(
    "character",
    ["\0", "\n", "\r", "\t", "\x1b", "\x7f", "\x9b", "\u202e", "\u2066", "\u200b", "\u2028", "\ufeff"],
)
def test_what_cannot_be_printed_is_taken_out_of_labels(by_kind, character):
    evil = f"{character}SN{character} Ia{character}"
    row = alert_of(by_kind["ztf"] | {"tns": evil, "vsx": evil, "gcvs": character})
    assert row["fink_class"] == "(TNS) SN Ia"
    values = json.loads(row["fink_values"])
    assert values["vsx"] == "SN Ia"
    assert "gcvs" not in values


def test_markup_is_text(by_kind):
    """It is stored as it came; the pages escape it."""
    row = alert_of(by_kind["ztf"] | {"tns": EVIL, "vsx": EVIL})
    assert row["fink_class"] == f"(TNS) {EVIL}"
    assert json.loads(row["fink_values"])["vsx"] == EVIL


@pytest.mark.parametrize("kind", KINDS)
def test_the_values_of_an_alert_have_a_bounded_length(by_kind, kind):
    """Every text of the alert has four million bytes, and a map has ten thousand keys."""
    alert = by_kind[kind]

    def swell(record: dict) -> None:
        for name, value in record.items():
            if isinstance(value, dict):
                swell(value)
            elif isinstance(value, str) and name not in ("objectId", "triggerId", "band"):
                record[name] = "\U0001f525" * 1_000_000

    swell(alert)
    if "mangrove" in alert:
        alert["mangrove"] = {f"key {number}": "x" for number in range(10_000)}
    if kind.endswith("_body"):
        assert "body's designation" in rejection(alert)
    else:
        assert len(alert_of(alert)["fink_values"]) < 60_000


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e308, -1e308, 1e39, -30.5, 60.5])
def test_an_impossible_brightness_is_dropped(by_kind, bad):
    alert = by_kind["ztf"]
    alert["candidate"] |= {"magpsf": bad, "diffmaglim": 20.5}
    alert["prv_candidates"] = [alert["prv_candidates"][0] | {"diffmaglim": bad, "magpsf": None}]
    row = alert_of(alert)
    assert (row["mag_ab"], row["flux_njy"], row["flux_err_njy"]) == (None, None, None)
    assert [(point["kind"], point["mag_ab"], point["limit_mag_ab"]) for point in row["points"]] == [
        ("limit", None, 20.5)
    ]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e308, -1e308, 1.1e23])
def test_an_impossible_flux_is_dropped(by_kind, bad):
    alert = by_kind["lsst"] | {"prvDiaForcedSources": None}
    alert["diaSource"]["psfFlux"] = bad
    alert["prvDiaSources"] = [alert["prvDiaSources"][0] | {"psfFlux": bad}]
    row = alert_of(alert)
    assert (row["mag_ab"], row["flux_njy"], row["is_positive"]) == (None, None, None)
    assert row["points"] == []


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e308, -1.0, 0.0])
def test_an_impossible_error_is_dropped_and_the_value_kept(by_kind, bad):
    ztf, lsst = by_kind["ztf"], by_kind["lsst"]
    ztf["candidate"] |= {"magpsf": 18.0, "sigmapsf": bad, "isdiffpos": "t"}
    lsst["diaSource"] |= {"psfFlux": 1000.0, "psfFluxErr": bad}
    for row, mag_ab in ((alert_of(ztf), 18.0), (alert_of(lsst), 23.9)):
        assert (row["mag_ab"], row["mag_err"], row["flux_err_njy"]) == (mag_ab, None, None)
        point = next(point for point in row["points"] if point["source_id"] == row["alert_id"])
        assert (point["mag_ab"], point["mag_err"], point["flux_err_njy"]) == (mag_ab, None, None)


def test_numbers_that_json_does_not_have_are_dropped(by_kind):
    alert = by_kind["ztf"] | {"Plx": math.nan, "e_Plx": math.inf, "mulens": -math.inf, "mag_rate": 1e308}
    values = json.loads(alert_of(alert)["fink_values"])
    assert not {"Plx", "e_Plx", "mulens"} & values.keys()
    assert values["mag_rate"] == 1e308


@pytest.mark.parametrize(
    ("kind", "path", "bad"),
    [
        (kind, path, bad)
        for kind, path in (("ztf", "candidate.jd"), ("lsst", "diaSource.midpointMjdTai"), ("mm", "jd"))
        # 2^54 days are a multiple of 2^64 milliseconds: counted in 64 bits they are no time at all
        for bad in (math.nan, math.inf, 0.0, -1.0, 1e308, 5e-324, 5373484.5, 2**54 + 61105.0, None)
    ],
)
def test_an_alert_of_an_impossible_time_is_rejected(by_kind, kind, path, bad):
    """Year 10,000 is JD 5373484.5."""
    assert "no observation time" in rejection(put(by_kind[kind], path, bad))


@pytest.mark.parametrize("kind", ["ztf", "lsst"])
@pytest.mark.parametrize(
    "bad",
    ["10000-01-01 00:00:00", "0000-01-01 00:00:00", "-001-01-01 00:00:00", "0001-01-01 00:00:00.0", "+262000-01-01 00:00:00",
     "9999-12-31 23:59:59.999999", "1949-12-31 23:59:59", "2026-13-01 00:00:00",
     "x" * 10_000_000, EVIL, "\0"],
)  # fmt: skip
def test_a_time_in_text_that_cannot_be_is_dropped(by_kind, kind, bad):
    assert alert_of(by_kind[kind] | {"brokerEndProcessTimestamp": bad})["broker_end_at"] is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e308, -400.0, 360.1])
@pytest.mark.parametrize(
    ("kind", "path"), [("ztf", "candidate.ra"), ("lsst", "diaSource.ra"), ("mm", "ztf_ra")]
)
def test_an_alert_of_an_impossible_place_is_rejected(by_kind, kind, path, bad):
    assert "no right ascension" in rejection(put(by_kind[kind], path, bad))
    assert "no declination" in rejection(put(by_kind[kind], path.replace("ra", "dec"), bad))


# --- Ids and names -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad", ["ZTF18\0abcdefg", "ZTF18abc\u202edefg", "ZTF18 abcdefg", "170028485706776685", "8467", "SN 2026abc", EVIL,
            "ZTF18" + "a" * 26, "ZTF18" + "a" * 10_000_000, "ztf18abcdefg", "ZTF18àbcdefg"]
)  # fmt: skip
@pytest.mark.parametrize("kind", ["ztf", "ztf_body", "mm"])
def test_an_id_that_is_not_ztf_s_is_rejected_and_never_mended(by_kind, kind, bad):
    """Not another survey's, not a body's, not a name that somebody gave a target."""
    assert "objectId is missing or none of ZTF's" in rejection(by_kind[kind] | {"objectId": bad})


@pytest.mark.parametrize("bad", [8467, 999_999_999])
def test_an_id_that_is_not_rubin_s_is_rejected(by_kind, bad):
    """Those are numbers of asteroids."""
    alert = by_kind["lsst"]
    alert["diaSource"]["diaObjectId"] = bad
    assert "diaObjectId is none of Rubin's" in rejection(alert)


@pytest.mark.parametrize(
    "bad",
    [EVIL, "x" * 101, "2004\nJQ12", "2004 JQ12\u202e", "ZTF18abcdefg", "170028485706776685", "=1+1", "é"],
)
def test_a_body_s_name_that_could_do_harm_is_rejected(by_kind, bad):
    """Its name becomes a target's, which TOM Toolkit writes into scripts."""
    assert "body's designation" in rejection(put(by_kind["ztf_body"], "candidate.ssnamenr", bad))
    assert "body's designation" in rejection(put(by_kind["lsst_body"], "mpc_orbits.designation", bad))


@pytest.mark.parametrize("bad", [2**63, -(2**63) - 1, 10**40, "10000000000000000000000", 1e30, "1e5", [], {}])
def test_an_alert_id_beyond_64_bits_is_rejected(by_kind, bad):
    alert = by_kind["ztf"] | {"candid": bad}
    alert["candidate"]["candid"] = None
    assert "no candid" in rejection(alert)


def test_ids_of_multi_messenger_alerts_fit_and_cannot_be_mixed_up(by_kind):
    """The id is made of three parts with blanks between; only the one in the middle may have a blank."""
    longest = by_kind["mm"] | {"objectId": "ZTF18" + "a" * 25, "triggerId": "t" * 50}
    assert len(alert_of(longest)["alert_id"]) <= 100
    assert "triggerId" in rejection(by_kind["mm"] | {"triggerId": "t" * 51})
    assert "objectId" in rejection(by_kind["mm"] | {"objectId": "ZTF18abc x"})


def test_other_names_of_a_body_are_names_and_not_too_many():
    names = [
        EVIL,
        "\0",
        "\ud800",
        "\u202e",
        "x" * 101,
        "ZTF18abcdefg",
        "170028485706776685",
        "a\nb",
        "",
        " 1991 VP16 ",
    ]
    record = {"designation_data": {"permid": "217301", "unpacked_secondary_provisional_designations": names}}
    assert aliases("2004 JQ12", EVIL, json.dumps(record)) == ["217301", "1991 VP16"]
    record["designation_data"]["unpacked_secondary_provisional_designations"] = [f"n{n}" for n in range(5000)]
    assert len(aliases("2004 JQ12", None, json.dumps(record))) == MAX_ALIASES


@pytest.mark.parametrize(
    "record",
    ["[" * 90_000, '{"a":' * 90_000, "9" * 90_000, '{"designation_data": {"permid": 1e999}}', '"\\ud800"',
     '{"designation_data": {"permid": "1"}' + " " * MAX_ORBIT_RECORD + "}"],
)  # fmt: skip
def test_a_hostile_orbit_record_has_no_names(by_kind, record):
    assert aliases("2004 JQ12", None, record) == []
    alert = put(by_kind["lsst_body"], "mpc_orbits.packed_primary_provisional_designation", None)
    assert alert_of(put(alert, "mpc_orbits.mpc_orb_jsonb", record))["body_aliases"] == []


@pytest.mark.parametrize(
    ("element", "bad"),
    [
        ("epoch_mjd", 2.9e6),
        ("epoch_mjd", -1.0),
        ("epoch_mjd", 1e308),
        ("e", math.nan),
        ("i", math.inf),
        ("node", 1e7),
    ],
)
def test_an_orbit_that_cannot_be_is_dropped(by_kind, element, bad):
    """MJD 2.9 million is in the year 9798: no newer orbit would ever take its place."""
    assert alert_of(put(by_kind["lsst_body"], f"mpc_orbits.{element}", bad))["orbit"] is None


# --- Sizes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name"), [("ztf", "prv_candidates"), ("lsst", "prvDiaSources"), ("lsst", "prvDiaForcedSources")]
)
def test_a_history_without_end_is_rejected_and_not_unpacked(by_kind, kind, name, monkeypatch):
    alert, other = by_kind[kind], copy.deepcopy(by_kind[kind])
    other["candid" if kind == "ztf" else "diaSourceId"] += 1
    alert[name] = alert[name][:1] * 30_000
    offered = []
    records = fields.records

    def counting(frame, *rest):
        found = records(frame, *rest)
        offered.append(found.height)
        return found

    monkeypatch.setattr(f"tom_fink.surveys.{kind}.records", counting)
    found, errors = normalised(frame_of_records([alert, other]))
    assert found.alerts[MESSAGE].to_list() == [1]
    assert "a history of more than 20000 points" in str(errors[0])
    assert sum(offered) < 2000


def test_the_longest_history_is_kept(by_kind):
    alert = by_kind["ztf"]
    point = dict.fromkeys(alert["prv_candidates"][0]) | {"fid": 1, "diffmaglim": 20.0}
    alert["prv_candidates"] = [point | {"jd": 2_461_000 + n / 1000} for n in range(fields.MAX_POINTS)]
    assert len(alert_of(alert)["points"]) == fields.MAX_POINTS + 1


@pytest.mark.parametrize(("kind", "path"), [("ztf", "cutoutScience.stampData"), ("lsst", "cutoutScience")])
def test_a_cutout_beyond_the_limit_is_dropped_and_the_others_are_kept(by_kind, kind, path):
    row = alert_of(put(by_kind[kind], path, b"x" * fields.MAX_CUTOUT_BYTES))
    assert len(row["cutout_science"]) == fields.MAX_CUTOUT_BYTES
    row = alert_of(put(by_kind[kind], path, b"x" * (fields.MAX_CUTOUT_BYTES + 1)))
    assert row["cutout_science"] is None
    assert row["cutout_template"] is not None


# --- Fields of other types ---------------------------------------------------------------------

TYPES = {
    "null": (pl.Null, None),
    "boolean": (pl.Boolean, True),
    "int": (pl.Int32, 7),
    "long": (pl.Int64, 2**62),
    "unsigned": (pl.UInt64, 2**63 + 1),
    "huge": (pl.Int128, 2**100),
    "float": (pl.Float32, 1.5),
    "double": (pl.Float64, 1e308),
    "nan": (pl.Float64, math.nan),
    "string": (pl.String, EVIL),
    "bytes": (pl.Binary, b"\xff\x00<b>"),
    "date": (pl.Date, date(2026, 3, 22)),
    "time": (pl.Time, time(12)),
    "timestamp": (pl.Datetime("us", "UTC"), datetime(2026, 3, 22, tzinfo=UTC)),
    "local": (pl.Datetime("ns"), datetime(2026, 3, 22)),  # noqa: DTZ001 - a type of Avro's without a zone
    "duration": (pl.Duration("us"), timedelta(days=1)),
    "decimal": (pl.Decimal(10, 2), Decimal("1.50")),
    "enum": (pl.Enum([EVIL, "t"]), EVIL),
    "categorical": (pl.Categorical(), EVIL),
    "object": (pl.Object(), object()),
    "array": (pl.List(pl.Int64), [1, 2]),
    "fixed array": (pl.Array(pl.Int64, 2), [1, 2]),
    "arrays": (pl.List(pl.List(pl.List(pl.String))), [[[EVIL]]]),
    "record": (pl.Struct({"message": pl.Int64}), {"message": 1}),
    "records": (pl.List(pl.Struct({"message": pl.Int64, "key": pl.Int64})), [{"message": 1, "key": 2}, None]),
    "map": (
        pl.List(pl.Struct({"key": pl.String, "value": pl.List(pl.Int64)})),
        [{"key": "m0", "value": [1]}, {"key": "2MASS_name", "value": None}],
    ),
    "odd map": (pl.List(pl.Struct({"key": pl.Int64, "value": pl.Int64})), [{"key": 1, "value": 1}]),
}
NEEDED = (
    "objectId", "candid", "candidate.jd", "candidate.ra", "candidate.dec", "diaSourceId", "diaSource.midpointMjdTai",
    "diaSource.ra", "diaSource.dec", "diaSource.diaObjectId", "triggerId", "jd", "ztf_ra", "ztf_dec",
)  # fmt: skip


def retyped(dtype, name: str, sample, path: str, value):
    """(dtype, value) where every field but NEEDED ones has the type `dtype` and the value `sample`."""
    if isinstance(value, dict):
        inner = {key: retyped(dtype, key, sample, f"{path}.{key}".lstrip("."), value[key]) for key in value}
        return pl.Struct({key: kind for key, (kind, _) in inner.items()}), {
            k: v for k, (_, v) in inner.items()
        }
    if path in NEEDED:
        return {str: pl.String, int: pl.Int64, float: pl.Float64}[type(value)](), value
    if isinstance(value, list) and value and isinstance(value[0], dict) and dtype != pl.Object:
        kind, one = retyped(dtype, name, sample, path, value[0])
        return pl.List(kind), [one, None, one]
    return dtype, sample


def frame_of(columns: dict) -> pl.DataFrame:
    return pl.DataFrame(
        [pl.Series(name, [value, value], dtype=kind) for name, (kind, value) in columns.items()]
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("type_name", TYPES)
def test_every_field_may_have_any_type(by_kind, kind, type_name):
    """A schema comes with its message. Whatever types it gives, the message is an alert or is rejected."""
    dtype, sample = TYPES[type_name]
    alert = by_kind[kind]
    if dtype == pl.Object:  # Polars keeps none in a record
        alert = {
            name: value
            for name, value in alert.items()
            if not isinstance(value, dict | list) or name in NEEDED
        }
    changed = {name: retyped(dtype, name, sample, name, value) for name, value in alert.items()}
    found, _ = normalised(frame_of(changed))
    if kind in ("ztf", "mm") and dtype != pl.Object:
        assert found.alerts.height == 2, "what it needs was there"


@pytest.mark.parametrize("kind", ["ztf_body", "lsst_body", "mm"])
@pytest.mark.parametrize("type_name", TYPES)
def test_every_single_column_may_have_any_type(by_kind, kind, type_name):
    """The records and lists too: `candidate` a text, a history of numbers, a map whose keys are numbers."""
    dtype, sample = TYPES[type_name]
    frame = frame_of_records([by_kind[kind], by_kind[kind]])
    for name in (name for name in frame.columns if frame[name].dtype.is_nested() or name in NEEDED):
        normalised(frame.with_columns(pl.Series(name, [sample, sample], dtype=dtype)))


HOSTILE = {
    "s": ["", "\0", EVIL, "x" * 100_000, "\u202e", "\U0001f525" * 300, "NaN", "1e999", "[" * 5000, "ZTF18abcdefg", "8467", "t", "g"],
    "d": [math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, -0.0, -999.0, 1e24, 2**54 + 61105.0],
    "i": [0, -1, 2**31 - 1, -(2**31), 3],
    "l": [0, -1, 2**63 - 1, -(2**63)],
    "y": [b"", b"\0" * 100, b"\x1f\x8b", EVIL.encode()],
    "b": [True, False],
}  # fmt: skip
CODES = {"string": "s", "double": "d", "float": "d", "int": "i", "long": "l", "bytes": "y", "boolean": "b"}


def spoilt(value, avro_type, chance: random.Random, share: float):
    """`value` of an Avro type of the simulated schemas, with about `share` of its leaves hostile."""
    if isinstance(avro_type, list):
        return None if value is None else spoilt(value, avro_type[0], chance, share)
    if isinstance(avro_type, str):
        return chance.choice([None, *HOSTILE[CODES[avro_type]]]) if chance.random() < share else value
    if avro_type["type"] == "record":
        return {f["name"]: spoilt(value[f["name"]], f["type"], chance, share) for f in avro_type["fields"]}
    if avro_type["type"] == "array":
        return [spoilt(item, avro_type["items"], chance, share) for item in value]
    return {key: spoilt(item, avro_type["values"], chance, share) for key, item in value.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_any_mixture_of_hostile_values_keeps_the_rules(by_kind, kind):
    chance = random.Random(f"hostile {kind}")  # noqa: S311 - damage, not secrets
    schema = SCHEMAS[kind.partition("_")[0]]
    records = [spoilt(by_kind[kind], schema, chance, chance.choice([0.002, 0.02, 0.2])) for _ in range(300)]
    found, errors = normalised(frame_of_records(records))
    assert found.alerts.height > 20
    assert len(errors) > 20


# --- The table of the reference ----------------------------------------------------------------


def test_the_reference_has_the_rules():
    """Each limit stands in the table, by its number."""
    page = REFERENCE.read_text()
    _, found, rest = page.partition("\n### What is cut, dropped or rejected\n")
    assert found
    table = rest.partition("\n#")[0]
    low, high = fields.MAG_RANGE
    for limit in (
        f"{fields.CLASS_LENGTH} characters",
        f"{fields.VALUE_LENGTH} characters",
        f"−{-low:.0f} to {high:.0f} mag",
        f"up to {fields.MAX_MAG_ERR:.0f} mag",
        "10²³ nJy",
        f"{fields.MAX_POINTS} points",
        f"{fields.MAX_CUTOUT_BYTES // 2**20} MiB",
        f"{MAX_ALIASES} names",
        f"{MAX_ORBIT_RECORD} characters",
        "1950 to 2100",
    ):
        assert limit in table, limit
    assert fields.MAX_FLUX_NJY == 1e23
