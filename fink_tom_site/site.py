"""What the site is called and which surveys it reads: the file site.toml beside this one."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import available_timezones

from django.core.exceptions import ImproperlyConfigured

FILE = Path(__file__).with_name("site.toml")
SURVEYS = ("ztf", "lsst")


@dataclass(frozen=True)
class Site:
    """The name in the pages, the address in mail, the pages' time zone, and the surveys, as in `SURVEYS`."""

    name: str
    contact: str
    time_zone: str
    surveys: tuple[str, ...]


def read_site(file: Path = FILE) -> Site:
    """The site that `file` tells of. Raises `ImproperlyConfigured` with what is wrong in it."""
    try:
        told = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ImproperlyConfigured(f"{file.name} cannot be read: {error}.") from error
    for name in ("name", "contact", "time_zone"):
        if not isinstance(told.get(name), str) or not told[name].strip():
            raise ImproperlyConfigured(f"{file.name}: {name} takes a text between quotes.")
    if told["time_zone"] not in available_timezones():
        raise ImproperlyConfigured(f"{file.name}: time_zone takes a name such as Europe/Paris.")
    surveys = told.get("surveys")
    if not isinstance(surveys, list) or not surveys or any(survey not in SURVEYS for survey in surveys):
        raise ImproperlyConfigured(
            f"{file.name}: surveys takes a list of one or more of {', '.join(SURVEYS)}."
        )
    return Site(told["name"], told["contact"], told["time_zone"], tuple(dict.fromkeys(surveys)))
