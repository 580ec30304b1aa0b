"""Fixtures of the tests that need services."""

import uuid
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.conftest import MEASURED
from tests.services import hurried
from tests.services.kafka import Kafka
from tests.services.postgres import TEMPLATE, Postgres, as_default
from tests.services.processes import Process, Processes


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


@pytest.fixture(autouse=True)
def _own_cutouts(settings, tmp_path):
    """A file of cutouts for each test, and for the processes that it starts."""
    settings.FINK_CUTOUTS_FILE = str(tmp_path / "cutouts.sqlite3")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory) -> Iterator[Postgres]:
    """A PostgreSQL server that may be crashed; the site is migrated into a template of databases."""
    server = Postgres()
    try:
        server.create(TEMPLATE)
        migrating = Processes(tmp_path_factory.mktemp("migrating"))
        site = migrating.manage("migrate", "--verbosity", "0", DATABASE_URL=server.address(TEMPLATE))
        assert site.until_it_ends(120) == 0, site.said
        yield server
    finally:
        server.close()


@pytest.fixture
def site(postgres, django_db_blocker) -> Iterator[str]:
    """DATABASE_URL of an empty site on the server that may be crashed; it is this test's own database too."""
    name = f"site_{uuid.uuid4().hex[:8]}"
    postgres.create(name, TEMPLATE)
    address = postgres.address(name)
    with django_db_blocker.unblock():
        try:
            with as_default(address):
                yield address
        finally:
            postgres.drop(name)


@pytest.fixture
def unique() -> str:
    """A name that no other test has, for topics and groups."""
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture
def command(kafka, site, unique, processes) -> Callable[..., Process]:
    """A function that starts one of the site's commands, hurried, on the topics `unique` and what begins so."""

    def start(*arguments: str, **environment: str | None) -> Process:
        variables = {
            "DATABASE_URL": site,
            "FINK_CREDENTIAL_URL": kafka.sasl_address,
            "FINK_CREDENTIAL_USERNAME": kafka.user,
            "FINK_CREDENTIAL_PASSWORD": kafka.password,
            "FINK_CREDENTIAL_GROUP_ID": f"group-{unique}",
            "FINK_TOPIC": f"{unique}*",
        }
        return processes.python(hurried.__file__, *arguments, **variables | environment)

    return start


@pytest.fixture
def figure(record_property) -> Callable[[str], None]:
    """A function that has a line of what was measured shown at the end of the run."""
    return partial(record_property, MEASURED)
