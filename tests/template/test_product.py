"""A new TOM works: its own tests, its linter, its migrations, its settings for production, its demo."""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.services.needs import needs
from tests.template.baking import git, tree

pytestmark = [pytest.mark.services, pytest.mark.timeout(1800)]
NAME = """Jördis' "TOM" & <b>Söhne</b> {x}"""
OLDEST = "cookiecutter==2.2.3"
OWNER_S = """
    for stream in settings["ALERT_STREAMS"]:
        stream["OPTIONS"]["TOPIC_HANDLERS"]["fink_sn_candidates_ztf"] = "custom_code.handlers.list_bright"
    settings["ALERT_STREAMS"].append({"ACTIVE": False, "NAME": "tom_fink.alertstream.FinkAlertStream", "OPTIONS": {}})
    settings["TIME_ZONE"] = "Europe/Paris"
    settings["MEDIA_ROOT"] = "/FOLDER/images"
"""


@pytest.fixture(scope="module")
def made(repository, bake) -> Path:
    """A TOM with a name that has everything in it, in a git repository of its own."""
    folder = bake(repository, name="{{ " + repr(NAME).replace("{", "{' '") + " }}", slug="soehne_tom")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=The new TOM")
    return folder


def do(folder: Path, *command: str, **environment: str) -> str:
    """What a command in the new TOM prints, in the environment of these tests and with none of its variables.

    Nor with those of a make that runs these tests: a make that sees them says which folder it enters and leaves.
    """
    unset = ("DJANGO_SETTINGS_MODULE", "DATABASE_URL", "SECRET_KEY", "TEST_DATABASE", "PYTHONPATH")
    unset += ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    kept = {
        name: text
        for name, text in os.environ.items()
        if name not in unset and not name.startswith(("PYTEST_", "FINK_"))
    }
    ran = subprocess.run(
        command, cwd=folder, env=kept | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, f"{' '.join(command)}\n{ran.stdout[-6000:]}"
    return ran.stdout


def make(folder: Path, *arguments: str, **environment: str) -> str:
    """What make prints; the packages are those of these tests, and make need not install them again."""
    needs("make")
    stamps = [f"--old-file={sys.prefix}/{name}.stamp" for name in ("base", "dev")]
    return do(folder, "make", *stamps, f"VENV={sys.prefix}", *arguments, **environment)


def test_git_keeps_the_secrets_out(made):
    assert ".env" not in git(made, "ls-files").splitlines()
    assert git(made, "status", "--porcelain") == ""


def test_its_own_tests_pass(made, report):
    """All with a database, and of those without one what looks at the site: the app is the same to the byte.

    (test_bake.py, test_tom_fink_is_the_same)
    """
    of_site = " or ".join(
        file.stem
        for file in sorted((made / "tests" / "unit").glob("test_*.py"))
        if made.name in file.read_text()
    )
    assert "test_environment" in of_site
    closing = make(made, "test-unit", PYTEST_ADDOPTS=f"-k '{of_site}'").strip().splitlines()[-1]
    assert re.search(r"\d+ passed", closing)
    # Times are measured in this project's own run: here another worker of these tests is busy.
    rest = do(
        made, sys.executable, "-m", "pytest", "-n", "4", "--dist", "worksteal", "-k", "not in_time", "tests/db",
        "custom_code",
    )  # fmt: skip
    report(
        f"a new TOM's unit tests: {closing.strip('= ')}; with SQLite: {rest.strip().splitlines()[-1].strip('= ')}"
    )


@pytest.mark.parametrize("surveys", ["ZTF", "Rubin"])
def test_its_own_tests_pass_with_one_survey_and_an_owner_s_settings(repository, bake, surveys):
    """Those of its settings, and those that start the reader as a process, which has the settings."""
    folder = bake(repository, slug="one_tom", surveys=surveys)
    with (folder / "one_tom" / "local_settings.py").open("a") as file:
        file.write(OWNER_S.replace("FOLDER", "mnt"))  # which this file may not name
    settings = ("tests/unit/test_environment.py", "tests/unit/test_site.py", "tests/unit/test_docs.py")
    started = ("tests/db/test_streams.py", "tests/db/test_faults.py", "-k", "signal or without_credentials")
    do(folder, sys.executable, "-m", "pytest", *settings)
    do(folder, sys.executable, "-m", "pytest", "-n", "4", "--dist", "worksteal", *started)
    streams = do(
        folder, sys.executable, "manage.py", "shell", "--verbosity", "0", "-c",
        "from django.conf import settings; print([s['OPTIONS'].get('SURVEY') for s in settings.ALERT_STREAMS])",
    )  # fmt: skip
    assert streams.strip() == {"ZTF": "['ztf', None]", "Rubin": "['lsst', None]"}[surveys]


def test_the_linter_is_content(made):
    make(made, "lint")


@pytest.mark.parametrize("slug", ["z", "a23456789_123456789_123456789_"[:29] + "b"])
def test_the_linter_is_content_whatever_the_name(repository, bake, slug):
    folder = bake(repository, slug=slug)
    make(folder, "lint")


def test_migrations_and_settings_are_complete(made):
    manage = (sys.executable, "manage.py")
    assert "No changes detected" in do(made, *manage, "makemigrations", "--check", "--dry-run")
    do(
        made, *manage, "check", "--deploy", "--fail-level", "WARNING",
        SECRET_KEY=secrets.token_urlsafe(48), ALLOWED_HOSTS="tom.example.org", HTTPS_ONLY="true",
        CSRF_TRUSTED_ORIGINS="https://tom.example.org",
    )  # fmt: skip


def test_its_name_is_in_the_pages_and_escaped(made, tmp_path):
    look = (
        "import json; from django.test import Client; from django.conf import settings\n"
        "page = Client().get('/', headers={'host': 'localhost'}).content.decode()\n"
        "print(json.dumps([settings.TOM_NAME, page]))"
    )
    database = {"DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}"}
    do(made, sys.executable, "manage.py", "migrate", "--verbosity", "0", **database)
    shown = do(made, sys.executable, "manage.py", "shell", "--verbosity", "0", "-c", look, **database)
    name, page = json.loads(shown.strip().splitlines()[-1])
    assert name == NAME
    assert "J\u00f6rdis&#x27; &quot;TOM&quot; &amp; &lt;b&gt;S\u00f6hne&lt;/b&gt; {x}" in page
    assert "<b>S\u00f6hne" not in page


@pytest.mark.parametrize("surveys", ["ZTF", "Rubin"])
def test_its_demo_runs(repository, bake, report, surveys):
    folder = bake(repository, slug="demo_tom", name=NAME.replace("{x}", ""), surveys=surveys)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shown = make(folder, "demo", "ONCE=1", f"PORT={port}").strip().splitlines()
    assert shown[-1] == "The demo works."
    report(f"a new TOM's demo, {surveys}: {next(line for line in shown if 'alerts stored in' in line)}")


def test_compose_reads_it(made):
    needs("docker")
    compose = ["docker", "compose"] if shutil.which("docker-compose") is None else ["docker-compose"]
    read = do(made, *compose, "config")
    assert "soehne-tom" in read
    password = re.search(r"(?m)^POSTGRES_PASSWORD=(.+)$", (made / ".env").read_text())[1]
    assert password in read


def test_the_oldest_cookiecutter_makes_the_same(repository, bake, tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    do(tmp_path, str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", OLDEST)
    output, home = tmp_path / "output", tmp_path / "home"
    for folder in (output, home):
        folder.mkdir()
    archive = tmp_path / "template.zip"
    git(repository, "archive", "--prefix=template/", f"--output={archive}", "HEAD")
    answers = ("slug=a_tom", f"name={NAME.replace('{x}', '')}")
    expected = tree(bake(repository, slug="a_tom", name=NAME.replace("{x}", "")))
    for source in (
        str(repository),
        os.path.relpath(repository, tmp_path),
        f"git+file://{repository}",
        str(archive),
    ):
        do(
            tmp_path, str(python), "-m", "cookiecutter", "--no-input", "-o", str(output), source, *answers,
            HOME=str(home),
        )  # fmt: skip
        assert tree(output / "a_tom") == expected, source
        shutil.rmtree(output / "a_tom")


def test_braces_are_taken_at_the_prompt(repository, tmp_path):
    """What is typed is not rendered; what comes from a file is."""
    typed = '{{ "x" {%\na_tom\n\n\n\n'
    ran = subprocess.run(
        [sys.executable, "-m", "cookiecutter", str(repository), "-o", str(tmp_path)],
        input=typed, env=os.environ | {"HOME": str(tmp_path / "home")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert r'name = "{{ \"x\" {%"' in (tmp_path / "a_tom" / "a_tom" / "site.toml").read_text()
