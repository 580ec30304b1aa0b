"""Where Fink's REST APIs are, and how patient a client is with them."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from tom_fink.errors import ConfigurationError

ZTF_URL = "https://api.ztf.fink-portal.org/api/v1/"
LSST_URL = "https://api.lsst.fink-portal.org/api/v1/"
SETTINGS = {"ztf": "FINK_API_ZTF_URL", "lsst": "FINK_API_LSST_URL"}
TIMEOUT_SETTING = "FINK_API_TIMEOUT"
TIMEOUT_S = 130.0  # Fink itself cuts a query of Rubin's at 120 s
MAX_BYTES = 32 * 1024 * 1024  # 10,000 rows, Fink's cap, of all of ZTF's columns have 28 MB


@dataclass(frozen=True)
class ApiOptions:
    """Addresses and limits of a client. Raises `ConfigurationError` for what cannot be used."""

    ztf_url: str = ZTF_URL
    lsst_url: str = LSST_URL
    timeout_s: float = TIMEOUT_S  # of a query with all that is tried again
    connect_timeout_s: float = 10.0
    retries: int = 3
    max_bytes: int = MAX_BYTES  # of an answer, unpacked

    def __post_init__(self):
        for survey, setting in SETTINGS.items():
            _check_address(setting, self.base(survey))
        timeout_s = self.timeout_s
        if (
            isinstance(timeout_s, bool)
            or not isinstance(timeout_s, int | float)
            or not 0 < timeout_s < float("inf")
        ):
            raise ConfigurationError(
                f"{TIMEOUT_SETTING}={timeout_s!r} cannot be used: it takes a number of seconds."
            )

    @classmethod
    def from_settings(cls) -> Self:
        """The options in Django's settings; unset and empty ones have their defaults."""
        from django.conf import settings  # the rest of this package does without Django

        return cls(
            ztf_url=getattr(settings, SETTINGS["ztf"], "") or ZTF_URL,
            lsst_url=getattr(settings, SETTINGS["lsst"], "") or LSST_URL,
            timeout_s=getattr(settings, TIMEOUT_SETTING, TIMEOUT_S),
        )

    def base(self, survey: str) -> str:
        """The address of a survey's API."""
        return {"ztf": self.ztf_url, "lsst": self.lsst_url}[survey]

    def url(self, survey: str, endpoint: str) -> str:
        """The address of an endpoint."""
        return f"{self.base(survey).rstrip('/')}/{endpoint}"


def _check_address(setting: str, address: str) -> None:
    # The address is in messages, so it must hold no password; and it is not repeated here, as it may hold one.
    problem = ConfigurationError(
        f"{setting} cannot be used: it takes the address of Fink's API, such as {ZTF_URL}, "
        "without a user name and without anything after a ? or #."
    )
    if not isinstance(address, str):
        raise problem
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018 - raises for one that is no number
    except ValueError:
        raise problem from None
    has_more = "@" in parts.netloc or "?" in address or "#" in address or not address.isprintable()
    if parts.scheme not in ("http", "https") or not parts.hostname or " " in address or has_more:
        raise problem
