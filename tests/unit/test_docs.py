"""What the documentation names exists: files, headings, targets of make, commands, variables, code."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from pkgutil import resolve_name

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand

from fink_tom_site.environment import VARIABLES

from tom_fink.alertstream import FinkAlertStream

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*ROOT.glob("*.md"), *sorted(ROOT.glob("docs/**/*.md"))]
FENCE = re.compile(r"^( *)```.*?\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
SITE = "fink_tom_site"
PROJECT_FILE = re.compile(rf"(?<![\w/.])(?:tom_fink|{SITE}|tests|docs|requirements|\.ci)/[\w./-]*")
# Names in capitals that are neither a variable, a Django setting nor an option of a stream
OTHER_NAMES = """
    TEST_DATABASE ALERTS SEED FUZZ SOAK VENV PYTHON ONCE OPTIONS HOST READ_ONLY PUBLIC OPEN PRIVATE SURVEYS INSTRUMENTS FILE TIME
    VERSION LEVEL LOGGER MESSAGE NAME FULL NORMAL SIGTERM TARGET_MODEL_CLASS NON_SIDEREAL FAULT
    PLAINTEXT SASL_PLAINTEXT SASL_SSL PLAIN SCRAM OAUTHBEARER VARIABLES FINK_KAFKA_ FINK_LSST_KAFKA_
"""
# Split, so that this file does not name them itself
REGISTRIES = r"py" r"pi\.org|python" r"hosted\.org|npm" r"js\.(?:org|com)|repo1?\.maven|static\.crates"
MACHINE = r"(?<![\w.-])/(?:work|Users|mnt|root)/|(?<!\w)/ho" r"me/(?!tom\b)"

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text())


def code(page: Path) -> list[str]:
    """Every block and span of code; lines that go on are joined."""
    found = [block for _, block in FENCE.findall(page.read_text())] + SPAN.findall(prose(page))
    return [piece.replace("\\\n", " ") for piece in found]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def listed_under(heading: str) -> set[str]:
    """The code in the first column of the tables under a heading of the reference."""
    _, found, rest = (ROOT / "docs/reference.md").read_text().partition(f"\n{heading}\n")
    assert found, f"the reference has no heading {heading}"
    cells = re.findall(
        r"^\| ([^|]*) \|", re.split(r"^#", rest, maxsplit=1, flags=re.MULTILINE)[0], re.MULTILINE
    )
    return {name for cell in cells for name in SPAN.findall(cell)}


def options(command: BaseCommand) -> set[str]:
    actions = command.create_parser("manage.py", "")._actions
    return {option for action in actions for option in action.option_strings if option.startswith("--")}


def options_of(name: str) -> set[str]:
    assert name in get_commands(), f"manage.py {name}"
    return options(load_command_class(get_commands()[name], name))


def test_there_are_pages():
    assert {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "reference.md"} <= {page.name for page in PAGES}


@pages
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        linked = page.parent / path if path else page
        assert linked.is_file(), f"{link}: no such file"
        assert not anchor or anchor in anchors(linked), f"{link}: no such heading"


@pages
def test_targets_and_commands_exist(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for piece in code(page):
        for target in re.findall(r"^ *make ([a-z-]+)", piece, re.MULTILINE):
            assert target in targets, f"make {target}"
        for name, rest in re.findall(r"manage\.py ([a-z_]+)([^\n]*)", piece):
            assert set(re.findall(r"--[a-z-]+", rest)) <= options_of(name), f"manage.py {name}{rest}"


@pages
def test_variables_and_settings_exist(page):
    example = re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    known = {*VARIABLES, *example, *FinkAlertStream.allowed_keys, *OTHER_NAMES.split()}
    for piece in code(page):
        assert set(re.findall(r"(?<!\w)FINK_[A-Z_]+(?![\w*])", piece)) <= set(VARIABLES), piece
    for piece in SPAN.findall(prose(page)):
        for name in re.findall(r"(?<![\w-])[A-Z][A-Z0-9_]{3,}(?![\w-])", piece):
            assert name in known or hasattr(settings, name), name


@pages
def test_nothing_tells_to_overwrite_the_secrets(page):
    """A TOM that cookiecutter made has its secret key and the password of its database in .env."""
    for file in (page, ROOT / "docker-compose.yml", ROOT / ".env.example"):
        for line in re.findall(r"^.*\bcp \.env\.example .*$", file.read_text(), re.MULTILINE):
            assert "test -e .env || cp" in line, f"{file.name}: {line}"


@pages
def test_code_and_files_exist(page):
    for piece in code(page):
        for path in re.findall(rf"(?<![\w./])((?:tom_fink|{SITE})(?:\.[A-Za-z_]\w*)+)", piece):
            resolve_name(path)
        for path in PROJECT_FILE.findall(piece):
            assert (ROOT / path).exists(), path


@pytest.mark.parametrize(
    "name",
    [
        "readstreams", "retry_rejected", "publish_alerts", "ingest_alerts", "simulate_alerts", "fink_offsets",
        "fink_status", "backfill", "refresh_targets",
    ],
)  # fmt: skip
def test_the_reference_lists_every_option(name):
    assert listed_under(f"### `manage.py {name}`") == options_of(name) - options(BaseCommand())


def test_the_reference_lists_every_option_of_a_stream():
    assert listed_under("## ALERT_STREAMS options") == set(FinkAlertStream.allowed_keys)


def test_the_reference_lists_every_column():
    for model in apps.get_app_config("tom_fink").get_models():
        columns = {field.name for field in model._meta.fields} - {"id"}
        assert listed_under(f"### `{model.__name__}`") == columns, model.__name__


def test_every_dependency_has_a_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    needed += project["project"]["optional-dependencies"]["site"]
    table = (ROOT / "docs/decisions/0001-dependencies.md").read_text()
    reasons = re.findall(r"^\| ([a-z0-9, -]+?)(?: \((?:dev|site)\))? \|", table, re.MULTILINE)
    assert {re.match(r"[\w-]+", name)[0] for name in needed} == {
        name for cell in reasons for name in cell.split(", ")
    }


def tracked_files() -> set[Path]:
    """What git tracks; where there is no git, the project's own folders."""
    if shutil.which("git") and (ROOT / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
        return {*(ROOT / name for name in listed.decode().split("\0") if name), *PAGES}
    folders = ("docs", SITE, "requirements", "templates", "tests", "tom_fink")
    found = {path for folder in folders for path in (ROOT / folder).rglob("*")} | set(ROOT.glob("*.*"))
    return {path for path in found if "__pycache__" not in path.parts}


def test_no_file_names_a_package_registry_or_a_folder_of_some_machine():
    owner_s = (
        ROOT / "custom_code",
        ROOT / SITE / "local_settings.py",
    )  # who may name a folder of the machine
    for path in tracked_files():
        if path.name == ".cruft.json" or any(path.is_relative_to(own) for own in owner_s):
            continue  # .cruft.json says where a site's template was
        text = path.read_bytes().decode(errors="replace") if path.is_file() else ""
        found = re.search(f"{REGISTRIES}|{MACHINE}", text)
        assert not found, f"{path.relative_to(ROOT)}: {found[0]}"
