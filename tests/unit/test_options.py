"""The options of a stream: from ALERT_STREAMS, from finkctl, and what cannot be used."""

from datetime import UTC, datetime

import pytest

from tom_fink.errors import ConfigurationError, MissingCredentials
from tom_fink.kafka.options import fits, registered_credentials, stream_options

GIVEN = {
    "URL": "kafka.example.org:24499",
    "USERNAME": "observer",
    "GROUP_ID": "observers",
    "TOPIC": "fink_sn_candidates_ztf",
}
# What the published configuration of Fink's TOM module holds where a variable is unset.
PLACEHOLDERS = {
    "URL": "set FINK_CREDENTIAL_URL value in environment",
    "USERNAME": "set FINK_CREDENTIAL_USERNAME value in environment",
    "GROUP_ID": "set FINK_CREDENTIAL_GROUP_ID value in environment",
    "TOPIC": "set FINK_TOPIC value in environment",
    "MAX_POLL_NUMBER": 1e10,
    "TIMEOUT": 10,
}


def nobody(survey):
    """As if nothing was registered with finkctl."""


def options(load=nobody, **changes):
    return stream_options(GIVEN | changes, load)


def test_defaults():
    found = options()
    assert (found.url, found.username, found.group_id) == ("kafka.example.org:24499", "observer", "observers")
    assert found.topics == ("fink_sn_candidates_ztf",)
    assert (found.start_at, found.max_polls, found.timeout_s) == ("earliest", None, 10.0)


def test_several_topics_and_patterns():
    found = options(TOPIC=" fink_sn_*, fink_grb_bronze ,fink_sn_*,fink_[kv]?_x.y")
    assert found.topics == ("fink_sn_*", "fink_grb_bronze", "fink_[kv]?_x.y")
    assert found.subscription() == ["^fink_sn_.*$", "fink_grb_bronze", r"^fink_[kv]._x\.y$"]


@pytest.mark.parametrize(
    ("topic", "pattern", "expected"),
    [
        ("fink_sn_x_ztf", "fink_sn_*", True),
        ("fink_kn_x_ztf", "fink_sn_*", False),
        ("fink_sn_x_ztf", "fink_sn_x_ztf", True),
        ("Fink_sn_x_ztf", "fink_sn_*", False),
    ],
)
def test_fits(topic, pattern, expected):
    assert fits(topic, pattern) is expected


def test_a_pattern_leaves_out_what_is_not_the_livestream():
    blacklist = options(TOPIC="*").kafka()["topic.blacklist"]
    for family in ("ftransfer_", "fxmatch_", "fink_ai_", "fink_ztf_[0-9]{8}", "__"):
        assert f"^{family}" in blacklist


def test_sasl_only_with_a_password():
    """Fink's production brokers have none, and SASL settings would break the connection."""
    assert "security.protocol" not in options().kafka()
    found = options(PASSWORD="for a test")
    assert found.kafka()["sasl.mechanism"] == "SCRAM-SHA-512"
    assert found.kafka()["sasl.username"] == "observer"
    assert "for a test" not in repr(found)


def test_offsets_are_committed_by_hand():
    assert options().kafka()["enable.auto.commit"] is False


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("LATEST", "latest"),
        ("", "earliest"),
        ("2026-11-20T12:00:00Z", datetime(2026, 11, 20, 12, tzinfo=UTC)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2026-11-20T13:00:00+01:00", datetime(2026, 11, 20, 12, tzinfo=UTC)),
    ],
)
def test_start_at(text, expected):
    assert options(START_AT=text).start_at == expected


@pytest.mark.parametrize(
    ("given", "expected"), [(2, 2), ("2", 2), (1e10, None), ("1e10", None), (0, None), ("", None)]
)
def test_max_polls(given, expected):
    assert options(MAX_POLL_NUMBER=given).max_polls == expected


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"URL": "http://kafka.example.org"}, "FINK_CREDENTIAL_URL.*HOST:PORT"),
        ({"URL": "kafka.example.org"}, "FINK_CREDENTIAL_URL.*HOST:PORT"),
        ({"TOPIC": "fink sn"}, "FINK_TOPIC.*patterns"),
        ({"TOPIC": " , "}, "FINK_TOPIC.*patterns"),
        ({"START_AT": "yesterday"}, "FINK_START_AT.*ISO time"),
        ({"MAX_POLL_NUMBER": "many"}, "FINK_MAX_POLL_NUMBER.*polls"),
        ({"TIMEOUT": "-1"}, "FINK_TIMEOUT.*seconds"),
        ({"SURVEY": "des"}, "SURVEY.*ztf or lsst"),
        ({"SURVEY": "lsst", "URL": "x"}, "FINK_LSST_CREDENTIAL_URL"),
    ],
)
def test_a_bad_value_is_named_with_what_it_takes(changes, names):
    with pytest.raises(ConfigurationError, match=names):
        options(**changes)


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, "FINK_CREDENTIAL_URL, FINK_CREDENTIAL_GROUP_ID, FINK_TOPIC"),
        (PLACEHOLDERS, "FINK_CREDENTIAL_URL, FINK_CREDENTIAL_GROUP_ID, FINK_TOPIC"),
        (PLACEHOLDERS | {"URL": "a:1", "TOPIC": "t"}, "FINK_CREDENTIAL_GROUP_ID"),
        ({"SURVEY": "lsst", "GROUP_ID": "g"}, "FINK_LSST_CREDENTIAL_URL, FINK_LSST_TOPIC"),
        (GIVEN | {"USERNAME": "", "PASSWORD": "for a test"}, "FINK_CREDENTIAL_USERNAME"),
    ],
)
def test_missing_credentials_are_listed(given, missing):
    with pytest.raises(MissingCredentials) as caught:
        stream_options(given, nobody)
    assert str(caught.value).endswith(f"set {missing}.")
    assert "for a test" not in str(caught.value)


def test_what_was_registered_with_finkctl_fills_what_is_unset(caplog):
    caplog.set_level("INFO")

    def registered(survey):
        return {"url": "kafka.example.org:1", "username": "u", "group_id": "g", "topics": "a,b"}

    found = stream_options(PLACEHOLDERS | {"GROUP_ID": "mine"}, registered)
    assert (found.url, found.group_id, found.topics) == ("kafka.example.org:1", "mine", ("a", "b"))
    assert "registered with finkctl" in caplog.text
    assert "FINK_CREDENTIAL_URL" in caplog.text
    assert "FINK_CREDENTIAL_GROUP_ID" not in caplog.text


def test_finkctl_is_not_asked_when_nothing_is_unset():
    def registered(survey):
        pytest.fail("asked")

    assert stream_options(GIVEN, registered).url == GIVEN["URL"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fink-client 12.3 imports what Python deprecates
def test_finkctl_s_own_file_is_read(monkeypatch, tmp_path):
    folder = tmp_path / ".finkclient"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert registered_credentials("lsst") is None
    import fink_client.configuration

    monkeypatch.setattr(fink_client.configuration, "_ROOTDIR", str(folder))  # it reads HOME at import only
    fink_client.configuration.write_credentials(
        {"survey": "lsst", "username": "u", "password": None, "groupid": "g", "servers": "k:1", "maxtimeout": 5,
         "topics": {"fink_a_lsst": {}, "fink_b_lsst": {}}}
    )  # fmt: skip
    assert registered_credentials("lsst") == {
        "url": "k:1", "username": "u", "group_id": "g", "topics": "fink_a_lsst,fink_b_lsst",
    }  # fmt: skip
    (folder / "lsst_credentials.yml").write_text("{ not yaml: [")
    with pytest.raises(ConfigurationError, match=r"lsst_credentials.yml cannot be read"):
        registered_credentials("lsst")


def test_without_a_home_nothing_is_registered(monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    assert registered_credentials("ztf") is None
