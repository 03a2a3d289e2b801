"""Clips in the ledger: sightings, and the only functions that move their two state machines.

Each function runs inside one transaction of `Database.run`, writes one custody event for each move, and compares
the state that it starts from: a row that has moved on meanwhile raises IllegalMove and nothing is changed.
"""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from agent.core.clip import COPY_MOVES, MOVES, CameraId, Clip, ClipId, Copy, Custody, Entry, SessionId
from agent.core.clip_name import NAMED_MOST, clip_meant
from agent.core.custody import JsonValue
from agent.core.errors import IllegalMove
from agent.core.object import Digest
from agent.ledger.custody import Recorder
from agent.ledger.database import Tx
from agent.ledger.rows import CLIP_COLUMNS, clip_of

_AFTER_ALL = "\U0010ffff"
"""Put behind the beginning of an id, it comes after every id that begins so."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A file as listed in this session, with what its profile makes of it."""

    entry: Entry
    role: str
    event: bool
    started_at: str | None = None
    ended_at: str | None = None
    officer: str | None = None


@dataclass(slots=True)
class ListingCount:
    """What a walk brought: new sightings, known ones, those no longer there, and what is not offloaded."""

    new: int = 0
    known: int = 0
    gone: int = 0
    missing: int = 0
    left: int = 0  # files that no rule of the profile names and that do not look like footage
    left_media: int = 0  # those that look like footage
    refused: dict[str, int] = field(default_factory=dict)  # not regular files and the like, by reason
    names: list[str] = field(default_factory=list)  # the first of `uncopied`, each on one line
    left_names: list[str] = field(default_factory=list)  # the first of `left`, likewise

    @property
    def uncopied(self) -> int:
        """How many things aboard somebody should look at, since they are no clips to us."""
        return self.left_media + sum(self.refused.values())


@dataclass(frozen=True, slots=True)
class Move:
    """A change of one clip: what it must be now, what it becomes, and what the event says."""

    event: str
    custody: Custody | None = None
    copy: Copy | None = None
    sha256: Digest | None = None
    problem: str | None = None
    read_in: SessionId | None = None
    looked_in: SessionId | None = None
    unlinked_in: SessionId | None = None
    fields: Mapping[str, JsonValue] = field(default_factory=dict)


def get(tx: Tx, clip: ClipId) -> Clip:
    """Read one clip. Raises IllegalMove when it is unknown."""
    row = tx.conn.execute(f"SELECT {CLIP_COLUMNS} FROM clips WHERE id = ?", (clip,)).fetchone()  # noqa: S608
    if row is None:
        raise IllegalMove(f"The ledger knows no clip {clip}.")
    return clip_of(row)


def named(tx: Tx, wanted: str) -> ClipId:
    """Find the clip whose id is `wanted`, or begins so. Raises ActionRefused unless that is exactly one clip."""
    sql = "SELECT id FROM clips WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"
    rows = tx.conn.execute(sql, (wanted, wanted + _AFTER_ALL, NAMED_MOST + 1)).fetchall()
    return clip_meant(wanted, [row[0] for row in rows], by="The ledger")


def move(tx: Tx, recorder: Recorder, was: Clip, change: Move) -> Clip:
    """Make one move from exactly the state `was`, with its custody event.

    Raises IllegalMove when the tables do not allow it or the clip has moved on.
    """
    custody, copy = change.custody or was.custody, change.copy or was.copy
    if custody is not was.custody and (was.custody, custody) not in MOVES:
        raise IllegalMove(f"Clip {was.id} cannot go from {was.custody} to {custody}.")
    if copy is not was.copy and (was.copy, copy) not in COPY_MOVES:
        raise IllegalMove(f"The camera's copy of clip {was.id} cannot go from {was.copy} to {copy}.")
    sha256 = change.sha256 or was.sha256
    facts: dict[str, JsonValue] = {"custody": custody.value, "copy": copy.value, "session": was.session}
    if sha256 is not None:
        facts |= {"sha256": sha256, "size": was.entry.size_bytes}
    if change.problem is not None:
        facts["problem"] = change.problem
    seq = recorder.record(tx, change.event, facts | dict(change.fields), clip=was.id, camera=was.camera)
    read_in = change.read_in or was.read_in
    looked_in = change.looked_in or was.looked_in
    unlinked_in = change.unlinked_in or was.unlinked_in if copy in (Copy.WIPE_INTENDED, Copy.GONE) else None
    changed = tx.conn.execute(
        "UPDATE clips SET custody = ?, copy = ?, sha256 = ?, problem = ?, read_in = ?, looked_in = ?,"
        " unlinked_in = ?, last_event = ?"
        " WHERE id = ? AND custody = ? AND copy = ? AND session = ?",
        (
            custody,
            copy,
            sha256,
            change.problem,
            read_in,
            looked_in,
            unlinked_in,
            seq,
            was.id,
            was.custody,
            was.copy,
            was.session,
        ),
    ).rowcount
    if changed != 1:
        raise IllegalMove(f"Clip {was.id} has moved on since it was read; nothing was changed.")
    return get(tx, was.id)


@dataclass(frozen=True, slots=True)
class Listing:
    """One walk over a camera's medium; `number` is its custody event."""

    camera: CameraId
    session: SessionId
    number: int


def start_listing(tx: Tx, recorder: Recorder, camera: CameraId, session: SessionId) -> Listing:
    """Begin a walk."""
    number = recorder.record(tx, "camera.listing", {"session": session}, camera=camera)
    return Listing(camera, session, number)


def reconcile(tx: Tx, recorder: Recorder, listing: Listing, batch: Iterable[Sighting]) -> ListingCount:
    """Match a batch of a walk with the clips that the ledger knows of this camera."""
    count = ListingCount()
    for sighting in batch:
        known = _find(tx, listing.camera, sighting.entry)
        if known is None:
            _insert(tx, recorder, listing, sighting)
            count.new += 1
        else:
            _see_again(tx, recorder, known, listing, marked=sighting.event)
            count.known += 1
    return count


def unlinked(tx: Tx, recorder: Recorder, clip: ClipId, session: SessionId) -> Clip:
    """The reader says that it has unlinked the file; only a fresh walk makes the copy gone."""
    was = get(tx, clip)
    if was.copy is not Copy.WIPE_INTENDED:
        raise IllegalMove(f"Clip {clip} was unlinked without an intent.")
    return move(tx, recorder, was, Move("copy.unlinked", unlinked_in=session, problem=was.problem))


def read_again(tx: Tx, recorder: Recorder, clip: Clip) -> Clip:
    """The camera's bytes of a known clip were read whole in this session and are still the same."""
    return move(tx, recorder, clip, Move("clip.read_again", read_in=clip.session, problem=clip.problem))


def replace_sighting(tx: Tx, recorder: Recorder, clip: Clip, found: Digest | None) -> Clip:
    """The camera now holds other bytes under the same name, size and time: keep both apart.

    The old sighting's copy is missing from here on, and a person must look if its bytes were never kept; a new
    sighting starts as listed. Nothing is ever merged by name. Returns the new sighting.
    """
    fields: dict[str, JsonValue] = {"expected": clip.sha256, "found": found}
    reason = "The camera now holds other bytes under the same name, size and time."
    unkept = Custody.QUARANTINED if clip.custody is Custody.LISTED else None
    problem = reason if unkept else clip.problem
    move(tx, recorder, clip, Move("copy.replaced", unkept, Copy.MISSING, problem=problem, fields=fields))
    row = tx.conn.execute(
        "SELECT started_at, ended_at, officer, listing FROM clips WHERE id = ?", (clip.id,)
    ).fetchone()
    listing = Listing(clip.camera, clip.session, row[3])
    return _insert(tx, recorder, listing, Sighting(clip.entry, clip.role, clip.event, *row[:3]))


def hold(tx: Tx, recorder: Recorder, clip: ClipId, note: str) -> Clip:
    """Forbid that any copy of the clip is destroyed here; `note` says who and why."""
    found = get(tx, clip)
    recorder.record(tx, "clip.held", {"note": note}, clip=clip, camera=found.camera)
    tx.conn.execute("UPDATE clips SET hold = ? WHERE id = ?", (note, clip))
    return found


def unhold(tx: Tx, recorder: Recorder, clip: ClipId, note: str) -> Clip:
    """End a hold. Raises IllegalMove when there is none."""
    found = get(tx, clip)
    if found.hold is None:
        raise IllegalMove(f"Clip {clip} is not on hold.")
    recorder.record(tx, "clip.unheld", {"note": note}, clip=clip, camera=found.camera)
    tx.conn.execute("UPDATE clips SET hold = NULL WHERE id = ?", (clip,))
    return found


def _find(tx: Tx, camera: CameraId, entry: Entry) -> Clip | None:
    row = tx.conn.execute(
        f"SELECT {CLIP_COLUMNS} FROM clips WHERE camera = ? AND path = ? AND size_bytes = ?"  # noqa: S608
        " AND mtime_ns = ? AND copy <> 'gone' ORDER BY copy = 'missing', number DESC LIMIT 1",
        (camera, entry.path, entry.size_bytes, entry.mtime_ns),
    ).fetchone()
    return None if row is None else clip_of(row)


def _see_again(tx: Tx, recorder: Recorder, clip: Clip, listing: Listing, *, marked: bool) -> None:
    first = clip.session != listing.session
    tx.conn.execute(
        "UPDATE clips SET session = ?, listing = ?, event = max(event, ?) WHERE id = ?",
        (listing.session, listing.number, int(marked), clip.id),
    )
    clip = get(tx, clip.id)
    if clip.copy is Copy.WIPE_INTENDED:
        clip = move(tx, recorder, clip, Move("copy.still_there", copy=Copy.PRESENT, problem=clip.problem))
    elif clip.copy is Copy.MISSING:
        clip = move(tx, recorder, clip, Move("copy.seen_again", copy=Copy.PRESENT, problem=clip.problem))
    if clip.custody is Custody.LOST or (clip.custody is Custody.QUARANTINED and first):
        move(tx, recorder, clip, Move("clip.listed_again", custody=Custody.LISTED))


def _insert(tx: Tx, recorder: Recorder, listing: Listing, seen: Sighting) -> Clip:
    clip = ClipId("c" + secrets.token_hex(10))
    entry = seen.entry
    fields: dict[str, JsonValue] = {
        "session": listing.session,
        "path_hex": entry.path.hex(),
        "size": entry.size_bytes,
        "mtime_ns": entry.mtime_ns,
        "role": seen.role,
        "marked": seen.event,
        "custody": Custody.LISTED.value,
        "copy": Copy.PRESENT.value,
    }
    seq = recorder.record(tx, "clip.listed", fields, clip=clip, camera=listing.camera)
    tx.conn.execute(
        "INSERT INTO clips (id, number, camera, session, listing, path, size_bytes, mtime_ns, role, event, started_at,"
        " ended_at, officer, custody, copy, last_event)"
        " VALUES (?, (SELECT coalesce(max(number), 0) + 1 FROM clips), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            clip,
            listing.camera,
            listing.session,
            listing.number,
            entry.path,
            entry.size_bytes,
            entry.mtime_ns,
            seen.role,
            int(seen.event),
            seen.started_at,
            seen.ended_at,
            seen.officer,
            Custody.LISTED,
            Copy.PRESENT,
            seq,
        ),
    )
    return get(tx, clip)
