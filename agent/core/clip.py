"""Clips: sightings of files on cameras, and the two state machines that belong to them.

Rules: everything that decides which transition is legal lives in this file and in `object.py`; the ledger's
triggers are generated from the same tables. A state is a fact that bytes on disk prove, never an activity.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from agent.core.object import Digest

ClipId = NewType("ClipId", str)
"""Opaque, random, unique for ever: `c` and 20 hex digits."""
CameraId = NewType("CameraId", str)
"""The camera's serial as its profile reads it; shown escaped, never used in a path."""
BayName = NewType("BayName", str)
SessionId = NewType("SessionId", int)
DOUBLE = "~"
"""Between a serial and the bay in the name of a second docked camera that shows the same serial."""


class Custody(StrEnum):
    """Who answers for a clip's bytes."""

    LISTED = "listed"  # the camera shows it, we do not have it
    SPOOLED = "spooled"  # the spool holds all bytes, durably
    CONFIRMED = "confirmed"  # enough stores proved that they hold them
    QUARANTINED = "quarantined"  # a person must look
    LOST = "lost"  # listed once, gone before we had it


class Copy(StrEnum):
    """The camera's own copy of a clip."""

    PRESENT = "present"
    WIPE_INTENDED = "wipe_intended"  # the durable intent that opens a wipe window
    GONE = "gone"  # a fresh look at the medium no longer lists it
    MISSING = "missing"  # not there any more, and not by our hand


MOVES: frozenset[tuple[Custody, Custody]] = frozenset(
    {
        (Custody.LISTED, Custody.SPOOLED),
        (Custody.LISTED, Custody.QUARANTINED),
        (Custody.LISTED, Custody.LOST),
        (Custody.SPOOLED, Custody.CONFIRMED),
        (Custody.SPOOLED, Custody.QUARANTINED),
        (Custody.SPOOLED, Custody.LISTED),  # the spool's copy failed its re-hash
        (Custody.QUARANTINED, Custody.SPOOLED),
        (Custody.QUARANTINED, Custody.LISTED),
        (Custody.LOST, Custody.LISTED),  # the file was seen again
    }
)

COPY_MOVES: frozenset[tuple[Copy, Copy]] = frozenset(
    {
        (Copy.PRESENT, Copy.WIPE_INTENDED),  # only through may_wipe
        (Copy.WIPE_INTENDED, Copy.GONE),
        (Copy.WIPE_INTENDED, Copy.PRESENT),  # the fresh look still lists it
        (Copy.PRESENT, Copy.MISSING),
        (Copy.MISSING, Copy.PRESENT),
    }
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One regular file as a camera lists it.

    `path` is relative to the camera's root, raw bytes, `/` between components, never `.` or `..`.
    """

    path: bytes
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Clip:
    """A row of the ledger: one sighting and where it stands."""

    id: ClipId
    camera: CameraId
    session: SessionId
    entry: Entry
    role: str  # a core.profile.Role that is offloaded: clip, sidecar or other
    event: bool
    requested: bool
    custody: Custody
    copy: Copy
    sha256: Digest | None
    hold: str | None  # why it must not be destroyed; None when nobody holds it
    problem: str | None  # what went wrong last, for a person
    read_in: SessionId | None  # the session that last read the camera's bytes whole
    looked_in: SessionId | None  # the session that did so as the last look before a wipe
    unlinked_in: SessionId | None  # the session whose reader acknowledged the unlink; only with an intent or gone
    held_back: str | None = None  # why it is not to be uploaded yet; None when nobody holds it back

    @property
    def urgent(self) -> bool:
        """Event-marked clips and those a person asked for go before all others."""
        return self.event or self.requested


def shows_serial(camera: CameraId, serial: CameraId) -> bool:
    """Whether a camera of this name shows this serial: it is its name, or the name of one that was docked beside it."""
    return camera == serial or camera.startswith(serial + DOUBLE)


def display_name(path: bytes) -> str | dict[str, str]:
    """A path as people and JSON get it: text when it is UTF-8, `{"hex": ...}` when it is not."""
    try:
        return path.decode("utf-8")
    except UnicodeDecodeError:
        return {"hex": path.hex()}


def one_line(path: bytes) -> str:
    """A path for a terminal, a log line or a page: escapes what is not plainly printable."""
    text = path.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
