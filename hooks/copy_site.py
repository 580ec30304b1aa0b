"""Copies this project into a new folder, under a new name.

Plain Python, never rendered: the hook imports it, and so do the tests. Only what git tracks is copied, and of
that only what `COPIED` lists. A test holds `COPIED` and `LEFT_OUT` together to what there is, so that a new
file at the top needs a decision.
"""

import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from answers import SURVEYS, AnswerError, check

NAME = "fink_tom_site"  # and with hyphens, without _site, the distribution, the image and the compose project
COPIED = {
    ".ci", ".dockerignore", ".env.example", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "Dockerfile", "LICENSE",
    "Makefile", "bench", "custom_code", "docker-compose.yml", "docs", "fink_tom_site", "manage.py", "pyproject.toml",
    "requirements", "templates", "tests", "tom_fink",
}  # fmt: skip
# README.md: the new TOM's own is in the folder that cookiecutter renders.
LEFT_OUT = {"README.md", "cookiecutter.json", "hooks", "{{cookiecutter.slug}}"}  # fmt: skip
# Below what is copied: the template's own
LEFT_OUT_BELOW = ("docs/decisions/0009-template.md", "docs/howto/new-tom.md", "tests/template")
MARKED = ("CHANGELOG.md", "CONTRIBUTING.md", "docs/README.md")
NOT_COPIED = " <!-- not copied -->\n"  # at the end of a line of theirs that is about the template
EXECUTABLE = {".ci/run", "manage.py"}  # a zip has no modes
# The owner's, by their names in the new TOM: written if they are missing, and then left alone
OWNED = (".env", "custom_code", "{slug}/local_settings.py")
UNWANTED = {"__pycache__", ".DS_Store"}


class CopyError(Exception):
    """No TOM can be made; the text says why."""


def copy_site(template: Path, folder: Path, answers: dict[str, str]) -> str:
    """Write a TOM into `folder`, as `answers` to cookiecutter.json want it; what to do next, in words.

    Everything is read and checked before the first file is written. Raises `CopyError`.
    """
    try:
        check(answers, template / "requirements" / "dev.txt")
    except AnswerError as error:
        raise CopyError(str(error)) from error
    slug = answers["slug"]
    files = {}
    for path in sorted(copied(template)):
        content = (template / path).read_bytes()
        if b"\0" not in content:
            text = content.decode(errors="surrogateescape")  # whatever it is in, it comes out as it was
            content = renamed(text, slug).encode(errors="surrogateescape")
        files[renamed(path, slug)] = content
    edit(files, f"{slug}/site.toml", lambda text: told(text, answers))
    for page in MARKED:
        edit(files, page, without_marked)
    owned = {path for path in files if belongs_to_owner(path, slug)}
    kept = {own for own in (own.format(slug=slug) for own in OWNED) if (folder / own).exists()}
    for path, content in files.items():
        if path in owned and any(PurePosixPath(path).is_relative_to(own) for own in kept):
            continue
        write(folder / path, content, executable=path in EXECUTABLE)
    if ".env" not in kept:
        write_secret(folder / ".env", with_secrets(files[".env.example"].decode()))
    return f"Made {slug}/. Try it: cd {slug} && make demo. Its README.md says how to go on."


def copied(template: Path) -> Iterator[str]:
    """The files to copy, by their paths in the template with /. Raises `CopyError` if one is missing."""
    listed = [path for path in tracked(template) if path.partition("/")[0] in COPIED]
    missing = COPIED - {path.partition("/")[0] for path in listed}
    if missing:
        raise CopyError(f"the template at {template} lacks {', '.join(sorted(missing))}.")
    for path in listed:
        if any(PurePosixPath(path).is_relative_to(own) for own in LEFT_OUT_BELOW):
            continue
        if (template / path).is_symlink() or not (template / path).is_file():
            raise CopyError(f"{path} of the template at {template} is not there, or no plain file.")
        yield path


def tracked(template: Path) -> list[str]:
    """What git tracks in the template; from an archive, which has nothing else, all that is there."""
    if not (template / ".git").exists():
        tops = [template / name for name in COPIED]
        found = [
            path for top in tops for path in (top.rglob("*") if top.is_dir() else [top]) if path.is_file()
        ]
        return [path.relative_to(template).as_posix() for path in found if not UNWANTED & {*path.parts}]
    if shutil.which("git") is None:
        raise CopyError("git is not installed. It says which of the template's files are to be copied.")
    # Another user's folder is read without asking: nothing of it is run by this.
    command = ["git", "-c", f"safe.directory={template}", "-c", "core.fsmonitor=false", "ls-files", "-z"]
    unset = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    listing = subprocess.run(command, cwd=template, env=unset, capture_output=True, check=False)  # noqa: S603
    if listing.returncode:
        raise CopyError(f"git cannot read {template}: {listing.stderr.decode(errors='replace').strip()}")
    return [path for path in listing.stdout.decode().split("\0") if path]


def renamed(text: str, slug: str) -> str:
    """A path or a text of the template with the new TOM's name."""
    hyphens = NAME.removesuffix("_site").replace("_", "-")
    return text.replace(NAME, slug).replace(hyphens, slug.replace("_", "-"))


def edit(files: dict[str, bytes], path: str, change) -> None:
    """Change the text of one of `files`."""
    files[path] = change(files[path].decode()).encode()


def told(text: str, answers: dict[str, str]) -> str:
    """The text of site.toml with the answers in it."""
    values = answers | {"surveys": SURVEYS[answers["surveys"]]}
    for name in ("name", "contact", "time_zone", "surveys"):
        line = f"{name} = {json.dumps(values[name], ensure_ascii=False)}"  # one printable line: TOML has JSON's form
        text, found = re.subn(rf"(?m)^{name} = .*$", lambda _, line=line: line, text)
        if found != 1:
            raise CopyError(f"site.toml of the template has {found} lines for {name}.")
    return text


def without_marked(text: str) -> str:
    """A page without the lines that are about the template."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.endswith(NOT_COPIED))


def belongs_to_owner(path: str, slug: str) -> bool:
    """Whether a file of the new TOM is its owner's, and no update may touch it."""
    return any(PurePosixPath(path).is_relative_to(own.format(slug=slug)) for own in OWNED)


def with_secrets(text: str) -> str:
    """The text of .env with a secret key and a database password that nobody else has."""
    for name, size in (("SECRET_KEY", 48), ("POSTGRES_PASSWORD", 24)):
        text, found = re.subn(rf"(?m)^{name}=$", f"{name}={secrets.token_urlsafe(size)}", text)
        if found != 1:
            raise CopyError(f".env.example of the template has {found} empty lines for {name}.")
    return text


def write(file: Path, content: bytes, executable: bool = False) -> None:
    """Write a file whole, with the mode that it has in git as far as the umask lets it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    readable = file.stat().st_mode & 0o666
    file.chmod(readable | ((readable & 0o444) >> 2 if executable else 0))


def write_secret(file: Path, text: str) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
        opened.write(text)
