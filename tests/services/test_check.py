"""`readstreams --check` as a process, as a container's health check runs it: 0, 1 or 2, and one line for each thing."""

import signal
import socket
from datetime import UTC, datetime

import pytest
from django.db import connection

from tests.services.moulds import moulds
from tests.services.needs import wait_until
from tests.services.processes import Process
from tests.services.publishing import Sent, make_topics, publish
from tom_fink.models import Alert, Reader

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]

STUCK_AFTER_S = 12.0  # a sign of life comes every ten seconds
UNSET = dict.fromkeys(("FINK_CREDENTIAL_URL", "FINK_CREDENTIAL_GROUP_ID", "FINK_TOPIC"), "")


@pytest.fixture
def topic(kafka, unique) -> str:
    """A topic with five alerts."""
    make_topics(kafka, {unique: 2})
    alerts = [mould.cast(number) for number, mould in enumerate(moulds("ztf", 5))]
    publish(kafka, [Sent(unique, n % 2, alert.key, alert.value) for n, alert in enumerate(alerts)])
    return unique


@pytest.fixture
def check(command, kafka):
    """A function that runs the check; its status and its lines."""

    def run(**environment: str | None) -> tuple[int, list[str]]:
        process: Process = command(
            "readstreams",
            "--check",
            **{"LOG_LEVEL": "WARNING", "STUCK_AFTER_S": str(STUCK_AFTER_S)} | environment,
        )
        status = process.until_it_ends(45)
        assert "Traceback" not in process.said, process.said
        assert kafka.password not in process.said
        lines = process.said.splitlines()
        of_rubin = [line for line in lines if line.startswith("not asked: The LSST stream is inactive: set ")]
        assert len(of_rubin) == 1
        return status, [line for line in lines if line not in of_rubin]

    return run


def test_all_is_well(kafka, topic, command, check):
    assert check() == (
        0,
        [
            "ok: Database: postgresql, all migrations are applied.",
            f"ok: Broker {kafka.sasl_address}: answers.",
            f"ok: Topic {topic}*: 1 topics, 2 partitions.",
            f"ok: Group group-{topic}: has read nothing yet; the broker holds 5 alerts.",
        ],
    )
    reader = command("readstreams")
    wait_until(lambda: Alert.objects.count() == 5 and Reader.objects.exists(), lambda: reader.said)
    reader.until_it_says("Batch of")
    wait_until(lambda: check()[1][3] == f"ok: Group group-{topic}: 0 alerts wait to be read.", "the commit")
    status, lines = check()
    assert status == 0
    assert lines[4].startswith(f"ok: Reader {reader.popen.pid} of the ztf stream: gave a sign of life ")
    assert reader.end() == 0
    status, lines = check()
    assert (status, len(lines)) == (0, 4), "a reader that left is missed by nobody"


def test_the_broker_is_away(check):
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    status, lines = check(FINK_CREDENTIAL_URL=address)
    assert status == 1
    assert lines[0].startswith("ok: Database")
    assert lines[1].startswith(f"FAULT: Broker {address}: cannot be used: ")
    assert len(lines) == 2


def test_the_password_is_wrong(kafka, check):
    status, lines = check(FINK_CREDENTIAL_PASSWORD="a wrong one")
    assert status == 1
    assert lines[1].startswith(f"FAULT: Broker {kafka.sasl_address}: cannot be used: ")
    assert "a wrong one" not in "".join(lines)


def test_the_database_is_away(postgres, check):
    with postgres.crashed():
        status, lines = check()
    assert status == 1
    assert lines[0].startswith("FAULT: Database: cannot be used: ")
    assert lines[1].startswith("ok: Broker")


def test_a_migration_is_not_applied(check):
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM django_migrations WHERE id = (SELECT max(id) FROM django_migrations WHERE app = 'tom_fink')"
        )
    status, lines = check()
    assert status == 1
    assert lines[0] == "FAULT: Database: 1 migrations are not applied: run manage.py migrate."


def test_a_reader_is_stuck(topic, command, check):
    """Halted, as if it waited for ever: it lives, and gives no sign of life."""
    reader = command("readstreams")
    wait_until(lambda: Alert.objects.count() == 5 and Reader.objects.exists(), lambda: reader.said)
    assert check()[0] == 0
    reader.popen.send_signal(signal.SIGSTOP)

    def silent_s() -> float:
        return (datetime.now(UTC) - Reader.objects.get().beat_at).total_seconds()

    wait_until(lambda: silent_s() > STUCK_AFTER_S, "its silence")
    status, lines = check()
    assert status == 1
    stuck = f"FAULT: Reader {reader.popen.pid} of the ztf stream: is stuck, it gave no sign of life for "
    assert lines[-1].startswith(stuck)
    reader.popen.send_signal(signal.SIGCONT)
    wait_until(lambda: silent_s() < STUCK_AFTER_S, lambda: reader.said)
    assert check()[0] == 0
    assert reader.end() == 0


def test_no_stream_is_configured(check):
    status, lines = check(**UNSET)
    assert status == 2
    assert lines[0].startswith("ok: Database")
    assert all(line.startswith("not asked: ") for line in lines[1:])
    assert "set FINK_CREDENTIAL_URL" in lines[1]
