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
from agent.devices.profile_tables import ProfileFile

FILE_MAX_BYTES = 64 * 1024
"""A profile is a page of text; more is a mistake."""


@dataclass(frozen=True, slots=True)
class ProfileProblem:
    """One mistake. `key` is dotted, with list positions; empty when the whole file is meant."""

    file: str
    key: str
    reason: str


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
        outcome = _load_file(file, station_zone)
        if not isinstance(outcome, core.Profile):
            problems.extend(outcome)
        elif outcome.name in found:
            problems.append(ProfileProblem(str(file), "profile.name", f"{outcome.name} is already taken"))
        else:
            found[outcome.name] = outcome
    return LoadedProfiles(tuple(found.values()), tuple(problems))


def _load_file(file: Path, station_zone: ZoneInfo) -> core.Profile | list[ProfileProblem]:
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
            ProfileProblem(str(file), ".".join(map(str, e["loc"])), e["msg"].removeprefix("Value error, "))
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
            core.SidecarRule(compile_glob(rule.glob, ignore_case=fold), suffix(rule.suffix)) for rule in file.sidecars
        ),
        events=core.Events(globs(file.events.paths), suffix(file.events.sidecar)),
        identity=_build_identity(file, fold=fold),
        wipe_roles=frozenset(core.Role(role) for role in file.wipe.roles),
        stall_s=file.reading.stall_s,
        upkeep=_build_upkeep(file),
    )


def _build_match(file: ProfileFile, *, fold: bool) -> core.Match:
    # `/**` takes no component as well: a marker is met by itself and by anything below it.
    markers = tuple(compile_glob(f"{path}/**", ignore_case=fold) for path in file.match.paths)
    usb = tuple(core.UsbId(int(usb.vendor, 16), int(usb.product, 16)) for usb in file.match.usb)
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


def _build_upkeep(file: ProfileFile) -> core.Upkeep:
    return core.Upkeep(
        may_set_clock=file.clock.settable,
        battery_path=_path(file.battery.path),
        firmware_version_path=_path(file.firmware.version_path),
        firmware_delivery=file.firmware.delivery,
        may_cut_power=file.power.may_cut,
        power_owner=file.power.owner,
    )


def _path(text: str | None) -> bytes | None:
    return None if text is None else text.encode()
