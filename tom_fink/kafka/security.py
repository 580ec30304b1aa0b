"""How a connection is secured, and the other settings of librdkafka that a site may give.

They come as `KAFKA` in the OPTIONS of a stream, a dict with librdkafka's own names; the site fills it
from the variables FINK_KAFKA_* and, for Rubin, FINK_LSST_KAFKA_*. librdkafka itself says what a setting
takes: it is asked without an address, so that it connects to nothing.
"""

import logging
import os
import re
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaException

from tom_fink.errors import ConfigurationError

logger = logging.getLogger(__name__)

PREFIXES = {"ztf": ("FINK_KAFKA_",), "lsst": ("FINK_LSST_KAFKA_", "FINK_KAFKA_")}
PROTOCOLS = ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
SECRET_NAME = re.compile(r"pass|secret|\.pem$|oauthbearer\.(config|extensions|assertion)")
FILE_NAME = re.compile(r"(?<!engine)\.location$")
TLS_NAME = re.compile(r"^(ssl|enable\.ssl)\.")

# What the promises of the reader rest on, and why
REFUSED = {
    r"bootstrap\.servers|metadata\.broker\.list": "the address is the option URL",
    r"group\.id": "the group is the option GROUP_ID",
    r"topic\.blacklist": "the option TOPIC chooses the topics",
    r"auto\.offset\.reset": "START_AT says where a new group starts, and a place that has expired is followed by the oldest alert",
    r"(enable\.)?auto\.(commit|offset\.store).*|offset\.store\..*": "the reader commits offsets itself, once the rows are stored",
    r"enable\.partition\.eof": "the end of a partition is no alert",
    r"isolation\.level": "an alert of a transaction that was given up was never published",
    r"group\.(instance\.id|protocol.*|remote\.assignor)": "readers with the same settings share a group by the classic protocol",
    r"test\..*": "it would read a mock cluster",
    r".*_cb|on_.*|log_level|logger|enabled_events|default\.topic\.config|.*\.deserializer": "the reader needs it for itself",
}

# What librdkafka's words mean for who has to mend it
HINTS = {
    r"certificate verify failed": (
        "the broker's certificate is not signed by an authority of {ssl.ca.location}, or is for another host name"
    ),
    r"alert (bad certificate|certificate required|unknown ca)": (
        "the broker asks for a certificate and does not take this one, or got none: {ssl.certificate.location}"
    ),
    # A listener without TLS answers a handshake with nonsense, or with nothing.
    r"PLAINTEXT broker listener|wrong version number|closed by peer .*in state SSL_HANDSHAKE|requesting ApiVersion"
    r"|brokers are down": ("if it does run, it expects another {security.protocol}"),
    r"ssl\.key\.location failed.*PEM lib": "the file is no PEM key, or {ssl.key.password} is not its password",
    r"mechanism handshake failed": "set {sasl.mechanism} to what it supports",
}


class Secret(str):
    """A text that no `repr` shows, and so no dict, dataclass or list of local variables that holds it."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Asterisks."""
        return "'********'"


def kafka_settings(given: Any, survey: str) -> dict[str, str]:
    """The settings of KAFKA as librdkafka takes them: texts, without those that are empty.

    Raises `ConfigurationError` for what is no such dict, for a setting that is the reader's own, and for a
    file that cannot be read.
    """
    if given is None or given == "":
        return {}
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            "KAFKA cannot be used: it takes a dict of librdkafka settings such as "
            "{'security.protocol': 'SASL_SSL'}."
        )
    settings = {}
    for key, value in given.items():
        name = str(key).strip().lower()
        if isinstance(value, bool):
            value = str(value).lower()
        elif value is None:
            value = ""
        refusal = next((why for names, why in REFUSED.items() if re.fullmatch(names, name)), None)
        if refusal:
            raise ConfigurationError(f"{named(name, survey)} cannot be set: {refusal}.")
        if not isinstance(value, str | int | float):
            raise ConfigurationError(f"{named(name, survey)} cannot be used: it takes a text or a number.")
        if text := str(value).strip():
            name = {"sasl.mechanisms": "sasl.mechanism"}.get(name, name)
            settings[name] = Secret(text) if SECRET_NAME.search(name) else text
    if "cooperative" in settings.get("partition.assignment.strategy", ""):
        raise ConfigurationError(
            f"{named('partition.assignment.strategy', survey)} cannot be cooperative: the reader gives back "
            "all partitions before it takes others."
        )
    _choose(settings, "security.protocol", PROTOCOLS, survey)
    _choose(settings, "sasl.mechanism", MECHANISMS, survey)
    for name, value in settings.items():
        if FILE_NAME.search(name) and value != "probe" and not os.access(value, os.R_OK):
            raise ConfigurationError(
                f"{named(name, survey)}: {value} cannot be read. It takes the path of a file."
            )
    return settings


def needs_login(settings: Mapping[str, str], password: str) -> bool:
    """Whether a user name and a password are sent: by SASL, if not with a token; a password alone asks for it."""
    if settings.get("sasl.mechanism") == "OAUTHBEARER":
        return False
    return _protocol(settings).startswith("sasl") or bool(password and not _protocol(settings))


def check_security(settings: Mapping[str, str], survey: str, password: str) -> None:
    """Refuse what would not do what its writer thinks; warn of what shows a password or trusts anybody.

    Raises `ConfigurationError`.
    """
    protocol, protocol_name = _protocol(settings), named("security.protocol", survey)
    if protocol and password and not protocol.startswith("sasl"):
        raise ConfigurationError(
            f"{protocol_name} is {protocol.upper()}, which sends no password, but a password is set: use "
            f"SASL_{protocol.upper()}, or take the password away."
        )
    idle = [name for name in settings if TLS_NAME.match(name)]
    if idle and not protocol:
        raise ConfigurationError(
            f"{named(idle[0], survey)} has no effect without TLS: set {protocol_name} to SSL, or to SASL_SSL "
            "where there is a password."
        )
    idle = [name for name in settings if name.startswith("sasl.")]
    if idle and not protocol and not password:
        raise ConfigurationError(
            f"{named(idle[0], survey)} has no effect without SASL: set {protocol_name} to SASL_SSL or "
            "SASL_PLAINTEXT."
        )
    certificate, key = (
        next((name for name in (f"ssl.{what}.location", f"ssl.{what}.pem") if name in settings), "")
        for what in ("certificate", "key")
    )
    if bool(certificate) != bool(key):
        raise ConfigurationError(
            f"{named(certificate or key, survey)} is of no use without "
            f"{named('ssl.key.location' if certificate else 'ssl.certificate.location', survey)}."
        )
    mechanism = settings.get("sasl.mechanism")
    if mechanism == "PLAIN" and protocol in ("", "sasl_plaintext"):
        logger.warning(
            "%s is PLAIN without TLS: the password can be read on the way. SASL_SSL would hide it.",
            named("sasl.mechanism", survey),
        )
    if mechanism == "OAUTHBEARER" and settings.get("sasl.oauthbearer.method", "").lower() != "oidc":
        raise ConfigurationError(
            f"{named('sasl.mechanism', survey)}: OAUTHBEARER takes {named('sasl.oauthbearer.method', survey)} "
            "oidc: the reader makes no tokens itself."
        )
    if settings.get("enable.ssl.certificate.verification", "").lower() == "false":
        logger.warning(
            "%s is false: whoever answers is taken for the broker.",
            named("enable.ssl.certificate.verification", survey),
        )


def ask_librdkafka(settings: Mapping[str, Any], given: Mapping[str, str], survey: str) -> None:
    """Have librdkafka look at all settings of a consumer, of which `given` are the site's; connects to nothing.

    Raises `ConfigurationError`, which repeats no value but that of a path.
    """
    without_address = {name: value for name, value in settings.items() if name != "bootstrap.servers"}
    try:
        Consumer(without_address | {"log_level": 0}).close()
    except KafkaException as error:
        reason = error.args[0].str().strip()
    else:
        return
    # Outside of the except block: the error's text may hold a value, and would be printed as the cause.
    at_fault = re.search(r'property:? "([^"]+)"|for "([^"]+)": true', reason)
    name = next((part for part in at_fault.groups() if part), "") if at_fault else ""
    if name in given:
        if reason.startswith("No such"):
            raise ConfigurationError(f"{named(name, survey)} cannot be used: librdkafka has no such setting.")
        limits = re.search(r"outside allowed range (\S+)\.\.(\S+)", reason)
        takes = f"it takes {limits[1]} to {limits[2]}" if limits else "librdkafka does not take its value"
        raise ConfigurationError(f"{named(name, survey)} cannot be used: {takes}.")
    names = [named(name, survey) for name in given if name in reason] or ["KAFKA"]
    reason = without_values(reason.removeprefix("Failed to create consumer: "), settings)
    raise ConfigurationError(
        f"{', '.join(names)} cannot be used; librdkafka says: {reason}{hint(reason, survey)}"
    )


def hint(text: str, survey: str) -> str:
    """What to look at when librdkafka says `text` of a connection, to be put behind it; "" where that is not known."""
    for pattern, meaning in HINTS.items():
        if re.search(pattern, text):
            return f" ({re.sub(r'{(.+?)}', lambda found: named(found[1], survey), meaning)})"
    return ""


def without_values(text: str, settings: Mapping[str, Any]) -> str:
    """`text` without the values of settings, but for paths, numbers and words that everybody may know."""
    for name, value in settings.items():
        is_open = FILE_NAME.search(name) or name in ("security.protocol", "sasl.mechanism")
        is_text = isinstance(value, str) and len(value) > 3 and not re.fullmatch(r"[\d.]+|true|false", value)
        if value and (SECRET_NAME.search(name) or (is_text and not is_open)):
            text = text.replace(str(value), "…")
    return text


def named(name: str, survey: str) -> str:
    """A setting as a person gives it: its variables, and in brackets librdkafka's name."""
    variable = name.upper().replace(".", "_")
    return f"{' or '.join(prefix + variable for prefix in PREFIXES[survey])} ({name})"


def _protocol(settings: Mapping[str, str]) -> str:
    return settings.get("security.protocol", "")


def _choose(settings: dict[str, str], name: str, choices: tuple[str, ...], survey: str) -> None:
    """Write a setting as librdkafka does; what it is not is not repeated: it may be a password in the wrong line."""
    if name not in settings:
        return
    chosen = [choice for choice in choices if choice.lower() == settings[name].lower()]
    if not chosen:
        takes = ", ".join(choice.upper() for choice in choices)
        raise ConfigurationError(f"{named(name, survey)} cannot be used: it takes one of {takes}.")
    settings[name] = chosen[0]
