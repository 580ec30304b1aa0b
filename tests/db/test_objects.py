"""Objects under the writer's lock: their times as numbers, and which alert speaks for them."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import polars as pl
import pytest
from django.db import transaction

from tom_fink.models import FinkObject
from tom_fink.store.objects import lock_objects, update_objects
from tom_fink.store.times import Microseconds

pytestmark = pytest.mark.django_db

KEY = ("ztf", "ZTF26aaaaaaa")
START = datetime(2026, 3, 22, 4, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("time", "microseconds"),
    [
        (None, None),
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=UTC), -999_999),
        # `date -u -d 2026-03-22T04:05:06Z +%s` says 1774152306
        (START, 1_774_152_306_000_000),
        (START.replace(microsecond=1), 1_774_152_306_000_001),
        (START.replace(microsecond=500_000), 1_774_152_306_500_000),
        (START.replace(microsecond=999_999), 1_774_152_306_999_999),
        (datetime(2199, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), 7_258_118_399_999_999),
    ],
)
def test_a_time_as_a_number_is_exact(time, microseconds):
    FinkObject.objects.create(survey="ztf", object_id="a", first_seen=time)
    assert FinkObject.objects.values_list(Microseconds("first_seen")).get() == (microseconds,)


def alert(seconds: int, mag_ab: float | None, band: str | None = "g") -> dict:
    """What an alert tells its object, so many seconds after START."""
    return {
        "object_survey": KEY[0],
        "object_key": KEY[1],
        "observed_at": START + timedelta(seconds=seconds),
        "ra_deg": 150.0 + seconds / 1000,
        "dec_deg": 2.0,
        "mag_ab": mag_ab,
        "is_positive": None if mag_ab is None else True,
        "band": band,
        "fink_class": f"after {seconds} s, {mag_ab}",
    }


SCHEMA = {
    **dict.fromkeys(("object_survey", "object_key"), pl.String),
    "observed_at": pl.Datetime("ms", "UTC"),
    **dict.fromkeys(("ra_deg", "dec_deg", "mag_ab"), pl.Float64),
    "is_positive": pl.Boolean,
    **dict.fromkeys(("band", "fink_class"), pl.String),
}


def store(*alerts: dict) -> None:
    """One batch's way through the object's lock."""
    frame = pl.DataFrame(alerts, schema=SCHEMA)
    with transaction.atomic():
        update_objects(frame, lock_objects(frame))


def summary() -> dict:
    """The object's row without its keys."""
    (row,) = FinkObject.objects.values()
    return {name: value for name, value in row.items() if name not in ("id", "target_id")}


OLD, NEW, BRIGHTER, DARK = alert(0, 17.0), alert(60, 19.0), alert(60, 18.5, "r"), alert(120, None, None)


@pytest.mark.parametrize(
    ("alerts", "speaking"),
    [
        ((OLD, NEW), NEW),
        ((NEW, BRIGHTER), BRIGHTER),  # of one moment
        ((OLD, DARK), OLD),  # a multi-messenger alert has no brightness
        ((OLD, NEW, BRIGHTER, DARK), BRIGHTER),
    ],
)
def test_which_alert_speaks_for_the_object_does_not_depend_on_their_order(alerts, speaking):
    times = [each["observed_at"] for each in alerts]
    wanted = {
        "survey": KEY[0],
        "object_id": KEY[1],
        "alert_count": len(alerts),
        "first_seen": min(times),
        "last_seen": max(times),
        "summary_at": speaking["observed_at"],
        **{
            name: speaking[name]
            for name in ("ra_deg", "dec_deg", "mag_ab", "is_positive", "band", "fink_class")
        },
    }
    for order in permutations(alerts):
        for cut in range(len(order)):
            FinkObject.objects.all().delete()
            for batch in filter(None, (order[:cut], order[cut:])):
                store(*batch)
            assert summary() == wanted, (order, cut)


def test_an_alert_without_brightness_speaks_until_one_with_it_comes():
    store(DARK)
    found = summary()
    assert (found["mag_ab"], found["band"], found["fink_class"]) == (None, "", DARK["fink_class"])
    store(OLD)
    assert (summary()["mag_ab"], summary()["last_seen"]) == (17.0, DARK["observed_at"])


def test_objects_are_locked_by_their_keys_whatever_else_they_have():
    store(OLD)
    other = alert(0, 20.0) | {"object_survey": "lsst", "object_key": "170055002004914266"}
    frame = pl.DataFrame([NEW, other, NEW], schema=SCHEMA)
    with transaction.atomic():
        locked = lock_objects(frame)
    assert set(locked) == {KEY, ("lsst", "170055002004914266")}
    known, new = locked[KEY], locked["lsst", "170055002004914266"]
    assert (known.alert_count, known.mag_ab) == (1, 17.0)
    assert known.first_seen_us == known.last_seen_us == known.summary_us == 1_774_152_306_000_000
    assert (new.alert_count, new.first_seen_us, new.target_id, new.band) == (0, None, None, "")
    assert {found.pk for found in locked.values()} == set(FinkObject.objects.values_list("pk", flat=True))


def test_nothing_is_locked_of_nothing():
    assert lock_objects(pl.DataFrame(schema=SCHEMA)) == {}
