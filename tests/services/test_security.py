"""Connections with passwords and certificates to a real Apache Kafka, and that no secret is told to anybody."""

import uuid
from datetime import UTC, datetime

import pytest
from django.apps import apps

from tests.services.test_kafka import ids, send, spread, stored_ids
from tom_fink.simulate import serialise, simulated_alerts

pytestmark = [
    pytest.mark.services,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(420),  # the first test waits for Kafka's jars, where they are not there yet
]

TOPIC = "fink_sn_candidates_ztf"
START = datetime(2026, 3, 22, 4, tzinfo=UTC)


@pytest.fixture
def name() -> str:
    """A name that no other test has, for topics and groups."""
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def alerts():
    found = [simulated for simulated in simulated_alerts(1, START, 100) if simulated.topic == TOPIC]
    return spread([serialise(simulated) for simulated in found[:3]])


@pytest.fixture
def ways(kafka) -> dict[str, dict[str, str]]:
    """The variables of each way to connect that the broker offers."""
    certificates = kafka.certificates
    login = {"FINK_CREDENTIAL_USERNAME": kafka.user, "FINK_CREDENTIAL_PASSWORD": kafka.password}
    authority = {"FINK_KAFKA_SSL_CA_LOCATION": str(certificates.authority)}
    by_tls = login | authority | {
        "FINK_CREDENTIAL_URL": kafka.sasl_ssl_address,
        "FINK_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    }  # fmt: skip
    return {
        "SASL_PLAINTEXT": login | {"FINK_CREDENTIAL_URL": kafka.sasl_address},
        "SASL_SSL": by_tls,
        "SASL_SSL with PLAIN": by_tls | {"FINK_KAFKA_SASL_MECHANISM": "PLAIN"},
        "SSL": authority | {
            "FINK_CREDENTIAL_URL": kafka.ssl_address,
            "FINK_KAFKA_SECURITY_PROTOCOL": "SSL",
            "FINK_KAFKA_SSL_CERTIFICATE_LOCATION": str(certificates.client),
            "FINK_KAFKA_SSL_KEY_LOCATION": str(certificates.client_key),
            "FINK_KAFKA_SSL_KEY_PASSWORD": certificates.key_password,
        },
    }  # fmt: skip


@pytest.fixture
def read(processes, name):
    """A function that starts a reader of this test's topic with these variables."""

    def start(*arguments: str, **variables: str):
        group = {"FINK_CREDENTIAL_GROUP_ID": f"group-{name}", "FINK_TOPIC": name, "LOG_LEVEL": "DEBUG"}
        return processes.manage("readstreams", *arguments, **group | variables)

    return start


@pytest.fixture
def secrets_of(kafka):
    """A function from a text to the secrets in it."""
    secrets = {"password": kafka.password, "the key's password": kafka.certificates.key_password}

    def find(text: str) -> list[str]:
        return [what for what, secret in secrets.items() if secret in text]

    return find


def rows() -> str:
    """Every row of the app's tables, as text."""
    models = apps.get_app_config("tom_fink").get_models()
    return "".join(repr(row) for model in models for row in model.objects.values())


@pytest.mark.parametrize("way", ["SASL_PLAINTEXT", "SASL_SSL", "SASL_SSL with PLAIN", "SSL"])
def test_each_protocol_reads(alerts, kafka, name, ways, read, secrets_of, way):
    """With librdkafka's own log switched on, which is the most that the process ever says."""
    send(kafka, name, alerts)
    reader = read("--max-messages", "3", **ways[way], FINK_KAFKA_DEBUG="all")
    assert reader.until_it_ends() == 0, reader.said[-3000:]
    assert stored_ids() == ids(alerts)
    assert "[redacted]" in reader.said, "librdkafka has printed its settings"
    assert secrets_of(reader.said + rows()) == []


def test_rubin_s_stream_has_settings_of_its_own(alerts, kafka, name, ways, read):
    """Beside a stream that connects otherwise."""
    send(kafka, name, alerts)
    own = {variable.replace("FINK_", "FINK_LSST_", 1): value for variable, value in ways["SASL_SSL"].items()}
    other = ways["SSL"] | {"FINK_TOPIC": f"{name}_other"}
    reader = read("--stop-when-idle", "3", **other | own, FINK_LSST_TOPIC=name)
    reader.until_it_says("Batch of 3: 3 stored")
    assert "cannot be reached" not in reader.said
    assert stored_ids() == ids(alerts)
    reader.kill()


@pytest.mark.parametrize(
    ("way", "changes", "told"),
    [
        ("SASL_SSL", {"FINK_KAFKA_SSL_CA_LOCATION": "other_authority"}, "certificate verify failed"),
        ("SASL_SSL", {"FINK_KAFKA_SSL_CA_LOCATION": ""}, "certificate verify failed"),
        (
            "SSL",
            {"FINK_KAFKA_SSL_CERTIFICATE_LOCATION": "", "FINK_KAFKA_SSL_KEY_LOCATION": ""},
            "certificate",
        ),
        (
            "SSL",
            {
                "FINK_KAFKA_SSL_CERTIFICATE_LOCATION": "stranger",
                "FINK_KAFKA_SSL_KEY_LOCATION": "stranger_key",
            },
            "certificate",
        ),
        # What librdkafka says first differs: the broker has answered, or closed the connection.
        ("SSL", {"FINK_CREDENTIAL_URL": "address"}, "it expects another FINK_KAFKA_SECURITY_PROTOCOL"),
    ],
    ids=[
        "wrong authority",
        "authorities of the machine",
        "no certificate",
        "a stranger's certificate",
        "no TLS there",
    ],
)
def test_a_connection_that_fails_is_told_in_one_line_and_tried_again(
    kafka, ways, read, secrets_of, way, changes, told
):
    given = {
        variable: str(getattr(kafka.certificates, value, None) or getattr(kafka, value, "")) if value else ""
        for variable, value in changes.items()
    }
    reader = read(**ways[way] | given)
    reader.until_it_says("cannot be reached, trying again")
    (line,) = [line for line in reader.said.splitlines() if "cannot be reached" in line]
    assert told in line
    assert reader.popen.poll() is None
    assert reader.end() == 0
    assert "Traceback" not in reader.said
    assert secrets_of(reader.said + rows()) == []


@pytest.mark.parametrize("way", ["SASL_PLAINTEXT", "SASL_SSL", "SASL_SSL with PLAIN"])
def test_a_wrong_password_is_told_without_it(kafka, ways, read, secrets_of, way):
    secret = f"not-{kafka.password}"
    reader = read(**ways[way] | {"FINK_CREDENTIAL_PASSWORD": secret})
    reader.until_it_says("refuses the reader: ")
    line = next(line for line in reader.said.splitlines() if "refuses the reader" in line)
    assert "uthentication failed" in line
    reader.kill()
    assert "Traceback" not in reader.said
    assert secrets_of(reader.said + rows()) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"FINK_KAFKA_SSL_CA_LOCATION": "/no/such.pem"},
            "FINK_KAFKA_SSL_CA_LOCATION (ssl.ca.location): /no/such.pem cannot be read.",
        ),
        (
            {"FINK_KAFKA_SSL_KEY_PASSWORD": "another"},
            "FINK_KAFKA_SSL_KEY_PASSWORD (ssl.key.password) is not its password",
        ),
        ({"FINK_KAFKA_SSL_KEY_LOCATION": "stranger_key"}, "key values mismatch"),
        ({"FINK_KAFKA_SSL_KEY_LOCATION": ""}, "is of no use without FINK_KAFKA_SSL_KEY_LOCATION"),
        ({"FINK_CREDENTIAL_PASSWORD": "password"}, "sends no password, but a password is set"),
        ({"FINK_KAFKA_SECURITY_PROTOCOL": ""}, "has no effect without TLS"),
    ],
    ids=["no file", "the key's password", "another's key", "no key", "a password by SSL", "no protocol"],
)
def test_what_cannot_work_ends_the_command_before_it_connects(kafka, ways, read, secrets_of, changes, told):
    given = {
        variable: str(getattr(kafka.certificates, value, None) or getattr(kafka, value, value))
        for variable, value in changes.items()
    }
    reader = read(**ways["SSL"] | given | {"LOG_LEVEL": "INFO"})
    assert reader.until_it_ends() == 1
    assert reader.said.startswith("CommandError: ALERT_STREAMS: FINK_KAFKA_")
    assert told in reader.said
    assert reader.said.count("\n") == 1, reader.said
    assert secrets_of(reader.said) == []
