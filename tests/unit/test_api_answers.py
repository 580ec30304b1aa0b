"""What Fink answers, read: rows, lists, cutouts, and for each failure the right error in plain words."""

import gzip
import json
import random
from collections import Counter

import pytest

from tom_fink.api import answers, lsst, names, ztf
from tom_fink.api.answers import Answer, Tag
from tom_fink.errors import BadAnswer, QueryRefused, ServiceUnavailable
from tom_fink.fields import MAX_CUTOUT_BYTES
from tom_fink.surveys import normalise
from tom_fink.surveys import ztf as ztf_survey

ZTF_ID, RUBIN_ID = "ZTF26aamcbly", "170028485706776685"
QUERY = ztf.alerts(ZTF_ID)

SOME_ROW = {
    "i:objectId": ZTF_ID, "i:jd": 2461121.9631019, "i:fid": 2, "i:magpsf": 16.4492855072, "i:isdiffpos": "t",
    "i:diffmaglim": 20.1, "i:ra": 267.0006792, "i:dec": -5.8633869, "d:tns": "SN Ia", "d:roid": 0,
}  # fmt: skip

# The bodies of Fink's reference
NO_ID = b"{'status': 'error', 'text': 'A value for `objectId` is required. See https://api.ztf.fink-portal.org \\n'}"
NO_PLACE = b"{'status': 'error', 'text': ValueError('could not convert string to float: kfdlkj')}"
QUOTED = b"{'status': 'error', 'text': \"Benoit's is not a valid name.\\n\"}"
NO_TAG = b"\n        foo is not a valid tag. Here is the list of tags:\n        ['in_tns']\n        "
FAILED = b'{"message": "Internal Server Error"}'
NOT_FOUND = b"<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>"


def ok(found) -> Answer:
    return Answer(200, json.dumps(found).encode())


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (
            Answer(400, NO_ID),
            QueryRefused,
            "Fink's ZTF service was asked for the alerts of ZTF26aamcbly and refused (status 400): “A value for "
            "`objectId` is required.”. Check the words and values of the search.",
        ),
        (Answer(400, NO_PLACE), QueryRefused, "“could not convert string to float: kfdlkj”"),
        (Answer(400, QUOTED), QueryRefused, "“Benoit's is not a valid name.”"),
        (Answer(400, NO_TAG), QueryRefused, "“foo is not a valid tag. Here is the list of tags: ['in_tns']”"),
        (Answer(415, b'{"message": "Did not attempt to load JSON data"}'), QueryRefused, "Did not attempt"),
        (
            Answer(500, FAILED),
            QueryRefused,
            "failed (status 500): “Internal Server Error”. It fails so on names",
        ),
        (Answer(501, b"\xff\xfe\0"), QueryRefused, "failed (status 501): “\ufffd\ufffd\\x00”"),
        (Answer(404, NOT_FOUND), QueryRefused, "“a page of HTML (404 Not Found)”. Check FINK_API_ZTF_URL."),
        (Answer(403, b""), QueryRefused, "refused (status 403): nothing more."),
        (Answer(400, b"{'text': " + b"\x1b[31m" * 1000), QueryRefused, "\\x1b[31m"),
        (Answer(400, b'{"message": ' + b"[" * 3000), QueryRefused, "… (cut)"),
        (
            Answer(502, b"<html>"),
            ServiceUnavailable,
            "but is out of order (status 502). Try again in some minutes.",
        ),
        (Answer(503, b""), ServiceUnavailable, "(status 503)"),
        (Answer(504, b"<html>"), ServiceUnavailable, "(status 504)"),
        (Answer(429, b""), ServiceUnavailable, "(status 429)"),
        (
            Answer(302, b"", "https://evil.example.org/\x1b[0m"),
            BadAnswer,
            "sent us on to https://evil.example.org/\\x1b[0m, which is not followed (status 302)",
        ),
        (Answer(308, b""), BadAnswer, "sent us on to nowhere"),
        (
            Answer(200, b"Retrieve object data from the Fink database"),
            BadAnswer,
            "sent no JSON: “Retrieve object",
        ),
        (Answer(200, NOT_FOUND), BadAnswer, "sent no JSON: “a page of HTML (404 Not Found)”"),
        (Answer(200, NO_ID), QueryRefused, "refused: “A value for `objectId` is required.”"),
        (Answer(200, FAILED), QueryRefused, "refused: “Internal Server Error”"),
        (Answer(200, b""), BadAnswer, "sent no JSON: nothing more"),
        (Answer(200, b'[{"i:jd": 24611'), BadAnswer, "sent no JSON"),
        (Answer(200, b"[" * 150_000), BadAnswer, "sent no JSON"),
        (Answer(200, b'{"a":' * 150_000), BadAnswer, "sent no JSON"),
        (Answer(200, b"[" * 300_000), BadAnswer, "more than 200000 records"),
        (Answer(200, b"[" + b"{}," * 300_000 + b"{}]"), BadAnswer, "more than 200000 records"),
        (Answer(200, b"[" + b"9" * 5000 + b"]"), BadAnswer, "sent no JSON"),
        (Answer(200, b"\xff[]"), BadAnswer, "sent no JSON"),
        (Answer(200, gzip.compress(b"[]", mtime=0)), BadAnswer, "sent no JSON"),
        (Answer(200, b'"rows"'), BadAnswer, "something else than rows"),
        (Answer(200, b"[[1, 2]]"), BadAnswer, "something else than rows"),
        (Answer(200, b'{"i:jd": 1.5}'), BadAnswer, "something else than rows"),
        (Answer(200, b"{}"), BadAnswer, "something else than rows"),
        (Answer(200, b"null"), BadAnswer, "something else than rows"),
        (Answer(200, b'[{"status": "b\'not found\'"}]'), QueryRefused, "and had none: “b'not found'”"),
        (Answer(200, b'[{"status": ' + b"[" * 900 + b"]" * 900 + b"}]"), QueryRefused, "and had none: “”"),
        (Answer(200, rb'[{"i:jd": "\ud800"}]'), BadAnswer, "what cannot be read"),
        (ok([{f"c{number}": 1 for number in range(1001)}]), BadAnswer, "(more than 1000 columns)"),
    ],
)
def test_what_is_no_answer(answer, error, says):
    with pytest.raises(error) as caught:
        answers.rows(QUERY, answer)
    message = str(caught.value)
    assert says in message
    assert message.startswith("Fink's ZTF service was asked for the alerts of ZTF26aamcbly ")
    assert message.isprintable()
    assert len(message) < 1000


def test_a_message_names_rubin_s_setting():
    with pytest.raises(BadAnswer, match=r"^Fink's Rubin service .* check that FINK_API_LSST_URL is"):
        answers.rows(lsst.alerts(RUBIN_ID), Answer(200, b"<html>"))


def test_a_body_is_in_no_repr():
    assert "hunter2" not in repr(Answer(200, b"hunter2"))


def test_nothing_known_is_no_rows():
    found = answers.rows(QUERY, ok([]))
    assert found.frame.is_empty()
    assert not found.may_be_cut


@pytest.mark.parametrize("found", [[{}], [{}, {}, {}], [{"": 1}, {"*": 2}]])
def test_rows_without_columns_are_no_answer(found):
    with pytest.raises(BadAnswer, match="what cannot be read \\(rows without a column"):
        answers.rows(QUERY, ok(found))


@pytest.mark.parametrize(("status", "body"), [(400, NO_ID), (404, NOT_FOUND), (500, FAILED), (200, FAILED)])
def test_a_refusal_has_its_status(status, body):
    with pytest.raises(QueryRefused) as caught:
        answers.rows(QUERY, Answer(status, body))
    assert caught.value.status == status


def damaged(good: bytes, chance: random.Random) -> bytes:
    """`good` with a byte changed, a part left out or a part twice."""
    start = chance.randrange(len(good))
    end = start + chance.randint(1, 40)
    return chance.choice(
        (
            good[:start] + bytes([chance.randrange(256)]) + good[start + 1 :],
            good[:start] + good[end:],
            good[:end] + good[start:],
        )
    )


def test_a_damaged_answer_is_rows_or_an_error():
    rows = [SOME_ROW | {"i:candid": number} for number in range(20)]
    good, chance = json.dumps(rows).encode(), random.Random(6)  # noqa: S311 - repeatable, not secret
    ends = Counter()
    for _ in range(1000):
        try:
            frame = answers.rows(QUERY, Answer(200, damaged(good, chance))).frame
        except (BadAnswer, QueryRefused) as error:
            ends["error"] += str(error).isprintable()
        else:
            assert ztf_survey.points(frame).height <= 21
            normalise([frame])
            ends["rows"] += 1
    assert ends.total() == 1000
    assert ends["error"] > 100
    assert ends["rows"] > 100


def test_nan_in_json_is_missing():
    body = b'[{"i:objectId": "ZTF26aamcbly", "i:magpsf": NaN, "i:jd": 2461120.5, "d:Plx": -Infinity, "i:rb": 1e999}]'
    row = answers.rows(QUERY, Answer(200, body)).frame.row(0, named=True)
    assert (row["magpsf"], row["Plx"], row["rb"], row["jd"]) == (None, None, None, 2461120.5)
    beside_text = answers.rows(ztf.statistics("2026"), Answer(200, b'[{"x": NaN}, {"x": "1.5"}]')).frame
    assert beside_text["x"].to_list() == [None, "1.5"]


def test_an_answer_of_the_reference():
    body = (
        b'[{"i:objectId":"ZTF26aamcbly","i:candid":3367463101415010117,"i:jd":2461121.9631019,"i:fid":2,'
        b'"i:magpsf":16.4492855072,"i:sigmapsf":0.0905172825,"i:isdiffpos":"f","i:ra":267.0006792,"i:dec":-5.8633869}]'
    )
    row = answers.rows(QUERY, Answer(200, body)).frame.row(0, named=True)
    assert row["candid"] == "3367463101415010117"
    assert row["candidate"]["magpsf"] == row["magpsf"] == 16.4492855072


# --- Lists --------------------------------------------------------------------------------------


def test_classes():
    answer = ok(
        {
            "Fink classifiers": ["SN candidate", "Trac\x00klet"],
            "Cross-match with TNS": ["(TNS) SN Ia"],
            "x": 5,
        }
    )
    assert answers.classes(ztf.classes(), answer) == {
        "Fink classifiers": ["SN candidate", "Trac\\x00klet"],
        "Cross-match with TNS": ["(TNS) SN Ia"],
    }


def test_tags():
    found = {
        "in_tns": {"description": "TNS\n counterpart", "API support": True},
        "in_simbad": {"description": None, "API support": "true"},
        "odd": 3,
    }
    assert answers.tags(lsst.tags(), ok(found)) == {
        "in_tns": Tag("TNS counterpart", True),
        "in_simbad": Tag("", False),
    }


def test_blocks_and_schemas():
    assert answers.blocks(lsst.blocks(), ok({"b_good_quality": "SNR of 6"})) == {"b_good_quality": "SNR of 6"}
    found = {
        "ZTF original fields (i:)": {"jd": {"type": "double", "doc": "Observation JD"}, "odd": 3},
        "odd": [],
    }
    assert answers.schema(ztf.schema(), ok(found)) == {
        "ZTF original fields (i:)": {"jd": "Observation JD", "odd": ""}
    }


@pytest.mark.parametrize("read", [answers.classes, answers.tags, answers.blocks, answers.schema])
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (ok([1]), BadAnswer),
        (Answer(200, b"Tags"), BadAnswer),
        (Answer(500, FAILED), QueryRefused),
        (Answer(503, b""), ServiceUnavailable),
    ],
)
def test_what_is_no_list(read, answer, error):
    with pytest.raises(error):
        read(lsst.tags(), answer)


# --- Cutouts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [gzip.compress(b"SIMPLE", mtime=0), b"SIMPLE  =                    T"])
def test_a_cutout(body):
    assert answers.cutout(ztf.cutout(ZTF_ID, "Science"), Answer(200, body)) == body


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (Answer(200, b""), QueryRefused, "the science cutout of alert 170424319673368579 and has none"),
        (Answer(500, FAILED), QueryRefused, "Internal Server Error"),
        (Answer(200, b"\x89PNG"), BadAnswer, "sent no FITS file"),
        (Answer(200, b"SIMPLE" + b" " * MAX_CUTOUT_BYTES), BadAnswer, "sent no FITS file"),
    ],
)
def test_no_cutout(answer, error, says):
    """ZTF's service fails on what it does not know, and Rubin's sends an empty picture."""
    with pytest.raises(error, match=says):
        answers.cutout(lsst.cutout("170424319673368579", "Science"), answer)


# --- Names --------------------------------------------------------------------------------------


def test_tns_has_a_row_for_each_internal_name():
    """SN 2023vwy as in Fink's reference, numbers as text in one row, and the AT phase."""
    tns = {"d:fullname": "SN 2023vwy", "d:redshift": 0.031, "d:type": "SN Ia", "d:ra": 47.765951}
    tns |= {"d:declination": 52.219894, "d:internalname": "ATLAS23url"}
    as_text = {name: str(value) for name, value in tns.items()} | {"d:internalname": "ZTF23abmwsrw"}
    at = {"d:fullname": "AT 2023vwy", "d:type": "nan", "d:redshift": None, "d:ra": "x", "d:declination": 99.0}
    found = names.resolved(ztf.resolve("tns", "SN 2023vwy"), ok([tns, as_text, at])).rows()
    assert found == [
        ("SN 2023vwy", "ATLAS23url", "SN Ia", 47.765951, 52.219894, 0.031),
        ("SN 2023vwy", "ZTF23abmwsrw", "SN Ia", 47.765951, 52.219894, 0.031),
        ("AT 2023vwy", None, None, None, None, None),
    ]


@pytest.mark.parametrize(
    ("query", "row", "found"),
    [
        (
            lsst.resolve("tns", "SN 2023vwy"),
            {
                "f:fullname": "SN 2023vwy", "f:type": "SN Ia", "f:redshift": 0.031, "f:ra": 47.765951,
                "f:declination": 52.219894, "f:internalname": "ATLAS23url", "f:discoverydate": "2023-10-20",
            },
            ("SN 2023vwy", "ATLAS23url", "SN Ia", 47.765951, 52.219894, 0.031),
        ),
        (
            ztf.resolve("simbad", "RR Lyr"),
            {"name": "RR Lyr", "oname": "V* RR Lyr", "otype": "RR*", "jradeg": 291.3663, "jdedeg": 42.7843, "z": None},
            ("V* RR Lyr", None, "RR*", 291.3663, 42.7843, None),
        ),
        (
            ztf.resolve("ssodnet", "Benoitcarry"),
            {"i:name": "Benoitcarry", "i:number": 8467, "i:ssnamenr": "8467"},
            ("Benoitcarry", "8467", None, None, None, None),
        ),
        (
            lsst.names_of("tns", RUBIN_ID),
            {"r:diaObjectId": int(RUBIN_ID), "f:xm_tns_fullname": "SN 2026a", "f:xm_tns_type": "SN II",
             "f:xm_tns_redshift": "0.01"},
            ("SN 2026a", None, "SN II", None, None, 0.01),
        ),
        (
            lsst.names_of("ssodnet", "21165798543532114"),
            {"r:packed_primary_provisional_designation": "K04J12Q",
             "r:unpacked_primary_provisional_designation": "2004 JQ12", "r:ssObjectId": 21165798543532114},
            ("2004 JQ12", "K04J12Q", None, None, None, None),
        ),
    ],
)  # fmt: skip
def test_names_of_every_resolver_have_one_form(query, row, found):
    assert names.resolved(query, ok([row])).rows() == [found]


def test_a_name_that_nobody_knows():
    assert names.resolved(ztf.resolve("tns", "nobody"), ok([])).rows() == []
