"""Decide what the files on a camera are, from a profile that describes the camera model as data.

Rules: nothing here reads a file, a clock or a setting. A path is raw bytes, relative to the root of the
camera's medium, `/` separated, and hostile: any bytes are allowed, nothing raises on them, and the work for
one path is bounded. What a name says is a claim of the camera, never a fact about when something happened.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from agent.core.path_pattern import NAME_MAX_BYTES, Glob, folded
from agent.core.sidecars import NO_EVENTS, Events, SidecarRule
from agent.core.upkeep import NO_UPKEEP, Upkeep

NAME_GROUPS = frozenset({"camera", "officer", "date", "started_at", "ended_at", "sequence", "event"})
IDENTITY_GROUPS = frozenset({"camera"})
MARKER_MAX_BYTES = 4096  # an identity marker is a line or two; what follows is not looked at
_SEQUENCE_MAX_DIGITS = 18  # fits a signed 64-bit integer


class Access(StrEnum):
    """How the camera's files are reached."""

    MASS_STORAGE = "mass_storage"
    MTP = "mtp"
    FOLDER = "folder"


class Role(StrEnum):
    """What a file on a camera is to the agent."""

    CLIP = "clip"
    SIDECAR = "sidecar"
    OTHER = "other"  # no rule names it; it may be evidence all the same
    IGNORED = "ignored"  # known clutter of an operating system


class IdentitySource(StrEnum):
    """Where the camera's serial stands."""

    FILE_NAME = "file_name"
    MARKER = "marker"
    LABEL = "label"
    USB = "usb"  # what the device calls itself before anything is opened
    NONE = "none"


@dataclass(frozen=True, slots=True)
class UsbId:
    """Vendor and product number of a USB device."""

    vendor: int
    product: int

    def __str__(self) -> str:
        return f"{self.vendor:04x}:{self.product:04x}"


@dataclass(frozen=True, slots=True)
class Unlock:
    """A camera that shows `usb` until it gets this control transfer, and its files only after that."""

    usb: UsbId
    request_type: int
    request: int
    value: int
    index: int
    data: bytes


@dataclass(frozen=True, slots=True)
class UsbRules:
    """What the model may show on a USB port: every interface as `class:subclass:protocol`, such as 08:06:50."""

    interfaces: frozenset[str] = frozenset()
    unlock: Unlock | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """What makes a medium this model's: every marker must be there. `label` is a glob."""

    markers: tuple[Glob, ...] = ()
    usb: tuple[UsbId, ...] = ()
    label: str | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True)
class NameGrammar:
    """How to read the last `depth` components of a path. `zone` is the camera clock's zone."""

    pattern: re.Pattern[bytes]
    depth: int
    time_format: str | None
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Identity:
    """Where the serial is read; `path` only for a marker, `pattern` for a marker or a label."""

    source: IdentitySource = IdentitySource.NONE
    path: bytes | None = None
    pattern: re.Pattern[bytes] | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """One camera model. `stall_s`: seconds without a byte after which reading counts as hung."""

    name: str
    maker: str
    description: str
    access: Access
    match: Match
    clips: tuple[Glob, ...]
    ignore_case: bool = False
    ignored: tuple[Glob, ...] = ()
    grammar: NameGrammar | None = None
    sidecars: tuple[SidecarRule, ...] = ()
    events: Events = NO_EVENTS
    identity: Identity = Identity()
    wipe_roles: frozenset[Role] = frozenset()
    stall_s: float = 30.0
    upkeep: Upkeep = NO_UPKEEP
    usb: UsbRules = UsbRules()

    @property
    def own_files(self) -> frozenset[bytes]:
        """The camera's own small files that the profile reads: no footage, and nothing to wonder at."""
        return frozenset(path for path in (self.identity.path, *self.upkeep.paths) if path is not None)


@dataclass(frozen=True, slots=True)
class ClaimedTime:
    """A camera's word about a moment: `local` ISO text without an offset, in `zone`.

    `utc` is None when the zone's clock showed that time twice (`ambiguous`) or never (`skipped`).
    """

    local: str
    zone: str
    utc: datetime | None
    ambiguous: bool

    @property
    def skipped(self) -> bool:
        """The zone's clock jumped over this time: no correctly set camera could have written it."""
        return self.utc is None and not self.ambiguous


@dataclass(frozen=True, slots=True)
class NameFacts:
    """What a name claims; None where it says nothing readable. Texts are printable."""

    camera: str | None = None
    officer: str | None = None
    started_at: ClaimedTime | None = None
    ended_at: ClaimedTime | None = None
    sequence: int | None = None
    event: bool = False


def matches(profile: Profile, existing_paths: Iterable[bytes]) -> bool:
    """Tell whether each of the profile's markers is among the paths (or above one). No markers: never."""
    paths = tuple(existing_paths)
    markers = profile.match.markers
    return bool(markers) and all(any(marker.fits(path) for path in paths) for marker in markers)


def for_usb(profiles: Iterable[Profile], usb: UsbId | None) -> tuple[Profile, ...]:
    """The profiles that may describe a camera: those that name its USB id; all, for one that is not at a USB port."""
    return tuple(profile for profile in profiles if usb is None or usb in profile.match.usb)


def choose_profile(
    profiles: Iterable[Profile], existing_paths: Iterable[bytes], *, by_usb: bool = False
) -> Profile | None:
    """Pick the most specific match: highest priority, then most markers, then first by name.

    `by_usb`: the USB id has chosen these profiles already, so that one without markers fits, too.
    """
    paths = tuple(existing_paths)
    found = (p for p in profiles if matches(p, paths) or (by_usb and not p.match.markers))
    return min(found, key=lambda p: (-p.match.priority, -len(p.match.markers), p.name), default=None)


def classify(profile: Profile, path: bytes) -> Role:
    """Say what a path is. A clip glob always wins, so that no other list can hide evidence."""
    if any(glob.fits(path) for glob in profile.clips):
        return Role.CLIP
    if any(rule.glob.fits(path) for rule in profile.sidecars):
        return Role.SIDECAR
    return Role.IGNORED if any(glob.fits(path) for glob in profile.ignored) else Role.OTHER


def read_name(profile: Profile, path: bytes) -> NameFacts:
    """Read what a path's name claims; an end that reads earlier than its start is no claim."""
    grammar = profile.grammar
    if grammar is None:
        return NameFacts()
    tail = path.rsplit(b"/", grammar.depth)[-grammar.depth :]
    found = None
    if max(map(len, tail)) <= NAME_MAX_BYTES:
        found = grammar.pattern.fullmatch(b"/".join(tail))
    if found is None:
        return NameFacts()
    said = found.groupdict()
    started, ended = (_read_time(grammar, said.get("date"), said.get(key)) for key in ("started_at", "ended_at"))
    if started and ended and ended.local < started.local:
        ended = None  # past midnight or past the end of summer time: the name does not say which
    return NameFacts(
        camera=_read_text(said.get("camera")),
        officer=_read_text(said.get("officer")),
        started_at=started,
        ended_at=ended,
        sequence=_read_number(said.get("sequence")),
        event=bool(said.get("event")),
    )


def read_identity(profile: Profile, text: bytes) -> str | None:
    """Find the camera's serial in a marker's content or a volume label: the first line that matches whole."""
    pattern = profile.identity.pattern
    for line in text[:MARKER_MAX_BYTES].splitlines():
        bare = line.strip()[:NAME_MAX_BYTES]
        found = pattern.fullmatch(bare) if pattern else None
        serial = _read_text(found["camera"]) if found else None if pattern else _read_text(bare)
        if serial:
            return serial
    return None


def clip_stem(profile: Profile, path: bytes) -> bytes:
    """Give the key that a clip shares with its sidecars: its path without the extension.

    A key to compare with `sidecar_of`, folded as the profile says; not a path to open.
    """
    head, slash, name = folded(path, ignore_case=profile.ignore_case).rpartition(b"/")
    return head + slash + (name.rpartition(b".")[0] or name)


def sidecar_of(profile: Profile, path: bytes) -> bytes | None:
    """Give the `clip_stem` of the clip that a sidecar belongs to; None if it belongs to no single clip."""
    key = folded(path, ignore_case=profile.ignore_case)
    for rule in profile.sidecars:
        if rule.suffix is not None and rule.glob.fits(path) and key.endswith(rule.suffix):
            return key.removesuffix(rule.suffix)
    return None


def marked_stems(profile: Profile, listing: Iterable[bytes]) -> frozenset[bytes]:
    """Collect the stems that an event sidecar in the listing marks."""
    suffix = profile.events.sidecar
    if suffix is None:
        return frozenset()
    keys = (folded(path, ignore_case=profile.ignore_case) for path in listing)
    return frozenset(key.removesuffix(suffix) for key in keys if key.endswith(suffix))


def is_event(profile: Profile, path: bytes, facts: NameFacts, marked: Collection[bytes] = frozenset()) -> bool:
    """Tell whether a clip is event-marked: by its name's flag, its folder, or a sidecar (`marked_stems`)."""
    if facts.event or any(glob.fits(path) for glob in profile.events.paths):
        return True
    return clip_stem(profile, path) in marked or folded(path, ignore_case=profile.ignore_case) in marked


def _read_text(raw: bytes | None) -> str | None:
    try:
        text = (raw or b"").decode()
    except UnicodeDecodeError:
        return None
    return text if text and text.isprintable() else None


def _read_number(raw: bytes | None) -> int | None:
    return int(raw) if raw and raw.isdigit() and len(raw) <= _SEQUENCE_MAX_DIGITS else None


def _read_time(grammar: NameGrammar, date: bytes | None, time: bytes | None) -> ClaimedTime | None:
    """Read a claim; a time that no calendar has is none. `date` goes before the time, with a space."""
    if time is None or grammar.time_format is None:
        return None
    try:
        text = (date + b" " + time if date else time).decode("ascii")
        local = datetime.strptime(text, grammar.time_format)  # noqa: DTZ007 - the zone follows, with both folds
        # A clock turned back shows one time twice, one turned forward skips some: the readings then differ.
        early, late = (local.replace(tzinfo=grammar.zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    except (ValueError, OverflowError):
        return None
    twice = early != late and early.astimezone(grammar.zone).replace(tzinfo=None) == local
    return ClaimedTime(local.isoformat(), grammar.zone.key, early if early == late else None, ambiguous=twice)
