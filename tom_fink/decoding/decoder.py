"""Messages to tidy frames in a process of its own, which can be killed.

Schema and value of a message come from outside, and jetliner 0.2.0 and fastavro 1.13 can be led by
them to hang, to abort and to take all memory (docs/decisions/0002-columns.md). A process that does so
is killed and replaced; the message at fault gets its error and the others are read.
"""

import logging
import math
import pickle
import sys
import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate, groupby
from typing import Any

import polars as pl

from tom_fink.decoding.decode import MESSAGE, Message
from tom_fink.decoding.exchange import Answer
from tom_fink.decoding.process import DecodingProcess, Ended, Hung
from tom_fink.errors import BadMessage, DecoderError
from tom_fink.frames import Tidy
from tom_fink.surveys import normalise

logger = logging.getLogger(__name__)

MEMORY_BYTES = 2**30
START_S = 60.0  # to load the libraries and read one good message takes half a second
PIECE_BYTES = 30_000_000  # of messages handed over at once: memory follows from it, not from the batch
CAREFUL_S = 20.0  # for a piece that ended the process: fastavro first
ALONE_S = 3.0  # for one message, which takes 10 ms
MANY = 10  # messages that did not end: then they get less time, and a batch of 200 such takes five minutes
ALONE_AFTER_MANY_S = 1.0
DEATHS = 2  # of the process over one message alone: the first may have been the machine's doing
NOBODY = datetime.fromtimestamp(0, UTC)
GOOD = Message(
    "", None, None, b'{"type":"record","name":"good","fields":[{"name":"x","type":"int"}]}', b"\x02", NOBODY
)


@dataclass(frozen=True)
class Read:
    """What became of a list of messages; every index is in exactly one of the three.

    tidy: its column `message` is the index; records: the alert as fastavro reads it, pickled; errors: why there
    is none.
    """

    tidy: Tidy
    records: dict[int, bytes]
    errors: dict[int, BadMessage]

    def record(self, index: int) -> dict[str, Any]:
        """The alert of this index of `records`; each time a new dictionary, for whoever changes it."""
        return pickle.loads(self.records[index])  # noqa: S301 - of our own process


class Decoder:
    """A process that decodes and normalises. It is started at first use, again when it ended, and ends
    with `close` or with this process.

    timeout_s: how long it may take for a piece of a batch (up to 30 MB and one message). memory_bytes: private memory
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
        self._process: DecodingProcess | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    def read(self, messages: list[Message], as_records: Collection[int] = ()) -> Read:
        """Read a list of messages; those at the indices `as_records` as dictionaries, the others tidy.

        Raises `DecoderError` if the process cannot be started or fails at a message that is good, or if the
        decoder is closed, and RuntimeError with the process's traceback for an error that nobody expected.
        """
        wanted = set(as_records)
        alerts, detections, records, errors = [], [], {}, {}
        with self._lock:
            if self._is_closed:
                raise DecoderError("The decoder is closed.")
            for indices in _pieces(messages):
                for part, found in self._read_piece(messages, indices, wanted):
                    if isinstance(found, Ended):
                        errors[part[0]] = BadMessage(f"{found}.")
                        continue
                    answer, frames = found
                    for frame, those in zip(frames, (alerts, detections), strict=True):
                        those.append(_moved(frame, [part[place] for place in answer.tidy]))
                    records |= {part[place]: record for place, record in answer.records.items()}
                    errors |= {part[place]: BadMessage(text) for place, text in answer.errors.items()}
        nothing, _ = normalise([])
        tidy = Tidy(pl.concat([nothing.alerts, *alerts]), pl.concat([nothing.detections, *detections]))
        return Read(tidy, records, dict(sorted(errors.items())))

    def close(self) -> None:
        """End the process for good, after a `read` that is under way. May be called at any time."""
        with self._lock:
            self._is_closed = True
            self._end()

    def _read_piece(
        self, messages: list[Message], indices: list[int], as_records: set[int]
    ) -> Iterator[tuple[list[int], Any]]:
        """Yield (indices, what was read of them): all together, or one by one, an `Ended` for a culprit."""
        for careful, seconds in ((False, self._timeout_s), (True, min(CAREFUL_S, self._timeout_s))):
            try:
                answer = self._ask(messages, indices, as_records, careful, seconds)
            except Ended as ended:
                logger.warning("Reading %d messages together: %s. They are read again.", len(indices), ended)
            else:
                yield indices, answer
                return
        hung = 0
        for index in indices:
            seconds = min(ALONE_S if hung < MANY else ALONE_AFTER_MANY_S, self._timeout_s)
            answer = self._read_alone(messages, index, as_records, seconds)
            hung += isinstance(answer, Hung)
            yield [index], answer

    def _read_alone(self, messages: list[Message], index: int, as_records: set[int], seconds: float) -> Any:
        """What was read of one message, or the `Ended` that says how the process ended over it."""
        for _ in range(DEATHS):
            try:
                return self._ask(messages, [index], as_records, True, seconds)
            except Ended as ended:
                last = ended
                if ended.is_sure:
                    break
        return last

    def _ask(
        self, messages: list[Message], indices: list[int], as_records: set[int], careful: bool, seconds: float
    ) -> tuple[Answer, list[pl.DataFrame]]:
        wanted = frozenset(place for place, index in enumerate(indices) if index in as_records)
        process = self._started()
        try:
            answer = process.ask([messages[index] for index in indices], wanted, careful, seconds)
            if answer.kind == "memory":
                raise Ended(self._too_much, is_sure=True)
            if answer.kind == "large":
                raise Ended("The alert is many times as large as its message", is_sure=True)
            if answer.kind == "fault":
                raise RuntimeError(f"The process that decodes raised:\n{answer.text}")
            frames = process.frames()
        except BaseException:
            # Also an interrupt: what this process answers next may be the answer to this.
            self._end()
            raise
        for name, level, text in answer.logged:
            if logging.getLogger(name).isEnabledFor(level):
                logging.getLogger(name).log(level, "%s", text)
        return answer, frames

    def _started(self) -> DecodingProcess:
        """The process, which has read a good message. Raises `DecoderError`."""
        if self._process is not None and self._process.is_running:
            return self._process
        self._end()
        try:
            self._process = DecodingProcess(self._command)
            answer = self._process.ask([GOOD, GOOD], frozenset([0]), careful=False, seconds=START_S)
            if answer.kind != "read":
                raise Ended(f"{answer.kind} {answer.text}")
        except OSError as error:
            raise DecoderError(f"The process that decodes cannot be started ({error}).") from error
        except Ended as ended:
            self._end()
            raise DecoderError(f"The process that decodes cannot read a good message: {ended}.") from ended
        except BaseException:
            self._end()
            raise
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()


def _pieces(messages: list[Message]) -> Iterator[list[int]]:
    """Indices of consecutive messages in pieces of about the same size, `PIECE_BYTES` and one message at most."""
    keys: set[bytes | None] = set()  # each goes over once
    sizes = []
    for message in messages:
        sizes.append(len(message.value or b"") + (0 if message.key in keys else len(message.key or b"")))
        keys.add(message.key)
    starts = [0, *accumulate(sizes)]
    number = math.ceil(starts[-1] / PIECE_BYTES) or 1
    per_piece = starts[-1] / number or 1
    for _, piece in groupby(range(len(messages)), key=lambda index: int(starts[index] / per_piece)):
        yield list(piece)


def _moved(frame: pl.DataFrame, at: list[int]) -> pl.DataFrame:
    """`frame` with the indices in `at` for those of the piece, which are the places in it."""
    return frame.with_columns(pl.Series(at, dtype=pl.UInt32).gather(frame[MESSAGE]).alias(MESSAGE))
