"""The servers of a run, and what machine it is."""

import os
import platform
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench.errors import BenchError
from bench.site import Site
from bench.usage import Cpu, Readers, of_tree
from tests.services.kafka import Kafka
from tests.services.postgres import TEMPLATE, Postgres
from tests.services.processes import Processes

PROGRAMS = ("java", "mvn", "openssl")
MIGRATES_WITHIN_S = 180


class Machine:
    """A running Kafka and PostgreSQL, and the site's commands as processes. Leave the block to end all."""

    def __init__(self):
        if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
            raise BenchError(f"Not installed: {', '.join(missing)}.")
        self._folder = tempfile.TemporaryDirectory(prefix="tom-fink-bench-", ignore_cleanup_errors=True)
        self.folder = Path(self._folder.name)

    def __enter__(self) -> "Machine":
        (self.folder / "kafka").mkdir()
        self.processes = Processes(self.folder)
        before = set(psutil.Process().children())
        self.kafka = Kafka(self.folder / "kafka")
        self.kafka.start()
        try:
            started = set(psutil.Process().children()) - before
            self._broker = next(process for process in started if "java" in process.name())
            self.postgres = Postgres()
        except BaseException:
            self.kafka.stop()
            raise
        return self

    def __exit__(self, *_) -> None:
        try:
            self.processes.kill_all()
        finally:
            self.postgres.close()
            self.kafka.kill()
            self._folder.cleanup()

    def prepare(self) -> None:
        """Migrate the site into the template of all databases."""
        self.postgres.create(TEMPLATE)
        self.migrate(self.postgres.address(TEMPLATE))

    def migrate(self, address: str) -> None:
        """Migrate the database at `address`."""
        process = self.processes.manage("migrate", "--verbosity", "0", DATABASE_URL=address)
        if status := process.popen.wait(MIGRATES_WITHIN_S):
            raise BenchError(f"migrate ended with status {status}:\n{process.said[-3000:]}")

    @contextmanager
    def site(self) -> Iterator[Site]:
        """An empty site on PostgreSQL, deleted afterwards."""
        name = f"bench_{uuid.uuid4().hex[:8]}"
        self.postgres.create(name, TEMPLATE)
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            site = Site(self.postgres.address(name), Path(folder) / "cutouts.sqlite3")
            try:
                yield site
            finally:
                site.close()
                self.postgres.drop(name)

    @contextmanager
    def sqlite_site(self) -> Iterator[Site]:
        """An empty site on SQLite, deleted afterwards."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            address = f"sqlite:///{folder}/db.sqlite3"
            self.migrate(address)
            site = Site(address, Path(folder) / "cutouts.sqlite3")
            try:
                yield site
            finally:
                site.close()

    def cpu(self, readers: Readers) -> Cpu:
        """What has been used so far, by whom."""
        return Cpu(*readers.cpu(), self.postgresql_cpu(), of_tree(self._broker))

    def postgresql_cpu(self) -> float:
        """CPU seconds of the server's processes so far."""
        return of_tree(self._postmaster)

    @property
    def _postmaster(self) -> psutil.Process:
        return self.postgres._processes()[0]

    def describe(self) -> dict[str, str]:
        """What the figures depend on."""
        model = [line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")]
        jars = [path.name for path in self.kafka._jars.glob("kafka_*.jar")]
        return {
            "cores": str(len(os.sched_getaffinity(0))),
            "cpu": model[0] if model else platform.machine(),
            "memory": f"{psutil.virtual_memory().total / 1e9:.0f} GB",
            "python": platform.python_version(),
            "postgresql": self.postgres.setting("server_version"),
            "kafka": jars[0].removeprefix("kafka_").removesuffix(".jar") if jars else "unknown",
        }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
