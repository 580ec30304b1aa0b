"""A condition on many values is one parameter, and finds what Django's own `__in` finds."""

import re

import pytest
from django.db import connection
from django.db.utils import DataError
from django.test.utils import CaptureQueriesContext
from tom_targets.models import BaseTarget

from tom_fink.models import FinkObject
from tom_fink.store.lookups import any_of

pytestmark = pytest.mark.django_db

LONGEST = "x" * FinkObject._meta.get_field("object_id").max_length
TEXTS = [
    "ZTF21abc", "a,b", "{a}", "{}", "it's", 'with "quotes"', "back\\slash", "\\u0041", "%s %(x)s", "NULL", "null", "12",
    "1.0", "", " ", "two\nlines", "±5σ 望遠鏡 🔭", LONGEST,
]  # fmt: skip


@pytest.fixture
def objects():
    targets = [BaseTarget.objects.create(name=f"t{place}") for place in range(len(TEXTS))]
    return [
        FinkObject.objects.create(survey="ztf", object_id=text, target=target)
        for text, target in zip(TEXTS, targets, strict=True)
    ]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_finds_itself_alone(objects, text):
    found = FinkObject.objects.filter(any_of("object_id", [text, "another"]))
    assert list(found.values_list("object_id", flat=True)) == [text]


def test_keys_and_foreign_keys(objects):
    keys = [objects[3].pk, objects[5].pk, 2**62, -1]
    assert set(FinkObject.objects.filter(any_of("pk", keys))) == {objects[3], objects[5]}
    targets = [objects[3].target_id, objects[7].target_id]
    assert set(FinkObject.objects.filter(any_of("target_id", targets))) == {objects[3], objects[7]}


def test_of_none_there_is_none(objects):
    for name in ("pk", "target_id", "object_id"):
        assert not FinkObject.objects.filter(any_of(name, [])).exists()


def test_a_text_that_is_too_long_is_not_cut_to_another_s(objects):
    assert not FinkObject.objects.filter(any_of("object_id", [LONGEST + "x"])).exists()


def test_with_other_conditions_in_an_order_and_locked(objects):
    found = FinkObject.objects.select_for_update(no_key=True).order_by("-object_id")
    found = found.filter(any_of("object_id", ["a,b", "{a}", "12"]), survey="ztf").exclude(object_id="12")
    assert [each.object_id for each in found] == sorted(["a,b", "{a}"], reverse=True)
    FinkObject.objects.filter(any_of("object_id", ["a,b"])).delete()
    assert FinkObject.objects.count() == len(TEXTS) - 1


def test_many_values_are_one_parameter(objects):
    """SQLite takes 32,766 parameters, 250,000 in Debian's build."""
    with CaptureQueriesContext(connection) as asked:
        found = FinkObject.objects.filter(any_of("pk", range(objects[0].pk, objects[0].pk + 300_000))).count()
    assert found == len(TEXTS)
    assert len(asked) == 1


def test_postgresql_uses_the_index(objects):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite explains itself in other words")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    for name, values in (("pk", [objects[0].pk]), ("target_id", [objects[0].target_id])):
        plan = FinkObject.objects.filter(any_of(name, values)).explain()
        assert re.search(r"Index (Only )?Scan", plan), plan
    plan = FinkObject.objects.filter(any_of("object_id", ["a,b"]), survey="ztf").explain()
    assert re.search(r"Index Cond: .*object_id", plan), plan


def test_a_text_that_postgresql_cannot_hold_is_bad_data(objects):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite can")
    with pytest.raises(DataError):
        FinkObject.objects.filter(any_of("object_id", ["a\0b"])).exists()
