"""Objects, receipts and uploads in the ledger."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from agent.core.clip import CameraId, Clip, ClipId, Copy, Custody
from agent.core.object import Digest, Receipt
from agent.core.queue_policy import Waiting
from agent.core.retry_policy import RETRY_AFTER_CAP_S
from agent.ledger import clips
from agent.ledger.clips import Move
from agent.ledger.custody import Recorder, from_us, to_us
from agent.ledger.database import Tx
from agent.ledger.rows import CLIP_COLUMNS, RECEIPT_COLUMNS, clip_of, receipt_of
from agent.ports import StorePolicy

if TYPE_CHECKING:
    from agent.core.custody import JsonValue

_PAUSE_CAP_US = int(2 * RETRY_AFTER_CAP_S * 1e6)
"""A pause that lies further ahead than this was written under another clock and is over."""


def apply_gate(tx: Tx, *, copies: int, wiping: bool, stores: tuple[StorePolicy, ...]) -> None:
    """Write what the operator demands, so that the triggers know it."""
    tx.conn.execute("UPDATE gate SET copies = ?, wiping = ?", (copies, int(wiping)))
    tx.conn.execute("DELETE FROM stores")
    tx.conn.executemany(
        "INSERT INTO stores (name, require, counts, place) VALUES (?, ?, ?, ?)",
        [(s.name, int(s.require), int(s.counts), s.place) for s in stores],
    )


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
    return [clips.move(tx, recorder, c, move) for c in clips_of(tx, sha256) if c.custody is Custody.SPOOLED]


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
    tx.conn.execute("DELETE FROM uploads WHERE sha256 = ? AND store = ?", (receipt.sha256, receipt.store))
    return confirm(tx, recorder, receipt.sha256)


def spool_copy_failed(tx: Tx, recorder: Recorder, sha256: Digest, reason: str) -> list[Clip]:
    """The spool's bytes are missing or altered: they no longer count, and the clips are to be copied again.

    Returns the clips that were waiting; one whose camera copy is missing as well is lost.
    """
    held = clips_of(tx, sha256)
    move = Move("clip.spool_copy_failed", custody=Custody.LISTED, problem=reason)
    again = [clips.move(tx, recorder, c, move) for c in held if c.custody is Custody.SPOOLED]
    gone = Move("clip.lost", custody=Custody.LOST, problem=f"{reason} The camera's copy was gone before.")
    again = [clips.move(tx, recorder, c, gone) if c.copy is Copy.MISSING else c for c in again]
    tx.conn.execute("UPDATE objects SET spool = 'absent', fault = ? WHERE sha256 = ?", (reason, sha256))
    return again


def purged(tx: Tx, recorder: Recorder, sha256: Digest) -> None:
    """Record that the spool's copy may be destroyed; the triggers check that every clip is confirmed."""
    recorder.record(tx, "object.purged", {"sha256": sha256})
    tx.conn.execute("UPDATE objects SET spool = 'absent' WHERE sha256 = ?", (sha256,))


def purge_candidates(tx: Tx, before: datetime) -> list[tuple[Digest, datetime]]:
    """Up to 500 objects in the spool that nobody holds, confirmed before `before`, that every configured store has."""
    rows = tx.conn.execute(
        "SELECT o.sha256, o.confirmed_us FROM objects o WHERE o.spool = 'present' AND o.confirmed_us <= ?"
        " AND NOT EXISTS (SELECT 1 FROM clips c WHERE c.sha256 = o.sha256"
        "   AND (c.custody <> 'confirmed' OR c.hold IS NOT NULL))"
        " AND NOT EXISTS (SELECT 1 FROM stores s WHERE NOT EXISTS"
        "   (SELECT 1 FROM current_receipts r WHERE r.sha256 = o.sha256 AND r.store = s.name AND r.kind >= s.require))"
        " LIMIT 500",
        (to_us(before),),
    )
    return [(Digest(sha256), from_us(us)) for sha256, us in rows]


_WAITING = """
SELECT sha256, camera, urgent, number, size_bytes FROM (
  SELECT *, row_number() OVER (PARTITION BY camera, urgent ORDER BY number) AS place FROM (
    SELECT o.sha256, o.size_bytes, c.camera, max(c.event OR c.requested) AS urgent, min(c.number) AS number
    FROM objects o
    JOIN clips c ON c.sha256 = o.sha256 AND c.custody IN ('spooled', 'confirmed')
    LEFT JOIN uploads u ON u.sha256 = o.sha256 AND u.store = :store
    WHERE o.spool = 'present'
      AND NOT EXISTS (SELECT 1 FROM receipts r WHERE r.sha256 = o.sha256 AND r.store = :store AND r.place = :place
                      AND r.kind >= :require AND r.event > o.spooled_event)
      AND (u.sha256 IS NULL
           OR (u.asked_person = 0 AND (u.next_us <= :now OR u.next_us > :now + :cap)))
    GROUP BY o.sha256))
WHERE place <= :places
"""


def waiting(tx: Tx, store: StorePolicy, now_us: int, places: int) -> list[Waiting]:
    """What this store still lacks and may be tried now: the first `places` of each camera and urgency.

    `places` must exceed the number of running uploads, because those still count as waiting here.
    """
    values = {
        "store": store.name,
        "place": store.place,
        "require": int(store.require),
        "now": now_us,
        "cap": _PAUSE_CAP_US,
        "places": places,
    }
    return [
        Waiting(Digest(sha256), store.name, CameraId(camera), bool(urgent), number, size)
        for sha256, camera, urgent, number, size in tx.conn.execute(_WAITING, values)
    ]


@dataclass(frozen=True, slots=True)
class UploadRow:
    """What is remembered of an upload between tries."""

    hint: str | None
    attempts: int


def upload_of(tx: Tx, sha256: Digest, store: str) -> UploadRow:
    """Read the hint and the number of failures in a row."""
    row = tx.conn.execute(
        "SELECT hint, attempts FROM uploads WHERE sha256 = ? AND store = ?", (sha256, store)
    ).fetchone()
    return UploadRow(None, 0) if row is None else UploadRow(*row)


def keep_hint(tx: Tx, sha256: Digest, store: str, hint: str | None) -> None:
    """Remember the adapter's handle before bytes are sent under it."""
    tx.conn.execute(
        "INSERT INTO uploads (sha256, store, hint) VALUES (?, ?, ?)"
        " ON CONFLICT (sha256, store) DO UPDATE SET hint = excluded.hint",
        (sha256, store, hint),
    )


def upload_failed(tx: Tx, sha256: Digest, store: str, next_us: int | None, problem: str) -> None:
    """Remember a failure of this object; `next_us` None asks for a person."""
    tx.conn.execute(
        "INSERT INTO uploads (sha256, store, attempts, next_us, asked_person, problem) VALUES (?, ?, 1, ?, ?, ?)"
        " ON CONFLICT (sha256, store) DO UPDATE SET attempts = attempts + 1, next_us = excluded.next_us,"
        " asked_person = excluded.asked_person, problem = excluded.problem",
        (sha256, store, next_us or 0, int(next_us is None), problem),
    )


def next_try_us(tx: Tx, now_us: int) -> int | None:
    """When the earliest paused object may be tried again; None when none is paused."""
    row = tx.conn.execute(
        "SELECT min(next_us) FROM uploads WHERE asked_person = 0 AND next_us > ? AND next_us <= ?",
        (now_us, now_us + _PAUSE_CAP_US),
    ).fetchone()
    return None if row[0] is None else int(row[0])


def retry_now(tx: Tx, sha256: Digest | None) -> int:
    """Forget pauses and requests for a person, of one object or of all; returns how many changed."""
    return tx.conn.execute(
        "UPDATE uploads SET next_us = 0, asked_person = 0, attempts = 0 WHERE :sha256 IS NULL OR sha256 = :sha256",
        {"sha256": sha256},
    ).rowcount


def first_clip(tx: Tx, sha256: Digest) -> tuple[ClipId, str, str | None, str | None, str | None]:
    """The oldest sighting's id, bay, claimed times and officer: what the store files the object under."""
    row = tx.conn.execute(
        "SELECT c.id, s.bay, c.started_at, c.ended_at, c.officer FROM clips c JOIN sessions s ON s.id = c.session"
        " WHERE c.sha256 = ? ORDER BY c.number LIMIT 1",
        (sha256,),
    ).fetchone()
    return (ClipId(row[0]), row[1], row[2], row[3], row[4])
