"""The site's commands as processes of their own, as they run in production."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from django.db import connection

from tests.services.needs import DEADLINE_S, wait_until
from tom_fink.conf import cutout_file

ROOT = Path(__file__).resolve().parents[2]
QUIET_S = 2.5  # a reader's batch takes half a second, its sign of life comes every ten


class Process:
    """A process whose output goes into a file, so that it never waits for whoever reads it."""

    def __init__(self, command: list[str], log: Path, environment: dict[str, str]):
        self.log = log
        with log.open("wb") as output:
            self.popen = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    @property
    def said(self) -> str:
        """All that it has printed so far."""
        return self.log.read_text(errors="replace")

    def until_it_says(self, text: str) -> None:
        """Wait for a text in what it prints; fail if it ends without."""
        wait_until(
            lambda: text in self.said or self.popen.poll() is not None,
            lambda: f"{text!r} in:\n{self.said[-3000:]}",
        )
        assert text in self.said, f"it ended without saying so:\n{self.said[-3000:]}"

    def until_it_is_quiet(self) -> None:
        """Wait until it has said nothing for a while: a reader hangs in the database then."""
        said, since = self.said, time.monotonic()

        def is_quiet() -> bool:
            nonlocal said, since
            if self.said != said:
                said, since = self.said, time.monotonic()
            return time.monotonic() - since > QUIET_S

        wait_until(is_quiet, lambda: self.said)

    def until_it_ends(self, seconds: float = DEADLINE_S) -> int:
        """Wait for its end; its status."""
        wait_until(
            lambda: self.popen.poll() is not None, lambda: f"the end of:\n{self.said[-3000:]}", seconds
        )
        return self.popen.returncode

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end as long as compose would; the status."""
        self.popen.send_signal(number)
        return self.until_it_ends(10)

    def kill(self) -> None:
        """End at once, whatever it does."""
        self.popen.kill()
        self.popen.wait()


class Processes:
    """Starts processes on this test's database, and leaves none behind."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._started: list[Process] = []

    def manage(self, *arguments: str, **environment: str | None) -> Process:
        """`manage.py` with these arguments and variables; None takes a variable away."""
        return self.python(str(ROOT / "manage.py"), *arguments, **environment)

    def python(self, *arguments: str, **environment: str | None) -> Process:
        """Python with these arguments and variables; None takes a variable away."""
        # tests.settings has emptied the site's variables, so that no .env decides here. A HOME of
        # its own, because the developer's may hold Fink's credentials.
        variables = os.environ | {
            "DJANGO_SETTINGS_MODULE": "tests.both_surveys",
            "DATABASE_URL": database_address(),
            "FINK_CUTOUTS_FILE": str(cutout_file().path),
            "HOME": str(self._folder),
            "PYTHONPATH": str(ROOT),
        }
        variables |= environment
        process = Process(
            [sys.executable, *arguments],
            self._folder / f"process-{len(self._started)}.log",
            {name: value for name, value in variables.items() if value is not None},
        )
        self._started.append(process)
        return process

    def kill_all(self) -> None:
        """End whatever still runs."""
        for process in self._started:
            process.kill()


def database_address() -> str:
    """DATABASE_URL of the database that this test runs on."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{database['NAME']}"
    host = database["OPTIONS"].get("host", "")
    return f"postgres://{database['USER']}:@/{database['NAME']}?host={host}"
