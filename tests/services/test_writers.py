"""Writers that meet at the same rows of PostgreSQL, at the moments where they could wait for each other for ever."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl
import pytest
from django.db import connection, connections, transaction

from tests.services.needs import wait_until
from tom_fink.decoding.decode import Message, decode_one
from tom_fink.models import FinkObject, TopicAlert
from tom_fink.simulate import serialise, simulated_alerts
from tom_fink.store import batch, objects, store_messages
from tom_fink.store.objects import lock_objects

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

WAIT_S = 30


@pytest.fixture
def start():
    """A function that runs another in a thread, with a connection of its own; its future."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")

    def call(function, *arguments):
        try:
            return function(*arguments)
        finally:
            connections.close_all()

    with ThreadPoolExecutor() as pool:
        yield lambda function, *arguments: pool.submit(call, function, *arguments)


def a_writer_waits_for_another() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return cursor.fetchone()[0]


def test_objects_that_appear_meanwhile_are_locked_in_order(start, monkeypatch):
    """One writer finds both objects new, the next one finds the second of them there already."""
    keys = pl.DataFrame({"object_survey": ["ztf", "ztf"], "object_key": ["a", "b"]})
    has_looked, may_insert, has_inserted, may_lock = (threading.Event() for _ in range(4))
    insert = objects.insert_missing
    slow: list[int] = []

    def insert_missing(*arguments):
        if threading.get_ident() not in slow:
            return insert(*arguments)
        has_looked.set()
        assert may_insert.wait(WAIT_S)
        insert(*arguments)
        has_inserted.set()
        assert may_lock.wait(WAIT_S)

    def write(is_slow: bool) -> None:
        if is_slow:
            slow.append(threading.get_ident())
        with transaction.atomic():
            assert len(lock_objects(keys)) == 2

    monkeypatch.setattr(objects, "insert_missing", insert_missing)
    first = start(write, True)
    assert has_looked.wait(WAIT_S)
    FinkObject.objects.create(survey="ztf", object_id="b")
    may_insert.set()
    assert has_inserted.wait(WAIT_S)
    second = start(write, False)
    wait_until(a_writer_waits_for_another, "the second writer at the first one's row")
    may_lock.set()
    end(first, second)
    assert FinkObject.objects.count() == 2


def test_deliveries_of_each_other_s_objects_do_not_wait(start, monkeypatch):
    """An alert that is known comes in another topic: its object is not locked here, but by somebody else."""
    now = datetime.now(UTC)
    by_object: dict[str, list[Message]] = {}
    for found in simulated_alerts(1, datetime(2026, 3, 22, 4, tzinfo=UTC), 240):
        if found.topic == "fink_sn_candidates_ztf":
            message = Message(found.topic, 0, 0, *serialise(found), now)
            by_object.setdefault(decode_one(message)["objectId"], []).append(message)
    (old_1, other_1, new_1), (old_2, _, new_2) = [
        found[:3] for found in by_object.values() if len(found) > 2
    ][:2]
    store_messages([old_1, old_2, replace(other_1, topic="fink_another_ztf")])

    both_hold_their_locks = threading.Barrier(2, timeout=WAIT_S)
    assign = batch.assign_targets

    def assign_targets(*arguments):
        both_hold_their_locks.wait()
        return assign(*arguments)

    monkeypatch.setattr(batch, "assign_targets", assign_targets)
    first = start(store_messages, [new_1, replace(old_2, topic="fink_another_ztf")])
    second = start(store_messages, [new_2, replace(old_1, topic="fink_another_ztf")])
    end(first, second)
    deliveries = TopicAlert.objects.order_by("topic__name").values_list("topic__name", flat=True)
    assert list(deliveries) == ["fink_another_ztf"] * 3 + [old_1.topic] * 4


def end(*writers: Future) -> None:
    """Wait for the writers; the deadlock that one of them met is raised here."""
    for writer in writers:
        writer.result(WAIT_S)
