"""The ledger put together, and the command that prints it."""

import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command

from tom_fink.delays import percentiles_s
from tom_fink.models import DelayHour, PartitionLedger, Reader, RejectedMessage
from tom_fink.status.status import status

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 23, 4, 17, tzinfo=UTC)
HOUR = NOW.replace(minute=0)
HISTOGRAM = {"-40": 1, "0": 2, "400": 50, "500": 47}


def account(topic="fink_a", partition=0, group="g", waiting=0, age=timedelta(seconds=5), **values):
    """A partition with 10 messages read, 8 of them stored."""
    fates = {"stored": 8, "duplicate": 1, "rejected": 1, "handled": 0} | {
        name: values.pop(name) for name in ("stored", "duplicate", "rejected", "handled") if name in values
    }
    read = sum(fates.values())
    next_offset = read + values.get("lost", 0) + values.get("skipped", 0) - values.get("replayed", 0)
    defaults = {"end_offset": next_offset + waiting, "seen_at": NOW - age, "updated_at": NOW - age}
    if values.get("lost"):
        defaults["lost_at"] = NOW - age
    return PartitionLedger.objects.create(
        group_id=group,
        topic=topic,
        partition=partition,
        first_offset=0,
        next_offset=next_offset,
        read=read,
        **(defaults | fates | values),
    )


def reader(group="g", silent_s=4, pid=1, started=NOW - timedelta(hours=3)):
    return Reader.objects.create(
        host="host",
        pid=pid,
        stream="ztf",
        group_id=group,
        started_at=started,
        beat_at=NOW - timedelta(seconds=silent_s),
    )


def reject(topic="fink_a", **values):
    count = RejectedMessage.objects.count()
    return RejectedMessage.objects.create(
        topic=topic, partition=0, offset=count, digest=str(count), error="why", received_at=NOW, **values
    )


def delays(topic="fink_a", partition=0, hours=0, **steps):
    return DelayHour.objects.create(
        topic=topic, partition=partition, hour=HOUR - timedelta(hours=hours), **steps
    )


def only(found):
    (entry,) = found["topics"]
    return entry


class TestTopics:
    def test_partitions_are_added_up(self):
        account(waiting=5, lost=2)
        account(partition=1, stored=100, waiting=7, replayed=1, age=timedelta(minutes=1))
        entry = only(status(now=NOW))
        assert {name: entry[name] for name in ("read", "stored", "duplicate", "rejected", "handled")} == {
            "read": 112, "stored": 108, "duplicate": 2, "rejected": 2, "handled": 0,
        }  # fmt: skip
        assert (entry["lost"], entry["replayed"], entry["waiting"], entry["partitions"]) == (2, 1, 12, 2)
        assert entry["waiting_seen_at"] == NOW - timedelta(minutes=1)
        assert entry["updated_at"] == NOW - timedelta(seconds=5)
        assert entry["adds_up"] is True

    def test_how_many_wait_is_not_known(self):
        account(end_offset=None, seen_at=None)
        entry = only(status(now=NOW))
        assert (entry["waiting"], entry["waiting_seen_at"]) == (None, None)

    def test_an_end_that_is_older_than_the_last_batch(self):
        account(waiting=-3)
        assert only(status(now=NOW))["waiting"] == 0

    def test_open_rejected_messages(self):
        account()
        account("fink_b")
        for topic in ("fink_a", "fink_a", "poison"):
            reject(topic)
        reject(closed_at=NOW, closed_as="stored")
        found = status(now=NOW)
        assert [entry["rejected_open"] for entry in found["topics"]] == [2, 0]
        assert found["rejected_elsewhere"] == [{"topic": "poison", "rejected_open": 1}]

    def test_open_ones_are_counted_once_where_two_groups_read_a_topic(self):
        account(group="old", age=timedelta(days=1))
        account()
        reject()
        entries = status(now=NOW)["topics"]
        assert {entry["group_id"]: entry["rejected_open"] for entry in entries} == {"g": 1, "old": 0}

    @pytest.mark.parametrize(
        ("silent_s", "age", "read_now", "left"),
        [
            (4, timedelta(seconds=60), True, False),
            (4, timedelta(minutes=5), False, False),
            (4, timedelta(minutes=11), False, True),
            (100, timedelta(seconds=60), False, False),
            (100, timedelta(days=30), False, False),
        ],
    )
    def test_whether_a_topic_is_read(self, silent_s, age, read_now, left):
        """A group that reads on, but not this topic, has left it; where no reader lives, all are missed."""
        account(age=age)
        reader(silent_s=silent_s)
        entry = only(status(now=NOW))
        assert (entry["is_read_now"], entry["is_left"]) == (read_now, left)

    @pytest.mark.parametrize(("days", "left"), [(6, False), (8, True)])
    def test_a_group_without_a_reader_is_missed_for_a_week_if_others_are_read(self, days, left):
        account("fink_b", group="h", age=timedelta(days=days))
        account()
        reader()
        assert [entry["is_left"] for entry in status(now=NOW)["topics"]] == [False, left]

    def test_a_group_that_was_exchanged_for_another(self):
        account(group="old", age=timedelta(minutes=3))
        account(group="new")
        found = {entry["group_id"]: entry["is_left"] for entry in status(now=NOW)["topics"]}
        assert found == {"new": False, "old": True}

    def test_only_some(self):
        for topic in ("fink_a", "fink_b", "fink_c"):
            account(topic, group=f"group of {topic}")
            reader(f"group of {topic}", pid=ord(topic[-1]))
            delays(topic, emitted_to_stored=HISTOGRAM)
            reject(topic)
            reject(f"poison of {topic}")
        found = status(topics=["fink_a", "fink_c", "poison of fink_a"], now=NOW)
        assert [entry["topic"] for entry in found["topics"]] == ["fink_a", "fink_c"]
        assert all(entry["delays"] for entry in found["topics"])
        assert [entry["topic"] for entry in found["rejected_elsewhere"]] == ["poison of fink_a"]
        assert {one["group_id"] for one in found["readers"]} == {"group of fink_a", "group of fink_c"}
        assert "fink_b" not in json.dumps(found, default=str)


class TestReaders:
    def test_silent(self):
        reader(pid=1, silent_s=89)
        reader(pid=2, silent_s=91)
        found = status(now=NOW)["readers"]
        assert [one["is_silent"] for one in found] == [False, True]

    @pytest.mark.parametrize(
        ("group", "started_s", "silent_s", "replaced"),
        [("g", 200, 4, True), ("g", 400, 4, False), ("h", 200, 4, False), ("g", 200, 100, False)],
    )
    def test_replaced(self, group, started_s, silent_s, replaced):
        """By one of the same group that lives and has started since."""
        reader(pid=1, silent_s=300)
        reader(group, pid=2, silent_s=silent_s, started=NOW - timedelta(seconds=started_s))
        assert status(now=NOW)["readers"][0]["is_replaced"] is replaced


class TestDelays:
    def test_percentiles_of_all_hours_and_of_each(self):
        account()
        delays(emitted_to_stored=HISTOGRAM, received_to_stored={"7": 3})
        delays(partition=1, emitted_to_stored={"400": 900})
        delays(hours=2, emitted_to_stored={"100": 8000})
        found = only(status(now=NOW))["delays"]
        total = HISTOGRAM | {"400": 950, "100": 8000}
        step = found["steps"]["emitted_to_stored"]
        assert step["alerts"] == 9000
        assert [step["p50_s"], step["p90_s"], step["p99_s"]] == percentiles_s(total, (50, 90, 99))
        assert found["steps"]["received_to_stored"]["alerts"] == 3
        assert found["steps"]["emitted_to_broker"] == {
            "alerts": 0, "p50_s": None, "p90_s": None, "p99_s": None
        }  # fmt: skip
        assert [hour["hour"] for hour in found["by_hour"]] == [HOUR - timedelta(hours=2), HOUR]
        assert [hour["steps"]["emitted_to_stored"]["alerts"] for hour in found["by_hour"]] == [8000, 1000]
        assert (
            found["by_hour"][1]["steps"]["emitted_to_stored"]["p50_s"]
            == percentiles_s(HISTOGRAM | {"400": 950}, (50,))[0]
        )

    def test_without_the_hours_it_is_the_same(self):
        account()
        for hours in range(5):
            delays(hours=hours, emitted_to_stored={str(100 * hours): 10, "-3": 1})
        whole = only(status(now=NOW))["delays"]
        assert only(status(now=NOW, by_hour=False))["delays"] == {"steps": whole["steps"]}
        assert only(status(now=NOW, with_delays=False))["delays"] == {}

    @pytest.mark.parametrize(("hours", "alerts"), [(1, 2), (24, 25), (48, 30)])
    def test_of_so_many_hours(self, hours, alerts):
        account()
        for back in range(30):
            delays(hours=back, emitted_to_stored={"5": 1})
        assert only(status(hours, now=NOW))["delays"]["steps"]["emitted_to_stored"]["alerts"] == alerts


@pytest.mark.parametrize("topics", [1, 20])
def test_it_takes_four_queries(django_assert_num_queries, topics):
    for number in range(topics):
        name = f"fink_{number}"
        account(name)
        account(name, partition=1)
        delays(name, emitted_to_stored=HISTOGRAM)
        reject(name)
        reader(pid=number)
    with django_assert_num_queries(4):
        assert len(status(now=NOW)["topics"]) == topics
    with django_assert_num_queries(3):
        status(now=NOW, with_delays=False)


class TestCommand:
    @pytest.fixture(autouse=True)
    def now(self, monkeypatch):
        """The command has the time that the rows have."""

        class Clock(datetime):
            @classmethod
            def now(cls, tz=None):
                return NOW

        monkeypatch.setattr("tom_fink.status.status.datetime", Clock)

    @staticmethod
    def run(*arguments) -> str:
        output = io.StringIO()
        call_command("fink_status", *arguments, stdout=output, no_color=True)
        return output.getvalue()

    def test_text(self):
        account(lost=17, waiting=3)
        account(group="old", age=timedelta(days=1))
        account("fink_longer_name", rejected=1234)
        reject("fink_longer_name")
        reject("poison")
        reader()
        reader(pid=77, silent_s=300, started=NOW - timedelta(days=1))
        delays(emitted_to_stored={"400": 5}, hours=1)
        lines = self.run().splitlines()
        assert lines[0] == "Ledger at 2026-11-23 04:17:00 UTC"
        assert lines[1] == (
            "Lost: 17 alerts of fink_a were removed by the broker before being read; "
            "noticed last on 2026-11-23 04:16:55 UTC, 5 s ago."
        )
        table = {line.split("  ")[0]: line.split()[-10:] for line in lines if line.startswith("fink_")}
        assert table["fink_a (g)"] == ["10", "8", "1", "1", "0", "0", "0", "0", "17", "3"]
        assert table["fink_a (old)"] == ["10", "8", "1", "1", "0", "0", "0", "0", "0", "0"]
        assert table["fink_longer_name"] == ["1243", "8", "1", "1234", "1", "0", "0", "0", "0", "0"]
        assert "poison: 1 open, from no stream" in lines
        assert any(line.endswith("  3.0 s / 3.0 s / 3.0 s") for line in lines)
        assert (
            "ztf stream, group g, process 1 on host: alive, sign of life 4 s ago, "
            "since 2026-11-23 01:17:00 UTC" in lines
        )
        assert any("process 77 on host: SILENT, sign of life 5 min ago" in line for line in lines)

    def test_a_reader_that_was_replaced_is_not_called_silent(self):
        account()
        reader(pid=1, silent_s=300)
        reader(pid=2, started=NOW - timedelta(seconds=200))
        text = self.run()
        assert "process 1 on host: replaced" in text
        assert "SILENT" not in text
        assert "All is well" in text

    def test_before_the_first_message(self):
        text = self.run()
        assert "No message has been read yet." in text
        assert "No reader is running" in text

    def test_json(self):
        account(waiting=3)
        reader()
        for hours in (0, 1):
            delays(emitted_to_stored={"400": 5}, hours=hours)
        found = json.loads(self.run("--json"))
        assert found["at"] == "2026-11-23T04:17:00Z"
        assert only(found)["stored"] == 8
        assert [hour["hour"] for hour in only(found)["delays"]["by_hour"]] == [
            "2026-11-23T03:00:00Z", "2026-11-23T04:00:00Z",
        ]  # fmt: skip
        assert found["readers"][0]["group_id"] == "g"
        (finding,) = found["findings"]
        assert (finding["level"], finding["about"]) == ("ok", "rest")
        assert finding["text"].startswith(
            "All is well: the reader gave a sign of life 4 s ago, 3 alerts wait"
        )

    def test_hours(self):
        account()
        delays(emitted_to_stored={"400": 5}, hours=10)
        assert "Delays" not in self.run("--hours", "9").partition("Readers")[0]
        assert "last 10 h" in self.run("--hours", "10")
