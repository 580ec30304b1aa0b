"""Makes the new TOM: checks the answers, then copies this project under its new name.

Cookiecutter renders this file, and runs it in the new folder, before it writes the README there. A second
hook is not needed: what cookiecutter writes wins over what is copied.
"""

import json
import os
import sys
from pathlib import Path

ANSWERS = json.loads(r'{{ cookiecutter | tojson }}')  # fmt: skip  # tojson writes no apostrophe


def template() -> Path:
    """The folder that the new TOM is made from.

    Cookiecutter tells it as the user gave it, cruft does not; both stand in it while a hook runs. `/proc` is
    Linux's; elsewhere a relative path is tried from where the user was, then from where the new folder is.
    """
    told = Path(ANSWERS.get("_repo_dir") or ".")
    candidates = [told] if told.is_absolute() else []
    candidates.append(Path(f"/proc/{os.getppid()}/cwd"))
    candidates += [Path(os.environ.get(name) or "/", told) for name in ("PWD", "OLDPWD")]
    candidates.append(Path(ANSWERS.get("_output_dir") or "/", told))
    for candidate in candidates:
        if (candidate / "cookiecutter.json").is_file() and (candidate / "hooks" / "copy_site.py").is_file():
            return candidate.resolve()
    return sys.exit(
        "The template's folder was not found. Name it by an absolute path or an address of git's."
    )


sys.path.insert(0, str(template() / "hooks"))
sys.dont_write_bytecode = True

from copy_site import CopyError, copy_site  # noqa: E402 - found only now

try:
    next_steps = copy_site(template(), Path.cwd(), ANSWERS)
except CopyError as error:
    sys.exit(f"No TOM was made: {error}")
if "_repo_dir" in ANSWERS:  # else cruft compares two versions: nobody is to go on from here
    print(next_steps)  # noqa: T201
