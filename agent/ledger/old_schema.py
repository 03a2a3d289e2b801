"""The ledger as it was before a newer agent moved it to its own schema: a copy beside it, for whoever must go back.

Rules: bytes as they were, whole and durable before the first step of the move. No copy of another schema is removed: a
move over several schemas may be cut off between two of them. A copy that cannot be made (a full disk) does not keep the
agent from its work: each step of the move is whole or not at all.
"""

import os
import sqlite3
from pathlib import Path

import structlog

from agent.files.durable import BlockReader, DurablePart

log = structlog.get_logger()


def keep_old_schema(raw: sqlite3.Connection, path: Path, number: int) -> None:
    """Copy the ledger at `path`, whose one connection is `raw`, to `ledger.schema-N.sqlite` beside it. Blocks."""
    target = path.with_name(f"{path.stem}.schema-{number}{path.suffix}")
    part = target.with_name(f"{target.name}.part")
    try:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        for old in (part, target):
            old.unlink(missing_ok=True)
        copy_file(path, part, target)
    except (OSError, sqlite3.Error) as error:
        log.warning("ledger.not_kept", schema=number, problem=str(error))
    else:
        log.info("ledger.kept", schema=number, file=target.name)


def copy_file(source: Path, part: Path, target: Path) -> None:
    """Write what `source` holds to `target`, which must not exist, durably and by way of `part`. Raises OSError."""
    with DurablePart(part) as copy:
        fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        try:
            for block in BlockReader(fd):
                copy.write(block)
        finally:
            os.close(fd)
        copy.publish(target, mode=0o600)
