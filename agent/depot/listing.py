"""Reading a depot from outside, also while it runs: what it holds, and whether that is still whole."""

import stat
from collections import Counter
from collections.abc import Container
from dataclasses import dataclass, replace
from pathlib import Path

from agent.core.clip import display_name
from agent.depot.announcements import Awaited, awaited
from agent.depot.catalogue import counted, read_catalogue, reading
from agent.depot.metadata import expected_digest, raw, shown
from agent.depot.reading import hash_file
from agent.depot.sightings import sighted
from agent.depot.upload import Upload, from_us

_ANNOUNCEMENTS_SINCE, _SIGHTINGS_SINCE = 2, 3
_PROBE = b"probe"
JsonValue = str | int | bool | dict[str, str] | None


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found: sizes, and one sentence for each thing that is not as it should be."""

    uploads: int
    objects: int
    size_bytes: int
    problems: tuple[str, ...]


def list_uploads(depot: Path, station: str | None = None, *, missing: bool = False) -> list[dict[str, JsonValue]]:
    """All uploads, oldest first, then further clips with the same bytes, then what was announced; ready for JSON.

    With `station` only that one's. With `missing` only what was begun or announced and is not here, from no station:
    a camera may have been docked elsewhere since.

    Each has id, station, clip, camera, bay, class, name, size, sha256, event, started_at, finished, receipts (how many
    were issued), announced, same_as. `sha256` and `finished` are None until the object is durable; what the client did
    not send is None; a value that is not UTF-8 is `{"hex": ...}`. What was only announced has no id, and `announced`
    says when, with which digest and priority; it is None for uploads, begun ones included. A further clip whose bytes
    were here already has no id either; `same_as` names the upload that brought them, and `finished` is when the depot
    was told. Raises DepotError.
    """
    with reading(depot) as db:
        uploads = counted(db)
        (version,) = db.execute("PRAGMA user_version").fetchone()
        coming = awaited(db) if version >= _ANNOUNCEMENTS_SINCE else []
        again = sighted(db) if version >= _SIGHTINGS_SINCE and not missing else []
    here = {upload.sha256 for upload, _ in uploads if upload.finished_us is not None}
    known = {upload.id: (upload, receipts) for upload, receipts in uploads}
    if missing:
        uploads = [(upload, receipts) for upload, receipts in uploads if _is_missing(upload, here)]
        coming = [each for each in coming if each.object.sha256 not in here]
    begun = {(u.station, expected_digest(u.label)) for u, _ in uploads if u.finished_us is None}
    rows = [_shown(upload, receipts) for upload, receipts in uploads]
    for each in again:
        upload, receipts = known[each.upload]
        row = _shown(replace(upload, label=each.label, finished_us=each.told_us), receipts)
        rows.append(row | {"id": None, "same_as": upload.id})
    rows += [_awaited(each) for each in coming if (each.station, each.object.sha256) not in begun]
    return [row for row in rows if station is None or row["station"] == station]


def _is_missing(upload: Upload, here: Container[str | None]) -> bool:
    """Whether an upload's clip is not here at all; what a probe left unfinished is no clip."""
    unfinished = upload.finished_us is None and raw(upload.label, "role") != _PROBE
    return unfinished and expected_digest(upload.label) not in here


def verify(depot: Path) -> Verification:
    """Hash every object again and compare with its name and with the catalogue. Raises DepotError, OSError.

    The catalogue is read first, so that uploads that finish meanwhile are not taken for strays.
    """
    uploads = read_catalogue(depot)
    folder = depot / "objects"
    before = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    wanted = Counter[tuple[str, int]]()
    for upload, _ in uploads:
        if upload.finished_us is not None and upload.sha256 is not None:
            wanted[upload.sha256, upload.length_bytes] += 1
    problems, total = [], 0
    for digest, size in sorted(wanted):
        problem = _fault_of(folder / digest, size)
        total += 0 if problem else size
        if problem:
            problems.append(f"objects/{digest}, needed by {wanted[digest, size]} upload(s): {problem}")
    known = {str(upload.sha256) for upload, _ in read_catalogue(depot)}
    problems += [f"objects/{name} belongs to no upload" for name in sorted(before - known)]
    return Verification(len(uploads), len(wanted), total, tuple(problems))


def _fault_of(path: Path, size_bytes: int) -> str | None:
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            return "it is not a regular file"
        if found.st_size != size_bytes:
            return f"it has {found.st_size} bytes, {size_bytes} were received"
        if found.st_mode & 0o222:
            return f"its mode is {stat.S_IMODE(found.st_mode):04o}; it should be 0400"
        digest = hash_file(path)
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    return None if digest == path.name else f"its bytes have SHA-256 {digest}"


def _shown(upload: Upload, receipts: int) -> dict[str, JsonValue]:
    label, done = upload.label, upload.finished_us is not None
    return {
        "id": upload.id,
        "station": upload.station,
        "clip": shown(label, "clip"),
        "camera": shown(label, "camera"),
        "bay": shown(label, "bay"),
        "class": shown(label, "role"),
        "name": shown(label, "name") or shown(label, "filename"),
        "size": upload.length_bytes,
        "sha256": upload.sha256 if done else None,
        "event": {b"1": True, b"0": False}.get(raw(label, "event") or b""),
        "started_at": shown(label, "started_at"),
        "finished": None if upload.finished_us is None else from_us(upload.finished_us),
        "receipts": receipts,
        "announced": None,
        "same_as": None,
    }


def _awaited(each: Awaited) -> dict[str, JsonValue]:
    name = display_name(each.object.path)
    urgent = "urgent" if each.object.urgent else "normal"
    return {
        "id": None,
        "station": each.station,
        "clip": None,
        "camera": each.object.camera,
        "bay": None,
        "class": None,
        "name": name,
        "size": each.object.size_bytes,
        "sha256": None,
        "event": each.object.event,
        "started_at": each.object.started_at,
        "finished": None,
        "receipts": 0,
        "announced": {"at": from_us(each.announced_us), "sha256": each.object.sha256, "priority": urgent},
        "same_as": None,
    }
