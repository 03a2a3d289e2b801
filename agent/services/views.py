"""What people see, as JSON objects. Built from the ledger and from running flows; changes nothing."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.core.clip import Clip, display_name, one_line
from agent.core.retry_policy import STRIKES
from agent.ledger import doubts
from agent.ledger.custody import from_us
from agent.ledger.database import Tx
from agent.ledger.rows import CLIP_COLUMNS, clip_of
from agent.ports import JsonObject
from agent.services.slot import Slot

if TYPE_CHECKING:
    from agent.core.custody import JsonValue

_DOUBTS = {
    doubts.DAMAGED: (
        "The ledger is damaged",
        "Keep a copy of the state directory, tell the evidence manager, then bring a backup back: dock-agent restore.",
    ),
    doubts.ROLLED_BACK: (
        "The ledger was rolled back or replaced",
        "Find out why; then take it over with `dock-agent custody accept --reason TEXT`.",
    ),
}
_CAMERAS_TOLD = 10
_PROBLEMS = 2000


def bay_view(name: str, slot: Slot | None) -> JsonObject:
    """One bay. `advice` is null when it is empty."""
    if slot is None:
        return {"bay": name, "occupied": False, "advice": None, "reason": "empty", "camera": None}
    session, advice = slot.session, slot.advice()
    standing, progress, aboard = session.standing, session.progress, session.standing.aboard
    row, seizure = standing.row, standing.seizure
    return {
        "bay": name,
        "occupied": True,
        "camera": standing.camera,
        "profile": standing.profile,
        "model": standing.model,
        "usb": None if session.docked.usb is None else str(session.docked.usb),
        "battery_percent": standing.battery_percent,
        "phase": standing.phase.value,
        "advice": advice.advice.value,
        "reason": advice.reason,
        "until_s": None if advice.until_s is None else round(advice.until_s, 1),
        "clips": {
            "listed": aboard.listed,
            "spooled": aboard.spooled,
            "confirmed": aboard.confirmed,
            "quarantined": aboard.quarantined,
        },
        "done_bytes": progress.done_bytes,
        "total_bytes": max(progress.total_bytes, progress.done_bytes),
        "rate_bytes_s": round(progress.rate_bytes_s),
        "seized": None if seizure is None else seizure.seized_reason,
        "claimed_by": None if row is None else row.claimed_by,
        "uncopied": {"count": session.listing.uncopied, "names": list(session.listing.names)},
        "left": {"count": session.listing.left, "names": list(session.listing.left_names)},
        "not_wiped": dict(session.wipe_refusals),
        "problem": slot.problem or standing.problem,
        "strikes": slot.strikes,
    }


def clip_view(clip: Clip) -> JsonObject:
    """One clip; `name` is text or {"hex": ...}, `shown` is safe on one line of a terminal."""
    name = display_name(clip.entry.path)
    return {
        "id": clip.id,
        "camera": clip.camera,
        "session": clip.session,
        "name": dict(name) if isinstance(name, dict) else name,
        "shown": one_line(clip.entry.path),
        "size": clip.entry.size_bytes,
        "sha256": clip.sha256,
        "role": clip.role,
        "event": clip.event,
        "requested": clip.requested,
        "state": clip.custody.value,
        "camera_copy": clip.copy.value,
        "hold": clip.hold,
        "held_back": clip.held_back,
        "problem": clip.problem,
    }


def clip_views(tx: Tx, camera: str | None, custody: str | None, limit: int) -> list[JsonObject]:
    """Clips, newest sighting first."""
    sql = (
        f"SELECT {CLIP_COLUMNS} FROM clips WHERE (:camera IS NULL OR camera = :camera)"  # noqa: S608
        " AND (:custody IS NULL OR custody = :custody) ORDER BY number DESC LIMIT :limit"
    )
    rows = tx.conn.execute(sql, {"camera": camera, "custody": custody, "limit": limit})
    return [clip_view(clip_of(row)) for row in rows]


def totals(tx: Tx) -> JsonObject:
    """Clips and bytes by custody, and what is still on cameras."""
    states: dict[str, JsonValue] = {}
    for custody, count, size in tx.conn.execute(
        "SELECT custody, sum(clips), sum(bytes) FROM tallies WHERE clips > 0 GROUP BY custody"
    ):
        states[custody] = {"clips": count, "bytes": int(size)}
    gone = tx.conn.execute("SELECT coalesce(sum(clips), 0) FROM tallies WHERE copy = 'gone'").fetchone()[0]
    objects, spool_bytes = tx.conn.execute("SELECT objects, bytes FROM spool_tally").fetchone()
    return {"clips": states, "wiped": gone, "spool_objects": objects, "spool_bytes": int(spool_bytes)}


def ledger_notices(tx: Tx) -> list[str]:
    """What only the ledger knows and a person must: doubts (an audit that still runs is no news), cameras to dock."""
    told = doubts.doubts(tx)
    missed = tx.conn.execute(
        "SELECT camera, count(*) FROM clips WHERE custody = 'listed' AND sha256 IS NOT NULL"
        " AND camera NOT IN (SELECT camera FROM sessions WHERE ended_us IS NULL) GROUP BY camera LIMIT ?",
        (_CAMERAS_TOLD,),
    ).fetchall()
    dock = [
        f"Dock camera {camera} again: the spool's copies of {count} of its clips were lost before a store had them."
        for camera, count in missed
    ]
    return dock + [
        f"{text}: {told[reason]} Nothing is wiped or purged; copying and uploading go on. {advice}"
        for reason, (text, advice) in _DOUBTS.items()
        if reason in told
    ]


def upload_problems(tx: Tx) -> dict[tuple[str, str], JsonObject]:
    """What is remembered of failed uploads, by object and store; the first few thousand."""
    rows = tx.conn.execute(
        "SELECT sha256, store, attempts, next_us, asked_person, problem FROM uploads WHERE problem IS NOT NULL LIMIT ?",
        (_PROBLEMS,),
    )
    return {
        (sha256, store): {
            "attempts": attempts,
            "next_at": None if person else from_us(next_us).isoformat(),
            "asks_person": bool(person) or attempts >= STRIKES,
            "problem": problem,
        }
        for sha256, store, attempts, next_us, person, problem in rows
    }


@dataclass(frozen=True, slots=True)
class Stuck:
    """What one store does not take or does not prove: how many objects, and the worst of them."""

    objects: int
    attempts: int
    problem: str

    def told(self) -> str:
        """The whole story for a person."""
        which = "An object does" if self.objects == 1 else f"{self.objects} objects do"
        return f"{which} not get through, the others go on: {self.problem}"


def stuck(tx: Tx) -> dict[str, Stuck]:
    """By store, the uploads that failed for a reason of their own."""
    rows = tx.conn.execute(
        # The problem is that of the row with the most attempts: what SQLite promises of max() and bare columns.
        "SELECT store, count(*), max(attempts), problem FROM uploads WHERE problem IS NOT NULL GROUP BY store"
    )
    return {store: Stuck(count, attempts, problem) for store, count, attempts, problem in rows}


def event_lines(tx: Tx, after: int, limit: int) -> list[str]:
    """The exact lines of custody events above a number."""
    rows = tx.conn.execute("SELECT line FROM events WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit))
    return [line for (line,) in rows]
