"""The archive: the messages of each night and topic, raw, in Avro containers.

`<folder>/<night>/<topic>/<time>Z-<random>.avro`; a file that still grows ends in `.avro.part`.
"""

import errno
import hashlib
import logging
import os
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tom_fink.decoding.decode import Message
from tom_fink.errors import ArchiveError
from tom_fink.files.archivefile import PART, ArchiveFile, recover, sync_folder

logger = logging.getLogger(__name__)

MAX_FILE_BYTES = 256 * 2**20
MAX_OPEN_FILES = 64
NIGHT_BEGINS = timedelta(hours=12)  # UTC, as Rubin's day_obs: no observatory of either survey works then
PLAIN_TOPIC = re.compile(r"(?!\.\.?$)[A-Za-z0-9._-]{1,249}", re.ASCII)  # what Kafka allows

REMEDIES = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.EFBIG: "allow larger files",
    errno.EACCES: "let the reader's user write there",
    errno.EPERM: "let the reader's user write there",
    errno.EROFS: "mount it for writing",
    errno.ENOENT: "bring the folder back (is its disk mounted?)",
    errno.ENOTDIR: "move the file away that stands where a folder should be",
    errno.EEXIST: "move the file away that stands where a folder should be",
    errno.ENOLCK: "choose a file system that has locks",
    errno.EOPNOTSUPP: "choose a file system that has locks",
}


@dataclass
class Archive:
    """Writes what one reader receives into a folder, which other readers may share. Not for several threads.

    Making one recovers what dead readers left in the folder. When `write` returns, the messages are on
    disk. After an `ArchiveError` nothing of the batch is in the archive, and the same batch may be
    written again, by the same object. A batch that is written twice is there twice.
    """

    folder: Path
    max_file_bytes: int = MAX_FILE_BYTES
    max_open_files: int = MAX_OPEN_FILES
    _open: dict[tuple[str, str], ArchiveFile] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self):
        """Make the folder where it is missing. Raises `ArchiveError`."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not os.access(self.folder, os.W_OK | os.X_OK, effective_ids=True):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self.folder))
        except OSError as error:
            raise self._error(error) from error
        for part in sorted(self.folder.glob(f"*/*/*.avro{PART}")):
            try:
                recover(part)
            except OSError as error:
                logger.error("%s, left by another reader, cannot be recovered: %s", part, error.strerror)

    def write(self, messages: list[Message]) -> None:
        """Write a batch. Raises `ArchiveError`.

        Files of earlier nights and full files are finished first. `write([])` finishes those whose night
        is over by the clock, for a reader that has nothing to write.
        """
        batch: dict[tuple[str, str], list[tuple[int, Message]]] = {}
        for index, message in enumerate(messages):
            key = night_of(message.received_at), folder_of(message.topic)
            batch.setdefault(key, []).append((index, message))
        try:
            self._finish_old(min((night for night, _ in batch), default=night_of(datetime.now(UTC))))
            self._make_room(batch)
            self._write(batch)
        except OSError as error:
            raise self._error(error) from error

    def close(self) -> None:
        """Finish every file. Raises `ArchiveError` for the first one that cannot be, when all were tried."""
        faults = []
        while self._open:
            try:
                self._finish(next(iter(self._open)))
            except OSError as error:
                faults.append(error)
        if faults:
            raise self._error(faults[0]) from faults[0]

    def _write(self, batch: dict[tuple[str, str], list[tuple[int, Message]]]) -> None:
        """All of a batch or nothing of it."""
        written: list[ArchiveFile] = []
        try:
            for key, numbered in batch.items():
                file = self._file(key, numbered[0][1].received_at)
                written.append(file)
                file.append(numbered)
            for file in written:
                file.sync()
        except BaseException:
            self._open = {key: file for key, file in self._open.items() if file not in written}
            for file in written:
                file.give_up()
            raise
        for file in written:
            file.keep()

    def _file(self, key: tuple[str, str], begun: datetime) -> ArchiveFile:
        """The open file of a night and topic, now the last in `_open`."""
        file = self._open.pop(key, None)
        if file is None:
            path = self.folder
            for name in key:
                parent, path = path, path / name
                if not path.is_dir():
                    path.mkdir(exist_ok=True)
                sync_folder(parent)  # even if another reader made it: it may not be that far yet
            file = ArchiveFile(path, begun.astimezone(UTC))
        self._open[key] = file
        return file

    def _finish_old(self, night: str) -> None:
        for key in [key for key, file in self._open.items() if key[0] < night or self._is_full(file)]:
            self._finish(key)

    def _is_full(self, file: ArchiveFile) -> bool:
        return file.size >= self.max_file_bytes

    def _make_room(self, batch: dict) -> None:
        """Finish the files that were not written to for the longest time; those of this batch may stay."""
        idle = [key for key in self._open if key not in batch]
        surplus = len(idle) + len(batch) - self.max_open_files
        for key in idle[: max(0, surplus)]:
            self._finish(key)

    def _finish(self, key: tuple[str, str]) -> None:
        self._open.pop(key).finish()

    def _error(self, error: OSError) -> ArchiveError:
        remedy = REMEDIES.get(error.errno, "see to the disk")
        return ArchiveError(
            f"{error.filename or self.folder}: {error.strerror or error}. The archive (FINK_ARCHIVE_DIR) "
            f"cannot be written: {remedy}, or unset the variable."
        )


def night_of(moment: datetime) -> str:
    """The night of an aware time: from 12:00 UTC to 12:00 UTC, by the date on which it begins."""
    return (moment.astimezone(UTC) - NIGHT_BEGINS).date().isoformat()


def folder_of(topic: str) -> str:
    """The name of a topic's folder: its own, or a digest of a name that Kafka would not allow."""
    if PLAIN_TOPIC.fullmatch(topic):
        return topic
    return "_" + hashlib.sha256(topic.encode("utf-8", "surrogatepass")).hexdigest()[:32]
