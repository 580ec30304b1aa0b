"""What a move of a consumer group means, and which stream it is about."""

from concurrent.futures import Future
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException

from tom_fink.errors import ConfigurationError, StreamError
from tom_fink.kafka.offsets import Group, Move, choose_stream, parse_to
from tom_fink.kafka.options import StreamOptions

ZTF = StreamOptions("127.0.0.1:1", "mine", ("fink_sn_*", "fink_grb_bronze"), survey="ztf")
LSST = StreamOptions("lsst:1", "mine", ("fink_extragalactic_lsst", "fink_*_lsst"), survey="lsst")
GREEDY = StreamOptions("lsst:1", "other", ("fink_*",), survey="lsst")


@pytest.mark.parametrize(
    ("committed", "low", "high", "to", "expected"),
    [
        # again, skipped, lost, left
        (7, 0, 10, 0, (7, 0, 0, 10)),
        (7, 0, 10, 10, (0, 3, 0, 0)),
        (7, 0, 10, 7, (0, 0, 0, 3)),
        (None, 0, 10, 4, (0, 4, 0, 6)),
        (None, 3, 10, 3, (0, 0, 0, 7)),
        (None, 0, 0, 0, (0, 0, 0, 0)),
        (2, 5, 10, 5, (0, 0, 3, 5)),  # retention has removed 2 to 4
        (2, 5, 10, 10, (0, 5, 3, 0)),
        (20, 0, 10, 0, (10, 0, 0, 10)),  # the topic was made anew, and is shorter
        (20, 0, 10, 10, (0, 0, 0, 0)),
    ],
)
def test_what_a_move_means_for_a_partition(committed, low, high, to, expected):
    move = Move("t", 0, committed, low, high, to)
    assert (move.again, move.skipped, move.lost, move.left) == expected
    assert move.as_dict() == {
        "topic": "t", "partition": 0, "committed": committed, "low": low, "high": high, "to": to,
        "again": expected[0], "skipped": expected[1], "lost": expected[2], "left": expected[3],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Earliest", "earliest"),
        ("latest", "latest"),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2026-11-20T12:00:00Z", datetime(2026, 11, 20, 12, tzinfo=UTC)),
        ("2026-11-20T12:00:00+01:00", datetime(2026, 11, 20, 12, tzinfo=timezone(timedelta(hours=1)))),
    ],
)
def test_where_to(text, expected):
    assert parse_to(text) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "5", "2026-13-01"])
def test_a_place_that_is_none_is_refused_by_name(text):
    with pytest.raises(
        ConfigurationError, match=r"--to '.*' cannot be used: it takes earliest, latest or an ISO time"
    ):
        parse_to(text)


@pytest.mark.parametrize(
    ("wanted", "survey", "expected"),
    [
        (["fink_sn_x_ztf"], None, ZTF),
        (["fink_sn_*"], None, ZTF),
        (["fink_grb_bronze", "fink_sn_a"], None, ZTF),
        (["fink_grb_*"], None, ZTF),
        (["fink_extragalactic_lsst"], None, LSST),
        (["fink_*"], "lsst", LSST),
    ],
)
def test_the_stream_is_the_one_that_reads_the_topics(wanted, survey, expected):
    assert choose_stream([ZTF, LSST], wanted, survey) is expected


@pytest.mark.parametrize(
    ("streams", "wanted", "survey", "told"),
    [
        ([ZTF, LSST], ["fink_kn_ztf"], None, "No stream reads fink_kn_ztf. The streams: ztf reads fink_sn_"),
        ([ZTF, LSST], ["fink_sn_a", "fink_a_lsst"], None, "No stream reads fink_sn_a and fink_a_lsst"),
        ([ZTF, LSST], ["fink_sn_a"], "lsst", "No LSST stream reads fink_sn_a"),
        ([], ["fink_sn_a"], None, "The streams: none is active."),
        (
            [ZTF, GREEDY],
            ["fink_sn_a"],
            None,
            "Several streams read fink_sn_a; choose one with --survey: ztf reads",
        ),
    ],
)
def test_no_stream_or_several_are_an_error_that_says_what_there_is(streams, wanted, survey, told):
    with pytest.raises(ConfigurationError) as caught:
        choose_stream(streams, wanted, survey)
    assert told in str(caught.value)


class Admin:
    """Answers for groups with one error after the other, and then with one reader."""

    def __init__(self, *codes: int):
        self.codes = list(codes)

    def describe_consumer_groups(self, groups, request_timeout):
        answer = Future()
        if self.codes:
            answer.set_exception(KafkaException(KafkaError(self.codes.pop(0))))
        else:
            answer.set_result(SimpleNamespace(members=[SimpleNamespace(client_id="c", host="/127.0.0.1")]))
        return dict.fromkeys(groups, answer)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([], ["c at 127.0.0.1"]),
        ([KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS], ["c at 127.0.0.1"]),
        ([KafkaError.GROUP_ID_NOT_FOUND], []),
        ([KafkaError._UNSUPPORTED_FEATURE], None),
    ],
)
def test_who_reads_is_asked_until_somebody_answers_for_the_group(codes, expected):
    with Group(ZTF) as group:
        group._admin = Admin(*codes)
        assert group.readers() == expected


def test_a_group_that_nobody_may_look_at_is_not_taken_for_stopped(monkeypatch):
    with Group(ZTF) as group:
        group._admin = Admin(KafkaError.GROUP_AUTHORIZATION_FAILED)
        with pytest.raises(StreamError, match="GROUP_AUTHORIZATION_FAILED"):
            group.check_stopped()
        monkeypatch.setattr("tom_fink.kafka.offsets.TIMEOUT_S", 0.1)
        group._admin = Admin(*[KafkaError.NOT_COORDINATOR] * 9)
        with pytest.raises(StreamError, match="NOT_COORDINATOR"):
            group.check_stopped()
