"""Load the camera profiles: one TOML file describes one camera model, without code.

Rules: a bad file never stops the good ones, and every mistake in a file is reported at once, with its key.
Source: design.md §7; what the keys mean stands in `profile_tables.py` and `core/profile.py`.
"""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from agent.core import profile as core
from agent.core.path_pattern import Glob, compile_glob, compile_pattern, folded
from agent.core.sidecars import Events, SidecarRule
from agent.core.upkeep import Upkeep
from agent.devices.profile_tables import ProfileFile
from agent.devices.profile_usb import UsbIdTable
from agent.devices.table_mistake import reason_of

FILE_MAX_BYTES = 64 * 1024
"""A profile is a page of text; more is a mistake."""
USUAL_INTERFACES = {
    core.Access.MASS_STORAGE: frozenset({"08:06:50", "08:06:62"}),
    core.Access.MTP: frozenset({"06:01:01"}),
}
"""What a profile allows that says nothing about interfaces."""


@dataclass(frozen=True, slots=True)
class ProfileProblem:
    """One mistake. `key` is dotted, with list positions; empty when the whole file is meant."""

    file: str
    key: str
    reason: str

    def __str__(self) -> str:
        """As a person reads it; no colon stands for a key that there is none of."""
        return ": ".join(part for part in (self.file, self.key, self.reason) if part)


@dataclass(frozen=True, slots=True)
class LoadedProfiles:
    """The usable profiles in order of their files' names, and what is wrong with the others."""

    profiles: tuple[core.Profile, ...]
    problems: tuple[ProfileProblem, ...]


def load_profiles(directory: Path, *, station_zone: ZoneInfo) -> LoadedProfiles:
    """Read every `*.toml` in the directory. Raises nothing: what is wrong stands in the result."""
    found: dict[str, core.Profile] = {}
    problems: list[ProfileProblem] = []
    files = sorted(directory.glob("*.toml"))
    if not files:
        problems.append(ProfileProblem(str(directory), "", "no profiles (*.toml) in this directory"))
    for file in files:
        outcome = load_profile(file, station_zone)
        if not isinstance(outcome, core.Profile):
            problems.extend(outcome)
        elif outcome.name in found:
            problems.append(ProfileProblem(str(file), "profile.name", f"{outcome.name} is already taken"))
        else:
            found[outcome.name] = outcome
    return LoadedProfiles(tuple(found.values()), tuple(problems))


def load_profile(file: Path, station_zone: ZoneInfo) -> core.Profile | list[ProfileProblem]:
    """Read one file; a profile, or everything that is wrong with it."""
    try:
        if file.is_fifo():  # would wait for a writer for ever
            return [ProfileProblem(str(file), "", "not a regular file")]
        with file.open("rb") as stream:
            raw = stream.read(FILE_MAX_BYTES + 1)
        if len(raw) > FILE_MAX_BYTES:
            return [ProfileProblem(str(file), "", f"larger than {FILE_MAX_BYTES} bytes")]
        return _build(ProfileFile.model_validate(tomllib.loads(raw.decode())), station_zone)
    except OSError as error:
        return [ProfileProblem(str(file), "", f"cannot be read: {error.strerror}")]
    except ValidationError as error:
        return [
            ProfileProblem(str(file), ".".join(map(str, e["loc"])), reason_of(e, ProfileFile))
            for e in error.errors(include_url=False, include_input=False)
        ]
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, nested beyond reason
        return [ProfileProblem(str(file), "", f"not a TOML file: {error}")]


def _build(file: ProfileFile, station_zone: ZoneInfo) -> core.Profile:
    fold = file.clips.case_insensitive

    def globs(texts: Iterable[str]) -> tuple[Glob, ...]:
        return tuple(compile_glob(text, ignore_case=fold) for text in texts)

    def suffix(text: str | None) -> bytes | None:
        return None if text is None else folded(text.encode(), ignore_case=fold)

    return core.Profile(
        name=file.profile.name,
        maker=file.profile.maker,
        description=file.profile.description,
        access=core.Access(file.profile.access),
        match=_build_match(file, fold=fold),
        clips=globs(file.clips.globs),
        ignore_case=fold,
        ignored=globs(file.ignored.globs) if file.ignored else (),
        grammar=_build_grammar(file, station_zone, fold=fold),
        sidecars=tuple(
            SidecarRule(compile_glob(rule.glob, ignore_case=fold), suffix(rule.suffix)) for rule in file.sidecars
        ),
        events=Events(globs(file.events.paths), suffix(file.events.sidecar)),
        identity=_build_identity(file, fold=fold),
        wipe_roles=frozenset(core.Role(role) for role in file.wipe.roles),
        stall_s=file.reading.stall_s,
        upkeep=_build_upkeep(file),
        usb=_build_usb(file),
    )


def _build_match(file: ProfileFile, *, fold: bool) -> core.Match:
    # `/**` takes no component as well: a marker is met by itself and by anything below it.
    markers = tuple(compile_glob(f"{path}/**", ignore_case=fold) for path in file.match.paths)
    usb = tuple(map(_usb_id, file.match.usb))
    return core.Match(markers, usb, file.match.label, file.match.priority)


def _build_grammar(file: ProfileFile, station_zone: ZoneInfo, *, fold: bool) -> core.NameGrammar | None:
    name = file.name
    if name is None:
        return None
    pattern, depth = compile_pattern(name.pattern, groups=core.NAME_GROUPS, ignore_case=fold)
    zone = ZoneInfo("UTC") if name.time == "utc" else ZoneInfo(name.zone) if name.zone else station_zone
    return core.NameGrammar(pattern, depth, name.started_at, zone)


def _build_identity(file: ProfileFile, *, fold: bool) -> core.Identity:
    identity = file.identity
    pattern = None
    if identity.pattern is not None:
        pattern, _ = compile_pattern(identity.pattern, groups=core.IDENTITY_GROUPS, ignore_case=fold)
    return core.Identity(core.IdentitySource(identity.source), _path(identity.path), pattern)


def _build_upkeep(file: ProfileFile) -> Upkeep:
    return Upkeep(
        may_set_clock=file.clock.settable,
        battery_path=_path(file.battery.path),
        firmware_version_path=_path(file.firmware.version_path),
        firmware_delivery=file.firmware.delivery,
        may_cut_power=file.power.may_cut,
        power_owner=file.power.owner,
    )


def _build_usb(file: ProfileFile) -> core.UsbRules:
    access, usb, unlock = core.Access(file.profile.access), file.usb, None
    if usb.unlock is not None:
        said = usb.unlock
        unlock = core.Unlock(
            _usb_id(said), said.request_type, said.request, said.value, said.index, bytes.fromhex(said.data)
        )
    usual = USUAL_INTERFACES.get(access, frozenset())
    return core.UsbRules(frozenset(usb.interfaces) if usb.interfaces else usual, unlock)


def _usb_id(table: UsbIdTable) -> core.UsbId:
    return core.UsbId(int(table.vendor, 16), int(table.product, 16))


def _path(text: str | None) -> bytes | None:
    return None if text is None else text.encode()
