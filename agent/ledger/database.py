"""The ledger's file: one connection, on one thread, for reads and writes.

Debian 12's SQLite has a WAL bug that needs two connections (fixed in 3.51.3), so there is exactly one; a lock
file keeps a second agent out. Cancelling an awaiter drops a write that has not begun and never undoes one that
has: after a cancellation read the ledger, assume nothing.
"""

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlite_utils import Database as Connection

from agent.core.errors import IllegalMove, LedgerBusy, LedgerDamaged, LedgerError, LedgerFull
from agent.files.durable import make_directory, sync_directory
from agent.ledger.migrations import migrate, newest_schema, schema_of
from agent.ledger.old_schema import keep_old_schema

T = TypeVar("T")
_CHECKPOINT_PAGES = 1000
"""Pages in the write-ahead log after which SQLite writes them into the main file."""
Tx = Connection
"""What work functions get: a sqlite-utils database inside one transaction."""


class Database:
    """An open ledger. `await run(work)` calls `work(tx)` in one transaction on the ledger's thread."""

    def __init__(self, path: Path, lock_fd: int, thread: ThreadPoolExecutor, connection: Connection) -> None:
        """Use `Database.open` instead."""
        self.path = path
        self._lock_fd = lock_fd
        self._thread = thread
        self._connection = connection

    @classmethod
    def open(cls, path: Path, before: Callable[[], None] | None = None) -> Self:
        """Lock, open and migrate the ledger at `path`; blocks for milliseconds, and reads only what it must.

        `before` is called once the lock is held, before SQLite writes anything.

        Raises LedgerBusy when another process has it, LedgerError when it is damaged or from a newer agent.
        """
        try:
            make_directory(path.parent)
            lock_fd = _lock(path.with_suffix(".lock"))
        except OSError as error:
            raise LedgerError(f"The ledger at {path} cannot be opened: {error.strerror}.") from error
        try:
            if before is not None:
                before()
        except BaseException:
            os.close(lock_fd)
            raise
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        try:
            connection = thread.submit(_connect, path).result()
        except BaseException:
            thread.shutdown()
            os.close(lock_fd)
            raise
        return cls(path, lock_fd, thread, connection)

    async def run(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in one transaction. Raises IllegalMove for what a trigger refused, else LedgerError."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self.transact, work)

    def transact(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in one transaction on the calling thread, which must be the ledger's."""
        try:
            with self._connection.atomic():
                return work(self._connection)
        except sqlite3.IntegrityError as error:
            raise IllegalMove(f"The ledger refused a change: {error}.") from error
        except sqlite3.Error as error:
            raise ledger_error(error, f"The ledger at {self.path} failed") from error

    def run_blocking(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in one transaction from a thread that is not the event loop's (start-up, tools)."""
        return self._thread.submit(self.transact, work).result()

    @contextmanager
    def standing_still(self) -> Iterator[Path]:
        """Keep the main file as it is now until the block ends: what is written meanwhile stays in the log beside it.

        Blocks; call it from a worker thread. The block must end before `close`. Raises LedgerError.
        """
        try:
            self._thread.submit(self._stand_still).result()
            yield self.path
        finally:
            self._thread.submit(self._pragma, f"wal_autocheckpoint={_CHECKPOINT_PAGES}").result()

    def _stand_still(self) -> None:
        self._pragma("wal_autocheckpoint=0")
        busy, _, _ = self._pragma("wal_checkpoint(TRUNCATE)")
        if busy:
            raise LedgerError(f"The ledger at {self.path} could not be written out: something else reads it.")

    def _pragma(self, text: str) -> tuple[Any, ...]:
        try:
            return tuple(self._connection.conn.execute(f"PRAGMA {text}").fetchone())
        except sqlite3.Error as error:
            raise ledger_error(error, f"The ledger at {self.path} failed") from error

    def close(self) -> None:
        """Wait for running work, close the file and give up the lock; idempotent."""
        if self._lock_fd < 0:
            return
        self._thread.submit(self._connection.conn.close).result()
        self._thread.shutdown()
        os.close(self._lock_fd)
        self._lock_fd = -1


def refuse_busy(path: Path) -> None:
    """Tell whether another process has the ledger at `path`, without touching it. Raises LedgerBusy, OSError."""
    try:
        fd = os.open(path.with_suffix(".lock"), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        _take(fd, path.parent)
    finally:
        os.close(fd)


@contextmanager
def sole_owner(path: Path) -> Iterator[None]:
    """Hold the lock of the ledger at `path` without opening it. Raises LedgerBusy, OSError."""
    fd = _lock(path.with_suffix(".lock"))
    try:
        yield
    finally:
        os.close(fd)


def _lock(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        _take(fd, path.parent)
    except LedgerBusy:
        os.close(fd)
        raise
    return fd


def _take(fd: int, folder: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise LedgerBusy(f"The ledger in {folder} is in use by another process.") from error


def _connect(path: Path) -> Connection:
    try:
        raw = sqlite3.connect(path, timeout=0)
        path.chmod(0o600)
        connection = Connection(raw, recursive_triggers=True, execute_plugins=False)
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "mmap_size=0",
            "secure_delete=ON",
        ):
            raw.execute(f"PRAGMA {pragma}")
        _assert_settings(raw)
        if 0 < (schema := schema_of(connection)) < newest_schema():
            keep_old_schema(raw, path, schema)
        migrate(connection)
        sync_directory(path.parent)
    except sqlite3.Error as error:
        raise ledger_error(error, f"The ledger at {path} cannot be opened") from error
    except OSError as error:
        raise LedgerError(f"The ledger at {path} cannot be opened: {error.strerror}.") from error
    return connection


def ledger_error(error: Exception, what: str) -> LedgerError:
    """Say what SQLite met: damage, a full disk, or something else."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the upper bits only say more exactly where
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return LedgerDamaged(f"{what}: it is damaged ({error}).")
    return (LedgerFull if code == sqlite3.SQLITE_FULL else LedgerError)(f"{what}: {str(error) or 'out of memory'}.")


def _assert_settings(raw: sqlite3.Connection) -> None:
    wanted: dict[str, Any] = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    for name, value in wanted.items():
        found = raw.execute(f"PRAGMA {name}").fetchone()[0]
        if found != value:
            raise LedgerError(f"SQLite runs with {name} = {found}, the ledger needs {value}.")
