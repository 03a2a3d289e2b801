"""Reading a depot from outside, also while it runs: what it holds, and whether that is still whole."""

import stat
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from agent.depot.catalogue import read_catalogue
from agent.depot.metadata import raw, shown
from agent.depot.reading import hash_file
from agent.depot.upload import Upload, from_us

JsonValue = str | int | bool | dict[str, str] | None


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found: sizes, and one sentence for each thing that is not as it should be."""

    uploads: int
    objects: int
    size_bytes: int
    problems: tuple[str, ...]


def list_uploads(depot: Path) -> list[dict[str, JsonValue]]:
    """All uploads, oldest first, ready for JSON.

    Each has id, station, clip, camera, bay, class, name, size, sha256, event, started_at, finished, receipts (how many
    were issued). `sha256` and `finished` are None until the object is durable; what the client did not send is None; a
    value that is not UTF-8 is `{"hex": ...}`. Raises DepotError.
    """
    return [_shown(upload, receipts) for upload, receipts in read_catalogue(depot)]


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
    }
