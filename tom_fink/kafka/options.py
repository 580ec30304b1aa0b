"""What one stream is told: where to connect, as whom, which topics, from when.

The options come from ALERT_STREAMS; what is unset there comes from the file that Fink's own
`finkctl auth` wrote for the survey. Nothing here connects to anything.
"""

import fnmatch
import logging
import os
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tom_fink.errors import ConfigurationError, MissingCredentials
from tom_fink.kafka.security import Secret, ask_librdkafka, check_security, kafka_settings, needs_login

logger = logging.getLogger(__name__)

EARLIEST, LATEST = "earliest", "latest"
PLACEHOLDER = re.compile(r"^set \w+ value in environment$")  # the published configuration's word for "unset"
ADDRESS = re.compile(r"^[^\s:,/]+:\d{1,5}(,[^\s:,/]+:\d{1,5})*$")
TOPIC = re.compile(r"^[A-Za-z0-9._*?\[\]-]{1,249}$")
WILDCARDS = set("*?[")

# Families on Fink's clusters that are not the livestream: data transfers, cross-matches, counters; a pattern must not pick them up.
OTHER_FAMILIES = ("^ftransfer_.*", "^fxmatch_.*", "^fink_ai_.*", "^fink_ztf_[0-9]{8}$", "^__.*")

VARIABLES = {
    "ztf": {
        "url": "FINK_CREDENTIAL_URL",
        "username": "FINK_CREDENTIAL_USERNAME",
        "group_id": "FINK_CREDENTIAL_GROUP_ID",
        "password": "FINK_CREDENTIAL_PASSWORD",
        "topics": "FINK_TOPIC",
    },
    "lsst": {
        "url": "FINK_LSST_CREDENTIAL_URL",
        "username": "FINK_LSST_CREDENTIAL_USERNAME",
        "group_id": "FINK_LSST_CREDENTIAL_GROUP_ID",
        "password": "FINK_LSST_CREDENTIAL_PASSWORD",
        "topics": "FINK_LSST_TOPIC",
    },
}


@dataclass(frozen=True)
class StreamOptions:
    """The options of a stream that can be opened."""

    url: str
    group_id: str
    topics: tuple[str, ...]
    username: str = ""
    password: str = field(default="", repr=False)
    start_at: str | datetime = EARLIEST
    max_polls: int | None = None
    timeout_s: float = 10.0
    survey: str = "ztf"
    settings: dict[str, str] = field(
        default_factory=dict, repr=False, hash=False
    )  # librdkafka's, the site's own

    def kafka(self) -> dict[str, Any]:
        """librdkafka's settings for a consumer whose offsets are committed by hand.

        A password alone means SASL_PLAINTEXT with SCRAM-SHA-512; the site's own settings go over all.
        """
        settings = {
            "bootstrap.servers": self.url,
            "group.id": self.group_id,
            "enable.auto.commit": False,
            "auto.offset.reset": EARLIEST,  # also where a kept offset has expired; start_at is the reader's to apply
            "enable.partition.eof": False,
            "topic.blacklist": ",".join(OTHER_FAMILIES),
            "topic.metadata.refresh.interval.ms": 15_000,  # how soon a new topic is read
            "fetch.message.max.bytes": 10_000_000,
            # What waits in memory before it is taken, and the brokers' answers on top of it. Where that is
            # little, librdkafka's pause of a second between a full queue and the next question is too long. And
            # it reads one partition after the other then: with 8 MB some got nothing until others had no more. With
            # less than a batch the reader waits for the rest of each, 12 ms with 12 MB.
            "queued.max.messages.kbytes": 20_000,
            "fetch.max.bytes": 5_000_000,
            "fetch.queue.backoff.ms": 20,
            "client.id": "tom_fink",
            "log_level": 3,
        }
        if self.password:
            # Fink's production brokers have no SASL listener, and refuse a client that asks for one.
            settings |= {
                "security.protocol": "sasl_plaintext",
                "sasl.mechanism": "SCRAM-SHA-512",
                "sasl.username": self.username,
                "sasl.password": Secret(self.password),
            }
        return settings | self.settings

    def subscription(self) -> list[str]:
        """The topics for `Consumer.subscribe`; a pattern such as fink_sn_* as the regex that librdkafka takes."""
        return [_regex(topic) if WILDCARDS & set(topic) else topic for topic in self.topics]


def stream_options(given: dict[str, Any], load=None) -> StreamOptions:
    """The options of a stream from its OPTIONS in ALERT_STREAMS (upper- or lower-case keys).

    `load` gives the credentials registered with finkctl for a survey, or None.
    Raises `MissingCredentials` naming the variables that are unset, `ConfigurationError` for a value
    that cannot be used.
    """
    values = {key.lower(): _unset_placeholder(value) for key, value in given.items()}
    survey = str(values.get("survey") or "ztf").lower()
    if survey not in VARIABLES:
        raise ConfigurationError(f"SURVEY={survey!r} cannot be used: it takes ztf or lsst.")
    found = {
        "url": _text(values.get("url")),
        "username": _text(values.get("username")),
        "group_id": _text(values.get("group_id")),
        "topics": _text(values.get("topic")),
    }
    if not (found["url"] and found["group_id"] and found["topics"]):
        registered = (load or registered_credentials)(survey)
        if registered:
            used = [name for name in found if not found[name] and registered.get(name)]
            found |= {name: registered[name] for name in used}
            if used:
                names = ", ".join(VARIABLES[survey][name] for name in used)
                logger.info("%s: unset, so taken from the credentials registered with finkctl", names)
    missing = [VARIABLES[survey][name] for name in ("url", "group_id", "topics") if not found[name]]
    settings = kafka_settings(values.get("kafka"), survey)
    found["username"] = settings.pop("sasl.username", "") or found["username"]
    password = Secret(settings.pop("sasl.password", "") or _text(values.get("password")))
    if needs_login(settings, password):
        login = {"username": found["username"], "password": password}
        missing += [VARIABLES[survey][name] for name, value in login.items() if not value]
    if missing:
        raise MissingCredentials(f"The {survey.upper()} stream is inactive: set {', '.join(missing)}.")
    if not ADDRESS.match(found["url"]):
        # What stands before an @ would be a password.
        shown = f"={found['url']!r}" if "@" not in found["url"] else ""
        raise ConfigurationError(f"{VARIABLES[survey]['url']}{shown} cannot be used: it takes HOST:PORT.")
    check_security(settings, survey, password)
    options = StreamOptions(
        url=found["url"],
        group_id=found["group_id"],
        topics=_topics(found["topics"], VARIABLES[survey]["topics"]),
        username=found["username"],
        password=password,
        start_at=_start_at(_text(values.get("start_at")) or EARLIEST),
        max_polls=_max_polls(values.get("max_poll_number")),
        timeout_s=_number(values.get("timeout"), "FINK_TIMEOUT", "seconds", 10.0),
        survey=survey,
        settings=settings,
    )
    if settings:
        ask_librdkafka(options.kafka(), settings, survey)
    return options


def registered_credentials(survey: str) -> dict[str, str] | None:
    """What the user registered with Fink's finkctl for the survey; None if nothing.

    Raises `ConfigurationError` if the file cannot be read.
    """
    home = os.environ.get("HOME")
    if not home or not (Path(home) / ".finkclient" / f"{survey}_credentials.yml").is_file():
        return None
    # Imported here: it reads HOME at import, and a web worker has no use for what it pulls in.
    from fink_client.configuration import load_credentials

    try:
        stored = load_credentials(survey)
        topics = stored.get("topics") or {}
        return {
            "url": _text(stored.get("servers")),
            "username": _text(stored.get("username")),
            "group_id": _text(stored.get("groupid") or stored.get("group_id")),
            "topics": ",".join(topics),
        }
    except Exception as error:
        raise ConfigurationError(
            f"~/.finkclient/{survey}_credentials.yml cannot be read ({type(error).__name__}); "
            "write it again with finkctl auth register."
        ) from error


def fits(topic: str, pattern: str) -> bool:
    """Whether `topic` is `pattern` or fits it (*, ? and [...])."""
    return topic == pattern or fnmatch.fnmatchcase(topic, pattern)


def _regex(pattern: str) -> str:
    """A file-name pattern as the POSIX extended regex that librdkafka reads behind a ^."""
    escaped = re.sub(r"[.+(){}|$\\]", r"\\\g<0>", pattern).replace("[!", "[^")
    return "^" + escaped.replace("*", ".*").replace("?", ".") + "$"


def _unset_placeholder(value: Any) -> Any:
    return None if isinstance(value, str) and PLACEHOLDER.match(value) else value


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _topics(text: str, variable: str) -> tuple[str, ...]:
    topics = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    bad = [topic for topic in topics if not TOPIC.match(topic)]
    if bad or not topics:
        raise ConfigurationError(
            f"{variable}={text!r} cannot be used: it takes topics or patterns such as fink_sn_* with commas between."
        )
    return topics


def _start_at(text: str) -> str | datetime:
    if text.lower() in (EARLIEST, LATEST):
        return text.lower()
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(
            f"FINK_START_AT={text!r} cannot be used: it takes earliest, latest or an ISO time such as "
            "2026-11-20T00:00:00Z."
        ) from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _max_polls(value: Any) -> int | None:
    """A number of polls; 0, unset and the published configuration's 1e10 mean "never stop"."""
    number = _number(value, "FINK_MAX_POLL_NUMBER", "a number of polls; 0 never stops", 0.0)
    return int(number) if 0 < number < 1e10 else None


def _number(value: Any, name: str, takes: str, default: float) -> float:
    if value is None or value == "":
        return default
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number < float("inf"):
        raise ConfigurationError(f"{name}={value!r} cannot be used: it takes {takes}.")
    return number
