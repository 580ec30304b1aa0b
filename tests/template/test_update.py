"""`cruft update` brings a TOM of the first commit that had a template up to now; what its owner wrote stays."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.template.baking import ROOT, git, needs_history, tracked

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]
INDEX = "templates/tom_common/index.html"
SENTENCE = "<p>Targets arrive here from"
MIGRATION = '''"""Of the test: a later version's change of the tables."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("tom_fink", "{after}")]
    operations = [migrations.RunSQL("CREATE TABLE of_a_later_version (id integer)", "DROP TABLE of_a_later_version")]
'''
# What the owner adds to the example app
MODELS = '''"""Rows of our own."""

from django.db import models


class Note(models.Model):
    """A line about something."""

    text = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.text
'''
FILL = """
from custom_code.models import Note
from django.contrib.auth.models import User
from tom_targets.models import Target, TargetList
target = Target.objects.create(name="ZTF26aaaaaab", type="SIDEREAL", ra=10.0, dec=20.0)
TargetList.objects.create(name="Ours").targets.add(target)
User.objects.create_user("observer")
Note.objects.create(text="kept")
"""
LOOK = """
import json
from django.contrib.auth.models import User
from django.conf import settings
from custom_code.models import Note
from tom_targets.models import TargetList
print(json.dumps({
    "listed": list(TargetList.objects.get(name="Ours").targets.values_list("name", flat=True)),
    "notes": list(Note.objects.values_list("text", flat=True)),
    "users": list(User.objects.filter(username="observer").values_list("username", flat=True)),
    "name": settings.TOM_NAME, "ours": settings.HINT_LEVEL, "later": settings.LATER,
}))
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    """A clone of this repository, of its first commit with a template."""
    needs_history()
    if git(ROOT, "rev-parse", "--is-shallow-repository").strip() == "true":
        pytest.skip("this is a shallow clone: its first commit with a template is not there")
    folder = tmp_path_factory.mktemp("update") / "template"
    git(ROOT, "clone", "--quiet", "--no-local", str(ROOT), str(folder))
    return folder


@pytest.fixture(scope="module")
def first(template) -> str:
    added = git(template, "log", "--diff-filter=A", "--format=%H", "--", "hooks/copy_site.py").split()
    if not added:
        pytest.skip("no commit of this repository has a template yet")
    return added[-1]


def cruft(folder: Path, *arguments: str) -> str:
    """What cruft prints, with a home of its own."""
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    ran = subprocess.run(
        [sys.executable, "-m", "cruft", *arguments], cwd=folder, env=os.environ | {"HOME": str(home)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


def manage(folder: Path, *arguments: str) -> str:
    """What a command of the TOM prints; it has the site's SQLite, as no variable is set."""
    unset = ("DJANGO_SETTINGS_MODULE", "DATABASE_URL", "SECRET_KEY", "TEST_DATABASE", "PYTHONPATH")
    kept = {name: text for name, text in os.environ.items() if name not in unset}
    ran = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=folder,
        env=kept,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    return ran.stdout


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text, f"{file}: {old}"
    file.write_text(text.replace(old, new, 1))


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", f"--message={message}")


def now(template: Path) -> None:
    """The template as it is here, and after it a version that nobody has made yet."""
    git(template, "checkout", "--quiet", git(ROOT, "rev-parse", "HEAD").strip())
    git(template, "checkout", "--quiet", "-B", "update")
    for path in git(template, "ls-files").splitlines():
        (template / path).unlink()
    for path in tracked():
        (template / path).parent.mkdir(parents=True, exist_ok=True)
        (template / path).write_bytes((ROOT / path).read_bytes())
        (template / path).chmod((ROOT / path).stat().st_mode)
    migrations = template / "tom_fink" / "migrations"
    newest = max(path.stem for path in migrations.glob("[0-9]*.py"))
    (migrations / "9999_later.py").write_text(MIGRATION.format(after=newest))
    replace(template / INDEX, SENTENCE, "<p>In a later version, targets arrive here from")
    replace(template / "fink_tom_site" / "settings.py", "SITE_ID = 1", "SITE_ID = 1\nLATER = True")
    for path in ("fink_tom_site/local_settings.py", "custom_code/views.py"):
        (template / path).write_text("# of a later version: nobody gets this by an update\n")
    (template / "tom_fink" / "later.py").write_text('"""New."""\n')
    commit(template, "A later version")


def test_an_update_from_the_first_template_to_now(template, first, tmp_path):
    git(template, "checkout", "--quiet", "-B", "update", first)
    cruft(tmp_path, "create", "--no-input", "--extra-context", json.dumps({"slug": "ulm_tom"}), str(template))
    folder = tmp_path / "ulm_tom"
    assert json.loads((folder / ".cruft.json").read_text())["commit"] == first
    git(folder, "init", "--quiet")
    commit(folder, "The new TOM")
    (folder / "custom_code" / "models.py").write_text(MODELS)
    manage(folder, "makemigrations", "custom_code")
    manage(folder, "migrate", "--verbosity", "0")
    manage(folder, "shell", "-c", FILL)

    # What the owner does: settings, code, a file of an own app, a name; and a change where the update has one
    settings = folder / "ulm_tom" / "local_settings.py"
    settings.write_text(settings.read_text() + '    settings["HINT_LEVEL"] = 30\n')
    (folder / "custom_code" / "views.py").write_text(
        (folder / "custom_code" / "views.py").read_text() + "\n# mine\n"
    )
    (folder / "our_code").mkdir()
    (folder / "our_code" / "__init__.py").write_text('"""Ours."""\n')
    replace(folder / "ulm_tom" / "site.toml", 'name = "My TOM"', 'name = "TOM of Ulm"')
    replace(folder / INDEX, SENTENCE, "<p>In Ulm, targets arrive here from")
    replace(folder / "ulm_tom" / "settings.py", "TARGET_TYPE = ", "# ours\nTARGET_TYPE = ")
    (folder / "docs" / "glossary.md").unlink()
    commit(folder, "Ours")
    owned = {
        path: (folder / path).read_bytes()
        for path in (
            ".env",
            "ulm_tom/local_settings.py",
            "custom_code/views.py",
            "custom_code/models.py",
            "custom_code/migrations/0001_initial.py",
            "our_code/__init__.py",
        )
    }

    now(template)
    said = cruft(folder, "update", "--skip-apply-ask")

    # The one conflict is shown, by cruft and by git, and both versions are in the file
    assert INDEX in said
    conflicts = git(folder, "diff", "--name-only", "--diff-filter=U").split()
    assert INDEX in conflicts
    text = (folder / INDEX).read_text()
    assert "<<<<<<<" in text
    assert "<p>In Ulm, targets" in text
    assert "<p>In a later version, targets" in text
    assert not list(folder.rglob("*.rej"))
    assert conflicts == [INDEX]

    assert {path: (folder / path).read_bytes() for path in owned} == owned
    assert 'name = "TOM of Ulm"' in (folder / "ulm_tom" / "site.toml").read_text()
    assert "# ours\n" in (folder / "ulm_tom" / "settings.py").read_text()
    assert (folder / "tom_fink" / "later.py").exists()
    assert not (folder / "docs" / "glossary.md").exists()
    assert (
        json.loads((folder / ".cruft.json").read_text())["commit"]
        == git(template, "rev-parse", "HEAD").strip()
    )

    git(folder, "checkout", "--ours", INDEX)
    commit(folder, "Brought up to date")
    manage(folder, "migrate", "--verbosity", "0")
    manage(folder, "check")
    with closing(sqlite3.connect(folder / "db.sqlite3")) as database:
        assert database.execute("SELECT count(*) FROM of_a_later_version").fetchone() == (0,)
    assert json.loads(manage(folder, "shell", "--verbosity", "0", "-c", LOOK).strip().splitlines()[-1]) == {
        "listed": ["ZTF26aaaaaab"],
        "notes": ["kept"],
        "users": ["observer"],
        "name": "TOM of Ulm",
        "ours": 30,
        "later": True,
    }
    assert "already up to date" in cruft(folder, "update", "--skip-apply-ask")
    a_second_time_in_a_clone(template, folder, tmp_path / "clone")


def a_second_time_in_a_clone(template: Path, folder: Path, clone: Path) -> None:
    """The next update, where git has not what the template was before: the conflict is in a file *.rej."""
    git(folder, "clone", "--quiet", "--no-local", str(folder), str(clone))
    replace(template / INDEX, "<p>In a later version, targets", "<p>In the latest version, targets")
    replace(template / "fink_tom_site" / "settings.py", "LATER = True", "LATER = 2")
    commit(template, "The latest version")
    said = cruft(clone, "update", "--skip-apply-ask")
    assert "lacks the necessary blob" in said
    assert [path.relative_to(clone).as_posix() for path in clone.rglob("*.rej")] == [f"{INDEX}.rej"]
    assert "<p>In the latest version, targets" in (clone / f"{INDEX}.rej").read_text()
    assert "<p>In Ulm, targets" in (clone / INDEX).read_text()
    settings = (clone / "ulm_tom" / "settings.py").read_text()
    assert "LATER = 2" in settings
    assert "# ours\n" in settings
    assert (clone / "custom_code" / "models.py").read_text() == MODELS


def test_a_tom_of_cookiecutter_s_is_linked_and_then_updated(template, first, repository, bake, tmp_path):
    git(template, "checkout", "--quiet", "-B", "linked", first)
    folder = bake(template, tmp_path, slug="ulm_tom", name="TOM of Ulm")
    answers = json.dumps({"slug": "ulm_tom", "name": "TOM of Ulm"})
    cruft(folder, "link", "--no-input", "--checkout", first, "--extra-context", answers, str(template))
    git(folder, "init", "--quiet")
    commit(folder, "The new TOM")
    secrets = (folder / ".env").read_bytes()
    assert cruft(folder, "diff") == ""
    now(template)
    git(template, "branch", "--quiet", "--force", "linked", "update")
    git(template, "checkout", "--quiet", "linked")
    cruft(folder, "update", "--skip-apply-ask")
    assert (folder / "tom_fink" / "later.py").exists()
    assert (folder / ".env").read_bytes() == secrets
    assert git(folder, "diff", "--name-only", "--diff-filter=U") == ""
