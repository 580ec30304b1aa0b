"""What the simulated services know when, and the command that serves them."""

import os
import re
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from django.core.management import CommandError, call_command

from tom_fink.simulate import simulated_alerts
from tom_fink.simulate.service import Catalogue, Feed, catalogue
from tom_fink.simulate.service.feed import visits
from tom_fink.simulate.stream import mjd_of

START = datetime(2026, 3, 22, 4, tzinfo=UTC)
ROOT = Path(__file__).parents[2]


def test_the_stream_s_alerts_are_among_the_visits():
    stream = [one for one in simulated_alerts(9, START, 500) if one.survey != "mm"]
    last = stream[-1].observed_at
    known = {}
    for visit in visits(9, mjd_of(START), 2):
        known[visit.survey, visit.alert.get("candid") or visit.alert["diaSourceId"]] = visit
    assert last < START + timedelta(days=1.5)
    for one in stream:
        visit = known[one.survey, one.alert.get("candid") or one.alert["diaSourceId"]]
        assert repr(visit.alert) == repr(one.alert)  # NaN is not equal to itself
        assert one.topic in visit.topics


def test_a_feed_knows_what_is_past():
    now = START - timedelta(seconds=1)
    known = Catalogue()
    feed = Feed(known, 9, START, 1, lambda: now)
    feed.advance()
    assert not known.tables["ztf"].alerts
    counts = []
    for hours in (2, 2, 9, 48):
        now = START + timedelta(hours=hours)
        feed.advance()
        newest = max(alert.mjd for alert in known.tables["ztf"].alerts.values())
        assert newest <= mjd_of(now)
        counts.append(len(known.tables["ztf"].alerts))
    assert 0 < counts[0] == counts[1] < counts[2] == counts[3]
    whole = Catalogue()
    Feed(whole, 9, START, 1).advance()
    assert whole.tables["ztf"].alerts.keys() == known.tables["ztf"].alerts.keys()
    assert whole.forced == known.forced


def test_a_feed_can_be_stopped():
    known = Catalogue()
    Feed(known, 9, START, 10_000).advance(lambda: len(known.tables["ztf"].alerts) >= 5)
    assert len(known.tables["ztf"].alerts) == 5


def test_a_feed_has_a_night_at_least():
    with pytest.raises(ValueError, match="nights"):
        Feed(Catalogue(), 9, START, 0)


def test_an_alert_that_is_known_changes_nothing():
    known = Catalogue()
    alerts = {one.survey: one for one in simulated_alerts(9, START, 60)}
    for survey in ("ztf", "lsst"):
        alert = alerts[survey].alert
        known.add(survey, alert)
        before = repr(known.tables[survey])
        known.add(survey, alert)
        assert repr(known.tables[survey]) == before


def test_old_cutouts_are_let_go(monkeypatch):
    monkeypatch.setattr(catalogue, "CUTOUTS_KEPT", 3)
    known = Catalogue()
    for one in simulated_alerts(9, START, 60):
        if one.survey == "ztf":
            known.add("ztf", one.alert)
    kept = [alert.cutout("Science") is not None for alert in known.tables["ztf"].alerts.values()]
    assert len(kept) > 10
    assert kept == [False] * (len(kept) - 3) + [True] * 3


# --- The command ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--serve-api", "here"], "--serve-api takes .* not here"),
        (["--serve-api", ""], "--serve-api takes"),
        (["--serve-api", "127.0.0.1:"], "--serve-api takes"),
        (["--serve-api", "65536"], "--serve-api takes"),
        (["--serve-api", "²"], "--serve-api takes"),
        (["--serve-api", "192.0.2.1:0"], "host 192.0.2.1 port 0 cannot be used"),
        (["--serve-api", "a..b:0"], "host a..b port 0 cannot be used"),
        (["--serve-api", "0", "--nights", "0"], "--nights must be above 0"),
        (["--serve-api", "0", "--rate", "5"], "--rate .* --mock"),
        (["--serve-api", "0", "--count", "5"], "--count .* --mock"),
        (["--serve-api", "0", "--seed", "-1"], "seed"),
        (["--serve-api", "0", "--start", "soon"], "--start"),
        (["--mock", "--nights", "3"], "--nights .* --serve-api"),
    ],
)
def test_bad_options(arguments, message):
    with pytest.raises(CommandError, match=message) as caught:
        call_command("simulate_alerts", *arguments)
    assert "\n" not in str(caught.value)


def test_a_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=rf"port {port} cannot be used \(Address already in use\)"):
            call_command("simulate_alerts", "--serve-api", str(port))


def start(*arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "django", "simulate_alerts", *arguments, "--seed", "5"]
    return subprocess.Popen(
        [*command, "--settings", "tests.settings", "--pythonpath", str(ROOT)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONWARNINGS": "error"},
    )


def asked(line: str, variable: str, endpoint: str) -> requests.Response:
    found = re.fullmatch(rf"{variable}=(http://127\.0\.0\.1:[0-9]+/(?:ztf|lsst)/api/v1/)\n", line)
    assert found, line
    with requests.Session() as session:
        session.trust_env = False  # no proxy
        return session.get(found[1] + endpoint, params={"date": ""}, timeout=60)


@pytest.mark.parametrize("stop_signal", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_alone_until_stopped(stop_signal):
    process = start("--serve-api", "0", "--nights", "1")
    try:
        first, second, third = (process.stdout.readline() for _ in range(3))
        (night,) = asked(first, "FINK_API_ZTF_URL", "statistics").json()
        assert night["basic:raw"] > 200
        assert len(asked(second, "FINK_API_LSST_URL", "statistics").json()) == 1
        assert re.fullmatch(r"sky maps: S2603\d\d[a-z](, S2603\d\d[a-z])*\n", third)
        process.send_signal(stop_signal)
        rest, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
    assert (process.returncode, rest, errors) == (0, "", "")


def test_it_serves_beside_the_stream():
    process = start("--mock", "--serve-api", "127.0.0.1:0", "--nights", "1", "--count", "12")
    try:
        lines = [process.stdout.readline() for _ in range(5)]
        assert lines[0].startswith("mock cluster at 127.0.0.1:"), process.stderr.read()
        assert lines[4].startswith("sent 12 alerts: ")
        assert asked(lines[1], "FINK_API_ZTF_URL", "classes").json()
        process.terminate()
        rest, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
    assert (process.returncode, rest, errors) == (0, "", "")


def test_it_stops_while_it_prepares():
    """A sky of a thousand nights takes minutes; a stop does not wait for it."""
    process = start("--mock", "--serve-api", "0", "--nights", "1000")
    try:
        assert process.stdout.readline().startswith("mock cluster at ")
        process.terminate()
        process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
    assert process.returncode == 0
