"""Doubts: why nothing may be destroyed by this ledger's word. Copying and uploading go on all the same.

Every start begins in doubt, until the audit has gone through the whole ledger. The triggers refuse a wipe and a purge
as long as one row is here.
"""

from typing import TYPE_CHECKING

from agent.core.errors import IllegalMove
from agent.ledger.custody import Recorder
from agent.ledger.database import Tx
from agent.ledger.witness import Mark, newest

if TYPE_CHECKING:
    from agent.core.custody import JsonValue

DAMAGED, ROLLED_BACK, UNAUDITED = "ledger_damaged", "ledger_rolled_back", "ledger_unaudited"
_ORDER = (DAMAGED, ROLLED_BACK, UNAUDITED)


def doubts(tx: Tx) -> dict[str, str]:
    """Every doubt with what was found; the gravest first, empty in normal work."""
    found = dict(tx.conn.execute("SELECT reason, told FROM doubts").fetchall())
    return {reason: found[reason] for reason in _ORDER if reason in found}


def begin(tx: Tx, recorder: Recorder, witness: Mark | None) -> None:
    """Start in doubt, and compare the ledger with its witness (None: there is none)."""
    _raise(tx, UNAUDITED, "The ledger has not been checked through since the start.")
    told = _other_history(tx, recorder.station, witness)
    if told is not None:
        fields: dict[str, JsonValue] = {"found": told}
        if witness is not None:
            fields |= {"witness_seq": witness.seq, "witness_digest": witness.digest}
        recorder.record(tx, "ledger.rolled_back", fields)
        _raise(tx, ROLLED_BACK, told)


def _other_history(tx: Tx, station: str, witness: Mark | None) -> str | None:
    """Why this is not the ledger that this station wrote last; None when it is."""
    head = newest(tx)
    if witness is not None:
        reached = 0 if head is None else head.seq
        if reached < witness.seq:
            return f"The ledger ends at custody event {reached}, but this station has written up to {witness.seq}."
        found = tx.conn.execute("SELECT digest FROM events WHERE seq = ?", (witness.seq,)).fetchone()
        if found is None or found[0] != witness.digest:
            return f"Custody event {witness.seq} is not the one that this station wrote."
    if head is None:
        return None
    owner = tx.conn.execute("SELECT json_extract(line, '$.station') FROM events WHERE seq = ?", (head.seq,)).fetchone()
    return None if owner[0] == station else f"The ledger was written by station {owner[0]!r}; this is {station!r}."


def _raise(tx: Tx, reason: str, told: str) -> None:
    tx.conn.execute(
        "INSERT INTO doubts (reason, told) VALUES (?, ?) ON CONFLICT (reason) DO UPDATE SET told = excluded.told",
        (reason, told),
    )


def audited(tx: Tx, recorder: Recorder, events: int, head: str) -> None:
    """The audit ended well: it went through so many events and ended at this digest."""
    recorder.record(tx, "ledger.audited", {"events": events, "head": head})
    tx.conn.execute("DELETE FROM doubts WHERE reason IN (?, ?)", (UNAUDITED, DAMAGED))


def damaged(tx: Tx, recorder: Recorder, found: str) -> None:
    """The audit met something that cannot be; it stays a doubt until a later start's audit ends well."""
    recorder.record(tx, "ledger.damaged", {"found": found})
    _raise(tx, DAMAGED, found)


def restored(tx: Tx, recorder: Recorder, made_at: str, head: str) -> None:
    """Begin a ledger that comes from a backup: in doubt, until a person takes it over."""
    recorder.record(tx, "ledger.restored", {"made_at": made_at, "head": head})
    _raise(tx, ROLLED_BACK, f"The ledger was restored from a backup of {made_at}.")


def accept(tx: Tx, recorder: Recorder, actor: str, reason: str) -> None:
    """A person takes over a ledger that was rolled back. Raises IllegalMove when it was not."""
    if ROLLED_BACK not in doubts(tx):
        raise IllegalMove("There is nothing to accept: this is the ledger that the station wrote last.")
    recorder.record(tx, "ledger.accepted", {"actor": actor, "reason": reason})
    tx.conn.execute("DELETE FROM doubts WHERE reason = ?", (ROLLED_BACK,))
