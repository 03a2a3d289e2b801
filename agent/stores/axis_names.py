"""How clips are named at a content destination.

Rules: the same object with the same label has the same names, on every station and in every try. Names hold only
characters that every server and file system takes; what a camera or an officer is really called travels as metadata.
Times are UTC. Source: Axis Body Worn Content Destination API 1.6.13, "Container and Object structure".
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import PurePosixPath
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from agent.core.object import Digest
from agent.ports import ClipLabel

NOBODY = "Unassigned"
"""The user to whom clips of unknown officers belong; every recording of this interface has a user."""
UNKNOWN_TIME = "UnknownTime"
MAX_SERIAL_CHARS = 32
_SPACE = UUID("7d0c1b5e-5a0e-4b6b-9f1c-2d6f0f8f3a41")
"""From which users and systems get their UUIDs; it never changes."""
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9.~-]{0,31}")
_OTHER = re.compile(r"[^A-Za-z0-9~-]")
_ENDING = re.compile(r"[a-z0-9]{1,8}")
_CLAIM = re.compile(r"(?P<time>[^\[]{19,40})(?:\[(?P<zone>[A-Za-z0-9_+/-]{1,64})\])?")
_FIRST_YEAR = 1970
"""Times are sent as seconds since then."""
_OWN_CHARS = 16


@dataclass(frozen=True, slots=True)
class Moment:
    """A camera's claim about a time, as UTC; `zone` is the IANA name where the claim has one."""

    at: datetime
    zone: str | None

    @classmethod
    def of(cls, claim: str | None) -> "Moment | None":
        """Read RFC 3339, or local time with a zone's name behind it in brackets; None for anything else.

        A local time that the zone's clock showed twice counts as the first of the two; without a zone it is UTC.
        """
        found = _CLAIM.fullmatch(claim or "")
        if found is None:
            return None
        zone = found["zone"]
        try:
            at = datetime.fromisoformat(found["time"])
            at = at if at.tzinfo is not None else at.replace(tzinfo=UTC if zone is None else ZoneInfo(zone))
            at = at.astimezone(UTC)
        except (ValueError, OverflowError, ZoneInfoNotFoundError, OSError):
            return None
        return None if at.year < _FIRST_YEAR else cls(at, zone)

    @property
    def epoch(self) -> str:
        """Whole seconds since 1970."""
        return str(int(self.at.timestamp()))

    @property
    def iso(self) -> str:
        """RFC 3339."""
        return self.at.strftime("%Y-%m-%dT%H:%M:%SZ")


def user_id(officer: str | None) -> str:
    """The UUID of the user: the officer's own if it is one, else made from what the officer is called."""
    try:
        return str(UUID(officer or ""))
    except ValueError:
        return str(uuid5(_SPACE, f"user {officer or NOBODY}"))


def system_id(station: str) -> str:
    """The UUID of this station."""
    return str(uuid5(_SPACE, f"station {station}"))


def serial_of(camera: str) -> str:
    """The camera as a name of at most 32 characters: its serial, or what is left of it and a digest of the whole."""
    if _PLAIN.fullmatch(camera):
        return camera
    mark = sha256(camera.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{_OTHER.sub('-', camera)[: MAX_SERIAL_CHARS - 9]}~{mark}"


def stamp(moment: Moment | None) -> str:
    """A claimed time within a name."""
    return UNKNOWN_TIME if moment is None else stamp_of(moment.at)


def stamp_of(at: datetime) -> str:
    """A time, in UTC, within a name."""
    return at.strftime("%Y%m%dT%H%M%SZ")


def recordings_of(label: ClipLabel, sha256: Digest) -> tuple[str, str]:
    """The names that the recording may have: the one of the interface, and the one if that is another's already.

    Two clips of a camera may claim the same second; a recording takes nothing more once it is complete.
    """
    name = f"{user_id(label.officer)}_{serial_of(label.camera)}_{stamp(Moment.of(label.started_at))}"
    return name, f"{name}_{sha256[:_OWN_CHARS]}"


def object_of(label: ClipLabel, sha256: Digest, sealing: str = "") -> str:
    """The name of the clip: its start, its SHA-256 as the recording's id, its ending.

    `sealing` tells encrypted copies of one clip apart, of which each has a key of its own.
    """
    moment = Moment.of(label.started_at)
    start = UNKNOWN_TIME if moment is None else moment.at.strftime("%Y%m%d_%H%M%S")
    return f"{start}_{sha256}{f'-{sealing}' if sealing else ''}.{ending_of(label)}"


def key_of(clip: str) -> str:
    """The name of the key object of an encrypted clip."""
    return f"{clip.rpartition('.')[0]}.key"


def bookmark_of(label: ClipLabel, sha256: Digest) -> str:
    """The name of the bookmark of a clip that was marked."""
    return f"bookmark_{stamp(Moment.of(label.started_at))}_{sha256[:_OWN_CHARS]}"


def ending_of(label: ClipLabel) -> str:
    """What the file itself is called by; the bytes are never converted."""
    name = label.path.rsplit(b"/", 1)[-1].decode("utf-8", "replace")
    ending = PurePosixPath(name).suffix.lower().removeprefix(".")
    return ending if _ENDING.fullmatch(ending) else "bin"
