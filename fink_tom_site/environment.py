"""The variables that this site reads from the environment or from `.env`.

`VARIABLES` is the whole list, but for librdkafka's several hundred settings: whatever begins with one of
`PREFIXES` is read too. settings.py reads nothing else, and a test holds `.env.example` to the list.
"""

import os
import re
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import environ
from django.core.exceptions import ImproperlyConfigured

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
PERMISSIONS = ("OPEN", "PUBLIC", "PRIVATE")
THEMES = ("light", "dark")
BOOLEANS = dict.fromkeys(("true", "on", "yes", "y", "ok", "1"), True) | dict.fromkeys(
    ("false", "off", "no", "n", "0"), False
)


@dataclass(frozen=True)
class Variable:
    """One variable: how it is read, its default, and in words what it takes."""

    cast: Any
    default: Any
    takes: str
    choices: tuple[str, ...] | None = None


VARIABLES: dict[str, Variable] = {
    # The site
    "TOM_NAME": Variable(str, "", "a name"),
    "TOM_THEME": Variable(str, "light", "light or dark", THEMES),
    "TIME_ZONE": Variable(str, "", "a time zone's name such as Europe/Paris"),
    "SECRET_KEY": Variable(str, "", "a long random text"),
    "DEBUG": Variable(bool, False, "true or false"),
    "ALLOWED_HOSTS": Variable(list, ["localhost", "127.0.0.1"], "host names with commas between"),
    "CSRF_TRUSTED_ORIGINS": Variable(
        list, [], "addresses such as https://tom.example.org with commas between"
    ),
    "HTTPS_ONLY": Variable(bool, False, "true or false"),
    "DATABASE_URL": Variable(str, "", "an address such as postgres://user:password@host:5432/name"),
    "LOG_LEVEL": Variable(str, "INFO", ", ".join(LOG_LEVELS), LOG_LEVELS),
    # E-mail
    "EMAIL_URL": Variable(str, "consolemail://", "an address such as smtp+tls://user:password@host:587"),
    "DEFAULT_FROM_EMAIL": Variable(str, "", "an e-mail address"),
    # Fink's stream of ZTF alerts
    "FINK_CREDENTIAL_URL": Variable(str, "", "HOST:PORT of a Kafka broker"),
    "FINK_CREDENTIAL_USERNAME": Variable(str, "", "the user name that Fink gave you"),
    "FINK_CREDENTIAL_GROUP_ID": Variable(str, "", "the group id that Fink gave you"),
    "FINK_CREDENTIAL_PASSWORD": Variable(str, "", "a password, only where the broker asks for one"),
    "FINK_TOPIC": Variable(str, "", "topics or patterns with commas between"),
    "FINK_MAX_POLL_NUMBER": Variable(float, 0.0, "a number of polls; 0 never stops"),
    "FINK_TIMEOUT": Variable(float, 10.0, "seconds"),
    "FINK_START_AT": Variable(
        str, "earliest", "earliest, latest or an ISO time such as 2026-11-20T00:00:00Z"
    ),
    "FINK_GIVE_UP_AFTER": Variable(float, 900.0, "seconds"),
    "FINK_KEEP_CLOSED_DAYS": Variable(float, 30.0, "days"),
    "FINK_TARGET_PERMISSION": Variable(str, "PUBLIC", ", ".join(PERMISSIONS), PERMISSIONS),
    "FINK_ARCHIVE_DIR": Variable(str, "", "a folder"),
    "FINK_CUTOUTS_FILE": Variable(str, "", "a file"),
    # Fink's stream of Rubin alerts; what is unset is taken from the ZTF stream
    "FINK_LSST_CREDENTIAL_URL": Variable(str, "", "HOST:PORT of a Kafka broker"),
    "FINK_LSST_CREDENTIAL_USERNAME": Variable(str, "", "the user name that Fink gave you"),
    "FINK_LSST_CREDENTIAL_GROUP_ID": Variable(str, "", "the group id that Fink gave you"),
    "FINK_LSST_CREDENTIAL_PASSWORD": Variable(str, "", "a password, only where the broker asks for one"),
    "FINK_LSST_TOPIC": Variable(str, "", "topics or patterns with commas between"),
    # Fink's REST APIs, for searches
    "FINK_API_ZTF_URL": Variable(str, "", "the address of an API"),
    "FINK_API_LSST_URL": Variable(str, "", "the address of an API"),
    "FINK_API_TIMEOUT": Variable(float, 130.0, "seconds"),
    # How both streams are secured; the usual ones of those that begin with a prefix
    "FINK_KAFKA_SECURITY_PROTOCOL": Variable(str, "", "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"),
    "FINK_KAFKA_SASL_MECHANISM": Variable(str, "", "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"),
    "FINK_KAFKA_SSL_CA_LOCATION": Variable(str, "", "the path of a file"),
    "FINK_KAFKA_SSL_CERTIFICATE_LOCATION": Variable(str, "", "the path of a file"),
    "FINK_KAFKA_SSL_KEY_LOCATION": Variable(str, "", "the path of a file"),
    "FINK_KAFKA_SSL_KEY_PASSWORD": Variable(str, "", "the password of the key's file"),
}

# FINK_KAFKA_SSL_CA_LOCATION is librdkafka's ssl.ca.location, for both streams; FINK_LSST_KAFKA_... is for
# Rubin's alone, and wins there.
PREFIXES = ("FINK_KAFKA_", "FINK_LSST_KAFKA_")


class Environment:
    """Reads the variables above; a value that cannot be used is an error that names the variable."""

    def __init__(self, env_file: Path | None = None):
        """Read `env_file` if it exists; a real environment variable wins over it."""
        if env_file is not None and env_file.is_file():
            environ.Env.read_env(env_file, overwrite=False)

    def __call__(self, name: str) -> Any:
        """The value of variable `name`, of the type that `VARIABLES` says; unset and empty give the default.

        Raises `ImproperlyConfigured` with the variable's name and what it takes.
        """
        variable = VARIABLES[name]
        text = os.environ.get(name, "").strip()
        if not text:
            return variable.default
        try:
            value = self._cast(name, text, variable)
        except (ValueError, KeyError) as error:
            raise ImproperlyConfigured(
                f"{name}={text!r} cannot be used: it takes {variable.takes}."
            ) from error
        if variable.choices:
            matching = [choice for choice in variable.choices if choice.lower() == value.lower()]
            if not matching:
                raise ImproperlyConfigured(f"{name}={text!r} cannot be used: it takes {variable.takes}.")
            return matching[0]
        return value

    def librdkafka(self, prefix: str) -> dict[str, str]:
        """The settings of librdkafka in the variables that begin with `prefix`, by librdkafka's names.

        The rest of a variable's name is the setting's, in lower case and with dots. Empty means unset.
        """
        found = {name: text.strip() for name, text in os.environ.items() if name.startswith(prefix)}
        return {
            name.removeprefix(prefix).lower().replace("_", "."): text for name, text in found.items() if text
        }

    @staticmethod
    def _cast(name: str, text: str, variable: Variable) -> Any:
        # Not environ's casts: to them a $ names another variable, 1e5 is 15, and any word is False.
        if variable.cast is bool:
            return BOOLEANS[text.lower()]
        if variable.cast is float:
            number = float(text)
            if not 0 <= number < float("inf"):
                raise ValueError(text)
            return number
        if variable.cast is list:
            return [part.strip() for part in text.split(",") if part.strip()]
        if name == "TIME_ZONE" and text not in available_timezones():
            raise ValueError(text)
        return text

    def database(self, default: Path) -> dict[str, Any]:
        """Django's database settings from DATABASE_URL; unset: SQLite in the file `default`.

        The address may hold a password, so a bad one is not repeated in the error.
        """
        address = self("DATABASE_URL")
        if not address:
            return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(default)}
        bad = ImproperlyConfigured(
            f"DATABASE_URL cannot be used: it takes {VARIABLES['DATABASE_URL'].takes}."
        )
        if address.partition("://")[0] not in environ.Env.DB_SCHEMES:
            raise bad  # environ would warn of an unknown one and print it, password and all
        try:
            config = environ.Env.db_url_config(address)
        except Exception:  # noqa: BLE001 - and without its cause, which may quote the password
            raise bad from None
        if not config.get("NAME"):
            raise bad
        return config

    def email(self) -> dict[str, Any]:
        """Django's EMAIL_* settings from EMAIL_URL; a bad address is not repeated, it may hold a password."""
        try:
            return environ.Env.email_url_config(self("EMAIL_URL"))
        except Exception:  # noqa: BLE001 - and without its cause, which may quote the password
            raise ImproperlyConfigured(
                f"EMAIL_URL cannot be used: it takes {VARIABLES['EMAIL_URL'].takes}."
            ) from None


def emptied(env_file: Path) -> dict[str, str]:
    """Every variable that the site might read here, empty: set so, neither the machine nor `env_file` decides."""
    lines = env_file.read_text() if env_file.is_file() else ""
    in_file = re.findall(r"^(?:export )?\s*(\w+)", lines, re.MULTILINE)
    by_prefix = [name for name in [*os.environ, *in_file] if name.startswith(PREFIXES)]
    return dict.fromkeys([*VARIABLES, *by_prefix], "")


def kept_secret_key(path: Path) -> str:
    """The secret key kept in `path`, made at first use with mode 600.

    Made whole under another name and then linked, so that several processes that start together
    agree on one key and none reads half of it. The other name is random: in containers that share
    the folder every process may be number 1.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, fresh = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")  # with mode 600
        try:
            with os.fdopen(handle, "w") as file:
                file.write(secrets.token_urlsafe(64))
                file.flush()
                os.fsync(handle)
            os.link(fresh, path)
        except FileExistsError:
            pass  # another process was first, and its key counts
        finally:
            os.unlink(fresh)
    return path.read_text().strip()
