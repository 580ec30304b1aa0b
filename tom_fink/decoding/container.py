"""An Avro container around messages: jetliner reads nothing else."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tom_fink.decoding.shared import SharedFile

BLOCK_BYTES = (
    1_000_000  # one alert a block costs ZTF's half of their time again, one block of all is moved about
)
SYNC_MARKER = b"tom_fink of Fink"  # 16 bytes between blocks; any will do, the container is for one process
# jetliner says nothing of bytes behind a record. So each record gets one more field, and these bytes
# behind it: what is in its way makes the field another. They are not known outside the reader. None of
# them ends a number: where a record is cut short and they are read as a count, that count has no value.
END_NAME = "tom_fink_end"
END = bytes(byte | 0x80 for byte in os.urandom(16))

_idle: list[SharedFile] = []
os.register_at_fork(after_in_child=_idle.clear)  # a forked process would write into its parent's


@dataclass(frozen=True)
class Framing:
    """What stands around the values of one schema: `header` before all, `end` behind each (bytes both).

    Avro 1.11 specification, "Object Container Files": magic, metadata map, marker; then for each
    block its number of records, its size, its bytes and the marker again.
    """

    header: bytes
    end: bytes

    def around(self, values: Sequence[bytes | memoryview]) -> list[bytes | memoryview]:
        """The container of these values, in pieces."""
        pieces = [self.header]
        for first, behind, start in self._blocks([len(value) for value in values]):
            pieces.append(start)
            for value in values[first:behind]:
                pieces += value, self.end
            pieces.append(SYNC_MARKER)
        return pieces

    def places(self, lengths: Sequence[int]) -> tuple[list[int], int]:
        """Where in the container each value of these lengths begins, and how many bytes the container has."""
        places, at = [], len(self.header)
        for first, behind, start in self._blocks(lengths):
            at += len(start)
            for length in lengths[first:behind]:
                places.append(at)
                at += length + len(self.end)
            at += len(SYNC_MARKER)
        return places, at

    def _blocks(self, lengths: Sequence[int]) -> Iterator[tuple[int, int, bytes]]:
        """For each block the index of its first value, of the one behind its last, and what it starts with."""
        first, size = 0, 0
        for behind, length in enumerate(lengths, 1):
            size += length + len(self.end)
            if size >= BLOCK_BYTES or behind == len(lengths):
                yield first, behind, long(behind - first) + long(size)
                first, size = behind, 0


def framing(schema: bytes) -> Framing:
    """What stands around the values of this schema, which has the field `END_NAME` at its end."""
    header = bytearray(b"Obj\x01" + long(2))
    for name, content in ((b"avro.schema", schema), (b"avro.codec", b"null")):
        header += long(len(name)) + name + long(len(content)) + content
    return Framing(bytes(header + long(0) + SYNC_MARKER), END)


@contextmanager
def as_file(schema: bytes, values: list[bytes | memoryview]) -> Iterator[str]:
    """A path under which the values' container can be read until the block ends. Raises OSError.

    The files are used again and again, since new memory costs time; each thread in here has its own. See `close_idle`.
    """
    try:
        file = _idle.pop()
    except IndexError:
        file = SharedFile()
    try:
        yield file.path(file.write(framing(schema).around(values)))
    finally:
        _idle.append(file)


def close_idle() -> None:
    """Give back the memory of files that are not in use, for where values come in a container already."""
    while _idle:
        _idle.pop().close()


def long(number: int) -> bytes:
    """`number` >= 0 as Avro writes a long: zig-zag, seven bits a byte, lowest first."""
    number <<= 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
