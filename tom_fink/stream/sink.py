"""The database as the reader of a stream sees it: decode, store, enter into the ledger, show a sign of life."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from django.db import (
    IntegrityError,
    InterfaceError,
    OperationalError,
    close_old_connections,
    connection,
    reset_queries,
    transaction,
)

from tom_fink.conf import archive_dir, cutout_file, keep_closed_days
from tom_fink.decoding.common import CommonDecoder
from tom_fink.decoding.decode import Message
from tom_fink.errors import StoreUnavailable
from tom_fink.files.archive import Archive
from tom_fink.gaps import Place
from tom_fink.kafka.options import StreamOptions
from tom_fink.store import Outcome, ledger, readers
from tom_fink.store.delays import prune_delays, store_delays
from tom_fink.store.rejected import prune_rejected
from tom_fink.stream.batch import Batch
from tom_fink.stream.handlers import Decoded, Handlers

PRUNE_EVERY_S = 3600.0


class DatabaseSink:
    """One stream's way into the database. To be used by one thread, and closed by it."""

    def __init__(self, options: StreamOptions, handlers: Handlers):
        """Connects to nothing. Raises `ConfigurationError` for a setting that cannot be used."""
        self._options = options
        self._handlers = handlers
        self._decoder = CommonDecoder()
        self._keep_closed_days = keep_closed_days()
        cutout_file()  # a setting that cannot be used is told now, and not by the first alert
        folder = archive_dir()
        self._archive = Archive(folder) if folder else None
        self._self = socket.gethostname(), os.getpid(), options.survey
        self._started_at = datetime.now(UTC)
        self._next_prune = 0.0

    @property
    def streams(self) -> int:
        """How many streams of this process are open."""
        return self._decoder.users

    def decode(self, messages: list[Message]) -> Decoded:
        """Decode a batch in the process that may be killed; see `Decoder.read`."""
        return self._handlers.decode(messages, self._decoder)

    def archive(self, messages: list[Message]) -> None:
        """Keep the raw messages, if there is an archive. Raises `ArchiveError`."""
        if self._archive is not None:
            self._archive.write(messages)

    def store(self, batch: Batch, decoded: Decoded) -> Outcome:
        """Rows, rejected messages, ledger and delays in one transaction. Raises `StoreUnavailable`."""
        with _database(), transaction.atomic():
            outcome = self._handlers.store(decoded)
            replayed = ledger.account(self._options.group_id, batch.messages, outcome.fates, batch.gaps)
            store_delays(outcome.alerts, without=replayed)
        self._handlers.log(decoded, outcome)
        return outcome

    def positions(self, places: list[Place]) -> dict[Place, int]:
        """Up to where the ledger knows these partitions. Raises `StoreUnavailable`."""
        with _database():
            return ledger.positions(self._options.group_id, places)

    def open(self, starts: dict[Place, int], made_anew: set[Place]) -> None:
        """Tell the ledger where this reader starts. Raises `StoreUnavailable`."""
        with _database():
            ledger.open_accounts(self._options.group_id, starts, made_anew)

    def beat(self, ends: dict[Place, int]) -> None:
        """A sign of life, the ends of the partitions, and once an hour what is old is deleted.

        Raises `StoreUnavailable` and `ArchiveError`.
        """
        if self._archive is not None:
            self._archive.write([])  # finishes the files of a night that is over
        with _database():
            readers.beat(*self._self, self._options.group_id, self._started_at)
            ledger.note_ends(self._options.group_id, ends, datetime.now(UTC))
            if time.monotonic() >= self._next_prune:
                prune_rejected(self._keep_closed_days)
                prune_delays()
                self._next_prune = time.monotonic() + PRUNE_EVERY_S

    def close(self) -> None:
        """End the decoding process if it is the last stream's, finish the archive's files, sign off if possible."""
        try:
            self._decoder.close()
        finally:
            if self._archive is not None:
                self._archive.close()
        with suppress(StoreUnavailable), _database():  # the sign of life grows old by itself
            readers.sign_off(*self._self)


@contextmanager
def _database() -> Iterator[None]:
    """What Django does around a request, for a process that has none; a fault is a `StoreUnavailable`.

    A connection that the server closed is dropped before; DEBUG's list of queries, which would grow for
    ever, is emptied. Operational errors are the server away, a full disk, a lock that could not be
    had, the victim of a deadlock: whatever it is, nothing of the batch is stored. An integrity error
    that comes this far is found at the commit: a row that the batch refers to was deleted meanwhile.
    """
    close_old_connections()
    reset_queries()
    try:
        yield
    except (OperationalError, InterfaceError, IntegrityError) as error:
        connection.close()
        reason = " ".join(str(error).split()) or type(error).__name__
        raise StoreUnavailable(f"The database cannot be used: {reason}.") from error
    finally:
        close_old_connections()
