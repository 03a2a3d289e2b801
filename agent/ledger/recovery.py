"""Start-up: the only repair path. It may be killed anywhere and simply runs again.

Each step makes ledger and disk agree in one direction only: what the disk cannot prove is not believed, and no
bytes are destroyed that the ledger does not call purged.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from agent.core.clip import SessionId
from agent.core.custody import line_digest
from agent.core.errors import LedgerError, SpoolError
from agent.core.object import Digest, as_digest
from agent.ledger import fleet, objects
from agent.ledger.custody import Recorder
from agent.ledger.database import Database, Tx
from agent.ledger.spool import Spool, spool_error


@dataclass(slots=True)
class Recovery:
    """What start-up found and did; all counts are zero after a clean stop."""

    sessions_closed: int = 0
    copies_failed: list[Digest] = field(default_factory=list)
    purges_finished: int = 0
    unknown_objects: int = 0


def recover(database: Database, spool: Spool, recorder: Recorder) -> Recovery:
    """Bring ledger and spool into agreement. Raises LedgerError when the custody chain's end does not hold."""
    report = Recovery()
    database.run_blocking(_check_head)
    report.sessions_closed = database.run_blocking(lambda tx: _close_sessions(tx, recorder))
    expected = database.run_blocking(_present)
    on_disk = dict(_on_disk(spool))
    for sha256, size in expected.items():
        if on_disk.get(sha256) != size:
            _fail_copy(database, spool, recorder, sha256)
            report.copies_failed.append(sha256)
    for sha256 in on_disk.keys() - expected.keys():
        if database.run_blocking(lambda tx, d=sha256: _was_purged(tx, d)):  # type: ignore[misc]
            spool.purge(sha256)
            report.purges_finished += 1
        else:
            # Bytes that the ledger does not know may be the last copy (a ledger restored from a backup): kept.
            report.unknown_objects += 1
    return report


def _check_head(tx: Tx) -> None:
    """The newest events must follow from one another; the whole chain is `custody verify`'s work."""
    rows = tx.conn.execute("SELECT seq, line, digest FROM events ORDER BY seq DESC LIMIT 64").fetchall()
    newest = tx.conn.execute("SELECT max(last_event) FROM clips").fetchone()[0]
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


def _on_disk(spool: Spool) -> Iterator[tuple[Digest, int]]:
    """Every object that lies where it belongs; strays of other names or in other places are left alone."""
    root = spool.root / "objects"
    try:
        with os.scandir(root) as folders:
            names = [folder.name for folder in folders if folder.is_dir(follow_symlinks=False)]
        for name in names:
            with os.scandir(root / name) as entries:
                yield from _objects_in(name, entries)
    except OSError as error:
        raise spool_error(error, f"list {spool.root}") from error


def _objects_in(folder: str, entries: Iterable[os.DirEntry[str]]) -> Iterator[tuple[Digest, int]]:
    for entry in entries:
        with contextlib.suppress(ValueError):
            sha256 = as_digest(entry.name)
            if sha256[:2] == folder and entry.is_file(follow_symlinks=False):
                yield sha256, entry.stat(follow_symlinks=False).st_size


def _fail_copy(database: Database, spool: Spool, recorder: Recorder, sha256: Digest) -> None:
    reason = "The spool's copy is missing or has another size."
    database.run_blocking(lambda tx: objects.spool_copy_failed(tx, recorder, sha256, reason))
    with contextlib.suppress(SpoolError):  # the ledger no longer counts on it; a leftover is reported as unknown
        spool.reject(sha256)


def _was_purged(tx: Tx, sha256: Digest) -> bool:
    row = tx.conn.execute(
        "SELECT 1 FROM objects o WHERE o.sha256 = ? AND o.spool = 'absent' AND o.fault IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM clips c WHERE c.sha256 = o.sha256 AND c.custody <> 'confirmed')",
        (sha256,),
    ).fetchone()
    return row is not None
