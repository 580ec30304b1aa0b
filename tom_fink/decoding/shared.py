"""A file that two processes share: what is large changes hands there, and not through a pipe of 64 kB."""

import os
import tempfile
from collections.abc import Iterable
from mmap import ACCESS_READ, mmap
from typing import BinaryIO


class SharedFile:
    """A file without a name, in memory where the system has such files (Linux), written anew for each use.

    What an earlier use left behind the end of this one stays there: to give its pages back and have them
    anew costs as much as to decode. So a reader must know where to stop, and the file has the size of its
    largest content.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        """The file that the parent process has as `descriptor`, else a new one. Raises OSError."""
        if descriptor is None and hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("alerts")
        elif descriptor is None:
            with tempfile.TemporaryFile() as file:
                descriptor = os.dup(file.fileno())
        self.descriptor = descriptor

    def write(self, pieces: Iterable[bytes | memoryview]) -> int:
        """Write the pieces from the start on; returns how many bytes they have. Raises OSError."""
        with self.at_start() as file:
            file.writelines(pieces)
            return file.tell()

    def view(self, length: int) -> memoryview:
        """The first `length` bytes, not copied: the next `write` changes them."""
        return memoryview(mmap(self.descriptor, length, access=ACCESS_READ) if length else b"")

    def at_start(self) -> BinaryIO:
        """The file, open at its start. To be closed; the shared one stays open."""
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        return os.fdopen(os.dup(self.descriptor), "r+b")

    def path(self, length: int) -> str:
        """A path under which it can be opened by this process, cut to `length` bytes."""
        os.ftruncate(self.descriptor, length)
        os.lseek(self.descriptor, 0, os.SEEK_SET)  # some systems share the place with who opens the path
        return f"/dev/fd/{self.descriptor}"

    def close(self) -> None:
        """Give it up. The other process has its own end of it."""
        os.close(self.descriptor)
