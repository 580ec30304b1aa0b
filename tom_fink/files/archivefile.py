"""One file of the archive: an Avro container that grows batch by batch, and what a crash leaves of one.

While it grows its name ends in `.avro.part`, and whoever writes it holds a lock on it (flock(2)). The
lock ends with the process, however that ends, and is seen by every process of the machine, those in
other containers included. So a part without a lock was left behind, and can be recovered.
"""

import errno
import fcntl
import io
import logging
import mmap
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import fastavro
from fastavro.write import Writer

from tom_fink.decoding.decode import Message
from tom_fink.files.avrofile import MALFORMED
from tom_fink.files.envelope import SCHEMA, record_of

logger = logging.getLogger(__name__)

PART = ".part"
CODEC = "zstandard"  # sees the last copy of the schema in a block; deflate's window of 32 kB does not
BLOCK_BYTES = 2**20  # before compression: what a reader holds in memory
PIECE_BYTES = 8 * 2**20  # after compression: what the writer holds in memory
HEADER_AT_MOST = 4096  # bytes; it has about 800
SYNC_BYTES = 16  # of the marker behind the header and behind each block
TRIES = 10


class ArchiveFile:
    """A part that is open for writing. Raises OSError, whatever the disk has to say."""

    def __init__(self, folder: Path, begun: datetime):
        """Begin a file in a folder that exists. `begun` (UTC) and a random number name it."""
        for _ in range(TRIES):
            self.path = folder / f"{begun:%Y%m%dT%H%M%S}Z-{secrets.token_hex(4)}.avro"
            self.part = self.path.with_name(self.path.name + PART)
            self._fd = os.open(self.part, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
            if _is_ours(self._fd, self.part):
                break
            os.close(self._fd)  # a reader that starts looked for leftovers before this one had the lock
        else:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(self.part))
        try:
            sync_folder(folder)
        except OSError:
            os.close(self._fd)
            raise
        self.size = 0  # bytes that are on disk and stay
        self._blocks = io.BytesIO()
        self._writer = Writer(self._blocks, SCHEMA, codec=CODEC, sync_interval=BLOCK_BYTES)

    def append(self, numbered: list[tuple[int, Message]]) -> None:
        """Write messages with their places in the batch, in whole blocks, behind those that stay."""
        for batch_index, message in numbered:
            self._writer.write(record_of(message, batch_index))
            if self._blocks.tell() > PIECE_BYTES:
                self._drain()
        self._writer.flush()
        self._drain()

    def sync(self) -> None:
        """See to it that what was written is on disk, in the file of this name."""
        with self._named_faults():
            os.fsync(self._fd)
        if not _is_at(self._fd, self.part):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.part))

    def keep(self) -> None:
        """Let stay what was written."""
        self.size = os.fstat(self._fd).st_size

    def finish(self) -> None:
        """Close the file and give it its name; a file without messages is removed."""
        try:
            if self.size:
                os.rename(self.part, self.path)
            else:
                os.unlink(self.part)
            sync_folder(self.part.parent)
        finally:
            os.close(self._fd)

    def give_up(self) -> None:
        """Finish the file without what was written since the last `keep`.

        What cannot be taken back or renamed now is left to `recover`, since the lock is gone.
        """
        try:
            os.ftruncate(self._fd, self.size)
            os.fsync(self._fd)
        except OSError as error:
            logger.error("%s: cannot be cut to its last batch: %s", self.part, error.strerror)
            os.close(self._fd)
            return
        try:
            self.finish()
        except OSError as error:
            logger.error("%s: cannot be finished: %s", self.part, error.strerror)

    def _drain(self) -> None:
        # A copy: a fault's traceback would hold the buffer itself, which then could not be emptied.
        blocks, written = memoryview(self._blocks.getvalue()), 0
        with self._named_faults():
            while written < len(blocks):
                written += os.write(self._fd, blocks[written:])
        self._blocks.seek(0)
        self._blocks.truncate()

    @contextmanager
    def _named_faults(self) -> Iterator[None]:
        """Add the path to what the system says of an open file."""
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.part)) from error


def recover(part: Path) -> Path | None:
    """Give a part that nobody writes any more its name, cut to its last whole block.

    Returns the file's new path; None if somebody writes it, or if it has no whole block. Blocks were on
    disk before their offsets were committed, so what is cut off comes again. Where whole blocks follow
    on one that cannot be read, this is no torn end but damage: the rest is kept beside the file under
    the name `.avro.damaged`, and logged as an error. Raises OSError.
    """
    try:
        fd = os.open(part, os.O_RDWR)
    except (FileNotFoundError, IsADirectoryError):
        return None
    with open(fd, "r+b") as file:
        if not _is_ours(fd, part):
            return None
        path, size = part.with_suffix(""), os.fstat(fd).st_size
        whole, is_torn = _whole_blocks(file, size)
        if not is_torn:
            damaged = path.with_name(path.name + ".damaged")
            with damaged.open("wb") as rest:
                file.seek(whole)
                shutil.copyfileobj(file, rest)
                rest.flush()
                os.fsync(rest.fileno())
            logger.error(
                "%s cannot be read from byte %d on; the rest is kept as %s", path, whole, damaged.name
            )
        if whole:
            os.ftruncate(fd, whole)
            os.fsync(fd)
            os.rename(part, path)
        else:
            os.unlink(part)
        sync_folder(part.parent)
    logger.warning(
        "Recovered %s, which a reader left behind: %d bytes stay, %d of an unfinished batch are cut off",
        path,
        whole,
        size - whole,
    )
    return path if whole else None


def sync_folder(folder: Path) -> None:
    """See to it that the names in a folder are on disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _whole_blocks(file: io.BufferedIOBase, size: int) -> tuple[int, bool]:
    """How many bytes of a file are whole blocks, and whether what follows is no more than a torn one."""
    whole, behind_header, marker = 0, 0, b""
    try:
        blocks = fastavro.block_reader(file)
        behind_header = file.tell()
        file.seek(behind_header - SYNC_BYTES)
        marker = file.read(SYNC_BYTES)
        for block in blocks:
            whole = block.offset + block.size
    except MALFORMED:
        pass  # here the whole blocks end
    if whole == size:
        return whole, True
    if not marker:
        return 0, size <= HEADER_AT_MOST
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return whole, content.find(marker, max(whole, behind_header)) < 0


def _is_ours(fd: int, path: Path) -> bool:
    """Take the lock of an open file; False if another has it, or if the name is another file's by now."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return _is_at(fd, path)


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False
