"""How often Fink is asked, how long it is waited for, and how a long run tells how far it is."""

import io
from itertools import pairwise

import pytest
from django.core.management.base import OutputWrapper

from tests.fink_server import FinkServer, hangs_up, is_silent, says
from tests.unit.test_search_run import ZTF_ID, ztf
from tom_fink.api import ztf as ztf_api
from tom_fink.backfill.client import GentleClient
from tom_fink.backfill.pace import RateLimit
from tom_fink.backfill.progress import Progress
from tom_fink.backfill.report import Report
from tom_fink.errors import QueryRefused, ServiceUnavailable, TooSlow
from tom_fink.stopping import Stop


class Clock:
    """A clock that a test drives."""

    def __init__(self):
        self.now = 1000.0
        self.slept = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        """The pauses of the rate."""
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


def test_places_are_at_even_distances(clock):
    limit = RateLimit(30, clock)
    assert [limit.reserve() for _ in range(4)] == [0, 2, 4, 6]
    clock.now += 5
    assert limit.reserve() == 3


def test_a_pause_saves_nothing_up(clock):
    limit = RateLimit(30, clock)
    limit.reserve()
    clock.now += 600
    assert [limit.reserve() for _ in range(3)] == [0, 2, 4]


@pytest.mark.parametrize("per_minute", [0, -1, float("nan"), float("inf")])
def test_no_rate(per_minute):
    with pytest.raises(ValueError, match="a rate is a positive number"):
        RateLimit(per_minute)


class Waits(Stop):
    """A stop whose waits cost no time and are noted; it is set at the wait of this number."""

    def __init__(self, clock, set_at=None):
        super().__init__()
        self.clock, self.set_at, self.waited = clock, set_at, []

    def wait(self, timeout=None):
        if self.is_set():
            return True
        self.waited.append(timeout)
        if len(self.waited) == self.set_at:
            self.set()
        else:
            self.clock.now += timeout
        return self.is_set()


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with FinkServer() as found:
        found.rows["ztf", "objects"] = [ztf(1)]
        yield found


def client_of(server, clock, stop, **more):
    return GentleClient(server.options(), RateLimit(60, clock), stop, clock=clock, sleep=clock.sleep, **more)


QUERY = ztf_api.alerts(ZTF_ID)


def test_every_question_waits_its_turn(server, clock):
    stop = Waits(clock)
    with client_of(server, clock, stop) as client:
        for _ in range(3):
            assert client.get(QUERY).frame.height == 1
    assert clock.slept == [0, 1, 1]
    assert client.asked == len(server.asked) == 3


def test_a_service_that_is_away_is_asked_again_after_growing_pauses(server, clock):
    stop = Waits(clock)
    server.faults = [says(503)] * 3
    with client_of(server, clock, stop, first_wait_s=5.0) as client:
        assert client.get(QUERY).frame.height == 1
    assert stop.waited == [5, 10, 20]
    assert len(server.asked) == 4, "the client below asks each time once, or the rate would not be kept"


def test_a_connection_that_breaks_takes_a_turn_each_time(server, clock):
    server.faults = [hangs_up] * 3
    with client_of(server, clock, Waits(clock)) as client:
        assert client.get(QUERY).frame.height == 1
        assert client.asked == len(server.asked) == len(clock.slept) == 4


def test_the_time_of_the_questions_counts(server, clock):
    """A service that takes two minutes to say that it is away is not asked for half an hour."""

    def slowly(handler):
        clock.now += 100
        says(503)(handler)

    server.faults = [slowly] * 9
    with (
        client_of(server, clock, Waits(clock), give_up_after_s=150.0) as client,
        pytest.raises(ServiceUnavailable),
    ):
        client.get(QUERY)
    assert len(server.asked) == 3, "at 0 s, 5 s and 115 s"


def test_what_was_waited_for_in_vain_is_asked_once_until_it_answers(server, clock):
    stop = Waits(clock)
    server.faults = [says(503)] * 4
    with client_of(server, clock, stop, give_up_after_s=5.0) as client:
        for _ in range(3):
            with pytest.raises(ServiceUnavailable):
                client.get(QUERY)
        assert (stop.waited, len(server.asked)) == ([5], 4)
        assert client.get(QUERY).frame.height == 1
        server.faults = [says(503)]
        assert client.get(QUERY).frame.height == 1
    assert stop.waited == [5, 5]


def test_who_can_ask_for_less_hears_at_once_that_it_is_too_slow(server, clock):
    stop = Waits(clock)
    server.faults = [says(504)]
    with client_of(server, clock, stop) as client, pytest.raises(TooSlow):
        client.get(QUERY, can_be_less=True)
    server.faults = [says(503), says(504), is_silent]
    with GentleClient(
        server.options(timeout_s=0.3), RateLimit(60, clock), stop, clock=clock, sleep=clock.sleep
    ) as client:
        with pytest.raises(TooSlow):
            client.get(QUERY, can_be_less=True)
        assert stop.waited == [5], "for the one that is away"
        with pytest.raises(TooSlow, match=r"within 0\.3 s"):
            client.get(QUERY, can_be_less=True)


def test_it_is_given_up_after_a_time(server, clock):
    stop = Waits(clock)
    server.faults = [says(503)] * 9
    with (
        client_of(server, clock, stop, give_up_after_s=12.0, first_wait_s=5.0) as client,
        pytest.raises(ServiceUnavailable, match="out of order"),
    ):
        client.get(QUERY)
    assert stop.waited == [5, 7]
    assert len(server.asked) == 3


def test_what_is_refused_is_not_asked_again(server, clock):
    server.faults = [says(500)]
    with client_of(server, clock, Waits(clock)) as client, pytest.raises(QueryRefused):
        client.get(QUERY)
    assert len(server.asked) == 1


def test_a_stop_ends_the_waiting_and_the_rate_is_kept(server, clock):
    stop = Waits(clock, set_at=2)
    server.faults = [says(503)] * 3
    with client_of(server, clock, stop, first_wait_s=5.0) as client:
        with pytest.raises(ServiceUnavailable):
            client.get(QUERY)
        # 5 s, and in the next 10 s the stop comes: once more then, and no more
        assert (stop.waited, len(server.asked)) == ([5, 10], 3)
        asked_at = []
        for _ in range(3):
            client.get(QUERY)
            asked_at.append(clock.now)
    assert [later - before for before, later in pairwise(asked_at)] == [1, 1]
    assert stop.waited == [5, 10]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_on_a_terminal(clock):
    out = Terminal()
    progress = Progress(OutputWrapper(out), clock)
    progress.show(0.5, "half of it")
    progress.show(2, "all")
    progress.end()
    progress.end()
    first, second = out.getvalue().split("\r")[1:]
    assert first == f"[{'#' * 15}{'.' * 15}]  50% half of it"
    assert second == f"[{'#' * 30}] 100% all".ljust(len(first)) + "\n", "nothing is left of the longer line"


def test_lines_elsewhere(clock):
    out = io.StringIO()
    progress = Progress(OutputWrapper(out), clock)
    for second in range(0, 100, 10):
        clock.now = 1000 + second
        progress.show(second / 100, f"after {second} s")
    progress.end()
    assert out.getvalue() == " 30% after 30 s\n 60% after 60 s\n 90% after 90 s\n"


def test_the_report_counts_and_says_each_sentence_once():
    report = Report(targets=1, alerts=2, aliases=1, listed=5)
    report.say(["b", "a", "b"])
    said = "1 target, 2 alerts, 0 points, 1 alias, 3 problems; 3 alerts that were there are of the topic now"
    assert str(report) == said
    assert report.sentences() == ["b (2 times)", "a"]
    report.say(str(number) for number in range(30))
    assert len(report.sentences()) == 21
    assert report.sentences()[-1] == "… and 12 further kinds."
