"""Keys that are reserved for rows before these are inserted."""

import polars as pl
import pytest
from django.db import connection, transaction

from tom_fink.models import FinkObject, Topic
from tom_fink.store.bulk import insert
from tom_fink.store.keys import reserved_keys

pytestmark = pytest.mark.django_db(transaction=True)


def insert_objects(*names: str) -> list[int]:
    keys = reserved_keys(FinkObject, len(names))
    insert(FinkObject, pl.DataFrame({"id": keys, "survey": "ztf", "object_id": names}))
    return keys


def by_django(name: str) -> int:
    return FinkObject.objects.create(survey="ztf", object_id=name).pk


def test_rows_have_the_keys_that_were_reserved_for_them():
    with transaction.atomic():
        keys = insert_objects("c", "a", "b")
    assert FinkObject.objects.in_bulk(keys).keys() == set(keys)
    assert [FinkObject.objects.get(pk=key).object_id for key in keys] == ["c", "a", "b"]


def test_a_key_is_given_once_whoever_counts():
    keys = [by_django("before")]
    with transaction.atomic():
        keys += insert_objects("a", "b")
        keys.append(by_django("between"))
        keys += insert_objects("c")
    keys.append(by_django("after"))
    assert len(set(keys)) == 6
    assert keys == sorted(keys)


def test_the_first_rows_of_a_table_have_keys_too():
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM sqlite_sequence WHERE name = %s", [FinkObject._meta.db_table])
    with transaction.atomic():
        keys = insert_objects("a", "b")
    assert keys[1] == keys[0] + 1
    assert by_django("c") > keys[1]


def test_keys_of_a_transaction_that_was_taken_back_are_in_nobody_s_way():
    with transaction.atomic():
        insert_objects("a", "b")
        transaction.set_rollback(True)
    with transaction.atomic():
        insert_objects("a", "b")
    by_django("c")
    assert FinkObject.objects.count() == 3


def test_no_rows_need_no_keys(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert reserved_keys(Topic, 0) == []
