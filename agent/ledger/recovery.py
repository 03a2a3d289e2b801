"""Start-up: the only repair path. It may be killed anywhere and simply runs again.

Each step makes ledger and disk agree in one direction only: what the disk cannot prove is not believed. No bytes are
destroyed here, because the ledger has not been audited yet: the next purge finishes what an earlier one left.
"""

import contextlib
import os
import stat
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from agent.core.clip import SessionId
from agent.core.custody import line_digest
from agent.core.errors import LedgerError, SpoolError
from agent.core.object import Digest, as_digest
from agent.files.disk import disk_name
from agent.ledger import fleet, objects
from agent.ledger.custody import Recorder
from agent.ledger.database import Database, Tx
from agent.ledger.doubts import begin
from agent.ledger.spool import Spool, spool_error
from agent.ledger.witness import Witness, newest


@dataclass(slots=True)
class Recovery:
    """What start-up found and did; all counts are zero after a clean stop."""

    sessions_closed: int = 0
    copies_failed: list[Digest] = field(default_factory=list)
    purges_unfinished: list[Digest] = field(default_factory=list)  # recorded, but the file is there
    unknown_objects: int = 0
    witness_missing: bool = field(default=False, compare=False)  # a note only: it says nothing about the ledger


def recover(database: Database, spool: Spool, recorder: Recorder) -> Recovery:
    """Bring ledger and spool into agreement. Raises LedgerError when the custody chain's end does not hold."""
    report = Recovery()
    database.run_blocking(_check_head)
    mark = Witness(database.path).read()
    report.witness_missing = mark is None and database.run_blocking(newest) is not None
    database.run_blocking(lambda tx: begin(tx, recorder, mark))
    report.sessions_closed = database.run_blocking(lambda tx: _close_sessions(tx, recorder))
    expected = database.run_blocking(_present)
    on_disk = dict(_on_disk(spool, expected))
    for sha256, size in expected.items():
        if on_disk.get(sha256) != size:
            _fail_copy(database, spool, recorder, sha256)
            report.copies_failed.append(sha256)
    rest = sorted(on_disk.keys() - expected.keys())
    report.purges_unfinished = database.run_blocking(lambda tx: [d for d in rest if objects.is_purged(tx, d)])
    # Bytes that the ledger does not know may be the last copy (a ledger restored from a backup): kept.
    report.unknown_objects = len(rest) - len(report.purges_unfinished)
    return report


def _check_head(tx: Tx) -> None:
    """The newest events must follow from one another; the whole chain is `custody verify`'s work."""
    rows = tx.conn.execute("SELECT seq, line, digest FROM events ORDER BY seq DESC LIMIT 64").fetchall()
    newest = tx.conn.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = 'events'").fetchone()[0]
    if newest is not None and (not rows or newest > rows[0][0]):
        raise LedgerError(f"Custody event {newest} is missing: the end of the log was cut off.")
    for seq, line, digest in rows:
        if line_digest(line) != digest:
            raise LedgerError(f"Custody event {seq} was altered: its digest does not fit.")
    for (seq, line, _), (_, _, before) in pairwise(rows):
        if f'"prev":"{before}"' not in line:
            raise LedgerError(f"Custody event {seq} does not follow from the one before.")


def drop_parts(spool_root: Path) -> None:
    """Remove unfinished copies. Call it under the ledger's lock and before the ledger: on a full disk it needs room."""
    for part in (spool_root / "incoming").glob("*.part"):
        with contextlib.suppress(OSError):
            part.unlink()


def _close_sessions(tx: Tx, recorder: Recorder) -> int:
    rows = tx.conn.execute("SELECT id FROM sessions WHERE ended_us IS NULL").fetchall()
    for (ident,) in rows:
        fleet.end_session(tx, recorder, SessionId(ident), "agent_restarted")
    return len(rows)


def _present(tx: Tx) -> dict[Digest, int]:
    return {
        Digest(sha256): size
        for sha256, size in tx.conn.execute("SELECT sha256, size_bytes FROM objects WHERE spool = 'present'")
    }


def _on_disk(spool: Spool, expected: Container[str]) -> Iterator[tuple[Digest, int]]:
    """Every object that lies where it belongs; strays of other names or in other places are left alone."""
    root = spool.root / "objects"
    try:
        with os.scandir(root) as folders:
            names = [folder.name for folder in folders if folder.is_dir(follow_symlinks=False)]
        for name in names:
            with os.scandir(root / name) as entries:
                yield from _objects_in(name, entries, expected)
    except OSError as error:
        raise spool_error(error, f"list {spool.root}") from error


def _objects_in(
    folder: str, entries: Iterable[os.DirEntry[str]], expected: Container[str]
) -> Iterator[tuple[Digest, int]]:
    """Kept lean: it is the longest part of a start with a full spool."""
    for entry in entries:
        name = entry.name
        if name[:2] == folder and (name in expected or _is_digest(name)):
            found = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(found.st_mode):
                yield Digest(name), found.st_size


def _is_digest(name: str) -> bool:
    try:
        as_digest(name)
    except ValueError:
        return False
    return True


def _fail_copy(database: Database, spool: Spool, recorder: Recorder, sha256: Digest) -> None:
    reason, disk = "The spool's copy is missing or has another size.", disk_name(spool.root)
    database.run_blocking(lambda tx: objects.spool_copy_failed(tx, recorder, sha256, reason, disk))
    with contextlib.suppress(SpoolError):  # the ledger no longer counts on it; a leftover is reported as unknown
        spool.reject(sha256)
