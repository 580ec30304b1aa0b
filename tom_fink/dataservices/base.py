"""What Fink's data services have in common: a client, its errors, who may ask."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from requests.exceptions import HTTPError
from tom_dataservices.dataservices import DataService, QueryServiceError

from tom_fink import __version__
from tom_fink.access import visible_targets
from tom_fink.dataservices.forms import FinkForm
from tom_fink.errors import ApiError, ConfigurationError

PAGE_S = 50.0  # of all questions of a page together; gunicorn's workers are given up after 60 s
SURVEY_NAMES = {"ztf": "ZTF", "lsst": "Rubin"}


class FinkQueryError(QueryServiceError, HTTPError):
    """What `tom_fink.errors.ApiError` says, as TOM Toolkit's pages and its updatereduceddata catch it."""


class FinkBase(DataService):
    """A data service of these surveys. Without a user it serves a command, which nothing is hidden from."""

    app_version = __version__
    app_link = "https://github.com/TOMToolkit/tom_fink"
    surveys: tuple[str, ...] = ("ztf", "lsst")
    form_class = FinkForm

    def __init__(self, *args: Any, **kwargs: Any):
        """Ask nothing yet."""
        super().__init__(*args, **kwargs)
        self.results = None  # tom_fink.dataservices.results.Results
        self.found_rows: list[dict] = []
        self.search_error = ""
        self.kept_targets: dict[tuple[str, str], int] = {}  # keys of targets, by survey and name
        self.tried: set[tuple[str, str]] = set()  # objects that were fetched, or of which there is nothing
        self.names_found: dict[int, dict[str, list[str]]] = {}  # by a target's key and survey
        self.ends_at = time.monotonic() + PAGE_S

    @classmethod
    def get_form_class(cls):
        """The form of a search."""
        return cls.form_class

    def client(self, total_s: float):
        """A client with the patience of a page, or of a command if there is no user."""
        from tom_fink.dataservices.asking import command_client, page_client

        return (
            command_client()
            if self.user is None
            else page_client(min(total_s, self.ends_at - time.monotonic()))
        )

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Fink's errors as those that TOM Toolkit knows."""
        try:
            yield
        except (ApiError, ConfigurationError) as error:
            raise FinkQueryError(str(error)) from error

    def check_user(self) -> None:
        # TOM Toolkit lets everybody run a saved query; each makes this site ask Fink.
        if self.user is not None and not self.user.is_authenticated:
            raise FinkQueryError("Log in to search Fink.")

    def check_target(self, target) -> None:
        """TOM Toolkit's page does not ask whether the user may see the target that it is sent."""
        self.check_user()
        is_theirs = self.user is None or (
            target is not None and visible_targets(self.user).filter(pk=target.pk).exists()
        )
        if not is_theirs:
            raise FinkQueryError("There is no such target.")

    def survey_names(self) -> list[str]:
        return [SURVEY_NAMES[survey] for survey in self.surveys]
