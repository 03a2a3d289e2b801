"""Objects and receipts in the ledger: what the spool holds and what stores have proved about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from agent.core.clip import BayName, CameraId, Clip, ClipId, Copy, Custody
from agent.core.object import Digest, Receipt
from agent.ledger import clips
from agent.ledger.clips import Move
from agent.ledger.custody import Recorder, from_us, to_us
from agent.ledger.database import Tx
from agent.ledger.rows import CLIP_COLUMNS, RECEIPT_COLUMNS, clip_of, receipt_of
from agent.ports import ClipLabel, StorePolicy

if TYPE_CHECKING:
    from agent.core.custody import JsonValue

SPOOL_STRIKES = 3
"""Copies of one clip that the spool does not keep before a person is asked to look at its disk."""
PURGE_PAGE = 500
LABELS_MOST = 100
FIRST_PAGE: tuple[int, str] | None = (-1 << 63, "")


def apply_gate(tx: Tx, *, copies: int, wiping: bool, stores: tuple[StorePolicy, ...]) -> bool:
    """Write what the operator demands, so that the triggers know it; returns whether it differs from before.

    Nothing is written when it does not: with each changed store every object in the spool is looked at again.
    """
    wanted = {s.name: (int(s.require), int(s.counts), s.place) for s in stores}
    known = {name: tuple(rest) for name, *rest in tx.conn.execute("SELECT name, require, counts, place FROM stores")}
    gate = (copies, int(wiping))
    if known == wanted and tx.conn.execute("SELECT copies, wiping FROM gate").fetchone() == gate:
        return False
    tx.conn.execute("UPDATE gate SET copies = ?, wiping = ?", gate)
    tx.conn.executemany("DELETE FROM stores WHERE name = ?", [(name,) for name in known.keys() - wanted.keys()])
    tx.conn.executemany(
        "INSERT INTO stores (name, require, counts, place) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET require = excluded.require, counts = excluded.counts, place = excluded.place",
        [(name, *rest) for name, rest in wanted.items() if known.get(name) != rest],
    )
    return True


def spooled(tx: Tx, recorder: Recorder, clip: Clip, sha256: Digest, size_bytes: int, bay: str) -> Clip:
    """Record that a clip's bytes are durable in the spool.

    Receipts that an earlier sighting of the same bytes earned do not count for this one: the stores are asked anew.
    """
    tx.conn.execute(
        "INSERT INTO objects (sha256, size_bytes, spool, spooled_us, spooled_event)"
        " VALUES (:sha256, :size, 'present', :now, (SELECT max(seq) FROM events))"
        " ON CONFLICT (sha256) DO UPDATE SET spool = 'present', fault = NULL, confirmed_us = NULL,"
        " spooled_event = excluded.spooled_event",
        {"sha256": sha256, "size": size_bytes, "now": to_us(recorder.clock())},
    )
    move = Move("clip.spooled", custody=Custody.SPOOLED, sha256=sha256, read_in=clip.session, fields={"bay": bay})
    return clips.move(tx, recorder, clip, move)


def brought_back(tx: Tx, recorder: Recorder, clip: Clip, size_bytes: int, bay: str) -> Clip:
    """Record that the spool has the bytes of a confirmed clip again, because a store lost them; it stays confirmed.

    As with a new sighting, every store is asked anew.
    """
    tx.conn.execute(
        "UPDATE objects SET spool = 'present', fault = NULL, confirmed_us = NULL,"
        " spooled_event = (SELECT max(seq) FROM events) WHERE sha256 = ? AND size_bytes = ?",
        (clip.sha256, size_bytes),
    )
    return clips.move(tx, recorder, clip, Move("clip.spooled", read_in=clip.session, fields={"bay": bay}))


def confirm(tx: Tx, recorder: Recorder, sha256: Digest) -> list[Clip]:
    """Confirm every spooled clip of an object that has enough receipts; returns them."""
    enough = tx.conn.execute(
        "SELECT coalesce((SELECT stores FROM proofs WHERE sha256 = ?), 0) >= (SELECT copies FROM gate)",
        (sha256,),
    ).fetchone()[0]
    if not enough:
        return []
    tx.conn.execute(
        "UPDATE objects SET confirmed_us = coalesce(confirmed_us, ?) WHERE sha256 = ?",
        (to_us(recorder.clock()), sha256),
    )
    stores = tx.conn.execute(
        "SELECT DISTINCT store FROM current_receipts WHERE sha256 = ? AND counts = 1 AND kind >= require ORDER BY 1",
        (sha256,),
    ).fetchall()
    move = Move("clip.confirmed", custody=Custody.CONFIRMED, fields={"stores": [store for (store,) in stores]})
    sql = f"SELECT {CLIP_COLUMNS} FROM clips WHERE sha256 = ? AND custody = 'spooled' ORDER BY number"  # noqa: S608
    waiting = [clip_of(row) for row in tx.conn.execute(sql, (sha256,))]
    return [clips.move(tx, recorder, c, move) for c in waiting]


def confirm_ready(tx: Tx, recorder: Recorder) -> list[Clip]:
    """Confirm what became enough by a change of the operator's demands; returns the clips confirmed."""
    ready = tx.conn.execute(
        "SELECT DISTINCT c.sha256 FROM clips c JOIN proofs p ON p.sha256 = c.sha256"
        " WHERE c.custody = 'spooled' AND p.stores >= (SELECT copies FROM gate)"
    ).fetchall()
    return [clip for (sha256,) in ready for clip in confirm(tx, recorder, Digest(sha256))]


def clips_of(tx: Tx, sha256: Digest) -> list[Clip]:
    """All sightings of an object, oldest first."""
    sql = f"SELECT {CLIP_COLUMNS} FROM clips WHERE sha256 = ? ORDER BY number"  # noqa: S608
    return [clip_of(row) for row in tx.conn.execute(sql, (sha256,))]


def receipts(tx: Tx, sha256: Digest) -> list[Receipt]:
    """The receipts of an object that count today, newest last."""
    sql = f"SELECT {RECEIPT_COLUMNS} FROM current_receipts WHERE sha256 = ? ORDER BY event"  # noqa: S608
    return [receipt_of(row) for row in tx.conn.execute(sql, (sha256,))]


def keep_receipt(tx: Tx, recorder: Recorder, receipt: Receipt, place: str) -> list[Clip]:
    """Store a checked receipt with its event and confirm what it proves; returns the clips confirmed.

    `place` is the URL of the store that gave it.
    """
    fields: dict[str, JsonValue] = {"sha256": receipt.sha256, "size": receipt.size_bytes, "store": receipt.store}
    event = recorder.record(tx, "object.proved", fields | {"kind": receipt.kind.word, "place": place})
    tx.conn.execute(
        "INSERT INTO receipts (sha256, store, place, kind, size_bytes, handle, issued_us, checked_us, proof, event)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            receipt.sha256,
            receipt.store,
            place,
            int(receipt.kind),
            receipt.size_bytes,
            receipt.handle,
            to_us(receipt.issued_at),
            to_us(recorder.clock()),
            receipt.proof,
            event,
        ),
    )
    return confirm(tx, recorder, receipt.sha256)


def spool_copy_failed(tx: Tx, recorder: Recorder, sha256: Digest, reason: str, disk: str) -> list[Clip]:
    """The spool's bytes are missing or altered: they no longer count, and the clips are to be copied again.

    Returns the clips that were waiting. One whose camera copy is missing as well is lost; one that this happened to
    SPOOL_STRIKES times is for a person, because `disk` (its name) alters what it stores.
    """
    held = clips_of(tx, sha256)
    move = Move("clip.spool_copy_failed", custody=Custody.LISTED, problem=reason)
    again = [clips.move(tx, recorder, c, move) for c in held if c.custody is Custody.SPOOLED]
    tx.conn.execute("UPDATE objects SET spool = 'absent', fault = ? WHERE sha256 = ?", (reason, sha256))
    return [_give_up(tx, recorder, clip, reason, disk) for clip in again]


def _give_up(tx: Tx, recorder: Recorder, clip: Clip, reason: str, disk: str) -> Clip:
    """Stop copying a clip that is nowhere any more, or that the spool's disk does not keep."""
    if clip.copy is Copy.MISSING:
        problem = f"{reason} The camera's copy was gone before."
        return clips.move(tx, recorder, clip, Move("clip.lost", custody=Custody.LOST, problem=problem))
    strikes = tx.conn.execute(
        "SELECT count(*) FROM events WHERE clip = :clip AND event = 'clip.spool_copy_failed' AND seq >"
        " coalesce((SELECT max(seq) FROM events WHERE clip = :clip AND event = 'clip.quarantined'), 0)",
        {"clip": clip.id},
    ).fetchone()[0]
    if strikes < SPOOL_STRIKES:
        return clip
    problem = f"{disk} did not keep {strikes} copies of it: {reason} Replace that disk, then dock the camera again."
    return clips.move(tx, recorder, clip, Move("clip.quarantined", custody=Custody.QUARANTINED, problem=problem))


def purged(tx: Tx, recorder: Recorder, sha256: Digest, unasked: Sequence[str] = ()) -> None:
    """Record that the spool's copy may be destroyed; the triggers check that every clip is confirmed.

    `unasked` are stores that did not answer whether they still have it.
    """
    fields: dict[str, JsonValue] = {"sha256": sha256}
    recorder.record(tx, "object.purged", fields | {"unasked": list(unasked)} if unasked else fields)
    tx.conn.execute("UPDATE objects SET spool = 'absent' WHERE sha256 = ?", (sha256,))


def is_purged(tx: Tx, sha256: Digest) -> bool:
    """Whether the spool's copy was given up by a purge, and no copy has come or failed since."""
    sql = "SELECT 1 FROM objects WHERE sha256 = ? AND spool = 'absent' AND fault IS NULL"
    return tx.conn.execute(sql, (sha256,)).fetchone() is not None


def restart_holds(tx: Tx, recorder: Recorder) -> bool:
    """Let holds begin now that claim to begin in the future; returns whether there may be more of them.

    The clock was ahead when those objects were confirmed: left alone, they would stay until it is that late.
    """
    rows = tx.conn.execute(
        "SELECT sha256 FROM objects WHERE spool = 'present' AND confirmed_us > ? ORDER BY confirmed_us, sha256 LIMIT ?",
        (to_us(recorder.clock()), PURGE_PAGE),
    ).fetchall()
    for (sha256,) in rows:
        event = recorder.record(tx, "object.hold_restarted", {"sha256": sha256})
        tx.conn.execute(
            "UPDATE objects SET confirmed_us = (SELECT at_us FROM events WHERE seq = ?) WHERE sha256 = ?",
            (event, sha256),
        )
    return len(rows) == PURGE_PAGE


@dataclass(frozen=True, slots=True)
class PurgePage:
    """Objects that may be purged, with when they were confirmed; `after` is where the next page begins, or None."""

    candidates: list[tuple[Digest, datetime]]
    after: tuple[int, str] | None


def purge_candidates(tx: Tx, before: datetime, after: tuple[int, str]) -> PurgePage:
    """Look at the next PURGE_PAGE objects in the spool that were confirmed up to `before`.

    Candidates are those that nobody holds and that every configured store has.
    """
    rows = tx.conn.execute(
        "SELECT o.sha256, o.confirmed_us,"
        " NOT EXISTS (SELECT 1 FROM clips c WHERE c.sha256 = o.sha256"
        "   AND (c.custody <> 'confirmed' OR c.hold IS NOT NULL))"
        " AND NOT EXISTS (SELECT 1 FROM stores s WHERE NOT EXISTS"
        "   (SELECT 1 FROM current_receipts r WHERE r.sha256 = o.sha256 AND r.store = s.name AND r.kind >= s.require))"
        " FROM objects o WHERE o.spool = 'present' AND o.confirmed_us IS NOT NULL AND o.confirmed_us <= ?"
        " AND (o.confirmed_us, o.sha256) > (?, ?) ORDER BY o.confirmed_us, o.sha256 LIMIT ?",
        (to_us(before), *after, PURGE_PAGE),
    ).fetchall()
    candidates = [(Digest(sha256), from_us(us)) for sha256, us, free in rows if free]
    return PurgePage(candidates, (rows[-1][1], rows[-1][0]) if len(rows) == PURGE_PAGE else None)


def labels(tx: Tx, sha256: Digest, station: str) -> list[ClipLabel]:
    """What a store files an object under: its oldest sighting, and the first LABELS_MOST that came later."""
    rows = tx.conn.execute(
        "SELECT c.id, c.camera, s.bay, c.path, c.role, c.event, c.started_at, c.ended_at, c.officer"
        " FROM clips c JOIN sessions s ON s.id = c.session WHERE c.sha256 = ? ORDER BY c.number LIMIT ?",
        (sha256, 1 + LABELS_MOST),
    )
    return [
        ClipLabel(ClipId(ident), CameraId(camera), BayName(bay), station, bytes(path), role, bool(event), *claims)
        for ident, camera, bay, path, role, event, *claims in rows
    ]
