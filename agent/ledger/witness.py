"""The witness: a small file beside the ledger that remembers how far the custody log had come.

It is written only after the event that it names is durable in the ledger, so it is never ahead of an honest ledger.
A ledger that is behind it, or has another event at its place, was restored from an older copy or is another one.
"""

import contextlib
import errno
import json
import os
from dataclasses import dataclass
from pathlib import Path

from agent.core.errors import LedgerError, LedgerFull
from agent.files.durable import sync_directory
from agent.ledger.database import Tx

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class Mark:
    """One custody event: its number and the digest of its line."""

    seq: int
    digest: str


def newest(tx: Tx) -> Mark | None:
    """The newest custody event, or None in an empty ledger."""
    row = tx.conn.execute("SELECT seq, digest FROM events ORDER BY seq DESC LIMIT 1").fetchone()
    return None if row is None else Mark(*row)


class Witness:
    """The file. Methods block; call them from a worker thread, never two at a time."""

    def __init__(self, ledger: Path) -> None:
        """Belong to the ledger at this path."""
        self.path = ledger.with_suffix(".witness")

    def read(self) -> Mark | None:
        """What was last written; None when there is no such file or it holds something else."""
        try:
            found = json.loads(self.path.read_bytes())
            return Mark(int(found["seq"]), str(found["digest"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, mark: Mark) -> None:
        """Replace the file durably: the old one or the new one is there at any time. Raises LedgerError."""
        fresh = self.path.with_suffix(".witness.new")
        text = json.dumps({"seq": mark.seq, "digest": mark.digest}) + "\n"
        try:
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                os.write(fd, text.encode())  # shorter than a block: whole or not at all
                os.fsync(fd)
            finally:
                os.close(fd)
            fresh.replace(self.path)
            sync_directory(self.path.parent)
        except OSError as error:
            with contextlib.suppress(OSError):
                fresh.unlink()
            kind = LedgerFull if error.errno in _NO_SPACE else LedgerError
            raise kind(f"The ledger's witness {self.path} cannot be written: {error.strerror}.") from error
