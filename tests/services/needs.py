"""What these tests ask of the machine, and how they wait."""

import os
import shutil
import time
from collections.abc import Callable

import pytest

DEADLINE_S = 60.0


def needs(*programs: str) -> None:
    """Skip the test if one of the programs is missing; fail where CI=true, which promises them."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        reason = f"not installed: {', '.join(missing)}"
        if os.environ.get("CI", "").lower() in ("true", "1"):
            pytest.fail(f"{reason}; with CI=true this is a failure and not a skip")
        pytest.skip(reason)


def wait_until(
    condition: Callable[[], object], what: str | Callable[[], str], seconds: float = DEADLINE_S
) -> None:
    """Return as soon as `condition` holds; past the deadline, fail and say `what` did not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:.0f} s: {what() if callable(what) else what}")
        time.sleep(0.02)
