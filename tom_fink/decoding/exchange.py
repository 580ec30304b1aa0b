"""What the reader and the process that decodes say to each other: little by pipe, much in shared files."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate

import polars as pl
import pyarrow as pa
import pyarrow.ipc  # `pa` has it only then

from tom_fink.decoding.container import Framing
from tom_fink.decoding.shared import SharedFile


@dataclass(frozen=True)
class Request:
    """Messages to be read within so many seconds; their values stand one behind the other in a shared file.

    careful: fastavro first. keys: each once, `key_of` has the place of each message's. lengths: of the
    values, None for a message without. as_records: places of those that are wanted as dictionaries.
    framing: what stands around the values there, if it is a container of one schema.
    """

    seconds: float
    careful: bool
    keys: list[bytes | None]
    key_of: list[int]
    lengths: list[int | None]
    as_records: frozenset[int]
    framing: Framing | None = None


@dataclass(frozen=True)
class Answer:
    """What became of a request. kind: read, memory (it needed too much), large (an alert is many times as
    large as its message) or fault, of which `text` is the traceback.

    tidy: the places of the messages that the frames in the shared files count. records: pickled
    dictionaries by place. errors: why there is no alert, by place. logged: (logger, level, text). framing: how the
    values of this request's one schema may stand in the shared file, so that they need not be copied again.
    """

    kind: str
    text: str = ""
    tidy: list[int] = field(default_factory=list)
    records: dict[int, bytes] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)
    logged: list[tuple[str, int, str]] = field(default_factory=list)
    framing: Framing | None = None


class Files:
    """The three files: values one way, alerts and detections as Arrow streams the other."""

    def __init__(self, descriptors: Iterable[int] | None = None) -> None:
        """New ones, or those that the parent process has under these descriptors. Raises OSError."""
        shared = [SharedFile(descriptor) for descriptor in descriptors or (None, None, None)]
        self._values, *self._frames = shared
        self.descriptors = [file.descriptor for file in shared]

    def write_values(self, values: list[bytes | None], framing: Framing | None = None) -> None:
        """Put values there, one behind the other. With a framing, which needs a value of each: as a container."""
        self._values.write(framing.around(values) if framing else (value for value in values if value))

    def values(self, lengths: list[int | None], framing: Framing | None = None) -> list[memoryview | None]:
        """The values of these lengths, not copied."""
        if framing:
            places, size = framing.places(lengths)
        else:
            *places, size = accumulate((length or 0 for length in lengths), initial=0)
        view = self._values.view(size)
        return [
            None if length is None else view[place : place + length]
            for place, length in zip(places, lengths, strict=True)
        ]

    def container(self, lengths: list[int], framing: Framing) -> str:
        """A path under which the container of these values can be read; see `SharedFile.path`."""
        _, size = framing.places(lengths)
        return self._values.path(size)

    def write_frames(self, *frames: pl.DataFrame) -> None:
        """Put alerts and detections there.

        By PyArrow, which writes images from where they are: Polars copies them into one piece first, and takes twice
        as long.
        """
        for file, frame in zip(self._frames, frames, strict=True):
            table = frame.to_arrow(compat_level=pl.CompatLevel.newest())
            with file.at_start() as stream, pa.ipc.new_stream(stream, table.schema) as out:
                out.write_table(table)

    def frames(self) -> list[pl.DataFrame]:
        """Alerts and detections, copied. A stream says itself where it ends."""
        found = []
        for file in self._frames:
            with file.at_start() as stream:
                found.append(pl.read_ipc_stream(stream))
        return found

    def close(self) -> None:
        """Give the files up; the other process has its own ends of them."""
        for file in (self._values, *self._frames):
            file.close()
