"""What the tests of the template share: a repository of what git tracks here, and bakes of it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
AUTHOR = ("-c", "user.name=A Test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false")


def git(folder: Path, *command: str) -> str:
    """What a git command prints, run without the user's configuration."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    ran = subprocess.run(
        ["git", *AUTHOR, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, f"git {' '.join(command)}: {ran.stderr}"
    return ran.stdout


def needs_history() -> None:
    """Skip where this project is no repository of git's: what it tracks cannot be told."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("this folder is no git repository, or git is not installed")


def tracked() -> list[str]:
    """The paths that git tracks here, or would with the next `git add`."""
    listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return sorted({path for path in listed.split("\0") if path and (ROOT / path).is_file()})


def snapshot(folder: Path) -> Path:
    """A repository with one commit of the files as they are now."""
    for path in tracked():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, folder / path)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--message=As it is")
    return folder


def configuration(folder: Path) -> str:
    """A configuration of cookiecutter's under which it writes into `folder` and not into the user's home."""
    file = folder / "cookiecutter.yaml"
    file.write_text(f"cookiecutters_dir: {folder / 'clones'}\nreplay_dir: {folder / 'replay'}\n")
    return str(file)


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of every file; of .env, which is different each time, the names in it only."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            if path.name == ".env":
                content = b"\n".join(line.partition(b"=")[0] for line in content.splitlines())
            found[path.relative_to(folder).as_posix()] = (path.stat().st_mode & 0o777, content)
    return found
