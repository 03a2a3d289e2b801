"""Cameras and sessions in the ledger."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from agent.core.clip import DOUBLE, BayName, CameraId, Clip, ClipId, Copy, Custody, SessionId
from agent.core.custody import JsonValue
from agent.core.errors import IllegalMove
from agent.ledger.custody import Recorder, to_us
from agent.ledger.database import Tx
from agent.ledger.rows import CLIP_COLUMNS, clip_of

ANY_SIZE = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class CameraRow:
    """What is known of a camera for good."""

    id: CameraId
    profile: str
    claimed_by: str | None
    seized_by: str | None
    seized_reason: str | None


@dataclass(frozen=True, slots=True)
class Aboard:
    """Counts and bytes of the clips that a camera still holds, by custody."""

    listed: int = 0
    spooled: int = 0
    confirmed: int = 0
    quarantined: int = 0
    wipe_intended: int = 0
    bytes_listed: int = 0
    bytes_total: int = 0


def camera(tx: Tx, ident: CameraId) -> CameraRow | None:
    """Read a camera, or None when it was never docked nor claimed."""
    row = tx.conn.execute(
        "SELECT id, profile, claimed_by, seized_by, seized_reason FROM cameras WHERE id = ?", (ident,)
    ).fetchone()
    return None if row is None else CameraRow(CameraId(row[0]), *row[1:])


def see_camera(
    tx: Tx, recorder: Recorder, ident: CameraId, profile: str, model: str | None, claimed_by: str | None
) -> CameraRow:
    """Note that a camera is here; `claimed_by` says who vouches for it (None: nobody does, yet)."""
    now = to_us(recorder.clock())
    known = camera(tx, ident)
    tx.conn.execute(
        "INSERT INTO cameras (id, profile, model, first_seen_us, last_seen_us) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET profile = excluded.profile,"
        " model = coalesce(excluded.model, model), last_seen_us = excluded.last_seen_us",
        (ident, profile, model, now, now),
    )
    if claimed_by is not None and (known is None or known.claimed_by is None):
        claim(tx, recorder, ident, claimed_by)
    return _must(tx, ident)


def seizure(tx: Tx, serial: CameraId) -> CameraRow | None:
    """A seized camera that shows this serial, by whatever name it was docked; None when there is none.

    Of two cameras with one serial nobody knows which of them a person meant.
    """
    row = tx.conn.execute(
        "SELECT id, profile, claimed_by, seized_by, seized_reason FROM cameras"
        " WHERE seized_by IS NOT NULL AND (id = ? OR id > ? AND id < ?) LIMIT 1",
        (serial, serial + DOUBLE, serial + chr(ord(DOUBLE) + 1)),
    ).fetchone()
    return None if row is None else CameraRow(CameraId(row[0]), *row[1:])


def any_seized(tx: Tx) -> bool:
    """Whether any camera at all is seized."""
    return tx.conn.execute("SELECT 1 FROM cameras WHERE seized_by IS NOT NULL LIMIT 1").fetchone() is not None


def docked_before(tx: Tx, ident: CameraId) -> bool:
    """Whether a camera with this serial was ever in a bay of this station."""
    return tx.conn.execute("SELECT 1 FROM sessions WHERE camera = ? LIMIT 1", (ident,)).fetchone() is not None


def claim(tx: Tx, recorder: Recorder, ident: CameraId, actor: str) -> None:
    """A person or the configuration vouches for a camera."""
    _must(tx, ident)
    recorder.record(tx, "camera.claimed", {"actor": actor}, camera=ident)
    tx.conn.execute("UPDATE cameras SET claimed_by = ? WHERE id = ?", (actor, ident))


def seize(tx: Tx, recorder: Recorder, ident: CameraId, actor: str, reason: str) -> None:
    """From now on nobody may change this camera. Also for cameras that were never docked here."""
    now = to_us(recorder.clock())
    recorder.record(tx, "camera.seized", {"actor": actor, "reason": reason}, camera=ident)
    tx.conn.execute(
        "INSERT INTO cameras (id, profile, first_seen_us, last_seen_us, seized_by, seized_reason)"
        " VALUES (?, 'unknown', ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET seized_by = excluded.seized_by, seized_reason = excluded.seized_reason",
        (ident, now, now, actor, reason),
    )


def release(tx: Tx, recorder: Recorder, ident: CameraId, actor: str, reason: str) -> None:
    """End a seizure. Raises IllegalMove when the camera is not seized."""
    if _must(tx, ident).seized_by is None:
        raise IllegalMove(f"Camera {ident} is not seized.")
    recorder.record(tx, "camera.released", {"actor": actor, "reason": reason}, camera=ident)
    tx.conn.execute("UPDATE cameras SET seized_by = NULL, seized_reason = NULL WHERE id = ?", (ident,))


def _must(tx: Tx, ident: CameraId) -> CameraRow:
    row = camera(tx, ident)
    if row is None:
        hint = "It has to be docked here once. To vouch for it before: `dock-agent bays enrol`."
        raise IllegalMove(f"The ledger knows no camera {ident!r}.", hint=hint)
    return row


def start_session(tx: Tx, recorder: Recorder, ident: CameraId, bay: BayName, facts: dict[str, JsonValue]) -> SessionId:
    """Open a session, ending any that the camera left open (pulled out while the agent was down)."""
    for (open_session,) in tx.conn.execute(
        "SELECT id FROM sessions WHERE camera = ? AND ended_us IS NULL", (ident,)
    ).fetchall():
        end_session(tx, recorder, SessionId(open_session), "superseded")
    cursor = tx.conn.execute(
        "INSERT INTO sessions (camera, bay, started_us) VALUES (?, ?, ?)",
        (ident, bay, to_us(recorder.clock())),
    )
    session = SessionId(int(cursor.lastrowid or 0))
    recorder.record(tx, "camera.docked", {"bay": bay, "session": session, **facts}, camera=ident)
    return session


def end_session(tx: Tx, recorder: Recorder, session: SessionId, outcome: str) -> None:
    """Close a session; a second time changes nothing."""
    row = tx.conn.execute("SELECT camera, bay, ended_us FROM sessions WHERE id = ?", (session,)).fetchone()
    if row is None or row[2] is not None:
        return
    recorder.record(
        tx,
        "camera.undocked",
        {"bay": row[1], "session": session, "outcome": outcome},
        camera=CameraId(row[0]),
    )
    tx.conn.execute(
        "UPDATE sessions SET ended_us = ?, outcome = ? WHERE id = ?",
        (to_us(recorder.clock()), outcome, session),
    )


def aboard(tx: Tx, ident: CameraId) -> Aboard:
    """Count what the camera still holds."""
    counts: dict[str, int] = {}
    listed = total = intended = 0
    for custody, copy, count, size in tx.conn.execute(
        "SELECT custody, copy, clips, bytes FROM tallies WHERE camera = ? AND copy IN ('present', 'wipe_intended')",
        (ident,),
    ):
        counts[custody] = counts.get(custody, 0) + count
        total += int(size)
        listed += int(size) if custody == Custody.LISTED else 0
        intended += count if copy == Copy.WIPE_INTENDED else 0
    return Aboard(
        listed=counts.get(Custody.LISTED, 0),
        spooled=counts.get(Custody.SPOOLED, 0),
        confirmed=counts.get(Custody.CONFIRMED, 0),
        quarantined=counts.get(Custody.QUARANTINED, 0),
        wipe_intended=intended,
        bytes_listed=listed,
        bytes_total=total,
    )


def clips_aboard(tx: Tx, ident: CameraId, custody: Custody, limit: int, most_bytes: int = ANY_SIZE) -> list[Clip]:
    """Clips still on the camera in one custody state, up to `most_bytes` large: urgent first, then the oldest."""
    sql = (
        f"SELECT {CLIP_COLUMNS} FROM clips WHERE camera = ? AND custody = ? AND copy = 'present'"  # noqa: S608
        " AND size_bytes <= ? ORDER BY (event OR requested) DESC, number LIMIT ?"
    )
    return [clip_of(row) for row in tx.conn.execute(sql, (ident, custody, most_bytes, limit))]


def clips_to_wipe(tx: Tx, ident: CameraId, roles: Iterable[str], limit: int, after: Clip | None = None) -> list[Clip]:
    """Confirmed clips aboard, of these roles, that nobody holds: role by role, oldest first, from behind `after`."""
    sql = (
        f"SELECT {CLIP_COLUMNS} FROM clips WHERE camera = ? AND role = ? AND custody = 'confirmed'"  # noqa: S608
        " AND copy = 'present' AND hold IS NULL"
        " AND number > coalesce((SELECT number FROM clips WHERE id = ?), 0) ORDER BY number LIMIT ?"
    )
    found: list[Clip] = []
    for role in sorted(role for role in roles if after is None or role >= after.role):
        behind = after.id if after is not None and role == after.role else None
        found += [clip_of(row) for row in tx.conn.execute(sql, (ident, role, behind, limit - len(found)))]
    return found


def not_for_wiping(tx: Tx, ident: CameraId, roles: Iterable[str]) -> dict[str, int]:
    """Count the confirmed clips aboard that `clips_to_wipe` leaves out, by reason."""
    wanted = json.dumps(sorted(roles))
    rows = tx.conn.execute(
        "SELECT iif(role IN (SELECT value FROM json_each(?)), 'on_hold', 'not_in_profile'), sum(clips)"
        " FROM tallies WHERE camera = ? AND custody = 'confirmed' AND copy = 'present' AND clips > 0"
        " AND (held OR role NOT IN (SELECT value FROM json_each(?))) GROUP BY 1",
        (wanted, ident, wanted),
    )
    return dict(rows.fetchall())


def clips_to_read_again(
    tx: Tx, ident: CameraId, session: SessionId, limit: int, after: ClipId | None = None
) -> list[Clip]:
    """Clips that an earlier session copied and that this one has only seen by name, from behind `after`."""
    sql = (
        f"SELECT {CLIP_COLUMNS} FROM clips WHERE camera = ? AND session = ? AND copy = 'present'"  # noqa: S608
        " AND custody IN ('spooled', 'confirmed') AND read_in IS NOT session"
        " AND number > coalesce((SELECT number FROM clips WHERE id = ?), 0) ORDER BY number LIMIT ?"
    )
    return [clip_of(row) for row in tx.conn.execute(sql, (ident, session, after, limit))]


def clips_in(tx: Tx, session: SessionId) -> list[Clip]:
    """Every clip that this session saw."""
    sql = f"SELECT {CLIP_COLUMNS} FROM clips WHERE session = ? ORDER BY number"  # noqa: S608
    return [clip_of(row) for row in tx.conn.execute(sql, (session,))]
