"""Cards as cameras leave them: folders with real footage in the layout of each bundled profile, and an odd one.

Rules: what a card holds is planned in memory first; the plan, not the disk, is the truth that is handed out, so
that it can serve as an oracle. The same arguments give the same card.
"""

import errno
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent.core.profile import Role
from agent.simulate.footage import SECONDS, make_clip, without_index

SHIFT_START = datetime(2026, 1, 15, 14, 30, tzinfo=UTC)
"""Start of the first clip with seed 0. Names hold the same digits, as a camera whose clock runs on UTC."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SERIAL = re.compile(r"[A-Z0-9]{4,16}")  # what every layout's names can hold
_NOT_POSSIBLE_HERE = {errno.EINVAL, errno.EILSEQ, errno.EPERM, errno.ENOTSUP}
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class TruthFile:
    """One regular file of a card; `sha256` in hexadecimal, `event` only for clips."""

    path: bytes
    size: int
    sha256: str
    role: Role
    event: bool
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class CardTruth:
    """All regular files of a card, sorted by path; `traps` are the paths that nobody may open."""

    serial: str
    profile_name: str
    files: tuple[TruthFile, ...]
    traps: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class _File:
    """A planned file; `hole_bytes` instead of content for a sparse one, `link_to` for a second name."""

    path: bytes
    content: bytes
    role: Role
    changed_at: datetime
    event: bool = False
    hole_bytes: int = 0
    link_to: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Shift:
    """What one officer recorded; the clip in the middle is the event."""

    serial: str
    seed: int
    clips: int
    clip_bytes: int

    def starts(self) -> Iterator[tuple[int, datetime, bool]]:
        """Give number, start and event mark of each clip; five minutes apart."""
        first = SHIFT_START + timedelta(days=self.seed % 28)
        for number in range(self.clips):
            yield number, first + timedelta(minutes=5 * number), number == self.clips // 2

    def clip(self, path: str | bytes, number: int, start: datetime, *, event: bool = False) -> _File:
        """Plan a clip with footage of its own."""
        key = hashlib.sha256(f"{self.serial}/{self.seed}/{number}".encode()).digest()
        content = make_clip(seed=int.from_bytes(key[:8], "big"), size_bytes=self.clip_bytes)
        raw = path.encode() if isinstance(path, str) else path
        return _File(raw, content, Role.CLIP, start + timedelta(seconds=SECONDS), event)


def build_card(root: Path, kind: str, *, serial: str, seed: int, clips: int, clip_bytes: int) -> CardTruth:
    """Write a card below `root` (made if need be) and return the truth about it.

    `kind` is one of CARD_KINDS. What the file system cannot hold (an odd name, a link on FAT) is neither written
    nor in the truth. Raises ValueError for an unknown kind, an impossible serial, no clips or a size that
    `make_clip` refuses; OSError if a file cannot be written or exists already.
    """
    if kind not in _LAYOUTS:
        raise ValueError(f"unknown kind of card {kind!r}; known: {', '.join(CARD_KINDS)}")
    if not _SERIAL.fullmatch(serial):
        raise ValueError("a serial has 4 to 16 capital letters or digits")
    if clips < 1:
        raise ValueError("a card has at least one clip")
    written = [_write(root, file) for file in _LAYOUTS[kind](_Shift(serial, seed, clips, clip_bytes))]
    files = sorted((file for file in written if file is not None), key=lambda file: file.path)
    if kind == "odd":
        return CardTruth(serial, "plain-dcim", tuple(files), _lay_traps(root))
    return CardTruth(serial, kind, tuple(files))


def add_long_clip(root: Path, truth: CardTruth, *, size_bytes: int) -> CardTruth:
    """Add a clip of zeros that takes no space to a card with a DCIM folder; more than 4 GiB are fine off FAT.

    Hashing takes about a second for each GiB. Raises OSError if the file system refuses the size.
    """
    file = _File(b"DCIM/101ODD/LONG.MP4", b"", Role.CLIP, SHIFT_START, hole_bytes=size_bytes)
    added = [] if (long := _write(root, file)) is None else [long]
    files = sorted([*truth.files, *added], key=lambda file: file.path)
    return replace(truth, files=tuple(files))


def _plain_dcim(shift: _Shift) -> Iterator[_File]:
    for number, start, event in shift.starts():
        stem = f"DCIM/100BWC/{shift.serial}_000000_{start:%Y%m%d_%H%M%S}_{number + 1:04}"
        clip = shift.clip(f"{stem}.MP4", number, start, event=event)
        yield clip
        yield _text(f"{stem}.GPS", f"{start:%H%M%S} 51.5007N 0.1246W\n", clip.changed_at)
        if event:
            yield _text(f"{stem}.MARK", "1\n", clip.changed_at)


def _dahua_dsj(shift: _Shift) -> Iterator[_File]:
    for number, start, event in shift.starts():
        end = start + timedelta(seconds=SECONDS)
        name = f"{start:%H.%M.%S}-{end:%H.%M.%S}[{'F' if event else 'R'}][0@0][0].mp4"
        yield shift.clip(f"mpt/{start:%Y-%m-%d}/001/dav/{start:%H}/{name}", number, start, event=event)
    _, start, _ = next(shift.starts())
    nmea = f"$GPRMC,{start:%H%M%S},A,5130.04,N,00007.48,W,0.0,0.0,{start:%d%m%y},,\r\n"
    yield _text(f"NMEA_{start:%Y%m%d_%H%M%S}.txt", nmea, start)


def _motorola_export(shift: _Shift) -> Iterator[_File]:
    for number, start, _ in shift.starts():
        yield shift.clip(f"Smith_{start:%Y%m%d%H%M}_{shift.serial}-{number}.mp4", number, start)


def _novatek_ro(shift: _Shift) -> Iterator[_File]:
    for number, start, event in shift.starts():
        folder = "Movie/RO" if event else "Movie"
        yield shift.clip(f"{folder}/{start:%Y_%m%d_%H%M%S}_{number + 1:03}.MP4", number, start, event=event)


def _axon_export(shift: _Shift) -> Iterator[_File]:
    for number, start, _ in shift.starts():
        yield shift.clip(f"AXON_Body_2_Video_{start:%Y-%m-%d_%H%M}_{number + 1:03}.mp4", number, start)


def _blackvue_record(shift: _Shift) -> Iterator[_File]:
    for number, start, event in shift.starts():
        stem = f"Record/{start:%Y%m%d_%H%M%S}_{'E' if event else 'N'}"
        yield shift.clip(f"{stem}F.mp4", number, start, event=event)
        yield _text(f"{stem}.gps", f"[{start.timestamp():.0f}000]$GPRMC\n", start)


def _odd(shift: _Shift) -> Iterator[_File]:
    """Plan an ordinary card and, in further folders, what goes wrong on cards."""
    yield from _plain_dcim(shift)
    folder, at = b"DCIM/101ODD/", SHIFT_START
    dated = f"{shift.serial}_000000_{at:%Y%m%d_%H%M%S}_".encode()
    whole = shift.clip(folder + b"TWIN_A.MP4", 9000, at)
    yield whole
    yield _File(folder + b"TWIN_B.MP4", whole.content, Role.CLIP, whole.changed_at)
    yield _File(folder + b"LINK.MP4", whole.content, Role.CLIP, whole.changed_at, link_to=whole.path)
    yield _File(folder + dated + b"9001.MP4", without_index(whole.content), Role.CLIP, at)
    yield _File(folder + dated + b"9002.MP4", b"", Role.CLIP, at)
    yield shift.clip(folder + b"SAME.MP4", 9003, at)
    yield shift.clip(b"DCIM/102ODD/SAME.MP4", 9004, at)
    reset = f"{shift.serial}_000000_19700101_000000_9005.MP4".encode()
    yield _File(folder + reset, shift.clip(b"", 9005, _EPOCH).content, Role.CLIP, _EPOCH)
    names = (
        "Wache Köln ü.MP4".encode(),
        b"\xff\xfe\x80.MP4",
        b"two\nlines.MP4",
        b"\x1b[2Jclear.MP4",
        b"-rf.MP4",
    )
    for number, name in enumerate(names, 9006):
        yield shift.clip(folder + name, number, at)
    yield _File(b"AUTORUN.INF", b"[autorun]\r\nopen=SETUP.EXE\r\n", Role.OTHER, at)
    yield _File(b"SETUP.EXE", b"MZ" + bytes(510), Role.OTHER, at)
    yield _File(b"System Volume Information/WPSettings.dat", bytes(12), Role.IGNORED, at)


def _text(path: str, text: str, changed_at: datetime) -> _File:
    return _File(path.encode(), text.encode(), Role.SIDECAR, changed_at)


def _write(root: Path, file: _File) -> TruthFile | None:
    """Write a planned file; None if this kind of file system cannot hold it."""
    target = root / os.fsdecode(file.path)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if file.link_to is not None:
            target.hardlink_to(root / os.fsdecode(file.link_to))
        else:
            with target.open("xb") as stream:
                stream.write(file.content)
                if file.hole_bytes:
                    stream.truncate(file.hole_bytes)
    except OSError as error:
        if error.errno in _NOT_POSSIBLE_HERE:
            return None
        raise
    changed_ns = int(file.changed_at.timestamp()) * 1_000_000_000
    os.utime(target, ns=(changed_ns, changed_ns))
    # FAT keeps even seconds since 1980 only: what it made of the time is the truth about this card.
    kept_ns = target.stat().st_mtime_ns
    size, sha256 = _size_and_digest(file)
    return TruthFile(file.path, size, sha256, file.role, file.event, kept_ns)


def _size_and_digest(file: _File) -> tuple[int, str]:
    digest = hashlib.sha256(file.content)
    whole, rest = divmod(file.hole_bytes, _CHUNK_BYTES)
    zeros = bytes(_CHUNK_BYTES)
    for _ in range(whole):
        digest.update(zeros)
    digest.update(zeros[:rest])
    return len(file.content) + file.hole_bytes, digest.hexdigest()


def _lay_traps(root: Path) -> tuple[bytes, ...]:
    """Leave what must never be opened: a way out of the card, and a pipe on which a reader would wait."""
    folder = root / "DCIM" / "101ODD"
    folder.mkdir(parents=True, exist_ok=True)
    laid = []
    for name, lay in (
        ("PASSWD.MP4", lambda path: path.symlink_to("/etc/passwd")),
        ("PIPE.MP4", os.mkfifo),
    ):
        try:
            lay(folder / name)
        except OSError as error:
            if error.errno not in _NOT_POSSIBLE_HERE:
                raise
            continue
        laid.append(f"DCIM/101ODD/{name}".encode())
    return tuple(laid)


_LAYOUTS: dict[str, Callable[[_Shift], Iterator[_File]]] = {
    "plain-dcim": _plain_dcim,
    "dahua-dsj": _dahua_dsj,
    "motorola-export": _motorola_export,
    "novatek-ro": _novatek_ro,
    "axon-export": _axon_export,
    "blackvue-record": _blackvue_record,
    "odd": _odd,
}
CARD_KINDS: tuple[str, ...] = tuple(_LAYOUTS)
