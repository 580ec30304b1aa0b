"""What can be searched for by name: ZTF's classes, Rubin's tags. Asked of Fink once an hour."""

import difflib
import time
from dataclasses import dataclass, replace

from tom_fink.api import answers, lsst, ztf
from tom_fink.api.client import FinkClient
from tom_fink.api.options import ApiOptions
from tom_fink.errors import ApiError, BadQuery
from tom_fink.text import printable

FIELD = {"ztf": "classes", "lsst": "tags"}
KEPT_S = 3600.0
KEPT_UNANSWERED_S = 60.0
TIMEOUT_S = 5.0  # the form is shown without the list rather than late
MAX_LABELS = 2000
SUGGESTED = 3


@dataclass(frozen=True)
class Labels:
    """Labels with what there is to say of each. `problem`: why these are not all."""

    choices: tuple[tuple[str, str], ...]
    problem: str = ""


# Of this process, and not in Django's cache, which TOM Toolkit empties at each search.
_known: dict[tuple[str, str], tuple[float, Labels]] = {}


def labels(survey: str) -> Labels:
    """The labels of a survey; those that are known without asking if Fink does not answer in time.

    Raises `ConfigurationError`.
    """
    options = ApiOptions.from_settings()
    key, now = (survey, options.base(survey)), time.monotonic()
    until, found = _known.get(key, (now, None))
    if found is None or until <= now:
        found = _asked(survey, replace(options, timeout_s=min(options.timeout_s, TIMEOUT_S), retries=1))
        _known[key] = (now + (KEPT_UNANSWERED_S if found.problem else KEPT_S), found)
    return found


def check(survey: str, given: tuple[str, ...]) -> None:
    """Raise `BadQuery` for a label that Fink does not have, as far as that is known."""
    if not given:
        return
    found = labels(survey)
    names = [name for name, _ in found.choices]
    for one in given if not found.problem else ():
        if one not in names:
            plain = {name.rpartition(") ")[2].casefold(): name for name in names}
            near = difflib.get_close_matches(one.rpartition(") ")[2].casefold(), plain, SUGGESTED)
            hint = (
                f" Is it {' or '.join(plain[name] for name in near)}?" if near else " Choose from the list."
            )
            kind = "class of ZTF's" if survey == "ztf" else "tag of Rubin's that can be searched for"
            raise BadQuery(f"'{printable(one, 60)}' is no {kind}.{hint}", FIELD[survey])


def forget() -> None:
    """Ask again at the next occasion; for tests."""
    _known.clear()


def _asked(survey: str, options: ApiOptions) -> Labels:
    with FinkClient(options) as client:
        try:
            if survey == "ztf":
                families = client.get(ztf.classes(), answers.classes)
                pairs = [(name, family) for family, names in families.items() for name in names]
            else:
                tags = client.get(lsst.tags(), answers.tags)
                pairs = [(name, tag.description) for name, tag in tags.items() if tag.is_searchable]
        except ApiError as error:
            own = tuple((name, "Fink") for name in ztf.FINK_CLASSES) if survey == "ztf" else ()
            return Labels(own, str(error))
    return Labels(tuple({name: about for name, about in pairs if name}.items())[:MAX_LABELS])
