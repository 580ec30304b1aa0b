"""`make demo`: the whole site on this machine, with a simulated Fink and nothing else to install.

A mock Kafka cluster with the simulated sky and a stand-in for Fink's REST services of it, the reader and
the web server, each a process of its own as in production, on a database that is made anew each time.
"""

import argparse
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn, TypeVar

from fink_tom_site.environment import emptied
from fink_tom_site.site import read_site

BASE_DIR = Path(__file__).resolve().parent.parent
FOLDER = BASE_DIR / "state" / "demo"  # with a folder in it for each port
USER = "demo"
ALERTS_WANTED = 200
DEADLINE_S = 170
NIGHTS = 7  # that the REST services know, as they pass
API_VARIABLES = ("FINK_API_ZTF_URL", "FINK_API_LSST_URL")
Found = TypeVar("Found")
MANAGE = [sys.executable, str(BASE_DIR / "manage.py")]


def main() -> None:
    """Parse the command line and run the demo."""
    parser = argparse.ArgumentParser(description="Run the site with a simulated stream on this machine.")
    parser.add_argument("--port", type=int, default=8000, help="of the web site (8000)")
    parser.add_argument(
        "--once", action="store_true", help=f"end after {ALERTS_WANTED} alerts, when the pages show them"
    )
    options = parser.parse_args()
    # SIGINT too: a shell that starts this in the background has it ignored, and Python would leave it so.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    demo = Demo(options.port)
    try:
        demo.start()
        demo.check() if options.once else demo.watch()
    except KeyboardInterrupt:
        print("\nStopping.")
    finally:
        demo.stop()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def fail(text: str) -> NoReturn:
    """End with one line and status 1."""
    sys.exit(f"demo: {text}")


class Demo:
    """The processes of the demo."""

    def __init__(self, port: int):
        self.port = port
        self.folder = FOLDER / str(port)
        self.password = secrets.token_urlsafe(9)
        self.processes: dict[str, subprocess.Popen] = {}
        # Set and empty means "default": nobody's .env or variables reach the demo.
        self.environment = os.environ | emptied(BASE_DIR / ".env")
        self.environment |= {
            "DATABASE_URL": f"sqlite:///{self.folder / 'db.sqlite3'}",
            "TOM_NAME": f"{read_site().name} demo",
            "PYTHONUNBUFFERED": "1",
            # The simulated REST services are not to be looked for behind a proxy.
            "no_proxy": "127.0.0.1",
            "NO_PROXY": "127.0.0.1",
        }

    @property
    def address(self) -> str:
        """Of the web site."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Make the database and start every process."""
        if not 0 < self.port < 65536:
            fail(f"--port {self.port} is no port; it takes 1 to 65535")
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self.port))
            except OSError as error:
                fail(
                    f"port {self.port} cannot be used ({error.strerror}); choose another with make demo PORT=8080"
                )
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        print("Making the database …", flush=True)
        self._manage("migrate", "--verbosity", "0")
        self._manage("collectstatic", "--noinput", "--verbosity", "0")
        self._manage(
            "createsuperuser", "--noinput", "--username", USER, "--email", "demo@localhost",
            DJANGO_SUPERUSER_PASSWORD=self.password,
        )  # fmt: skip
        print("Starting the simulated stream, the reader and the web server …", flush=True)
        announced = self._start_stream()
        bootstrap = announced["cluster"]
        self.environment |= {name: announced[name] for name in API_VARIABLES}
        self._start(
            "reader", [*MANAGE, "readstreams"],
            FINK_CREDENTIAL_URL=bootstrap, FINK_CREDENTIAL_GROUP_ID="demo", FINK_TOPIC="fink_*_ztf,fink_grb_*",
            FINK_LSST_CREDENTIAL_URL=bootstrap, FINK_LSST_CREDENTIAL_GROUP_ID="demo-lsst",
            FINK_LSST_TOPIC="fink_*_lsst",
        )  # fmt: skip
        self._start(
            "web",
            [sys.executable, "-m", "gunicorn", "fink_tom_site.wsgi", "--bind", f"127.0.0.1:{self.port}",
             "--workers", "1", "--threads", "4", "--no-control-socket"],
        )  # fmt: skip
        self._wait_for("the web server", self._answers)
        print(f"\n  {self.address}/fink/\n  login {USER}, password {self.password}", flush=True)
        print(f"  searches ask a simulated Fink; its sky maps: {announced['sky maps']}\n", flush=True)

    def watch(self) -> None:
        """Show progress until Ctrl-C."""
        print(f"Ctrl-C stops everything. Logs: {self.folder.relative_to(BASE_DIR)}/*.log", flush=True)
        shown = None
        while True:
            self._look_after()
            progress = self._progress()
            if progress != shown:
                print(
                    f"\r{progress[0]} alerts, {progress[1]} targets, {progress[2]} topics ",
                    end="",
                    flush=True,
                )
                shown = progress
            time.sleep(1)

    def check(self) -> None:
        """Wait for the alerts, then look at every page that should show them."""
        began = time.monotonic()
        shown = -1
        while (alerts := self._progress()[0]) < ALERTS_WANTED:
            self._look_after()
            if time.monotonic() - began > DEADLINE_S:
                fail(
                    f"only {alerts} of {ALERTS_WANTED} alerts are stored after {DEADLINE_S} s; see {self.folder}/*.log"
                )
            if alerts != shown:
                print(f"{alerts} alerts stored", flush=True)
                shown = alerts
            time.sleep(1)
        print(f"{alerts} alerts stored in {time.monotonic() - began:.0f} s", flush=True)
        from fink_tom_site.demo_pages import ask_service, log_in, look_at_pages

        database = self.folder / "db.sqlite3"
        session = log_in(self.address, USER, self.password, fail)
        for line in look_at_pages(self.address, session, database, fail):
            print(line, flush=True)
        urls = dict(zip(("ztf", "lsst"), (self.environment[name] for name in API_VARIABLES), strict=True))
        for line in ask_service(self.address, session, urls, database, fail):
            print(line, flush=True)
        print("The demo works.", flush=True)

    def stop(self) -> None:
        """End the processes one after the other, the last one first: the reader before its broker."""
        for process in reversed(self.processes.values()):
            process.terminate()
            try:
                process.wait(12)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _manage(self, *command: str, **environment: str) -> None:
        log = self.folder / "setup.log"
        with log.open("a") as output:
            done = subprocess.run(
                [*MANAGE, *command],
                env=self.environment | environment,
                stdout=output,
                stderr=output,
                check=False,
            )
        if done.returncode:
            fail(f"manage.py {command[0]} failed:\n{log.read_text()[-2000:]}")

    def _start(self, name: str, command: list[str], **environment: str) -> None:
        with (self.folder / f"{name}.log").open("w") as log:
            self.processes[name] = subprocess.Popen(
                command, env=self.environment | environment, stdout=log, stderr=log, cwd=BASE_DIR,
                start_new_session=True,  # Ctrl-C is ours to pass on, in order
            )  # fmt: skip

    def _start_stream(self) -> dict[str, str]:
        """Start the stream and the REST services; what they announce.

        That is the `cluster`, API_VARIABLES and the names of `sky maps`.
        """
        # Last night as a backlog, then this one as it happens.
        start = (datetime.now(UTC) - timedelta(hours=26)).isoformat(timespec="seconds")
        self._start(
            "stream",
            [*MANAGE, "simulate_alerts", "--mock", "--serve-api", "0", "--nights", str(NIGHTS), "--live",
             "--start", start, "--rate", "20"],
        )  # fmt: skip
        log = self.folder / "stream.log"

        def announced() -> dict[str, str] | None:
            text = log.read_text()
            cluster = re.search(r"^mock cluster at (\S+)\n", text, re.MULTILINE)
            addresses = dict(re.findall(r"^(FINK_API_\w+)=(\S+)\n", text, re.MULTILINE))
            sky_maps = re.search(r"^sky maps: (.+)\n", text, re.MULTILINE)
            if cluster is None or sky_maps is None or addresses.keys() != set(API_VARIABLES):
                return None
            return {"cluster": cluster[1], "sky maps": sky_maps[1], **addresses}

        return self._wait_for("the simulated stream", announced)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _wait_for(self, what: str, condition: Callable[[], Found | None]) -> Found:
        deadline = time.monotonic() + 60
        while not (found := condition()):
            self._look_after()
            if time.monotonic() > deadline:
                fail(f"{what} did not start within 60 s; see {self.folder}/*.log")
            time.sleep(0.1)
        return found

    def _look_after(self) -> None:
        for name, process in self.processes.items():
            if process.poll() is not None:
                tail = (self.folder / f"{name}.log").read_text()[-1500:]
                fail(f"the {name} ended with status {process.returncode}:\n{tail}")

    def _progress(self) -> tuple[int, int, int]:
        from fink_tom_site.demo_pages import counts

        return counts(self.folder / "db.sqlite3")


if __name__ == "__main__":
    main()
