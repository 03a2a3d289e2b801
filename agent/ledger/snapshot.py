"""A copy of the whole ledger at one moment, for a backup, and what can be said of such a copy.

The copy is made of the main file while that stands still, so that there is never a second connection to a live ledger;
a copy is looked at as immutable. Blocks.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from agent.core.custody import verify_chain
from agent.core.errors import LedgerDamaged, LedgerError
from agent.ledger.database import Database, ledger_error
from agent.ledger.old_schema import copy_file


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How far a copy goes: its schema, the number of custody events, and the digest of the last one."""

    schema: int
    events: int
    head: str


def copy_ledger(database: Database, target: Path) -> None:
    """Write the ledger as it is now to `target`, durably; an older copy there is replaced. Raises LedgerError."""
    part_path = target.with_name(f"{target.name}.part")
    try:
        for leftover in (part_path, target):
            leftover.unlink(missing_ok=True)
        with database.standing_still() as source:
            copy_file(source, part_path, target)
    except OSError as error:
        raise LedgerError(f"The ledger could not be copied to {target}: {error.strerror}.") from error


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A copy that nobody writes. Raises LedgerDamaged when it cannot be read as a ledger, LedgerError."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)) as connection:
            # Altered text must fail its digest and not the reading.
            connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
            yield connection
    except sqlite3.Error as error:
        raise ledger_error(error, f"The copy of the ledger at {path} cannot be read") from error


def lines_of(connection: sqlite3.Connection) -> Iterator[str]:
    """The exact lines of the custody log, in order."""
    for (line,) in connection.execute("SELECT line FROM events ORDER BY seq"):
        yield line


def inspect(path: Path) -> Snapshot:
    """Walk the custody chain of a copy. Raises LedgerDamaged when it does not hold, LedgerError."""
    with reading(path) as connection:
        schema = int(connection.execute("PRAGMA user_version").fetchone()[0])
        report = verify_chain(lines_of(connection))
    if report.fault is not None:
        text = f"The custody log in {path} does not hold: event {report.fault.seq}: {report.fault.reason}."
        raise LedgerDamaged(text, hint="Keep it as it is and tell the evidence manager.")
    return Snapshot(schema, report.events, report.head)


def has_history(path: Path) -> bool:
    """Whether anything is or may be recorded in the ledger at `path`; call it under the ledger's lock."""
    if not path.exists():
        log = path.with_name(f"{path.name}-wal")
        return log.exists() and log.stat().st_size > 0
    try:
        with closing(sqlite3.connect(path)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
            if ("events",) not in tables:
                return bool(tables)
            return bool(connection.execute("SELECT EXISTS (SELECT 1 FROM events)").fetchone()[0])
    except sqlite3.Error:
        return True  # nobody can say what stood in it


def is_restored(path: Path, taken: Snapshot) -> bool:
    """Whether the ledger at `path` is a restored copy of `taken` in which nothing was recorded since.

    Call it under the ledger's lock.
    """
    log = path.with_name(f"{path.name}-wal")
    if not path.exists() or (log.exists() and log.stat().st_size > 0):
        return False
    try:
        found = inspect(path)
        with reading(path) as connection:
            question = "SELECT event, json_extract(line, '$.prev') FROM events ORDER BY seq DESC LIMIT 1"
            newest = connection.execute(question).fetchone()
    except LedgerError:
        return False
    return found.events == taken.events + 1 and newest == ("ledger.restored", taken.head)


def missing_clips(path: Path, spool: Path) -> list[tuple[str, str, bytes, str]]:
    """Clips whose bytes should be in the spool and are not: id, camera, path, custody. Raises LedgerError."""
    with reading(path) as connection:
        present = connection.execute("SELECT sha256 FROM objects WHERE spool = 'present'").fetchall()
        gone = [sha256 for (sha256,) in present if not (spool / "objects" / sha256[:2] / sha256).is_file()]
        question = "SELECT id, camera, path, custody FROM clips WHERE sha256 = ? ORDER BY number"
        return [row for sha256 in gone for row in connection.execute(question, (sha256,))]
