"""Fixtures of the tests that need services."""

from collections.abc import Iterator

import pytest

from tests.services.kafka import Kafka
from tests.services.processes import Processes


@pytest.fixture(scope="session")
def kafka(tmp_path_factory) -> Iterator[Kafka]:
    """A running broker, one for all tests: each has topics and groups of its own."""
    with Kafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def processes(tmp_path) -> Iterator[Processes]:
    """Starts the site's commands as processes; ends them with the test."""
    started = Processes(tmp_path)
    try:
        yield started
    finally:
        started.kill_all()
