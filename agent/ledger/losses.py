"""What stores no longer have though they had proved it: their receipts for it do not count any more.

The clip stays confirmed, because it was; but what may be destroyed is decided by the receipts that count. The triggers
make the object an upload again as long as the spool has it.
"""

from collections.abc import Container
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from agent.core.clip import CameraId, Clip, ClipId
from agent.core.object import Receipt
from agent.core.retry_policy import SET_ASIDE_S
from agent.ledger.custody import Recorder, to_us
from agent.ledger.database import Tx
from agent.ledger.rows import CLIP_COLUMNS, clip_of

if TYPE_CHECKING:
    from agent.core.custody import JsonValue

STRIKES = 3
"""A store that lost the same object so often gets it once a day, so that the line is not filled with it."""
_LOOKED_AT = 1000


def record_loss(tx: Tx, recorder: Recorder, receipt: Receipt, place: str) -> bool:
    """The store at `place` no longer has what the receipt is about; False when the receipt did not count anyhow.

    The hold of the spool's copy begins anew with it.
    """
    known = tx.conn.execute(
        "SELECT 1 FROM current_receipts WHERE sha256 = ? AND store = ? AND place = ?",
        (receipt.sha256, receipt.store, place),
    ).fetchone()
    if known is None:
        return False
    fields: dict[str, JsonValue] = {"sha256": receipt.sha256, "store": receipt.store, "place": place}
    event = recorder.record(tx, "object.lost_by_store", fields)
    tx.conn.execute("INSERT INTO losses VALUES (?, ?, ?, ?)", (receipt.sha256, receipt.store, place, event))
    _hold_anew(tx, recorder, receipt)
    _set_aside(tx, recorder, receipt)
    return True


def _hold_anew(tx: Tx, recorder: Recorder, receipt: Receipt) -> None:
    held = "SELECT 1 FROM objects WHERE sha256 = ? AND spool = 'present' AND confirmed_us IS NOT NULL"
    if tx.conn.execute(held, (receipt.sha256,)).fetchone() is not None:
        event = recorder.record(tx, "object.hold_restarted", {"sha256": receipt.sha256})
        tx.conn.execute(
            "UPDATE objects SET confirmed_us = (SELECT at_us FROM events WHERE seq = ?) WHERE sha256 = ?",
            (event, receipt.sha256),
        )


def _set_aside(tx: Tx, recorder: Recorder, receipt: Receipt) -> None:
    times = tx.conn.execute(
        "SELECT count(*) FROM losses WHERE sha256 = ? AND store = ?", (receipt.sha256, receipt.store)
    ).fetchone()[0]
    if times >= STRIKES:
        problem = f"The store has lost it {times} times after it had proved to hold it."
        tx.conn.execute(
            "UPDATE uploads SET attempts = ?, next_us = ?, asked_person = 1, problem = ?"
            " WHERE sha256 = ? AND store = ?",
            (times, to_us(recorder.clock()) + int(SET_ASIDE_S * 1e6), problem, receipt.sha256, receipt.store),
        )


def only_aboard(tx: Tx, camera: CameraId, most_bytes: int, without: Container[ClipId]) -> list[Clip]:
    """The first clip that a store has lost and the spool no longer has, while its camera still does."""
    rows = tx.conn.execute(
        f"SELECT {CLIP_COLUMNS} FROM clips c WHERE camera = ? AND custody = 'confirmed' AND copy = 'present'"  # noqa: S608
        " AND size_bytes <= ? AND EXISTS"
        "   (SELECT 1 FROM losses l JOIN stores s ON s.name = l.store AND s.place = l.place WHERE l.sha256 = c.sha256"
        "   AND NOT EXISTS (SELECT 1 FROM current_receipts r WHERE r.sha256 = l.sha256 AND r.store = l.store))"
        " AND EXISTS (SELECT 1 FROM objects o WHERE o.sha256 = c.sha256 AND o.spool = 'absent')",
        (camera, most_bytes),
    )
    return list(islice((clip for clip in map(clip_of, rows) if clip.id not in without), 1))


@dataclass(frozen=True, slots=True)
class Lost:
    """What one store has lost lately, or has not got back: how many objects; of them so many it still lacks."""

    objects: int
    sending: int  # sent again from the spool
    not_here: int  # not in the spool any more


def losses(tx: Tx, since_us: int) -> dict[str, Lost]:
    """By store, what was lost since a time or is still missing; looks at the newest thousand."""
    rows = tx.conn.execute(
        "SELECT l.store, count(DISTINCT l.sha256),"
        " count(DISTINCT iif(lacking AND o.spool = 'present', l.sha256, NULL)),"
        " count(DISTINCT iif(lacking AND o.spool = 'absent', l.sha256, NULL))"
        " FROM (SELECT *, NOT EXISTS (SELECT 1 FROM current_receipts r WHERE r.sha256 = n.sha256 AND r.store = n.store)"
        "   AS lacking FROM (SELECT * FROM losses ORDER BY event DESC LIMIT ?) n) l"
        " JOIN stores s ON s.name = l.store AND s.place = l.place"
        " JOIN objects o ON o.sha256 = l.sha256 JOIN events e ON e.seq = l.event"
        " WHERE lacking OR e.at_us >= ? GROUP BY l.store",
        (_LOOKED_AT, since_us),
    )
    return {store: Lost(*counts) for store, *counts in rows}
