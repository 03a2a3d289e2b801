"""The tables and keys of a camera profile file, and what may stand in them.

Rules: a key that nothing checks is refused, so that a misspelt one cannot silently change what is offloaded
or wiped. Checks sit on the single key wherever possible: then all mistakes of a file are found in one pass.
"""

import re
from datetime import datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from agent.core.path_pattern import compile_glob, compile_pattern
from agent.core.profile import IDENTITY_GROUPS, NAME_GROUPS
from agent.devices.profile_usb import UsbIdTable, UsbRulesTable
from agent.devices.usb_policy import STORAGE

_TIME_DIRECTIVES = frozenset("YymdjbBHIMSfp%")
_PROBE = datetime(2003, 11, 27, 17, 48)  # noqa: DTZ001 - afternoon, no two fields alike, no seconds


def _check_glob(text: str) -> str:
    compile_glob(text, ignore_case=False)
    return text


def _check_zone(key: str) -> str:
    try:
        ZoneInfo(key)
    except (LookupError, ValueError, OSError) as error:
        raise ValueError("no such time zone; use a name like Europe/London") from error
    return key


def _check_time_format(text: str) -> str:
    """Prove that the format carries a date and time to the minute: write one and read it back."""
    try:
        works = datetime.strptime(_PROBE.strftime(text), text) == _PROBE  # noqa: DTZ007 - names have no offset
    except (ValueError, re.error):
        works = False
    if not works or not set(re.findall("%(.)", text)) <= _TIME_DIRECTIVES:
        raise ValueError("must hold year, month, day, hour and minute once, as strptime writes them, and no zone")
    return text


def _check_file(text: str) -> str:
    if any(mark in text for mark in "*?"):
        raise ValueError("must name one file, without wildcards")
    return _check_glob(text)


def _check_marker(text: str) -> str:
    if not set(text) - set("*?/"):
        raise ValueError("must name something: a profile must not match every camera")
    return _check_glob(text)


GlobText = Annotated[str, AfterValidator(_check_glob)]
MarkerText = Annotated[str, AfterValidator(_check_marker)]
FileText = Annotated[str, AfterValidator(_check_file)]
Suffix = Annotated[str, Field(pattern=r"^[^/]*\.[^/]+$", max_length=64)]
WipeRole = Literal["clip", "sidecar", "other"]  # what is ignored was never offloaded, so never wiped


class Table(BaseModel):
    """A table that takes known keys only, without converting types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ProfileTable(Table):
    """Who and what; `access` is how the files are reached."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    maker: str = Field(min_length=1, max_length=100)
    description: str = Field(min_length=1, max_length=500)
    access: Literal["mass_storage", "mtp", "folder"]


class MatchTable(Table):
    """How a medium is recognised: all `paths` are there. Higher `priority` wins. `by_hand`: a person decides."""

    paths: list[MarkerText] = []
    usb: list[UsbIdTable] = []
    label: str | None = Field(default=None, min_length=1, max_length=64)
    priority: int = 0
    by_hand: bool = False

    @model_validator(mode="after")
    def _names_something(self) -> "MatchTable":
        if not (self.paths or self.usb or self.label or self.by_hand):
            raise ValueError("needs paths, usb or label: a profile must not match every camera")
        return self


class ClipsTable(Table):
    """Which files are clips; `case_insensitive` goes for every pattern and suffix of the file."""

    globs: list[GlobText] = Field(min_length=1)
    case_insensitive: bool = False


class IgnoredTable(Table):
    """Clutter that is not offloaded, unless it is also a clip or a sidecar."""

    globs: list[GlobText] = Field(min_length=1)


class NameTable(Table):
    """What names claim. `zone` defaults to the zone of the station."""

    pattern: str
    started_at: Annotated[str, AfterValidator(_check_time_format)] | None = None
    time: Literal["local", "utc"] = "local"
    zone: Annotated[str, AfterValidator(_check_zone)] | None = None

    @field_validator("pattern")
    @classmethod
    def _pattern_is_safe(cls, text: str) -> str:
        compile_pattern(text, groups=NAME_GROUPS, ignore_case=False)
        return text

    @field_validator("started_at")
    @classmethod
    def _format_has_a_group(cls, text: str | None, info: ValidationInfo) -> str | None:
        if text is not None and "(?P<started_at>" not in info.data.get("pattern", "(?P<started_at>"):
            raise ValueError("the pattern has no group started_at")
        return text

    @field_validator("zone")
    @classmethod
    def _zone_has_a_use(cls, key: str | None, info: ValidationInfo) -> str | None:
        if key is not None and info.data.get("time") == "utc":
            raise ValueError('has no meaning with time = "utc"')
        return key

    @model_validator(mode="after")
    def _times_have_a_format(self) -> "NameTable":
        if self.started_at is None and re.search(r"\(\?P<(started_at|ended_at|date)>", self.pattern):
            raise ValueError("started_at is missing: the pattern has groups with times")
        return self


class SidecarTable(Table):
    """One kind of sidecar; what stands before `suffix` is the path of its clip without extension."""

    glob: GlobText
    suffix: Suffix | None = None


class EventsTable(Table):
    """Where event-marked clips lie, or the suffix of the sidecar that marks one."""

    paths: list[GlobText] = []
    sidecar: Suffix | None = None


class IdentityTable(Table):
    """Where the serial of the camera is read."""

    source: Literal["file_name", "marker", "label", "usb", "none"] = "none"
    path: FileText | None = None
    pattern: str | None = None

    @field_validator("pattern")
    @classmethod
    def _pattern_is_safe(cls, text: str | None) -> str | None:
        if text is not None:
            compiled, _ = compile_pattern(text, groups=IDENTITY_GROUPS, ignore_case=False)
            if "camera" not in compiled.groupindex:
                raise ValueError("needs a group camera")
        return text

    @model_validator(mode="after")
    def _fits_source(self) -> "IdentityTable":
        if (self.path is not None) != (self.source == "marker"):
            raise ValueError('path belongs to source = "marker", which needs it')
        if self.pattern is not None and self.source not in {"marker", "label"}:
            raise ValueError('pattern belongs to source = "marker" or "label"')
        return self


class WipeTable(Table):
    """What may be wiped once it is confirmed; nothing unless named."""

    roles: list[WipeRole] = []


class ReadingTable(Table):
    """Seconds without a byte after which the camera counts as hung."""

    stall_s: float = Field(default=30.0, ge=1, le=600, allow_inf_nan=False)


class ClockTable(Table):
    """Whether the clock of the camera may be set."""

    settable: bool = False


class BatteryTable(Table):
    """A file on the camera that holds the charge in percent."""

    path: FileText | None = None


class FirmwareTable(Table):
    """A file that holds the firmware version; how a new one is delivered."""

    version_path: FileText | None = None
    delivery: Literal["none", "card_root"] = "none"


class PowerTable(Table):
    """Whether power may be cut with the camera docked, and who owns its port."""

    may_cut: bool = False
    owner: Literal["station", "controller"] = "station"


class ProfileFile(Table):
    """A whole profile file."""

    profile: ProfileTable
    match: MatchTable
    clips: ClipsTable
    ignored: IgnoredTable | None = None
    name: NameTable | None = None
    sidecars: list[SidecarTable] = []
    events: EventsTable = EventsTable()
    identity: IdentityTable = IdentityTable()
    wipe: WipeTable = WipeTable()
    reading: ReadingTable = ReadingTable()
    clock: ClockTable = ClockTable()
    battery: BatteryTable = BatteryTable()
    firmware: FirmwareTable = FirmwareTable()
    power: PowerTable = PowerTable()
    usb: UsbRulesTable = UsbRulesTable()

    @field_validator("identity")
    @classmethod
    def _name_has_the_serial(cls, identity: IdentityTable, info: ValidationInfo) -> IdentityTable:
        if identity.source == "file_name" and "name" in info.data:
            name: NameTable | None = info.data["name"]
            if name is None or "(?P<camera>" not in name.pattern:
                raise ValueError('source = "file_name" needs a [name] pattern with a group camera')
        return identity

    @field_validator("wipe")
    @classmethod
    def _wipes_what_exists(cls, wipe: WipeTable, info: ValidationInfo) -> WipeTable:
        if "sidecar" in wipe.roles and info.data.get("sidecars") == []:
            raise ValueError("roles names sidecar, but the profile has no [[sidecars]]")
        return wipe

    @field_validator("usb")
    @classmethod
    def _shows_its_files(cls, usb: UsbRulesTable, info: ValidationInfo) -> UsbRulesTable:
        profile: ProfileTable | None = info.data.get("profile")
        if profile is not None and (usb.interfaces or usb.unlock):
            needed = STORAGE.get(profile.access)
            if needed is None:
                raise ValueError("has no meaning for a folder, only with access mass_storage or mtp")
            if usb.interfaces and not needed.intersection(usb.interfaces):
                raise ValueError(f"interfaces lacks the one of the files: {' or '.join(sorted(needed))}")
        return usb
