"""What a profile makes of a whole card, and where that is not what its author can have wanted.

Rules: every file is judged by the same decisions as in a session; a finding names what is wrong and with how many
files. Problems are what would leave footage behind or take a camera for another; the rest is worth knowing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from agent.core import profile as profiles
from agent.core.footage import looks_like_footage
from agent.core.path_pattern import folded
from agent.core.profile import ClaimedTime, IdentitySource, NameFacts, Profile, Role

NAMES_CAP = 5
_NOTHING = NameFacts()


@dataclass(frozen=True, slots=True)
class CardFile:
    """A plain file on the card: path as raw bytes, relative to its root."""

    path: bytes
    size_bytes: int


class Grave(StrEnum):
    """Whether a finding makes the profile unfit for the card."""

    PROBLEM = "problem"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at; `paths` are the first few files, `count` is all of them."""

    code: str
    grave: Grave
    told: str
    count: int = 0
    paths: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """One file as the profile reads it. `of`: the clips that a sidecar belongs to; `marked`: an event."""

    file: CardFile
    role: Role
    facts: NameFacts = _NOTHING
    marked: bool = False
    of: tuple[bytes, ...] = ()
    wiped: bool = False  # once it is confirmed and wiping is on


@dataclass(frozen=True, slots=True)
class Conformance:
    """Every file, the serial that is read, and the findings."""

    files: tuple[Judged, ...]
    serial: str | None
    findings: tuple[Finding, ...]

    @property
    def fits(self) -> bool:
        """Whether nothing speaks against the profile."""
        return all(finding.grave is not Grave.PROBLEM for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Card:
    """What was seen of a card. `refused`: paths that no session reads, with the reason; `marker`: the identity file."""

    files: Sequence[CardFile]
    folders: frozenset[bytes] = frozenset()
    refused: tuple[tuple[bytes, str], ...] = ()
    marker: bytes | None = None


def examine(profile: Profile, card: Card, others: Sequence[Profile] = ()) -> Conformance:
    """Judge a card by a profile; `others` are the profiles that the station has beside it."""
    paths = [file.path for file in card.files]
    marked = profiles.marked_stems(profile, paths)
    clips: dict[bytes, list[bytes]] = {}
    for path in paths:
        if profiles.classify(profile, path) is Role.CLIP:
            clips.setdefault(profiles.clip_stem(profile, path), []).append(path)
            clips.setdefault(folded(path, ignore_case=profile.ignore_case), []).append(path)
    judged = tuple(_judge(profile, file, marked, clips) for file in card.files)
    serials = sorted({found for each in judged if (found := each.facts.camera) is not None})
    serial = _serial(profile, card, serials)
    findings = [
        *_choice(profile, card, others),
        *_roles(profile, judged, card),
        *_names(profile, judged),
        *_identity(profile, serial, serials),
    ]
    return Conformance(judged, serial, tuple(findings))


def _judge(profile: Profile, file: CardFile, marked: frozenset[bytes], clips: dict[bytes, list[bytes]]) -> Judged:
    role = profiles.classify(profile, file.path)
    if role is Role.CLIP:
        facts = profiles.read_name(profile, file.path)
        event = profiles.is_event(profile, file.path, facts, marked)
        return Judged(file, role, facts, event, wiped=role in profile.wipe_roles)
    if role is Role.SIDECAR:
        stem = profiles.sidecar_of(profile, file.path)
        of = tuple(clips.get(stem, ())) if stem is not None else ()
        return Judged(file, role, of=of, wiped=role in profile.wipe_roles)
    return Judged(file, role)


def _finding(code: str, grave: Grave, told: str, paths: Sequence[bytes]) -> list[Finding]:
    """A finding about some files; none where there are no such files."""
    return [Finding(code, grave, told, len(paths), tuple(paths[:NAMES_CAP]))] if paths else []


def _choice(profile: Profile, card: Card, others: Sequence[Profile]) -> list[Finding]:
    """Whether a station would take this profile for this card."""
    seen = [*card.folders, *(file.path for file in card.files)]
    if not profile.match.markers:
        return [Finding("by_usb_only", Grave.NOTE, "the profile has no [match] paths: a USB id alone chooses it")]
    if not profiles.matches(profile, seen):
        told = "what [match] paths names is not on the card, so the station does not recognise the model"
        return [Finding("not_recognised", Grave.PROBLEM, told)]
    chosen = profiles.choose_profile([profile, *(p for p in others if p.name != profile.name)], seen) or profile
    if chosen.name != profile.name:
        told = f"the profile {chosen.name} fits as well and goes first; give this one a higher [match] priority"
        return [Finding("other_profile_first", Grave.PROBLEM, told)]
    return []


def _roles(profile: Profile, judged: Sequence[Judged], card: Card) -> list[Finding]:
    """What would be left behind."""
    rest = [each.file for each in judged if each.role not in (Role.CLIP, Role.SIDECAR)]
    media = [file.path for file in rest if looks_like_footage(file.path, file.size_bytes)]
    other = [e.file.path for e in judged if e.role is Role.OTHER and e.file.path not in profile.own_files]
    quiet = sorted(set(other) - set(media))
    lonely = [e.file.path for e in judged if e.role is Role.SIDECAR and not e.of and _wants_a_clip(profile, e)]
    refused = [path for path, _ in card.refused if profiles.classify(profile, path) is not Role.IGNORED]
    found = (
        [] if any(e.role is Role.CLIP for e in judged) else [Finding("no_clips", Grave.PROBLEM, "no file is a clip")]
    )
    return [
        *found,
        *_finding("footage_left", Grave.PROBLEM, "looks like footage, and the profile does not take it", media),
        *_finding("not_read", Grave.PROBLEM, "no plain file, or it cannot be looked at", refused),
        *_finding("left", Grave.NOTE, "no rule names it: it stays on the camera", quiet),
        *_finding("sidecar_alone", Grave.NOTE, "a sidecar whose clip is not on the card", lonely),
    ]


def _wants_a_clip(profile: Profile, each: Judged) -> bool:
    return profiles.sidecar_of(profile, each.file.path) is not None


def _names(profile: Profile, judged: Sequence[Judged]) -> list[Finding]:
    """What the names do not say."""
    if profile.grammar is None:
        return [Finding("no_grammar", Grave.NOTE, "the profile reads nothing from names ([name])")]
    clips = [each for each in judged if each.role is Role.CLIP]
    mute = [each.file.path for each in clips if each.facts == _NOTHING]
    times = [(each.file.path, each.facts.started_at) for each in clips]
    wrong = [path for path, time in times if time is not None and time.utc is None]
    return [
        *_finding("name_not_read", Grave.NOTE, "[name] pattern does not fit these names, so they claim nothing", mute),
        *_finding("time_uncertain", Grave.NOTE, "the zone's clock showed this time twice or never", wrong),
    ]


def _serial(profile: Profile, card: Card, serials: Sequence[str]) -> str | None:
    match profile.identity.source:
        case IdentitySource.FILE_NAME:
            return serials[0] if len(serials) == 1 else None
        case IdentitySource.MARKER:
            return None if card.marker is None else profiles.read_identity(profile, card.marker)
        case _:
            return None


def _identity(profile: Profile, serial: str | None, serials: Sequence[str]) -> list[Finding]:
    """Whether the camera can be told from others."""
    source = profile.identity.source
    if source is IdentitySource.FILE_NAME and len(serials) > 1:
        told = f"the names tell of {len(serials)} cameras, so none is believed"
        return [Finding("several_serials", Grave.PROBLEM, told, len(serials))]
    if source in (IdentitySource.LABEL, IdentitySource.USB):
        told = f"the serial is read from the {source.value}, which a folder does not have"
        return [Finding("serial_not_tried", Grave.NOTE, told)]
    if serial is None:
        told = "no serial is found: each docking counts as another camera, which nobody can enrol"
        return [Finding("no_serial", Grave.NOTE, told)]
    return []


def time_words(time: ClaimedTime | None) -> str | None:
    """A claimed time as it travels: UTC where it is certain, else the local text with its zone."""
    if time is None:
        return None
    return time.utc.strftime("%Y-%m-%dT%H:%M:%SZ") if time.utc is not None else f"{time.local}[{time.zone}]"
