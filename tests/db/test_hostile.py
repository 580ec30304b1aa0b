"""Hostile alerts from the message to the page, on both databases.

Each arrives as Kafka would bring it: a schema in the key, Avro in the value.
"""

import copy
import gzip
import json
import math
import random
from datetime import UTC, datetime

import fastavro
import numpy as np
import pytest
from django.apps import apps
from django.db import models
from django.urls import reverse
from tom_dataproducts.models import PhotometryReducedDatum
from tom_targets.models import BaseTarget, Target, TargetList, TargetName

from tests.db.pages import EVIL, cutout_page, make_object, make_topic
from tests.unit.test_hostile import put, spoilt
from tom_fink.cutouts import Cutout, CutoutKind, with_cutouts
from tom_fink.decoding.decode import Message, decode_one
from tom_fink.models import Alert, FinkObject, RejectedMessage, Topic
from tom_fink.packing import MAX_FITS_BYTES
from tom_fink.simulate.schemas import SCHEMAS
from tom_fink.store import store_messages
from tom_fink.store.topics import list_name

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 22, 12, tzinfo=UTC)
TOPICS = {"ztf": "fink_sn_candidates_ztf", "lsst": "fink_is_solar_system_lsst", "mm": "fink_grb_bronze"}
MINE = [
    *apps.get_app_config("tom_fink").get_models(),
    BaseTarget,
    TargetName,
    TargetList,
    PhotometryReducedDatum,
]


@pytest.fixture(scope="module")
def kinds(simulated_messages):
    alerts = [decode_one(message) for message in simulated_messages]
    return {
        "ztf": next(a for a in alerts if "candidate" in a and a["roid"] != 3 and a["prv_candidates"]),
        "ztf_body": next(a for a in alerts if "candidate" in a and a["roid"] == 3),
        "lsst": next(a for a in alerts if "diaSource" in a and a["prvDiaSources"]),
        "lsst_body": next(a for a in alerts if "pred" in a and a["pred"]["is_sso"]),
        "mm": next(a for a in alerts if "triggerId" in a),
    }


@pytest.fixture
def by_kind(kinds):
    """A decoded alert of each kind, fresh for each test."""
    return copy.deepcopy(kinds)


def message(alert: dict, kind: str, offset: int = 0, schema: dict | None = None, topic: str = "") -> Message:
    """The message that brings `alert`."""
    survey = kind.partition("_")[0]
    schema = schema or SCHEMAS[survey]
    file = bytearray()
    writer = _Bytes(file)
    fastavro.schemaless_writer(writer, schema, alert)
    return Message(topic or TOPICS[survey], 0, offset, json.dumps(schema).encode(), bytes(file), NOW)


class _Bytes:
    def __init__(self, content: bytearray):
        self.write = content.extend


def every_row_fits() -> None:
    """Each text is as long as its column at most, on SQLite too, and can be printed; each number is one."""
    for model in MINE:
        for row in model.objects.all():
            for field in model._meta.concrete_fields:
                value = getattr(row, field.attname)
                if isinstance(value, str) and model is not RejectedMessage:
                    assert field.max_length is None or len(value) <= field.max_length, (model, field.name)
                    assert value.isprintable(), (model, field.name, value)
                if isinstance(value, float):
                    assert math.isfinite(value), (model, field.name)
                if isinstance(field, models.JSONField):
                    assert len(json.dumps(value, allow_nan=False)) < 100_000
                if isinstance(value, datetime):
                    assert 1950 <= value.year <= 2100, (model, field.name)


# --- Storing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["x" * 9_000_000, EVIL * 1000, "\0a\u202eb\n" * 300, "\U0001f525" * 500])
def test_long_and_odd_labels_are_stored_alike_by_both_databases(by_kind, text):
    for offset, (kind, path) in enumerate(
        [
            ("ztf", "tns"),
            ("ztf_body", "vsx"),
            ("lsst", "xm.tns_type"),
            ("lsst_body", "xm.vsx_Type"),
            ("mm", "fink_class"),
        ]
    ):
        assert store_messages([message(put(by_kind[kind], path, text), kind, offset)]).stored == 1
    every_row_fits()
    cleaned = text.replace("\0", "").replace("\u202e", "").replace("\n", "")
    assert (
        FinkObject.objects.get(survey="lsst", fink_class__startswith="(TNS) ").fink_class
        == ("(TNS) " + cleaned)[:100]
    )
    assert Alert.objects.get(survey="mm").fink_class == cleaned[:100]
    assert Alert.objects.get(target__type="NON_SIDEREAL", survey="ztf").fink_values["vsx"] == cleaned[:200]


@pytest.mark.parametrize("seed", [1, 2])
def test_any_mixture_of_hostile_values_is_stored_or_rejected(by_kind, seed, row_counts):
    """Through Avro, beside good alerts, twice: nothing is refused by the database, and twice is once."""
    chance = random.Random(seed)  # noqa: S311 - damage, not secrets
    messages = []
    for offset in range(160):
        kind = chance.choice(list(by_kind))
        survey = kind.partition("_")[0]
        alert = numbered(by_kind[kind], offset)
        if offset % 8:
            alert = storable(
                spoilt(alert, SCHEMAS[survey], chance, chance.choice([0.01, 0.3])), SCHEMAS[survey]
            )
        messages.append(message(alert, kind, offset))
    outcome = store_messages(messages)
    assert outcome.stored + outcome.duplicate + outcome.rejected == len(messages)
    assert min(outcome.stored, outcome.rejected) > 20
    assert not RejectedMessage.objects.filter(error__contains="database").exists()
    every_row_fits()
    counts = row_counts()
    store_messages(messages)
    assert row_counts() == counts


def numbered(alert: dict, number: int) -> dict:
    """A copy of the alert with an id of its own."""
    alert = copy.deepcopy(alert)
    if "triggerId" in alert:
        return alert | {"triggerId": f"trigger {number}"}
    if "candidate" in alert:
        return put(put(alert, "candid", 1 + number), "candidate.candid", 1 + number)
    return put(put(alert, "diaSourceId", 1 + number), "diaSource.diaSourceId", 1 + number)


def storable(value, avro_type):
    """`value` with the numbers that a 32-bit float does not have made infinite, as a float32 would be."""
    if isinstance(avro_type, list):
        return None if value is None else storable(value, avro_type[0])
    if avro_type == "float":
        return (
            None
            if value is None
            else float(np.float32(value))
            if abs(value) < 3e38
            else math.copysign(math.inf, value)
        )
    if not isinstance(avro_type, dict) or value is None:
        return value
    if avro_type["type"] == "record":
        return {f["name"]: storable(value[f["name"]], f["type"]) for f in avro_type["fields"]}
    if avro_type["type"] == "array":
        return [storable(item, avro_type["items"]) for item in value]
    return {key: storable(item, avro_type["values"]) for key, item in value.items()}


ODD_TYPES = {
    "bytes": ("bytes", b"\xff\0<b>"),
    "long": ("long", 2**62),
    "double": ("double", 1e308),
    "string": ("string", EVIL),
    "boolean": ("boolean", True),
    "enum": ({"type": "enum", "name": "odd", "symbols": ["t", "odd"]}, "t"),
    "fixed": ({"type": "fixed", "name": "odd", "size": 3}, b"\xff\0x"),
    "array": ({"type": "array", "items": "string"}, [EVIL] * 3),
    "map": ({"type": "map", "values": "long"}, {EVIL: 1, "m0": 2}),
    "record": ({"type": "record", "name": "odd", "fields": [{"name": "message", "type": "long"}]}, {"message": 5}),
    "entries": (
        {"type": "array", "items": {"type": "record", "name": "odd", "fields": [
            {"name": "key", "type": "long"}, {"name": "value", "type": "bytes"}]}},
        [{"key": 1, "value": b"\xff"}],
    ),
    "time": ({"type": "long", "logicalType": "timestamp-micros"}, datetime(2026, 3, 22, tzinfo=UTC)),
    "decimal": ({"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}, None),
}  # fmt: skip
FIELDS = [
    ("ztf", "candidate"), ("ztf", "prv_candidates"), ("ztf", "mangrove"), ("ztf", "cutoutScience"), ("ztf", "tns"),
    ("ztf", "roid"), ("ztf", "candid"), ("ztf", "objectId"), ("ztf", "is_transient"), ("ztf", "brokerEndProcessTimestamp"),
    ("lsst", "diaSource"), ("lsst", "prvDiaSources"), ("lsst", "cutoutScience"), ("lsst", "xm"), ("lsst", "mpc_orbits"),
    ("lsst", "diaSourceId"), ("mm", "triggerId"), ("mm", "ztf_ra"), ("mm", "jd"), ("mm", "fink_class"),
]  # fmt: skip


@pytest.mark.parametrize("type_name", ODD_TYPES)
def test_a_schema_with_other_types_is_an_alert_or_rejected(by_kind, type_name):
    avro_type, value = ODD_TYPES[type_name]
    messages = [message(by_kind["lsst_body"], "lsst_body", 99)]
    for offset, (kind, name) in enumerate(FIELDS):
        schema = copy.deepcopy(SCHEMAS[kind])
        field = next(field for field in schema["fields"] if field["name"] == name)
        field["type"] = ["null", avro_type]
        messages.append(message(by_kind[kind] | {name: value}, kind, offset, schema))
    outcome = store_messages(messages)
    assert outcome.messages == len(messages)
    assert Alert.objects.filter(alert_id=str(by_kind["lsst_body"]["diaSourceId"])).exists()
    every_row_fits()


def test_a_text_that_is_no_utf_8_is_rejected(by_kind):
    good = message(by_kind["ztf"] | {"tns": "§§§§"}, "ztf")
    bad = Message(
        good.topic,
        0,
        1,
        good.key,
        good.value.replace("§§§§".encode(), b"\xff\xfe\xed\xa0\x80\xc0\x80\xff"),
        NOW,
    )
    assert bad.value != good.value
    outcome = store_messages([bad, good])
    assert (outcome.stored, outcome.rejected) == (1, 1)
    assert Alert.objects.get().fink_class == "(TNS) §§§§"


def test_the_longest_history_is_stored(by_kind):
    point = dict.fromkeys(by_kind["ztf"]["prv_candidates"][0]) | {"fid": 1, "diffmaglim": 20.0}
    history = [point | {"jd": 2_460_000 + n / 1000} for n in range(20_000)]
    assert store_messages([message(by_kind["ztf"] | {"prv_candidates": history}, "ztf")]).stored == 1
    assert PhotometryReducedDatum.objects.count() == 20_001
    assert (
        store_messages(
            [message(by_kind["ztf"] | {"candid": 7, "prv_candidates": history * 2}, "ztf")]
        ).rejected
        == 1
    )


# --- Ids and names that collide ----------------------------------------------------------------


def test_one_number_in_two_surveys_is_two_alerts(by_kind):
    by_kind["lsst"]["diaSourceId"] = by_kind["ztf"]["candid"]
    outcome = store_messages([message(by_kind[kind], kind) for kind in ("ztf", "lsst")])
    assert outcome.stored == 2
    assert set(Alert.objects.values_list("survey", "alert_id")) == {
        (survey, str(by_kind["ztf"]["candid"])) for survey in ("ztf", "lsst")
    }
    assert BaseTarget.objects.count() == 2


def test_an_object_cannot_take_the_name_of_another_survey_s(by_kind):
    """A ZTF alert that calls its object by a Rubin object's id, or by an asteroid's number."""
    store_messages([message(by_kind[kind], kind) for kind in ("lsst", "ztf_body")])
    for name in Target.objects.values_list("name", flat=True):
        taken = by_kind["ztf"] | {"objectId": name, "candid": 7}
        assert store_messages([message(taken, "ztf")]).rejected == 1
        body = put(by_kind["ztf_body"], "candidate.ssnamenr", by_kind["lsst"]["diaSource"]["diaObjectId"])
        body["candidate"]["ssnamenr"] = str(by_kind["lsst"]["diaSource"]["diaObjectId"])
        assert store_messages([message(body | {"candid": 8}, "ztf_body")]).rejected == 1
    assert Alert.objects.count() == 2


def test_a_body_does_not_get_an_object_s_alerts_by_an_alias(by_kind):
    """Whoever is called by an object's id gets the alerts of that object."""
    name = by_kind["ztf"]["objectId"]
    names = {
        "permid": name,
        "unpacked_secondary_provisional_designations": [EVIL, "1991 VP16", "\0", "\ud800"],
    }
    body = put(by_kind["lsst_body"], "mpc_orbits.mpc_orb_jsonb", json.dumps({"designation_data": names}))
    store_messages([message(body, "lsst_body"), message(by_kind["ztf"], "ztf")])
    assert "1991 VP16" in TargetName.objects.values_list("name", flat=True)
    assert not TargetName.objects.filter(name=name).exists()
    assert FinkObject.objects.get(object_id=name).target.type == "SIDEREAL"
    every_row_fits()


def test_a_body_s_alert_changes_no_target_that_is_not_of_its_kind(by_kind):
    """Somebody's galaxy has the name that the alert gives a body."""
    mine = BaseTarget.objects.create(name="M31", type="SIDEREAL", ra=10.7, dec=41.3, permissions="PRIVATE")
    store_messages([message(put(by_kind["lsst_body"], "mpc_orbits.designation", "M31"), "lsst_body")])
    found = BaseTarget.objects.get()
    assert (found.pk, found.type, found.ra, found.permissions, found.semimajor_axis) == (
        mine.pk,
        "SIDEREAL",
        10.7,
        "PRIVATE",
        None,
    )
    assert not TargetName.objects.exists()


@pytest.mark.parametrize("by_alias", [False, True])
def test_a_private_target_stays_private_when_an_alert_has_its_name(by_kind, as_user, by_alias):
    """The alert joins it, and is seen by those who may see the target. No page tells others of either."""
    name = by_kind["ztf"]["objectId"]
    mine = BaseTarget.objects.create(
        name="my secret" if by_alias else name, type="SIDEREAL", ra=1, dec=2, permissions="PRIVATE"
    )
    if by_alias:
        TargetName.objects.create(target=mine, name=name)
    store_messages([message(by_kind["ztf"], "ztf")])
    assert Alert.objects.get().target_id == mine.pk
    mine.refresh_from_db()
    assert (mine.permissions, mine.ra, mine.dec) == ("PRIVATE", 1, 2)
    topic = Topic.objects.get()
    lists = [
        reverse("fink:topics"), reverse("fink:topic", args=[topic.name]),
        reverse("fink:topic", args=[topic.name]) + f"?query={name}", reverse("targets:list"),
        reverse("targets:list") + f"?targetlist__name={topic.target_list_id}",
    ]  # fmt: skip
    pages = [reverse("fink:target", args=[mine.pk]), reverse("fink:lightcurve", args=[mine.pk])]
    pages += [cutout_page(view, cutout) for _, cutouts in with_cutouts(Alert.objects.all()) for cutout in cutouts
              for view in ("cutout", "cutout-fits")]  # fmt: skip
    for who in ("anonymous", "ordinary"):
        client = as_user(who)
        for address in lists:
            shown = (
                client.get(address)
                .content.decode()
                .replace(f"query={name}", "")
                .replace(f'value="{name}"', "")
            )
            assert name not in shown
            assert "my secret" not in shown
        assert [client.get(address).status_code for address in pages] == [404] * len(pages)
    client = as_user("permitted")
    assert name in client.get(lists[1]).content.decode()
    assert [client.get(address).status_code for address in pages] == [200] * len(pages)


def test_the_list_of_a_topic_with_a_long_name(by_kind):
    """Kafka allows 249 characters and TOM Toolkit's lists 200; two topics never share one."""
    names = {list_name("t" * 240 + end) for end in "ab"}
    assert len(names) == 2
    assert {len(name) for name in names} == {200}
    assert list_name("t" * 200) == "t" * 200


# --- Pages -------------------------------------------------------------------------------------


def test_pages_show_markup_as_text(by_kind, as_user):
    store_messages(
        [message(put(by_kind["ztf"], "tns", EVIL), "ztf"), message(by_kind["lsst_body"], "lsst_body", 1)]
    )
    alert = Alert.objects.get(survey="ztf")
    pages = [
        reverse("fink:target", args=[alert.target_id]), reverse("fink:topic", args=[alert.topic]),
        reverse("admin:tom_fink_alert_changelist"), reverse("admin:tom_fink_alert_change", args=[alert.pk]),
        reverse("admin:tom_fink_finkobject_changelist"),
    ]  # fmt: skip
    client = as_user("superuser")
    for address in pages:
        shown = client.get(address).content.decode()
        assert EVIL not in shown
        assert "<script>alert" not in shown
        assert "&lt;script&gt;alert" in shown
    for address in (reverse("fink:lightcurve", args=[alert.target_id]), reverse("targets:list")):
        assert "<script>alert" not in client.get(address).content.decode()


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "//evil.example", " https://x"],
)
def test_only_web_addresses_are_linked(client, address):
    made = make_object(make_topic(), "ZTF18abcdefg")
    Alert.objects.update(url=address)
    shown = client.get(reverse("fink:target", args=[made.target_id])).content.decode()
    assert f'href="{address}' not in shown
    assert "ZTF18abcdefg-0" in shown


@pytest.mark.parametrize(
    ("content", "picture", "file"),
    [
        (b"<html><script>alert(1)</script>", 404, 200),
        (gzip.compress(b"\0" * (MAX_FITS_BYTES + 1)), 404, 404),
        (gzip.compress(gzip.compress(b"\0" * 10_000_000)), 404, 200),
        (b"\x1f\x8b\x08 not gzip", 404, 404),
        (b"SIMPLE  =                    T".ljust(80) + b"NAXIS   =                  999".ljust(80) + b"END".ljust(2720), 404, 200),
        (b"", 404, 200),
    ],
    ids=["page", "bomb", "nested", "broken", "naxis", "empty"],
)  # fmt: skip
def test_hostile_cutouts(by_kind, as_user, content, picture, file):
    store_messages([message(put(by_kind["ztf"], "cutoutScience.stampData", content), "ztf")])
    cutout = Cutout(Alert.objects.get(), CutoutKind.SCIENCE)
    client = as_user("superuser")
    png = client.get(cutout_page("cutout", cutout))
    fits = client.get(cutout_page("cutout-fits", cutout))
    assert (png.status_code, fits.status_code) == (picture, file)
    for response in (png, fits):
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["Content-Type"] in ("image/png", "application/fits", "text/plain; charset=utf-8")
        assert len(response.content) <= MAX_FITS_BYTES
    if fits.status_code == 200:
        assert fits["Content-Type"] == "application/fits"
        assert fits["Content-Disposition"].startswith("attachment; ")
    page = client.get(reverse("fink:target", args=[cutout.alert.target_id]))
    assert page.status_code == 200


@pytest.mark.parametrize(
    "query", ["%00", "%ED%A0%80", "%E2%80%AE", "x" * 5000, "%25%25%25", "'; DROP TABLE x; --"]
)
def test_a_search_may_be_for_anything(client, query):
    topic = make_topic()
    make_object(topic, "ZTF18abcdefg")
    for headers in ({}, {"HX-Request": "true"}):
        assert (
            client.get(
                reverse("fink:topic", args=[topic.name]) + f"?query={query}", headers=headers
            ).status_code
            == 200
        )
