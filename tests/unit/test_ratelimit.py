"""How often Fink is asked, how long it is waited for, and how a long run tells how far it is."""

import io

import pytest
from django.core.management.base import OutputWrapper

from tests.fink_server import FinkServer, says
from tests.unit.test_search_run import ZTF_ID, ztf
from tom_fink.api import ztf as ztf_api
from tom_fink.backfill.client import GentleClient
from tom_fink.backfill.pace import RateLimit
from tom_fink.backfill.progress import Progress
from tom_fink.backfill.report import Report
from tom_fink.errors import QueryRefused, ServiceUnavailable
from tom_fink.stopping import Stop


class Clock:
    """A clock that a test drives."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


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
    return GentleClient(server.options(retries=0), RateLimit(60, clock), stop, **more)


QUERY = ztf_api.alerts(ZTF_ID)


def test_every_question_waits_its_turn(server, clock):
    stop = Waits(clock)
    with client_of(server, clock, stop) as client:
        for _ in range(3):
            assert client.get(QUERY).frame.height == 1
    assert stop.waited == [0, 1, 1]
    assert client.asked == len(server.asked) == 3


def test_a_service_that_is_away_is_asked_again_after_growing_pauses(server, clock):
    stop = Waits(clock)
    server.faults = [says(503)] * 3
    with client_of(server, clock, stop, first_wait_s=5.0) as client:
        assert client.get(QUERY).frame.height == 1
    assert [one for one in stop.waited if one] == [5, 10, 20]


def test_it_is_given_up_after_a_time(server, clock):
    stop = Waits(clock)
    server.faults = [says(503)] * 9
    with (
        client_of(server, clock, stop, give_up_after_s=12.0, first_wait_s=5.0) as client,
        pytest.raises(ServiceUnavailable, match="out of order"),
    ):
        client.get(QUERY)
    assert [one for one in stop.waited if one] == [5, 7]
    assert len(server.asked) == 3


def test_what_is_refused_is_not_asked_again(server, clock):
    server.faults = [says(500)]
    with client_of(server, clock, Waits(clock)) as client, pytest.raises(QueryRefused):
        client.get(QUERY)
    assert len(server.asked) == 1


def test_a_stop_ends_the_waiting_and_the_rest_is_asked_without_pauses(server, clock):
    stop = Waits(clock, set_at=4)
    server.faults = [says(503)] * 3
    with client_of(server, clock, stop, first_wait_s=5.0) as client:
        with pytest.raises(ServiceUnavailable):
            client.get(QUERY)
        # A turn, 5 s, a turn, and in the next 10 s the stop comes: once more then, and no more
        assert (stop.waited, len(server.asked)) == ([0, 5, 0, 10], 3)
        for _ in range(3):
            client.get(QUERY)
        assert len(stop.waited) == 4


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
