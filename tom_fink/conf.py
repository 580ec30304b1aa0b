"""The app's own Django settings, read when they are needed so that a test can override them."""

from pathlib import Path

from django.conf import settings
from django.db import connection
from tom_targets.base_models import BaseTarget

from tom_fink.api.options import ApiOptions
from tom_fink.cutoutfile import CutoutFile
from tom_fink.errors import ConfigurationError


def target_permission() -> str:
    """FINK_TARGET_PERMISSION: who may see the targets that the stream makes. Default PUBLIC.

    Raises `ConfigurationError` for anything but OPEN, PUBLIC and PRIVATE.
    """
    permission = getattr(settings, "FINK_TARGET_PERMISSION", BaseTarget.Permissions.PUBLIC)
    if permission not in BaseTarget.Permissions.values:
        raise ConfigurationError(
            f"FINK_TARGET_PERMISSION={permission!r} cannot be used: "
            f"it takes {', '.join(BaseTarget.Permissions.values)}."
        )
    return permission


def give_up_after_s() -> float:
    """FINK_GIVE_UP_AFTER: how long a reader waits for a database that is away, seconds. Default 15 minutes.

    Raises `ConfigurationError` for what is no number of seconds.
    """
    return _number("FINK_GIVE_UP_AFTER", 900.0, "seconds")


def keep_closed_days() -> float:
    """FINK_KEEP_CLOSED_DAYS: how long rejected messages are kept after they were closed. Default 30 days.

    Raises `ConfigurationError` for what is no number of days.
    """
    return _number("FINK_KEEP_CLOSED_DAYS", 30.0, "days")


def archive_dir() -> Path | None:
    """FINK_ARCHIVE_DIR: the folder for the raw messages of every night. Default None: there is no archive.

    Raises `ConfigurationError` for what is no whole path: commands may be started in any folder.
    """
    value = getattr(settings, "FINK_ARCHIVE_DIR", None)
    if not value:
        return None
    if not isinstance(value, str | Path) or not Path(value).is_absolute():
        raise ConfigurationError(
            f"FINK_ARCHIVE_DIR={str(value)!r} cannot be used: it takes the whole path of a folder."
        )
    return Path(value)


def cutout_file() -> CutoutFile:
    """FINK_CUTOUTS_FILE: where cutouts are kept. Default: beside an SQLite database, else in BASE_DIR's folder `state`.

    Raises `ConfigurationError` for what is no whole path, and where there is neither that setting nor BASE_DIR.
    """
    value = getattr(settings, "FINK_CUTOUTS_FILE", None)
    if value:
        if not isinstance(value, str | Path) or not Path(value).is_absolute():
            raise ConfigurationError(
                f"FINK_CUTOUTS_FILE={str(value)!r} cannot be used: it takes the whole path of a file."
            )
        return CutoutFile(Path(value))
    database = Path(str(connection.settings_dict["NAME"]))
    if connection.vendor == "sqlite" and database.is_absolute():
        return CutoutFile(database.with_name(f"{database.name}.cutouts"))
    if not hasattr(settings, "BASE_DIR"):
        raise ConfigurationError("Set FINK_CUTOUTS_FILE: without BASE_DIR there is no folder for cutouts.")
    return CutoutFile(Path(settings.BASE_DIR).absolute() / "state" / f"cutouts-{database.name}.sqlite3")


def check() -> None:
    """Read every setting. Raises `ConfigurationError` for one that cannot be used."""
    target_permission()
    give_up_after_s()
    keep_closed_days()
    archive_dir()
    cutout_file()
    ApiOptions.from_settings()


def _number(name: str, default: float, unit: str) -> float:
    value = getattr(settings, name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise ConfigurationError(f"{name}={value!r} cannot be used: it takes a number of {unit}.")
    return value
