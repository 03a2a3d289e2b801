"""`dock-agent bays learn`: a person plugs a camera into bay after bay, and the ports are written down."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.failure import Exit
from agent.cli.local_file import conf_d, replace_file, sole_writer
from agent.cli.options import DEFAULT_CONFIG, AsJson, ConfigFile, load
from agent.cli.terminal import print_json, say_error
from agent.cli.wording import count

if TYPE_CHECKING:
    from agent.config import Config
    from agent.devices.learning import Learned, Learning
    from agent.devices.port_events import PortEvents

MAX_BAYS = 64
HEAD = "# Written by `dock-agent bays learn`. A change by hand lasts until that is run again.\n"
Say = Callable[[str], None]


def _names(text: str | None) -> str | None:
    if text is not None:
        from pydantic import TypeAdapter, ValidationError

        from agent.config.model import Name
        from agent.devices.topology import UNMAPPED

        try:
            names = TypeAdapter(list[Name]).validate_python(text.split(","))
        except ValidationError as error:
            raise typer.BadParameter("give names of letters, digits, dots, - and _, with commas between") from error
        if len(set(names)) < len(names) or len(names) > MAX_BAYS:
            raise typer.BadParameter(f"each bay needs a name of its own, and a station has at most {MAX_BAYS}")
        if "hand" in names or any(name.startswith(UNMAPPED) for name in names):
            raise typer.BadParameter(f"'hand' and names that begin with {UNMAPPED!r} mean something else")
    return text


def learn(
    *,
    number: Annotated[
        int | None, typer.Option("--count", metavar="N", min=1, max=MAX_BAYS, help="Learn bays named 1 to N.")
    ] = None,
    names: Annotated[
        str | None, typer.Option("--names", metavar="NAME,...", callback=_names, help="Learn bays of these names.")
    ] = None,
    timeout_s: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=1, help="How long to wait for each plug.")
    ] = 300.0,
    replace: Annotated[bool, typer.Option("--replace", help="Replace bays that were learned before.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="When interrupted, write what was learned so far.")] = False,
    config: ConfigFile = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Learn which USB port is which bay: plug a camera into bay after bay, as you are told.

    The bays go into conf.d/bays.toml beside the configuration, which a running service takes over by itself. What is
    plugged in already counts only when it is taken out and put back.
    """
    from agent.devices.learning import Learning
    from agent.devices.port_events import PortEvents

    if (number is None) == (names is None):
        raise typer.BadParameter("give one of them", param_hint="--count or --names")
    wanted = names.split(",") if names is not None else [str(n + 1) for n in range(number or 0)]
    settings, file = load(config), conf_d(config) / "bays.toml"
    others = _other_bays(settings, file)
    for name in [name for name in wanted if name in others]:
        say_error(f"Bay {name} stands in another file than {file}. Take it out there, or give the bay another name.")
        raise typer.Exit(Exit.FAILED)
    if file.exists() and not (replace or _agrees(f"{file} is there already. Replace it?", as_json=as_json)):
        say_error(f"{file} is there already and stays as it is. Use --replace to learn its bays anew.")
        raise typer.Exit(Exit.FAILED)
    events = PortEvents()
    lesson = Learning(wanted, plugged=events.plugged(), known=others)
    code = _teach(lesson, events, _speaker(as_json=as_json), timeout_s)
    written = bool(lesson.learned) and (
        code is Exit.DONE
        or keep
        or _agrees(f"Keep {count(len(lesson.learned), 'bay')} learned so far?", as_json=as_json)
    )
    if written:
        with sole_writer(file.parent):
            replace_file(file, text_of(lesson.learned))
        load(config)
    _report(lesson, file if written else None, as_json=as_json)
    raise typer.Exit(code)


def _teach(lesson: "Learning", events: "PortEvents", say: Say, timeout_s: float) -> Exit:
    """Go from bay to bay until all are learned, nobody plugs anything any more, or somebody interrupts."""
    try:
        while (bay := lesson.wanted) is not None:
            say(f"Plug a camera into bay {bay} ...")
            if not _learn_one(lesson, events, say, timeout_s):
                say_error(f"Nothing new appeared within {timeout_s:g} s, so bay {bay} is not learned. Run it again.")
                return Exit.FAILED
    except KeyboardInterrupt:
        say("")
        return Exit.INTERRUPTED
    return Exit.DONE


def _learn_one(lesson: "Learning", events: "PortEvents", say: Say, timeout_s: float) -> bool:
    from agent.devices.learning import Learned, Taken

    while (event := events.wait(timeout_s)) is not None:
        shown = lesson.feed(event)
        if isinstance(shown, Learned):
            say(f"  Bay {shown.bay} is at {' and '.join(shown.paths)}. You may take the camera out.")
            return True
        if isinstance(shown, Taken):
            say(f"  That is bay {shown.bay} already. Plug a camera into bay {lesson.wanted} ...")
        elif shown is not None:
            say(f"  {shown.device} is on no port that can be told apart. Is udev running? Try another port.")
    return False


def text_of(learned: "Sequence[Learned]") -> str:
    """The file: one table for each bay."""
    tables = (
        f"\n[[bays]]\nname = {json.dumps(bay.bay)}\npaths = [{', '.join(map(json.dumps, bay.paths))}]\n"
        for bay in learned
    )
    return HEAD + "".join(tables)


def _other_bays(settings: "Config", file: Path) -> dict[str, tuple[str, ...]]:
    """The bays and import folders that other files name, with their ports."""
    import tomllib

    # It was part of the configuration that has just been checked.
    own = tomllib.loads(file.read_text("utf-8")).get("bays", []) if file.exists() else []
    ours = {bay["name"] for bay in own}
    others = {bay.name: bay.paths for bay in settings.bays if bay.name not in ours}
    return {**others, **{each.name: () for each in settings.imports}}


def _speaker(*, as_json: bool) -> Say:
    """Where a person is told what to do: stderr when stdout is for a program."""
    return lambda text: print(text, file=sys.stderr if as_json else sys.stdout, flush=True)


def _agrees(question: str, *, as_json: bool) -> bool:
    """Ask a person; without one at a terminal the answer is no."""
    return not as_json and sys.stdin.isatty() and typer.confirm(question)


def _report(lesson: "Learning", file: Path | None, *, as_json: bool) -> None:
    bays = [{"name": bay.bay, "paths": list(bay.paths)} for bay in lesson.learned]
    if as_json:
        print_json({"file": str(file) if file else None, "bays": bays, "complete": lesson.wanted is None})
    elif file is not None:
        print(f"Wrote {count(len(bays), 'bay')} to {file}. A running service takes them over by itself.")
    else:
        print("Nothing was written.")
