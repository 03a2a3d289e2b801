"""When this ledger was restored from a backup: a small file beside it.

What stores proved before that moment is not believed unasked: between the backup and the restoration they may have
lost it, and the ledger would not know.
"""

import json
from datetime import datetime
from pathlib import Path

from agent.files.durable import DurablePart
from agent.ledger.custody import from_us, to_us
from agent.ledger.snapshot import reading


def _path(ledger: Path) -> Path:
    return ledger.with_suffix(".restored")


def restoration(copy: Path, made_at: datetime, now: datetime) -> datetime:
    """The moment to note for a copy that is put in place now: `now`, or whatever in it is later.

    A clock that is behind must not make the copy's receipts look younger than the restoration. Raises LedgerError.
    """
    with reading(copy) as connection:
        question = "SELECT max(at_us) FROM events UNION ALL SELECT max(issued_us) FROM receipts"
        latest_us = max(us or 0 for (us,) in connection.execute(question))
    return max(now, made_at, from_us(min(latest_us, to_us(_ALWAYS))))


def note_restored(ledger: Path, at: datetime) -> Path:
    """Write the moment down durably, in place of an earlier one; returns the file. Raises OSError."""
    file = _path(ledger)
    part_path = file.with_suffix(".restored.part")
    for leftover in (part_path, file):
        leftover.unlink(missing_ok=True)
    with DurablePart(part_path) as part:
        part.write(json.dumps({"at": at.isoformat()}).encode() + b"\n")
        part.publish(file, mode=0o600)
    return file


def restored_at(ledger: Path) -> datetime | None:
    """The moment, or None for a ledger that was never restored. A file that cannot be read counts as now or later."""
    try:
        raw = _path(ledger).read_bytes()
    except FileNotFoundError:
        return None
    except OSError:
        return _ALWAYS
    try:
        found = datetime.fromisoformat(json.loads(raw)["at"])
    except (ValueError, KeyError, TypeError):
        return _ALWAYS
    return _ALWAYS if found.tzinfo is None else found


_ALWAYS = datetime.fromisoformat("9999-12-31T00:00:00+00:00")
"""No receipt is newer: the stores are asked each time, which is slow and safe."""
