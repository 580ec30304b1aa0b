"""An Avro container around messages: jetliner reads nothing else."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from tom_fink.decoding.shared import SharedFile

BLOCK_BYTES = (
    1_000_000  # one alert a block costs ZTF's half of their time again, one block of all is moved about
)
SYNC_MARKER = (
    b"tom_fink of Fink"  # 16 bytes between blocks; any will do, the container never leaves the process
)
# jetliner says nothing of bytes behind a record. So each record gets one more field, and these bytes
# behind it: what is in its way makes the field another. They are not known outside the process. None of
# them ends a number: where a record is cut short and they are read as a count, that count has no value.
END_NAME = "tom_fink_end"
END = bytes(byte | 0x80 for byte in os.urandom(16))

_idle: list[SharedFile] = []
os.register_at_fork(after_in_child=_idle.clear)  # a forked process would write into its parent's


@contextmanager
def as_file(schema: bytes, values: list[bytes | memoryview]) -> Iterator[str]:
    """A path under which the values' container can be read until the block ends. Raises OSError.

    The files are used again and again, since new memory costs time; each thread in here has its own.
    """
    try:
        file = _idle.pop()
    except IndexError:
        file = SharedFile()
    try:
        yield file.path(file.write(container(schema, values)))
    finally:
        _idle.append(file)


def container(schema: bytes, values: list[bytes | memoryview]) -> list[bytes | memoryview]:
    """An Avro object container of the values, each with `END` behind it, in pieces.

    Avro 1.11 specification, "Object Container Files": magic, metadata map, marker; then for each
    block its number of records, its size, its bytes and the marker again.
    """
    pieces = [b"Obj\x01", long(2)]
    for name, content in ((b"avro.schema", schema), (b"avro.codec", b"null")):
        pieces += [long(len(name)), name, long(len(content)), content]
    pieces += [long(0), SYNC_MARKER]
    block, size = [], 0
    for place, value in enumerate(values, 1):
        block += [value, END]
        size += len(value) + len(END)
        if size >= BLOCK_BYTES or place == len(values):
            pieces += [long(len(block) // 2), long(size), *block, SYNC_MARKER]
            block, size = [], 0
    return pieces


def long(number: int) -> bytes:
    """`number` >= 0 as Avro writes a long: zig-zag, seven bits a byte, lowest first."""
    number <<= 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
