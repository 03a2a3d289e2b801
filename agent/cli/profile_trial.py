"""`dock-agent profile test`: what a camera profile makes of a card, before a camera is trusted to it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

import typer

from agent.cli.failure import Exit, say_problems
from agent.cli.options import AsJson
from agent.cli.terminal import print_json, say_error, show, table
from agent.cli.verbs import Verbs
from agent.cli.wording import count, safe, size
from agent.core.clip import display_name, one_line
from agent.core.errors import AgentError, Remedy

if TYPE_CHECKING:
    from agent.core.conformance import Card, Conformance, Finding, Judged
    from agent.core.profile import Profile

app = Verbs(help="One camera model.")
_ROWS = 200
ProfileFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="The profile, or the name of one that came with the agent.")
]
CardFolder = Annotated[Path, typer.Argument(metavar="CARD", help="A mounted card, or a folder that is a copy of one.")]
Zone = Annotated[str, typer.Option("--time-zone", metavar="ZONE", help="The station's, for names in local time.")]


class CardUnreadable(AgentError):
    """The card cannot be walked over."""

    code, remedy, hint = "cli.card_unreadable", Remedy.HALT, "Give the folder that holds what is on the card."


@app.callback()
def profile() -> None:
    """One camera model."""


@app.command("test")
def try_on(file: ProfileFile, card: CardFolder, time_zone: Zone = "UTC", as_json: AsJson = False) -> None:
    """Try a profile on a card: what it takes, what it leaves, what names and sidecars say, what would be wiped.

    Nothing on the card is changed and no clip is read. Exit codes: 0 it fits, 1 it would leave footage behind, not be
    chosen, or take one camera for several, 78 the profile has mistakes.
    """
    from agent.config.load import bundled_profiles
    from agent.core.conformance import examine
    from agent.devices.profiles import load_profile

    if time_zone not in available_timezones():
        raise typer.BadParameter(f"no such time zone: {time_zone!r}", param_hint="--time-zone")
    zone = ZoneInfo(time_zone)
    file = _named(file)
    loaded = load_profile(file, zone)
    if isinstance(loaded, list):
        say_problems(list(loaded))
        raise typer.Exit(Exit.BAD_CONFIG)
    beside = {each.name: each for folder in (bundled_profiles(), file.absolute().parent) for each in _of(folder, zone)}
    found = examine(loaded, _read(card, loaded), list(beside.values()))
    if as_json:
        print_json(_view(loaded, found))
    else:
        _show(loaded, found)
    raise typer.Exit(Exit.DONE if found.fits else Exit.FAILED)


def _named(file: Path) -> Path:
    """The file itself, or that of the bundled profile of this name. Raises BadParameter, naming what there is."""
    from agent.config.load import bundled_profiles

    if file.exists() or file.is_symlink() or len(file.parts) != 1 or file.suffix:
        return file
    known = {each.stem: each for each in sorted(bundled_profiles().glob("*.toml"))}
    if str(file) not in known:
        text = (
            f"there is no file {file}, and no profile of this name came with the agent; those are: {', '.join(known)}"
        )
        raise typer.BadParameter(text, param_hint="FILE")
    return known[str(file)]


def _of(folder: Path, zone: ZoneInfo) -> "tuple[Profile, ...]":
    """The usable profiles that a station with this folder would choose from."""
    from agent.config.settings import FALLBACK_PROFILE
    from agent.devices.profiles import load_profiles

    return tuple(p for p in load_profiles(folder, station_zone=zone).profiles if p.name != FALLBACK_PROFILE)


def _read(root: Path, profile: "Profile") -> "Card":
    """Walk as a reader does. Raises CardUnreadable."""
    import os

    from agent.core.conformance import Card, CardFile
    from agent.core.profile import MARKER_MAX_BYTES
    from agent.devices.drivers.driver import DriverError
    from agent.devices.drivers.medium import Medium
    from agent.devices.drivers.walk import Walk

    files, refused = [], []
    try:
        medium = Medium(os.fsencode(root))
        try:
            for found in Walk(medium).steps():
                match found:
                    case (bytes(path), int(size_bytes), int()):
                        files.append(CardFile(path, size_bytes))
                    case (bytes(path), str(reason)):
                        refused.append((path, reason))
                    case _:
                        pass  # a folder
            marker = None
            if any(each.path == profile.identity.path for each in files) and profile.identity.path is not None:
                with open(medium.open_file(profile.identity.path), "rb") as stream:  # noqa: PTH123 - a descriptor
                    marker = stream.read(MARKER_MAX_BYTES)
        finally:
            medium.close()
    except DriverError as error:
        raise CardUnreadable(f"{root} cannot be read: {error.text or error.code}.") from error
    parents = {each.path.rpartition(b"/")[0] for each in files}
    folders = {b"/".join(parent.split(b"/")[: n + 1]) for parent in parents for n in range(parent.count(b"/") + 1)}
    return Card(files, frozenset(folders - {b""}), tuple(refused), marker)


def _view(profile: "Profile", found: "Conformance") -> dict[str, Any]:
    return {
        "profile": profile.name,
        "fits": found.fits,
        "serial": found.serial,
        "files": [_file_view(each) for each in found.files],
        "findings": [_finding_view(each) for each in found.findings],
    }


def _file_view(each: "Judged") -> dict[str, Any]:
    from agent.core.conformance import time_words

    facts = each.facts
    return {
        "name": display_name(each.file.path),
        "size": each.file.size_bytes,
        "role": each.role.value,
        "event": each.marked,
        "camera": facts.camera,
        "officer": facts.officer,
        "started_at": time_words(facts.started_at),
        "ended_at": time_words(facts.ended_at),
        "sequence": facts.sequence,
        "belongs_to": [display_name(path) for path in each.of],
        "would_be_wiped": each.wiped,
    }


def _finding_view(finding: "Finding") -> dict[str, Any]:
    return {
        "code": finding.code,
        "problem": finding.grave.value == "problem",
        "told": finding.told,
        "count": finding.count,
        "names": [display_name(path) for path in finding.paths],
    }


def _show(profile: "Profile", found: "Conformance") -> None:
    columns = ("file", "size", "role", "event", "started at", "belongs to", "wiped once confirmed")
    show(table(columns, [_row(each) for each in found.files[:_ROWS]]))
    if len(found.files) > _ROWS:
        say_error(f"and {len(found.files) - _ROWS} more; --json lists them all")
    print()
    wiped = sum(each.wiped for each in found.files)
    print(f"serial: {safe(found.serial or 'none')}; {count(len(found.files), 'file')}, of which {wiped} would be wiped")
    for finding in found.findings:
        named = ", ".join(one_line(path) for path in finding.paths)
        more = f" ({finding.count}: {named}{', ...' if finding.count > len(finding.paths) else ''})" if named else ""
        print(f"{finding.grave.value}: {safe(finding.told)}{more}")
    print(f"The profile {safe(profile.name)} {'fits' if found.fits else 'does not fit'} this card.")


def _row(each: "Judged") -> tuple[str, ...]:
    from agent.core.conformance import time_words

    return (
        one_line(each.file.path),
        size(each.file.size_bytes),
        each.role.value,
        "event" if each.marked else "",
        time_words(each.facts.started_at) or "",
        ", ".join(one_line(path) for path in each.of),
        "yes" if each.wiped else "no",
    )
