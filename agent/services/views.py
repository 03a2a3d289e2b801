"""What people see, as JSON objects. Built from the ledger and from running flows; changes nothing."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from agent.core.clip import CameraId, Clip, display_name, one_line
from agent.core.queue_policy import Waiting, choose_next
from agent.ledger.custody import from_us
from agent.ledger.database import Tx
from agent.ledger.rows import CLIP_COLUMNS, clip_of
from agent.ports import JsonObject
from agent.services.station import Slot

if TYPE_CHECKING:
    from agent.core.custody import JsonValue

_PLANNED = 200


def bay_view(name: str, slot: Slot | None) -> JsonObject:
    """One bay. `advice` is null when it is empty."""
    if slot is None:
        return {"bay": name, "occupied": False, "advice": None, "reason": "empty", "camera": None}
    session, advice = slot.session, slot.advice()
    standing, progress, aboard = session.standing, session.progress, session.standing.aboard
    row = standing.row
    return {
        "bay": name,
        "occupied": True,
        "camera": standing.camera,
        "profile": standing.profile,
        "model": standing.model,
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
        "seized": None if row is None else row.seized_reason,
        "claimed_by": None if row is None else row.claimed_by,
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
        "SELECT custody, count(*), coalesce(sum(size_bytes), 0) FROM clips GROUP BY custody"
    ):
        states[custody] = {"clips": count, "bytes": size}
    gone = tx.conn.execute("SELECT count(*) FROM clips WHERE copy = 'gone'").fetchone()[0]
    present = tx.conn.execute("SELECT count(*), coalesce(sum(size_bytes), 0) FROM objects WHERE spool = 'present'")
    objects, spool_bytes = present.fetchone()
    return {"clips": states, "wiped": gone, "spool_objects": objects, "spool_bytes": spool_bytes}


def upload_problems(tx: Tx) -> dict[tuple[str, str], JsonObject]:
    """What is remembered of failed uploads, by object and store."""
    rows = tx.conn.execute(
        "SELECT sha256, store, attempts, next_us, asked_person, problem FROM uploads WHERE problem IS NOT NULL"
    )
    return {
        (sha256, store): {
            "attempts": attempts,
            "next_at": None if person else from_us(next_us).isoformat(),
            "asks_person": bool(person),
            "problem": problem,
        }
        for sha256, store, attempts, next_us, person, problem in rows
    }


def in_turn(waiting: list[Waiting], served: Mapping[CameraId, int]) -> list[Waiting]:
    """Put waiting uploads in the order in which they would be taken, by playing the policy forward."""
    left, turns = list(waiting), dict(served)
    ordered: list[Waiting] = []
    turn = max(turns.values(), default=0)
    while left and len(ordered) < _PLANNED:
        chosen = choose_next(left, turns)
        if chosen is None:
            break
        turn += 1
        turns[chosen.camera] = turn
        left.remove(chosen)
        ordered.append(chosen)
    return ordered


def event_lines(tx: Tx, after: int, limit: int) -> list[str]:
    """The exact lines of custody events above a number."""
    rows = tx.conn.execute("SELECT line FROM events WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit))
    return [line for (line,) in rows]
