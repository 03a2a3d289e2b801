"""Finds out which camera this is and what its files mean, from one walk over the medium."""

import hashlib
from dataclasses import dataclass

from agent.core import profile as profiles
from agent.core.clip import CameraId, Entry
from agent.core.errors import CameraError, ClipUnreadable
from agent.core.profile import Access, ClaimedTime, IdentitySource, Match, Profile, Role, UsbId
from agent.ledger.clips import Sighting
from agent.ledger.fleet import CameraRow
from agent.ports import Camera, Docked, Refused
from agent.services.kit import Settings

_PREFIX_LEVELS = 4
_PREFIX_CAP = 20_000
_SAMPLE_CAP = 2_000
_MARKS_CAP = 100_000


class UnknownLayout(CameraError):
    """No profile describes what is on the medium."""

    code = "camera.no_profile"
    hint = "Add a profile for this model, or name one: dock-agent offload PATH --profile NAME."


class UnknownProfile(UnknownLayout):
    """A person named a profile that this station does not have; nothing was looked at."""

    code = "camera.unknown_profile"
    hint = "Name one of these, or leave --profile out."


class OtherCamera(CameraError):
    """The medium says that it belongs to another camera than the person says."""

    code = "camera.other_serial"
    hint = "Give the serial that the camera itself shows, or leave --camera out."


BY_CONFIGURATION = "configuration"
BY_HAND = "hand:"
"""Who vouches for a camera: the configuration and a person's hand-over do so only as long as they last."""


EMPTY = Profile("empty", "", "A medium without a single file", Access.FOLDER, Match(), clips=())
"""What a new or wholly cleared camera is, whatever its model."""


@dataclass(frozen=True, slots=True)
class Hand:
    """What a person said who handed a folder over; they vouch for the camera."""

    actor: str
    profile: str | None = None
    camera: str | None = None


@dataclass(frozen=True, slots=True)
class Identified:
    """A camera with its profile. `claimed_by` None: nobody vouches for it.

    `serial` is what the camera says; `camera` is the name the ledger keeps it under, which differs in a session that
    began while another camera with the same serial was docked.
    """

    camera: CameraId
    serial: CameraId
    by_hand: bool
    profile: Profile
    marked: frozenset[bytes]  # stems that an event sidecar marks
    claimed_by: str | None
    usb: UsbId | None = None
    blank: bool = False  # not a single file and no folder that a profile is known by: perhaps nothing is mounted

    @property
    def is_double(self) -> bool:
        """Whether it came to a station where another camera showed its serial."""
        return self.camera != self.serial


@dataclass(slots=True)
class _Survey:
    """What one walk over the names brought; every part is bounded."""

    folders: set[bytes]
    sample: list[bytes]
    marks: list[bytes]
    refused: bool = False


async def identify(camera: Camera, docked: Docked, settings: Settings, hand: Hand | None) -> Identified:
    """Choose the profile and read the serial. Raises UnknownLayout, CameraError."""
    named = _named_profile(settings, hand)
    suffixes = tuple({s.lower() for p in settings.profiles if (s := p.events.sidecar) is not None})
    survey = await _survey(camera, suffixes)
    survey.folders |= await camera.exists(_marker_folders(settings))  # a cleared camera keeps its empty folders
    usb = camera.facts.usb
    admitted = camera.facts.profiles
    described = tuple(p for p in settings.profiles if admitted is None or p.name in admitted)
    seen = [*survey.folders, *survey.sample]
    profile = named or profiles.choose_profile(described, seen, by_usb=usb is not None)
    if profile is None and hand is not None:
        profile = settings.fallback
    if profile is None and not survey.sample and not survey.refused:
        # A new or cleared camera shows no folder; what its USB id says is enough where only one model has it.
        profile = described[0] if usb is not None and len(described) == 1 else EMPTY
    if profile is None:
        raise UnknownLayout(f"No camera profile fits what is in bay {docked.bay}.")
    own = await _serial(camera, profile, survey)
    if hand and hand.camera and own and hand.camera != own:
        raise OtherCamera(f"This is the medium of camera {own}, not of {hand.camera}.")
    serial = (hand.camera if hand else None) or own
    ident = CameraId(serial[:200]) if serial else _unnamed(docked)
    return Identified(
        camera=ident,
        serial=ident,
        by_hand=hand is not None,
        profile=profile,
        marked=profiles.marked_stems(profile, survey.marks),
        claimed_by=f"{BY_HAND}{hand.actor}" if hand else BY_CONFIGURATION if settings.vouches_for(ident, usb) else None,
        usb=usb,
        blank=not survey.folders and not survey.sample and not survey.refused,
    )


def _marker_folders(settings: Settings) -> tuple[bytes, ...]:
    """The folders that profiles are known by, as far as they are written without wildcards."""
    texts = (marker.text.removesuffix("/**") for profile in settings.profiles for marker in profile.match.markers)
    return tuple(sorted({text.encode() for text in texts if not set(text) & set("*?")}))


def _named_profile(settings: Settings, hand: Hand | None) -> Profile | None:
    if hand is None or hand.profile is None:
        return None
    known = {p.name: p for p in (*settings.profiles, *filter(None, [settings.fallback]))}
    if hand.profile not in known:
        raise UnknownProfile(f"There is no profile {hand.profile!r}; known are: {', '.join(sorted(known))}.")
    return known[hand.profile]


async def _survey(camera: Camera, suffixes: tuple[bytes, ...]) -> _Survey:
    survey = _Survey(set(), [], [])
    async for batch in camera.list():
        for item in batch:
            if isinstance(item, Refused):
                survey.refused = True
                continue
            parts = item.path.split(b"/")[:-1][:_PREFIX_LEVELS]
            if len(survey.folders) < _PREFIX_CAP:
                survey.folders.update(b"/".join(parts[: n + 1]) for n in range(len(parts)))
            if len(survey.sample) < _SAMPLE_CAP:
                survey.sample.append(item.path)
            if suffixes and item.path.lower().endswith(suffixes) and len(survey.marks) < _MARKS_CAP:
                survey.marks.append(item.path)
    return survey


async def _serial(camera: Camera, profile: Profile, survey: _Survey) -> str | None:
    if camera.facts.serial:
        return camera.facts.serial
    source = profile.identity.source
    if source is IdentitySource.USB:
        return camera.facts.usb_serial
    if source is IdentitySource.MARKER and profile.identity.path is not None:
        try:
            return profiles.read_identity(profile, await camera.read_small(profile.identity.path))
        except ClipUnreadable:
            return None
    if source is IdentitySource.LABEL and camera.facts.label:
        return profiles.read_identity(profile, camera.facts.label.encode())
    if source is IdentitySource.FILE_NAME:
        said = {profiles.read_name(profile, path).camera for path in survey.sample} - {None}
        # Names that disagree are no identity: the card may have been in several cameras.
        return said.pop() if len(said) == 1 else None
    return None


def is_vouched_for(settings: Settings, identified: Identified, row: CameraRow) -> bool:
    """Whether somebody vouches for this camera now, so that it may be wiped."""
    if row.claimed_by is None:
        return False
    if row.claimed_by == BY_CONFIGURATION or row.claimed_by.startswith(BY_HAND):
        return identified.by_hand or settings.vouches_for(identified.serial, identified.usb)
    return True


def _unnamed(docked: Docked) -> CameraId:
    """A name for a camera that does not say its own: another one for each docking, so that none are confused."""
    return CameraId("unnamed-" + hashlib.sha256(docked.token.encode()).hexdigest()[:12])


def sighting_of(identified: Identified, entry: Entry) -> Sighting | None:
    """What a listed file is to us; None for what stays on the camera untouched (clutter, files no rule names)."""
    profile = identified.profile
    role = profiles.classify(profile, entry.path)
    if role not in (Role.CLIP, Role.SIDECAR):
        return None
    facts = profiles.read_name(profile, entry.path)
    return Sighting(
        entry,
        role.value,
        event=profiles.is_event(profile, entry.path, facts, identified.marked),
        started_at=_claim(facts.started_at),
        ended_at=_claim(facts.ended_at),
        officer=facts.officer,
    )


def _claim(claimed: ClaimedTime | None) -> str | None:
    """A camera's time as it travels: RFC 3339 when it is certain, else local text with the zone's name."""
    if claimed is None:
        return None
    if claimed.utc is not None:
        return claimed.utc.strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{claimed.local}[{claimed.zone}]"
