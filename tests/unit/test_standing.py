"""The sentences that say how the stream stands."""

from datetime import UTC, datetime, timedelta

import pytest

from tom_fink.status.standing import Level, duration, standing

NOW = datetime(2026, 11, 23, 4, 0, 0, tzinfo=UTC)


def ago(**span) -> datetime:
    return NOW - timedelta(**span)


def entry(topic="fink_a", group="g", **values):
    """A topic that is read and has nothing to complain of."""
    return {
        "topic": topic, "group_id": group, "lost": 0, "lost_at": ago(hours=2), "adds_up": True, "waiting": 0,
        "waiting_seen_at": ago(seconds=5), "updated_at": ago(minutes=1), "rejected_open": 0,
        "is_left": False, "is_read_now": True,
    } | values  # fmt: skip


def reader(group="g", beat=4, *, replaced=False, started=NOW - timedelta(days=1)):
    return {
        "group_id": group, "host": "secret-host", "pid": 4711, "started_at": started,
        "beat_at": ago(seconds=beat), "is_silent": beat > 90, "is_replaced": replaced,
    }  # fmt: skip


def say(*entries, readers=None, elsewhere=()):
    """Level and text of each finding."""
    status = {
        "at": NOW,
        "topics": list(entries),
        "readers": [reader()] if readers is None else list(readers),
        "rejected_elsewhere": [{"topic": topic, "rejected_open": count} for topic, count in elsewhere],
    }
    return [(finding.level.name, finding.text) for finding in standing(status)]


def test_all_is_well():
    assert say(entry()) == [
        ("OK", "All is well: the reader gave a sign of life 4 s ago, nothing waits, nothing was lost.")
    ]


def test_a_few_that_wait_are_no_reason_to_worry():
    ((level, text),) = say(entry(waiting=1200), entry("fink_b", waiting=34))
    assert (level, "1,234 alerts wait and will be read soon" in text) == ("OK", True)
    assert "1 alert waits and will" in say(entry(waiting=1))[0][1]


def test_several_readers():
    ((_, text),) = say(entry(), readers=[reader(beat=40), reader(beat=7)])
    assert "2 readers live, the last sign came 7 s ago" in text


def test_what_is_not_known_is_not_claimed():
    ((_, text),) = say(entry(waiting=None, waiting_seen_at=None))
    assert "wait" not in text


def test_nothing_was_read_yet():
    assert say(readers=[]) == [
        ("WARNING", "No reader is running: new alerts stay with the broker."),
        ("NOTICE", "No message has been read yet."),
    ]
    assert say() == [
        ("NOTICE", "No message has been read yet."),
        ("OK", "Apart from that, the reader gave a sign of life 4 s ago."),
    ]


class TestLost:
    def test_it_comes_first(self):
        found = say(entry(lost=17), readers=[])
        assert found[0] == (
            "FAULT",
            "Lost: 17 alerts of fink_a were removed by the broker before being read; noticed last on "
            "2026-11-23 02:00:00 UTC, 2 h ago.",
        )
        assert not any("nothing was lost" in text for _, text in found)

    def test_one(self):
        assert "Lost: 1 alert of fink_a was removed" in say(entry(lost=1))[0][1]

    def test_the_first_few_topics_are_named_and_groups_added_up(self):
        entries = [entry(f"fink_{n}", lost=1000) for n in range(9)] + [entry("fink_0", "old", lost=1)]
        assert "9,001 alerts of fink_0, fink_1, fink_2 and 6 other topics were" in say(*entries)[0][1]
        assert "4,000 alerts of fink_0, fink_1, fink_2 and fink_3 were" in say(*entries[:4])[0][1]

    def test_after_some_days_it_is_no_alarm_any_more(self):
        assert say(entry(lost=3, lost_at=ago(days=6)))[0][0] == "FAULT"
        assert say(entry(lost=3, lost_at=ago(days=6)), entry(lost=3, lost_at=ago(days=9)))[0][0] == "FAULT"
        level, text = say(entry(lost=3, lost_at=ago(days=8)))[0]
        assert (level, text[:13]) == ("NOTICE", "Lost: 3 alert")

    def test_a_topic_that_was_left_has_lost_what_it_has_lost(self):
        assert say(entry(lost=3, is_left=True))[0][0] == "FAULT"


class TestReaders:
    def test_none(self):
        assert say(entry(), readers=[]) == [
            ("WARNING", "No reader is running: new alerts stay with the broker."),
            ("OK", "Apart from that, nothing was lost."),
        ]

    def test_silent(self):
        assert say(entry(), readers=[reader(beat=300)])[0] == (
            "FAULT",
            "The reader is silent since 2026-11-23 03:55:00 UTC, 5 min ago: it hangs, was killed or cannot "
            "reach the database.",
        )

    def test_all_are_silent(self):
        level, text = say(entry(), readers=[reader(beat=300), reader(beat=600)])[0]
        assert level == "FAULT"
        assert text.startswith("2 readers are silent since 2026-11-23 03:55:00 UTC, 5 min ago: they hang")

    def test_one_group_of_two_has_none(self):
        found = say(entry(), entry("fink_b", "h"))
        assert found[0] == ("WARNING", "No reader is running for fink_b: new alerts stay with the broker.")
        assert "another reader gave a sign of life" in found[-1][1]

    def test_the_reader_of_one_group_of_two_is_silent(self):
        level, text = say(entry(), entry("fink_b", "h"), readers=[reader(), reader("h", beat=300)])[0]
        assert (level, text.startswith("The reader of fink_b is silent since")) == ("FAULT", True)

    def test_one_of_two_in_a_group_is_silent(self):
        found = say(entry(), readers=[reader(), reader(beat=300)])
        assert found[0][0] == "WARNING"
        assert "A reader is silent since 2026-11-23 03:55:00 UTC, 5 min ago: others" in found[0][1]

    def test_one_that_was_replaced_is_not_missed(self):
        assert say(entry(), readers=[reader(), reader(beat=300, replaced=True)])[0][0] == "OK"

    def test_a_topic_that_was_left_misses_no_reader(self):
        assert say(entry(), entry("fink_b", "old", is_left=True, waiting=5))[0][0] == "OK"

    def test_no_sentence_names_a_group_a_host_or_a_process(self):
        every = [
            say(entry(group="secret-group", waiting=9), readers=readers)
            for readers in ([], [reader("secret-group", 300)], [reader("secret-group"), reader("x", 300)])
        ]
        assert "secret" not in str(every)
        assert "4711" not in str(every)


class TestWaiting:
    def test_without_a_reader(self):
        entries = [
            entry(waiting=1200, waiting_seen_at=ago(hours=1)),
            entry("fink_b", waiting=34, waiting_seen_at=ago(hours=2)),
        ]
        level, text = say(*entries, readers=[])[1]
        assert level == "WARNING"
        assert text == (
            "At least 1,234 alerts of fink_a and fink_b wait: so many did at 2026-11-23 02:00:00 UTC, 2 h ago."
        )

    @pytest.mark.parametrize(("minutes", "level"), [(4, "OK"), (6, "WARNING")])
    def test_the_reader_lives_and_does_not_get_on(self, minutes, level):
        found = say(entry(waiting=70, updated_at=ago(minutes=minutes)), entry("fink_b", waiting=3))
        assert found[0][0] == level
        if level == "WARNING":
            assert found[0][1] == "70 alerts of fink_a wait, and none was read for 6 min."
            assert "wait" not in found[1][1]


class TestRejected:
    def test_open_ones(self):
        found = say(entry(rejected_open=2), entry("fink_b"), elsewhere=[("poison", 1)])
        assert found[0] == (
            "NOTICE",
            "3 rejected messages of fink_a and poison are open: somebody should look at the reason.",
        )

    def test_one_of_a_topic_that_two_groups_read(self):
        found = say(entry(rejected_open=1), entry(group="old", is_left=True))
        assert "1 rejected message of fink_a is open" in found[0][1]


def test_a_ledger_that_does_not_add_up():
    assert "fink_a does not add up" in say(entry(adds_up=False))[0][1]


def test_names_are_made_printable():
    assert "fink\\u202ex" in say(entry("fink\u202ex", lost=1))[0][1]


def test_levels_are_in_order():
    found = say(entry(lost=1, rejected_open=1), readers=[])
    levels = [Level[name] for name, _ in found]
    assert levels == sorted(levels, reverse=True)
    assert len(set(levels)) >= 3


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (0.0004, "0 s"), (0.001, "1 ms"), (0.0123, "12 ms"), (0.45, "450 ms"), (0.9999, "1.0 s"),
        (4, "4 s"), (4.25, "4.2 s"), (9.96, "10 s"), (99.4, "99 s"), (99.6, "1.7 min"), (300, "5 min"),
        (5969, "99 min"), (5971, "1.7 h"), (71 * 3600, "71 h"), (72 * 3600, "3 d"), (400 * 86_400, "400 d"),
        (5000 * 86_400, "5,000 d"), (-0.3, "−300 ms"), (-120, "−2 min"),
    ],
)  # fmt: skip
def test_durations(seconds, text):
    assert duration(seconds) == text
