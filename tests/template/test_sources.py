"""Wherever the template is taken from, the same TOM comes out, and only what git tracks goes in."""

import os
import shutil
import sys

import pytest
from cookiecutter.exceptions import FailedHookException
from copy_site import CopyError, copied

from tests.template.baking import git, tree

SLUG = "a_tom"


@pytest.fixture(scope="module")
def expected(repository, bake):
    return tree(bake(repository, slug=SLUG))


def test_from_a_relative_path(repository, bake, expected, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert tree(bake(os.path.relpath(repository), slug=SLUG)) == expected


def test_from_where_it_stands(repository, bake, expected, monkeypatch):
    monkeypatch.chdir(repository)
    assert tree(bake(".", slug=SLUG)) == expected


def test_into_itself(repository, bake, expected, monkeypatch, tmp_path):
    copy = tmp_path / "copy"
    git(tmp_path, "clone", "--quiet", str(repository), str(copy))
    monkeypatch.chdir(copy)
    assert tree(bake(".", copy, slug=SLUG)) == expected
    assert tree(bake(".", copy, slug="b_tom")).keys() == {path.replace(SLUG, "b_tom") for path in expected}


def test_from_an_address_of_git_s(repository, bake, expected):
    assert tree(bake(f"git+file://{repository}", slug=SLUG)) == expected


def test_from_a_bare_repository(repository, bake, expected, tmp_path):
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(repository), str(bare))
    assert tree(bake(f"file://{bare}", slug=SLUG)) == expected


def test_from_an_archive_which_has_no_modes(repository, bake, expected, tmp_path):
    archive = tmp_path / "template.zip"
    git(repository, "archive", "--prefix=template/", f"--output={archive}", "HEAD")
    assert tree(bake(archive, slug=SLUG)) == expected


def test_what_git_does_not_track_stays_behind(repository, bake, expected, tmp_path):
    copy = tmp_path / "copy"
    git(tmp_path, "clone", "--quiet", str(repository), str(copy))
    for path in (
        ".env", "db.sqlite3", ".venv/bin/python", "state/secret_key", "data/image.fits", "notes.txt",
        "tom_fink/secret.txt", "tom_fink/__pycache__/x.pyc", "fink_tom_site/private.py", ".cruft.json",
    ):  # fmt: skip
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        (copy / path).write_text("SECRET_KEY=hunter2\n")
    (copy / ".venv" / "broken").symlink_to("nowhere")
    assert tree(bake(copy, slug=SLUG)) == expected


def test_what_git_tracks_and_is_not_there_stops_it(repository, tmp_path):
    copy = tmp_path / "copy"
    git(tmp_path, "clone", "--quiet", str(repository), str(copy))
    (copy / "tom_fink" / "apps.py").unlink()
    with pytest.raises(CopyError, match=r"^tom_fink/apps\.py of the template at .* is not there"):
        list(copied(copy))
    git(copy, "rm", "--quiet", "--cached", "Makefile")
    with pytest.raises(CopyError, match=r"lacks Makefile\.$"):
        list(copied(copy))


def test_a_repository_that_git_cannot_read_is_not_taken_for_an_archive(repository, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(repository, copy)
    (copy / ".git" / "HEAD").write_text("spoilt\n")
    with pytest.raises(CopyError, match=r"^git cannot read "):
        list(copied(copy))


def test_a_hook_that_finds_no_template_says_what_to_do(repository, tmp_path):
    import subprocess

    hook = (repository / "hooks" / "pre_gen_project.py").read_text()
    (tmp_path / "hook.py").write_text(hook.replace("{{ cookiecutter | tojson }}", "{}"))
    ran = subprocess.run(
        [sys.executable, "-c", "import subprocess, sys; sys.exit(subprocess.call([sys.executable, 'hook.py']))"],
        cwd=tmp_path, env={"PATH": os.environ["PATH"], "PWD": str(tmp_path)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 1
    assert ran.stderr.startswith("The template's folder was not found.")


@pytest.mark.parametrize("told", ["relative", "absolute"])
def test_the_template_is_found_without_proc(repository, bake, expected, tmp_path, monkeypatch, told):
    """As on a machine that is not Linux."""
    copy = tmp_path / "copy"
    git(tmp_path, "clone", "--quiet", str(repository), str(copy))
    hook = copy / "hooks" / "pre_gen_project.py"
    text = hook.read_text()
    assert "/proc/" in text
    hook.write_text(text.replace("/proc/", "/nowhere/"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWD", str(tmp_path))
    assert tree(bake("copy" if told == "relative" else copy, slug=SLUG)) == expected


def test_a_bare_failure_leaves_nothing(repository, bake, tmp_path):
    copy = tmp_path / "copy"
    git(tmp_path, "clone", "--quiet", str(repository), str(copy))
    git(copy, "rm", "--quiet", "--cached", "Makefile")
    output = tmp_path / "output"
    output.mkdir()
    with pytest.raises(FailedHookException):
        bake(copy, output, slug=SLUG)
    assert not list(output.iterdir())
