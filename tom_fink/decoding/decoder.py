"""Messages to tidy frames in a process of its own, which can be killed.

Schema and value of a message come from outside, and jetliner 0.2.0 and fastavro 1.13 can be led by
them to hang, to abort and to take all memory (docs/decisions/0002-columns.md). A process that does so
is killed and replaced; the message at fault gets its error and the others are read.
"""

import fcntl
import logging
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import polars as pl

from tom_fink.decoding.decode import MESSAGE, Message
from tom_fink.errors import BadMessage, DecoderError
from tom_fink.frames import Tidy
from tom_fink.surveys import normalise
from tom_fink.text import printable

logger = logging.getLogger(__name__)

MEMORY_BYTES = 2**30
START_S = 60.0  # to load the libraries and read one good message takes half a second
PIECE_BYTES = 32_000_000  # of messages handed over at once: memory follows from it, not from the batch
PIPE_BYTES = 2**20  # as much as Linux gives: else the two processes wait for each other every 64 kB
CAREFUL_S = 10.0  # for a piece that ended the process: fastavro first
ALONE_S = 3.0  # for one message, which takes 10 ms
MANY = 10  # messages that did not end: then they get less time, and a batch of 200 such takes five minutes
ALONE_AFTER_MANY_S = 1.0
DEATHS = 2  # of the process over one message alone: the first may have been the machine's doing
ENVIRONMENT = {
    "RUST_BACKTRACE": "0",  # of a panic, of which there may be one a message: 50 ms and 50 MB each
    # glibc gives large blocks back at once, and every batch would have each of its pages anew
    "MALLOC_MMAP_THRESHOLD_": str(64_000_000),
    "MALLOC_TRIM_THRESHOLD_": str(256_000_000),
}
GOOD = (b'{"type":"record","name":"good","fields":[{"name":"x","type":"int"}]}', b"\x02")


@dataclass(frozen=True)
class Read:
    """What became of a list of messages; every index is in exactly one of the three.

    tidy: its column `message` is the index; records: the alert as fastavro reads it; errors: why there
    is none.
    """

    tidy: Tidy
    records: dict[int, dict[str, Any]]
    errors: dict[int, BadMessage]


class Decoder:
    """A process that decodes and normalises. It is started at first use, again when it ended, and ends
    with `close` or with this process.

    timeout_s: how long it may take for a piece of a batch (up to 32 MB). memory_bytes: private memory
    that it may have, as the system counts it for RLIMIT_DATA. command: what is run, for tests.
    """

    def __init__(
        self,
        timeout_s: float = 30.0,
        memory_bytes: int = MEMORY_BYTES,
        command: Sequence[str] | None = None,
    ) -> None:
        self._timeout_s = timeout_s
        self._command = command or (sys.executable, "-m", "tom_fink.decoding.child", str(memory_bytes))
        self._too_much = f"Decoding needed more than {memory_bytes // 2**20} MB of memory"
        self._child: _Child | None = None
        self._lock = threading.Lock()

    def read(self, messages: list[Message], as_records: Collection[int] = ()) -> Read:
        """Read a list of messages; those at the indices `as_records` as dictionaries, the others tidy.

        Raises `DecoderError` if the process cannot be started or fails at a message that is good, and
        RuntimeError with the process's traceback for an error that nobody expected.
        """
        wanted = set(as_records)
        alerts, detections, records, errors = [], [], {}, {}
        with self._lock:
            for indices in _pieces(messages):
                for part, answer in self._read_piece(messages, indices, wanted):
                    if isinstance(answer, _Ended):
                        errors[part[0]] = BadMessage(f"{answer}.")
                        continue
                    (others, *streams), pickled, bad = answer
                    for stream, frames in zip(streams, (alerts, detections), strict=True):
                        frame = pl.read_ipc_stream(stream)
                        frames.append(_moved(frame, [part[place] for place in others]))
                    records |= {part[place]: pickle.loads(record) for place, record in pickled.items()}  # noqa: S301
                    errors |= {part[place]: BadMessage(text) for place, text in bad.items()}
        nothing, _ = normalise([])
        tidy = Tidy(pl.concat([nothing.alerts, *alerts]), pl.concat([nothing.detections, *detections]))
        return Read(tidy, records, dict(sorted(errors.items())))

    def close(self) -> None:
        """End the process, after a `read` that is under way. May be called at any time."""
        with self._lock:
            self._end()

    def _read_piece(
        self, messages: list[Message], indices: list[int], as_records: set[int]
    ) -> Iterator[tuple[list[int], Any]]:
        """Yield (indices, what was read of them): all together, or one by one, an `_Ended` for a culprit."""
        for careful, seconds in ((False, self._timeout_s), (True, min(CAREFUL_S, self._timeout_s))):
            try:
                answer = self._ask(messages, indices, as_records, careful, seconds)
            except _Ended as ended:
                logger.warning("Reading %d messages together: %s. They are read again.", len(indices), ended)
            else:
                yield indices, answer
                return
        hung = 0
        for index in indices:
            seconds = min(ALONE_S if hung < MANY else ALONE_AFTER_MANY_S, self._timeout_s)
            answer = self._read_alone(messages, index, as_records, seconds)
            hung += isinstance(answer, _Hung)
            yield [index], answer

    def _read_alone(self, messages: list[Message], index: int, as_records: set[int], seconds: float) -> Any:
        """What was read of one message, or the `_Ended` that says how the process ended over it."""
        for _ in range(DEATHS):
            try:
                return self._ask(messages, [index], as_records, True, seconds)
            except _Ended as ended:
                last = ended
                if ended.is_sure:
                    break
        return last

    def _ask(
        self, messages: list[Message], indices: list[int], as_records: set[int], careful: bool, seconds: float
    ) -> tuple[Any, dict[int, bytes], dict[int, str]]:
        keys: dict[bytes | None, bytes | None] = {}  # equal keys once: pickle knows an object again
        pairs = [
            (keys.setdefault(messages[index].key, messages[index].key), messages[index].value)
            for index in indices
        ]
        wanted = {place for place, index in enumerate(indices) if index in as_records}
        child = self._started()
        try:
            answer = child.ask((seconds, careful, pairs, wanted), seconds)
            if answer[0] == "memory":
                raise _Ended(self._too_much, is_sure=True)
            if answer[0] == "large":
                raise _Ended("The alert is many times as large as its message", is_sure=True)
            if answer[0] == "fault":
                raise RuntimeError(f"The process that decodes raised:\n{answer[1]}")
        except BaseException:
            # Also an interrupt: what this process answers next may be the answer to this.
            self._end()
            raise
        _, read, records, errors, logged = answer
        for name, level, text in logged:
            if logging.getLogger(name).isEnabledFor(level):
                logging.getLogger(name).log(level, "%s", text)
        return read, records, errors

    def _started(self) -> "_Child":
        """The process, which has read a good message. Raises `DecoderError`."""
        if self._child is not None and self._child.is_running:
            return self._child
        self._end()
        try:
            self._child = _Child(self._command)
            answer = self._child.ask((START_S, False, [GOOD, GOOD], {0}), START_S)
            if answer[0] != "read":
                raise _Ended(" ".join(answer))
        except OSError as error:
            raise DecoderError(f"The process that decodes cannot be started ({error}).") from error
        except _Ended as ended:
            self._end()
            raise DecoderError(f"The process that decodes cannot read a good message: {ended}.") from ended
        except BaseException:
            self._end()
            raise
        return self._child

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()


class _Ended(Exception):  # noqa: N818 - named for what happened
    """A request had no answer; the text says why. `is_sure`: the message is why, a second try is none."""

    def __init__(self, text: str, is_sure: bool = False) -> None:
        super().__init__(text)
        self.is_sure = is_sure


class _Hung(_Ended):
    """It took too long."""


class _Child:
    """One process, and the pipes to it."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start it. Raises OSError."""
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
                start_new_session=True,  # Ctrl-C in a terminal is meant for the parent
            )
        except BaseException:
            self._said.close()
            raise
        for pipe in (self._process.stdin, self._process.stdout):
            # Where the system gives less, or has no such call, it is only slower.
            with suppress(OSError, AttributeError):
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: tuple, seconds: float) -> tuple:
        """The answer to a request. Raises `_Ended` if there is none, after so many seconds at most."""
        late = threading.Event()

        def end() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            pickle.dump(request, self._process.stdin, pickle.HIGHEST_PROTOCOL)
            self._process.stdin.flush()
            return pickle.load(self._process.stdout)  # noqa: S301 - of our own process
        except (EOFError, BrokenPipeError, pickle.UnpicklingError) as error:
            self._process.kill()
            status = self._process.wait()
            if late.is_set() or status == -signal.SIGALRM:
                raise _Hung(f"Decoding did not end within {seconds:g} s", is_sure=True) from error
            raise _Ended(f"The decoder ended with {_named(status)}{self._last_words()}") from error
        finally:
            timer.cancel()

    def kill(self) -> None:
        """End it and wait for its end."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):  # what was not yet written is for nobody
                pipe.close()
        self._process.wait()
        self._said.close()

    def _last_words(self) -> str:
        """What the process wrote on its standard error at last, such as Rust's reason to abort."""
        size = os.fstat(self._said.fileno()).st_size
        lines = os.pread(self._said.fileno(), 2000, max(0, size - 2000)).decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        wanted = [line for line in said if line.startswith("memory allocation")] or said[-1:]
        return f" ({printable(wanted[0], 200)})" if wanted else ""


def _named(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"status {status}"


def _pieces(messages: list[Message]) -> Iterator[list[int]]:
    """Indices of consecutive messages that have at most `PIECE_BYTES` together, or one that has more."""
    piece, size = [], 0
    for index, message in enumerate(messages):
        length = len(message.key or b"") + len(message.value or b"")
        if piece and size + length > PIECE_BYTES:
            yield piece
            piece, size = [], 0
        piece.append(index)
        size += length
    if piece:
        yield piece


def _moved(frame: pl.DataFrame, at: list[int]) -> pl.DataFrame:
    """`frame` with the indices in `at` for those of the piece, which are the places in it."""
    return frame.with_columns(pl.Series(at, dtype=pl.UInt32).gather(frame[MESSAGE]).alias(MESSAGE))
