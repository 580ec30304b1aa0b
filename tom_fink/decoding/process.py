"""The process that decodes, as its parent sees it: started, asked, and killed when it does not answer."""

import fcntl
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress

import polars as pl

from tom_fink.decoding.avro import SCHEMAS_KEPT
from tom_fink.decoding.container import Framing
from tom_fink.decoding.decode import Message
from tom_fink.decoding.exchange import Answer, Files, Request
from tom_fink.text import printable

PIPE_BYTES = 2**20  # as much as Linux gives: else the two processes wait for each other every 64 kB
ENVIRONMENT = {
    "RUST_BACKTRACE": "0",  # of a panic, of which there may be one a message: 50 ms and 50 MB each
    # glibc gives large blocks back at once, and every batch would have each of its pages anew
    "MALLOC_MMAP_THRESHOLD_": str(64_000_000),
    "MALLOC_TRIM_THRESHOLD_": str(256_000_000),
}


class Ended(Exception):  # noqa: N818 - named for what happened
    """A request had no answer; the text says why. `is_sure`: the message is why, a second try is none."""

    def __init__(self, text: str, is_sure: bool = False) -> None:
        super().__init__(text)
        self.is_sure = is_sure


class Hung(Ended):
    """It took too long."""


class DecodingProcess:
    """One process, the pipes to it and the files that both have."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start it. Raises OSError."""
        self._files = Files()
        self._framings: dict[bytes | None, Framing] = {}  # by key: how this process wants its values
        # A file: a pipe that nobody empties would stop a process that says much.
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `kill`
        paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                env=os.environ | ENVIRONMENT | {"PYTHONPATH": paths},  # it imports what this process would
                pass_fds=self._files.descriptors,
                start_new_session=True,  # Ctrl-C in a terminal is meant for the parent
            )
        except BaseException:
            self._said.close()
            self._files.close()
            raise
        for pipe in (self._process.stdin, self._process.stdout):
            # Where the system gives less, or has no such call, it is only slower.
            with suppress(OSError, AttributeError):
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        with suppress(BrokenPipeError):  # it ended: the first request will say so
            self._send(self._files.descriptors)

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def ask(
        self, messages: list[Message], as_records: frozenset[int], careful: bool, seconds: float
    ) -> Answer:
        """Have messages read. Raises `Ended` if there is no answer, after so many seconds at most."""
        keys: dict[bytes | None, int] = {}
        values = [message.value for message in messages]
        key_of = [keys.setdefault(message.key, len(keys)) for message in messages]
        is_plain = len(keys) == 1 and all(values) and not as_records and not careful
        request = Request(
            seconds,
            careful,
            key_of=key_of,
            keys=list(keys),
            lengths=[None if value is None else len(value) for value in values],
            as_records=as_records,
            framing=self._framings.get(messages[0].key) if is_plain else None,
        )
        self._files.write_values(values, request.framing)
        late = threading.Event()

        def end() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            self._send(request)
            answer = pickle.load(self._process.stdout)  # noqa: S301 - of our own process
        except (EOFError, BrokenPipeError, pickle.UnpicklingError) as error:
            self._process.kill()
            status = self._process.wait()
            if late.is_set() or status == -signal.SIGALRM:
                raise Hung(f"Decoding did not end within {seconds:g} s", is_sure=True) from error
            raise Ended(f"The decoder ended with {_named(status)}{self._last_words()}") from error
        finally:
            timer.cancel()
        if answer.framing:
            if len(self._framings) >= SCHEMAS_KEPT:
                self._framings.clear()  # to be told again costs one copy
            self._framings[request.keys[0]] = answer.framing
        return answer

    def frames(self) -> list[pl.DataFrame]:
        """The alerts and detections of the last answer."""
        return self._files.frames()

    def kill(self) -> None:
        """End it and wait for its end."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):  # what was not yet written is for nobody
                pipe.close()
        self._process.wait()
        self._said.close()
        self._files.close()

    def _send(self, what: object) -> None:
        pickle.dump(what, self._process.stdin, pickle.HIGHEST_PROTOCOL)
        self._process.stdin.flush()

    def _last_words(self) -> str:
        """What the process wrote on its standard error at last, such as Rust's reason to abort."""
        size = os.fstat(self._said.fileno()).st_size
        lines = os.pread(self._said.fileno(), 2000, max(0, size - 2000)).decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        wanted = [line for line in said if line.startswith("memory allocation")] or said[-1:]
        return f" ({printable(wanted[0], 200)})" if wanted else ""


def _named(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"status {status}"
