"""What cookiecutter's answers have to be, checked before anything is written."""

import keyword
import re
import sys
from pathlib import Path
from zoneinfo import available_timezones

SURVEYS = {"ZTF and Rubin": ["ztf", "lsst"], "ZTF": ["ztf"], "Rubin": ["lsst"]}
LONGEST_SLUG = 30
SLUG = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
ADDRESS = re.compile(r"[\w.+'-]+@[\w-]+(\.[\w-]+)*")
# Top folders of the new TOM and of the project that it is made from
OURS = """
    bench custom_code data docs fink_tom fink_tom_site hooks manage requirements site state templates tests tom_fink
"""
# Folders that tools make anew, or that git, ruff or an editor pass over
TOOLS = "build dist env lib node_modules test"
# What the pinned packages are imported by, where that is not the package's own name; and what installs them
IMPORTED = """
    allauth attr backports bs4 crispy_forms dateutil django_comments django_filters django_gravatar environ erfa
    git guardian hatchling jaraco jupyterlab_plotly markdown_it mpl_toolkits pip pkg_resources py pylab rest_framework
    setuptools slack slugify tom_alerts tom_base tom_calendar tom_catalogs tom_common tom_dataproducts tom_dataservices
    tom_observations tom_setup tom_targets wheel xdist yaml
"""


class AnswerError(Exception):
    """An answer that no TOM can be made with; the text says why."""


def check(answers: dict[str, str], requirements: Path) -> None:
    """Raise `AnswerError` for the first answer that cannot be used.

    `requirements` is the pinned list whose packages a slug may not be called like.
    """
    _check_slug(answers["slug"], requirements)
    for name in ("name", "contact", "time_zone"):
        if not answers[name].strip() or not answers[name].isprintable():
            raise AnswerError(
                f"{name} is {answers[name]!r}; it takes one line of text, without control or invisible characters."
            )
    if not ADDRESS.fullmatch(answers["contact"]):
        raise AnswerError(f"contact is {answers['contact']!r}; it takes an e-mail address.")
    if answers["time_zone"] not in available_timezones():
        raise AnswerError(f"time_zone is {answers['time_zone']!r}; it takes a name such as Europe/Paris.")
    if answers["surveys"] not in SURVEYS:
        raise AnswerError(f"surveys is {answers['surveys']!r}; it takes one of {', '.join(SURVEYS)}.")


def _check_slug(slug: str, requirements: Path) -> None:
    if not SLUG.fullmatch(slug):
        why = "it takes lower-case letters of English, digits and single _ between them, and begins with a letter"
    elif len(slug) > LONGEST_SLUG:
        why = f"it has more than {LONGEST_SLUG} characters"
    elif keyword.iskeyword(slug) or keyword.issoftkeyword(slug):
        why = "that is a word of Python's"
    elif slug in sys.stdlib_module_names:
        why = "that is a module of Python's"
    elif slug in OURS.split():
        why = "the project has a folder or a package of that name"
    elif slug in TOOLS.split():
        why = "tools make a folder of that name, or pass over it"
    elif slug in IMPORTED.split() or slug in _pinned(requirements):
        why = "that is a package which the TOM uses"
    else:
        return
    raise AnswerError(f"the slug {slug!r} cannot be used: {why}.")


def _pinned(requirements: Path) -> set[str]:
    pins = re.findall(r"^([\w.-]+)(?:\[[^\]]*\])?==", requirements.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[-_.]+", "_", pin).lower() for pin in pins}
