"""Fixtures for every folder of tests."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tom_fink.decoding.decode import Message
from tom_fink.files.avrofile import read_messages
from tom_fink.simulate import serialise, simulated_alerts

MEASURED = "measured"  # the property of a test that is a line for who reads the run
SHARED_ALERTS = Path(__file__).resolve().parents[2] / "shared" / "alerts"


@pytest.fixture
def no_proxy(monkeypatch):
    """Loopback, whatever the environment says."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def real_messages():
    """A function from a file's name to messages made of the real alerts in it; skips where there are none."""
    if not SHARED_ALERTS.is_dir():
        pytest.skip("the real alerts are not part of this repository (CI has them beside it)")

    def read(*names: str, topic: str = "fink_sn_candidates_ztf") -> list[Message]:
        now = datetime.now(UTC)
        pairs = [pair for name in names for pair in read_messages(SHARED_ALERTS / name)]
        return [Message(topic, 0, offset, key, value, now) for offset, (key, value) in enumerate(pairs)]

    return read


@pytest.fixture(scope="session")
def simulated_messages() -> list[Message]:
    """The first 240 simulated alerts as messages: every topic, every kind of point."""
    start = datetime(2026, 3, 22, 4, tzinfo=UTC)
    return [
        Message(simulated.topic, 0, offset, *serialise(simulated), start)
        for offset, simulated in enumerate(simulated_alerts(1, start, 240))
    ]


def pytest_report_header() -> str:
    """Say which database the tests run on."""
    from django.conf import settings

    return f"database: {settings.DATABASES['default']['ENGINE'].rpartition('.')[2]}, Python {sys.version.split()[0]}"


def pytest_terminal_summary(terminalreporter) -> None:
    """Show what was measured: what a worker of xdist prints is seen by nobody."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    lines = [
        text
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, text in report.user_properties
        if name == MEASURED
    ]
    if lines:
        terminalreporter.section("measured")
    for line in lines:
        terminalreporter.write_line(line)
