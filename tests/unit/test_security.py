"""librdkafka's settings: which are taken, what they lead to, and that no secret is told to anybody."""

import copy
import logging
import traceback

import pytest
from confluent_kafka import Consumer

from tests.unit.test_options import GIVEN, nobody
from tom_fink.alertstream import FinkAlertStream
from tom_fink.errors import ConfigurationError, MissingCredentials
from tom_fink.kafka.options import stream_options
from tom_fink.kafka.security import MECHANISMS, PROTOCOLS, Secret, hint, without_values

MARKER = "hunter2-Zx9"


def options(*, survey="ztf", kafka=None, **changes):
    return stream_options(GIVEN | {"SURVEY": survey, "KAFKA": kafka} | changes, nobody)


def security(found) -> dict:
    names = ("security.protocol", "sasl.mechanism", "sasl.username", "sasl.password")
    settings = found.kafka()
    return {name: settings[name] for name in names if name in settings}


@pytest.fixture
def pem(tmp_path):
    """A file that is there, for settings that take a path."""
    path = tmp_path / "file.pem"
    path.write_text("")
    return str(path)


# --- What the settings lead to -----------------------------------------------------------------


@pytest.mark.parametrize("kafka", [None, "", {}, {"security.protocol": " ", "sasl.mechanism": None}])
def test_without_settings_nothing_changes(kafka):
    assert options(kafka=kafka).kafka() == stream_options(GIVEN, nobody).kafka()
    assert security(options(kafka=kafka)) == {}


LOGIN = {"sasl.username": "observer", "sasl.password": MARKER}


@pytest.mark.parametrize(
    ("kafka", "expected"),
    [
        ({}, {"security.protocol": "sasl_plaintext", "sasl.mechanism": "SCRAM-SHA-512"}),
        (
            {"security.protocol": "SASL_SSL"},
            {"security.protocol": "sasl_ssl", "sasl.mechanism": "SCRAM-SHA-512"},
        ),
        (
            {"security.protocol": "sasl_ssl", "sasl.mechanism": "plain"},
            {"security.protocol": "sasl_ssl", "sasl.mechanism": "PLAIN"},
        ),
        (
            {"sasl.mechanisms": "SCRAM-SHA-256"},
            {"security.protocol": "sasl_plaintext", "sasl.mechanism": "SCRAM-SHA-256"},
        ),
    ],
)
def test_a_password_goes_by_the_protocol_and_the_mechanism_that_are_set(kafka, expected):
    assert security(options(kafka=kafka, PASSWORD=MARKER)) == expected | LOGIN


def test_librdkafka_s_own_names_for_user_and_password_go_over_the_options():
    found = options(
        kafka={"sasl.username": "other", "sasl.password": MARKER, "security.protocol": "SASL_SSL"},
        PASSWORD="not this",
    )
    assert security(found)["sasl.username"] == found.username == "other"
    assert security(found)["sasl.password"] == found.password == MARKER


def test_tls_without_a_password():
    assert security(options(kafka={"security.protocol": "SSL"})) == {"security.protocol": "ssl"}


def test_other_settings_go_over_the_reader_s_defaults():
    found = options(
        kafka={"fetch.message.max.bytes": 5_000_000, "Session.Timeout.ms": "60000", "check.crcs": True}
    )
    settings = found.kafka()
    assert settings["fetch.message.max.bytes"] == "5000000"
    assert settings["session.timeout.ms"] == "60000"
    assert settings["check.crcs"] == "true"
    assert settings["enable.auto.commit"] is False


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("mechanism", [name for name in MECHANISMS if name != "OAUTHBEARER"])
def test_librdkafka_takes_what_is_made_of_it(protocol, mechanism):
    password = MARKER if protocol.startswith("sasl") else ""
    found = options(kafka={"security.protocol": protocol, "sasl.mechanism": mechanism}, PASSWORD=password)
    Consumer({k: v for k, v in found.kafka().items() if k != "bootstrap.servers"} | {"log_level": 0}).close()


# --- What is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("bootstrap.servers", "URL"),
        ("metadata.broker.list", "URL"),
        ("group.id", "GROUP_ID"),
        ("enable.auto.commit", "once the rows are stored"),
        ("auto.commit.enable", "once the rows are stored"),
        ("auto.commit.interval.ms", "once the rows are stored"),
        ("enable.auto.offset.store", "once the rows are stored"),
        ("offset.store.method", "once the rows are stored"),
        ("auto.offset.reset", "START_AT"),
        ("enable.partition.eof", "end of a partition"),
        ("isolation.level", "transaction"),
        ("group.instance.id", "share a group"),
        ("group.protocol", "share a group"),
        ("topic.blacklist", "TOPIC"),
        ("test.mock.num.brokers", "mock"),
        ("error_cb", "for itself"),
        ("on_commit", "for itself"),
        ("log_level", "for itself"),
        ("logger", "for itself"),
        ("default.topic.config", "for itself"),
    ],
)
def test_what_the_reader_rests_on_cannot_be_set(name, why):
    with pytest.raises(ConfigurationError) as caught:
        options(kafka={name: MARKER})
    told = str(caught.value)
    assert f"FINK_KAFKA_{name.upper().replace('.', '_')} ({name}) cannot be set: " in told
    assert why in told
    assert MARKER not in told


@pytest.mark.parametrize("strategy", ["cooperative-sticky", "range,cooperative-sticky"])
def test_the_reader_shares_partitions_in_the_eager_way(strategy):
    with pytest.raises(ConfigurationError, match=r"PARTITION_ASSIGNMENT_STRATEGY.*gives back all partitions"):
        options(kafka={"partition.assignment.strategy": strategy})
    found = options(kafka={"partition.assignment.strategy": "roundrobin"})
    assert found.kafka()["partition.assignment.strategy"] == "roundrobin"


@pytest.mark.parametrize(
    ("kafka", "told"),
    [
        ({"no.such.name": MARKER}, "FINK_KAFKA_NO_SUCH_NAME .*librdkafka has no such setting"),
        (
            {"security.protocol": MARKER},
            "FINK_KAFKA_SECURITY_PROTOCOL .*PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL",
        ),
        ({"sasl.mechanism": MARKER}, "FINK_KAFKA_SASL_MECHANISM .*SCRAM-SHA-512"),
        ({"session.timeout.ms": MARKER}, "FINK_KAFKA_SESSION_TIMEOUT_MS .*does not take its value"),
        ({"socket.timeout.ms": "9999999"}, "FINK_KAFKA_SOCKET_TIMEOUT_MS .*it takes 10 to 300000"),
        ({"socket.keepalive.enable": MARKER}, "FINK_KAFKA_SOCKET_KEEPALIVE_ENABLE .*does not take its value"),
        ({"client.dns.lookup": MARKER}, "FINK_KAFKA_CLIENT_DNS_LOOKUP .*does not take its value"),
        ({"max.poll.interval.ms": "10"}, "FINK_KAFKA_MAX_POLL_INTERVAL_MS .*session.timeout.ms"),
        (
            {"ssl.cipher.suites": MARKER, "security.protocol": "ssl"},
            "FINK_KAFKA_SSL_CIPHER_SUITES .*no cipher",
        ),
        (
            {"ssl.key.pem": MARKER, "ssl.certificate.pem": "hunter", "security.protocol": "ssl"},
            "FINK_KAFKA_SSL_CERTIFICATE_PEM .*librdkafka says: .*PEM",
        ),
        (
            {"ssl.key.pem": MARKER, "security.protocol": "ssl"},
            "of no use without FINK_KAFKA_SSL_CERTIFICATE_",
        ),
        ({"socket.timeout.ms": [MARKER]}, "FINK_KAFKA_SOCKET_TIMEOUT_MS .*a text or a number"),
        ({"sasl.mechanism": "PLAIN"}, r"FINK_KAFKA_SASL_MECHANISM .*no effect.*FINK_KAFKA_SECURITY_PROTOCOL"),
        (
            {"sasl.mechanism": "OAUTHBEARER", "security.protocol": "SASL_SSL"},
            "FINK_KAFKA_SASL_MECHANISM.*FINK_KAFKA_SASL_OAUTHBEARER_METHOD",
        ),
        (
            {
                "sasl.mechanism": "OAUTHBEARER",
                "security.protocol": "SASL_SSL",
                "sasl.oauthbearer.method": "oidc",
                "sasl.oauthbearer.client.secret": MARKER,
            },
            "FINK_KAFKA_SASL_OAUTHBEARER_METHOD .*librdkafka says: .*token.endpoint.url.* is mandatory",
        ),
        (MARKER, "KAFKA .*a dict of librdkafka settings"),
    ],
)
def test_what_cannot_be_used_is_named_and_its_value_told_to_nobody(kafka, told, caplog, capfd):
    with pytest.raises(ConfigurationError, match=told) as caught:
        options(kafka=kafka)
    text = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    printed = capfd.readouterr()
    assert MARKER not in text + caplog.text + printed.out + printed.err
    assert "KafkaException" not in text, "whose text holds the value"


def test_both_variables_of_rubin_s_stream_are_named():
    with pytest.raises(ConfigurationError) as caught:
        options(survey="lsst", kafka={"no.such.name": "1"})
    assert str(caught.value).startswith(
        "FINK_LSST_KAFKA_NO_SUCH_NAME or FINK_KAFKA_NO_SUCH_NAME (no.such.name)"
    )


@pytest.mark.parametrize("protocol", ["SSL", "plaintext"])
@pytest.mark.parametrize("user", ["", "observer"])
def test_a_password_that_would_not_be_sent_is_refused(protocol, user):
    with pytest.raises(ConfigurationError, match=f"sends no password.*SASL_{protocol.upper()}"):
        options(kafka={"security.protocol": protocol}, PASSWORD=MARKER, USERNAME=user)


@pytest.mark.parametrize("password", ["", MARKER])
def test_certificates_without_tls_are_refused(pem, password):
    """Who gives them believes that the connection is secured."""
    with pytest.raises(ConfigurationError, match=r"FINK_KAFKA_SSL_CA_LOCATION .*no effect without TLS"):
        options(kafka={"ssl.ca.location": pem}, PASSWORD=password)


def test_an_explicit_protocol_without_tls_leaves_certificates_unused(pem):
    """Rubin's stream may take them over from the variables of both."""
    found = options(kafka={"ssl.ca.location": pem, "security.protocol": "PLAINTEXT"})
    assert found.kafka()["security.protocol"] == "plaintext"


@pytest.mark.parametrize("name", ["ssl.ca.location", "ssl.certificate.location", "ssl.key.location"])
def test_a_file_that_is_not_there_is_named_with_its_path(name, tmp_path):
    path = tmp_path / "missing.pem"
    with pytest.raises(ConfigurationError) as caught:
        options(kafka={name: str(path), "security.protocol": "SSL"})
    variable = f"FINK_KAFKA_{name.upper().replace('.', '_')}"
    assert str(caught.value) == f"{variable} ({name}): {path} cannot be read. It takes the path of a file."


def test_a_file_that_holds_something_else_is_named_with_what_is_wrong(pem):
    with pytest.raises(ConfigurationError, match=r"FINK_KAFKA_SSL_CERTIFICATE_LOCATION .*librdkafka says: "):
        options(kafka={"ssl.certificate.location": pem, "ssl.key.location": pem, "security.protocol": "SSL"})


@pytest.mark.parametrize(("given", "missing"), [("certificate", "key"), ("key", "certificate")])
def test_a_certificate_and_its_key_belong_together(given, missing, pem):
    with pytest.raises(
        ConfigurationError, match=rf"FINK_KAFKA_SSL_{given.upper()}_LOCATION .*ssl.{missing}.location"
    ):
        options(kafka={f"ssl.{given}.location": pem, "security.protocol": "SSL"})


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"USERNAME": "", "PASSWORD": ""}, "FINK_CREDENTIAL_USERNAME, FINK_CREDENTIAL_PASSWORD"),
        ({"PASSWORD": ""}, "FINK_CREDENTIAL_PASSWORD"),
        ({"USERNAME": "", "PASSWORD": MARKER}, "FINK_CREDENTIAL_USERNAME"),
    ],
)
def test_sasl_without_user_or_password_lacks_credentials(changes, missing):
    with pytest.raises(MissingCredentials) as caught:
        options(kafka={"security.protocol": "SASL_SSL"}, **changes)
    assert str(caught.value).endswith(f"set {missing}.")
    assert MARKER not in str(caught.value)


def test_tokens_of_an_identity_provider_need_no_password():
    kafka = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "OAUTHBEARER",
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.client.id": "tom_fink",
        "sasl.oauthbearer.client.secret": MARKER,
        "sasl.oauthbearer.token.endpoint.url": "https://127.0.0.1:1/token",
    }
    found = options(kafka=kafka, USERNAME="")
    assert found.kafka()["sasl.oauthbearer.client.secret"] == MARKER
    assert MARKER not in repr(found) + repr(found.kafka())


@pytest.mark.parametrize(
    ("kafka", "password", "warning"),
    [
        ({"sasl.mechanism": "PLAIN"}, MARKER, "the password can be read on the way"),
        (
            {"sasl.mechanism": "PLAIN", "security.protocol": "SASL_PLAINTEXT"},
            MARKER,
            "the password can be read on the way",
        ),
        ({"sasl.mechanism": "PLAIN", "security.protocol": "SASL_SSL"}, MARKER, ""),
        ({"security.protocol": "SASL_PLAINTEXT"}, MARKER, ""),
        (
            {"security.protocol": "SSL", "enable.ssl.certificate.verification": False},
            "",
            "whoever answers is taken for the broker",
        ),
    ],
)
def test_what_is_allowed_and_unsafe_is_told(kafka, password, warning, caplog):
    caplog.set_level(logging.WARNING)
    options(kafka=kafka, PASSWORD=password)
    assert len(caplog.records) == bool(warning)
    assert warning in caplog.text
    assert MARKER not in caplog.text


# librdkafka 2.16's own words
VERIFY = "SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker certificate could not"
ALERT = "Receive failed: error:0A000412:SSL routines::ssl/tls alert bad certificate: SSL alert number 42"
PLAIN = "SSL handshake failed: Disconnected: SSL connection closed by peer: connecting to a PLAINTEXT broker listener?"
CLOSED = "Disconnected: SSL connection closed by peer (after 8ms in state SSL_HANDSHAKE)"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (VERIFY, "FINK_KAFKA_SSL_CA_LOCATION"),
        (ALERT, "FINK_KAFKA_SSL_CERTIFICATE_LOCATION"),
        (PLAIN, "FINK_KAFKA_SECURITY_PROTOCOL"),
        (CLOSED, "FINK_KAFKA_SECURITY_PROTOCOL"),
        ("1/1 brokers are down", "FINK_KAFKA_SECURITY_PROTOCOL"),
        ("Connection refused (after 0ms in state CONNECT)", ""),
    ],
)
def test_a_hint_names_what_to_look_at(text, names):
    found = hint(text, "ztf")
    assert names in found
    assert bool(found) == bool(names)


# --- Secrets -----------------------------------------------------------------------------------


def test_a_secret_is_shown_by_no_repr():
    secret = Secret(MARKER)
    shown = [repr(secret), repr({"a": [secret]}), f"{secret!r}", repr(copy.deepcopy(secret)), ascii(secret)]
    assert MARKER not in "".join(shown)
    assert secret == MARKER
    assert f"{secret}" == MARKER, "librdkafka is to have it"


SECRETS = {
    "ssl.key.password": MARKER,
    "ssl.keystore.password": MARKER,
    "sasl.oauthbearer.client.secret": MARKER,
    "sasl.oauthbearer.config": MARKER,
}


def test_no_secret_in_what_a_stream_shows(caplog, capfd):
    caplog.set_level(logging.DEBUG)
    kafka = SECRETS | {"security.protocol": "SASL_SSL", "sasl.username": "u", "sasl.password": MARKER}
    stream = FinkAlertStream(**GIVEN, PASSWORD=MARKER, KAFKA=kafka)
    found = stream.options
    settings = found.kafka()
    assert {name: settings[name] for name in SECRETS} == SECRETS, "librdkafka is to have them"
    shown = repr([stream, found, vars(found), settings, found.settings]) + str(stream) + str(found)
    printed = capfd.readouterr()
    assert MARKER not in shown + caplog.text + printed.out + printed.err


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (
            f"observer:{MARKER}@kafka.example.org:9093",
            "FINK_CREDENTIAL_URL cannot be used: it takes HOST:PORT.",
        ),
        ("kafka.example.org", "FINK_CREDENTIAL_URL='kafka.example.org' cannot be used: it takes HOST:PORT."),
    ],
)
def test_an_address_with_a_password_is_not_repeated(url, told):
    with pytest.raises(ConfigurationError) as caught:
        options(URL=url)
    assert str(caught.value) == told


def test_librdkafka_s_words_are_shown_without_values():
    settings = {
        "ssl.key.password": "no",
        "client.rack": MARKER,
        "ssl.ca.location": "/a/b",
        "check.crcs": "true",
    }
    assert without_values(f"no {MARKER} in /a/b is true", settings) == "… … in /a/b is true"
