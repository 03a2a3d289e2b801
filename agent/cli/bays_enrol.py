"""`dock-agent bays enrol`: the list of cameras that the operator vouches for, kept in a file of its own.

The file, conf.d/cameras.toml, holds nothing else, so it can be copied to every station as it is.
"""

import json
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.failure import Exit
from agent.cli.local_file import conf_d, replace_file, sole_writer
from agent.cli.options import DEFAULT_CONFIG, AsJson, ConfigFile, load
from agent.cli.request import read
from agent.cli.terminal import print_json, say_error, show, table
from agent.cli.wording import count, safe

if TYPE_CHECKING:
    from agent.core.enrolment import Enrolment

_NAMED_MOST = 5
HEAD = "# Written by `dock-agent bays enrol`: the cameras that this force vouches for. Copy it to every station.\n"


def enrol(
    *,
    serials: Annotated[
        list[str] | None,
        typer.Argument(metavar="SERIAL", help='Serials, or patterns such as "BWC*"; "1209:bc01/BWC*" names an id.'),
    ] = None,
    bay: Annotated[str | None, typer.Option("--bay", metavar="BAY", help="The camera that is in this bay.")] = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE.csv", help="A list with a column serial, and perhaps a column usb."),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take them off the list instead.")] = False,
    listing: Annotated[bool, typer.Option("--list", help="Show who is enrolled, from all files.")] = False,
    config: ConfigFile = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Vouch for cameras by their serials, so that they may be cleared once their footage is confirmed.

    They go into conf.d/cameras.toml beside the configuration, which a running service takes over by itself. What
    comes from a bay or a list is always one camera, never a pattern.
    """
    if listing == bool(serials or bay or source):
        raise typer.BadParameter("give serials, --bay or --from, or else --list")
    settings, file = load(config), conf_d(config) / "cameras.toml"
    if listing:
        _show(settings.cameras.enrolled, _read_file(file), as_json=as_json)
        return
    named = {str(entry) for entry in _named(serials or [], bay, source, config)}
    with sole_writer(file.parent):
        before = _read_file(file)
        after = before - named if remove else before | named
        if after != before:
            replace_file(file, text_of(after))
    unknown = sorted(named - before) if remove else []
    for entry in unknown:
        say_error(f"{entry} does not stand in {file}. Look who is enrolled: dock-agent bays enrol --list.")
    changed = sorted(before ^ after)
    if as_json:
        print_json({"file": str(file), "removed" if remove else "added": changed, "enrolled": len(after)})
    else:
        done = f"Took {count(len(changed), 'entry')} off" if remove else f"Added {count(len(changed), 'entry')} to"
        if changed or remove:
            print(f"{done} {file}, which has {len(after)} now.".replace("entrys", "entries"))
        if not remove:
            _say_known(sorted(named & before), file)
    raise typer.Exit(Exit.FAILED if unknown else Exit.DONE)


def _say_known(entries: Sequence[str], file: Path) -> None:
    """Say who was on the list before; of many only how many."""
    if len(entries) > _NAMED_MOST:
        print(f"{len(entries)} of them stand in {file} already.")
    else:
        for entry in entries:
            print(f"{safe(entry)} stands in {file} already.")


def text_of(entries: Iterable[str]) -> str:
    """The file: the sorted list, one entry a line."""
    lines = "".join(f"    {json.dumps(entry, ensure_ascii=False)},\n" for entry in sorted(entries))
    return f"{HEAD}\n[cameras]\nenrolled = [\n{lines}]\n"


def _read_file(file: Path) -> frozenset[str]:
    """The entries of the file, which was read with the whole configuration before; none when it is not there."""
    if not file.exists():
        return frozenset()
    tables = tomllib.loads(file.read_text("utf-8"))
    cameras = tables.get("cameras", {})
    if set(tables) - {"cameras"} or set(cameras) - {"enrolled"}:
        say_error(f"{file} holds more than [cameras] enrolled, and would lose that. Move it to another file first.")
        raise typer.Exit(Exit.FAILED)
    return frozenset(cameras.get("enrolled", []))


def _named(serials: Sequence[str], bay: str | None, source: Path | None, config: Path) -> "list[Enrolment]":
    from agent.cli.inventory import read_inventory
    from agent.core.enrolment import Enrolment

    found = []
    for text in serials:
        try:
            found.append(Enrolment.parse(text))
        except ValueError as error:
            raise typer.BadParameter(f"{safe(text)}: {error}") from error
    if source is not None:
        try:
            found += read_inventory(source)
        except ValueError as error:
            say_error(f"{source} cannot be used: {error}. Nothing was changed; correct it and try again.")
            raise typer.Exit(Exit.FAILED) from error
    if bay is not None:
        found.append(_docked(bay, read(config, "bays")))
    return found


def _docked(bay: str, views: list[dict[str, Any]]) -> "Enrolment":
    """The camera in a bay, as the running service sees it."""
    from agent.core.enrolment import exact, usb_id_of

    view = next((view for view in views if view["bay"] == bay), None)
    camera = None if view is None else view.get("camera")
    if view is None or not isinstance(camera, str):
        problem = f"There is no bay {bay}" if view is None else f"No camera is known in bay {bay} yet"
    elif camera.startswith("unnamed-"):
        problem = f"The camera in bay {bay} does not say its serial, so it cannot be recognised"
    elif camera.endswith(f"~{bay}"):
        problem = f"Another docked camera has the serial of the one in bay {bay}"
    else:
        return exact(camera, usb_id_of(view.get("usb")))
    say_error(f"{problem}. Look at: dock-agent bays list.")
    raise typer.Exit(Exit.FAILED)


def _show(enrolled: Iterable[str], here: frozenset[str], *, as_json: bool) -> None:
    entries = sorted(set(enrolled))
    if as_json:
        print_json([{"entry": entry, "local": entry in here} for entry in entries])
    elif entries:
        rows = [(safe(entry), "conf.d/cameras.toml" if entry in here else "another file") for entry in entries]
        show(table(("camera", "stands in"), rows))
    else:
        print("Nobody is enrolled: no camera is ever cleared.")
