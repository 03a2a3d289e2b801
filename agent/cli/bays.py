"""`dock-agent bays`: what each bay says, and what people decide about the cameras in them."""

from typing import Annotated, Any

import typer

from agent.cli.bays_enrol import enrol
from agent.cli.bays_learn import learn
from agent.cli.bays_rules import rules
from agent.cli.failure import Exit
from agent.cli.options import DEFAULT_CONFIG, Actor, AsJson, ConfigFile, Reason, printable
from agent.cli.request import ask, read
from agent.cli.terminal import advice_text, print_json, say_error, show, table
from agent.cli.verbs import Verbs
from agent.cli.wording import duration, safe, shown, size

app = Verbs(help="Bays, and decisions about the cameras in them.")
Bay = Annotated[str, typer.Argument(metavar="BAY", callback=printable, help="The bay's name.")]
Serial = Annotated[str, typer.Argument(metavar="SERIAL", callback=printable, help="The camera's serial.")]
COLUMNS = ("bay", "advice", "reason", "camera", "progress")


@app.command("list")
def list_bays(config: ConfigFile = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """List all bays with their advice."""
    bays = read(config, "bays")
    if as_json:
        print_json(bays)
    elif bays:
        show(table(COLUMNS, map(row, bays)))
    else:
        print("No bay is configured and none is occupied.")


@app.command()
def advice(bay: Bay, config: ConfigFile = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Say whether the camera in BAY may be taken."""
    bays = read(config, "bays")
    found = next((view for view in bays if view["bay"] == bay), None)
    if found is None:
        names = ", ".join(shown(view["bay"]) for view in bays) or "none"
        say_error(f"There is no bay {bay}. Known bays: {names}.")
        raise typer.Exit(Exit.FAILED)
    if as_json:
        print_json({key: found.get(key) for key in ("bay", "advice", "reason", "until_s", "camera")})
    else:
        print(sentence(found))


@app.command()
def seize(serial: Serial, reason: Reason, actor: Actor, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Forbid for good that this camera is changed; also for a camera that was never docked here."""
    ask(config, "seize", actor=actor, reason=reason, camera=serial)


@app.command()
def release(serial: Serial, reason: Reason, actor: Actor, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """End the seizure of a camera."""
    ask(config, "release", actor=actor, reason=reason, camera=serial)


@app.command()
def claim(serial: Serial, reason: Reason, actor: Actor, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Vouch for a camera whose serial nobody knew, so that it may be cleared."""
    ask(config, "claim", actor=actor, reason=reason, camera=serial)


@app.command()
def free(bay: Bay, reason: Reason, actor: Actor, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Release a camera urgently: stop at the next safe point, whatever is still aboard."""
    ask(config, "urgent-release", actor=actor, reason=reason, bay=bay)


for _verb in (learn, enrol, rules):
    app.command()(_verb)


def row(view: dict[str, Any]) -> tuple[Any, ...]:
    """Lay out one bay under COLUMNS."""
    camera = shown(view["camera"]) + (" (seized)" if view.get("seized") else "")
    return shown(view["bay"]), advice_text(view["advice"]), safe(str(view["reason"])), camera, _progress(view)


def sentence(view: dict[str, Any]) -> str:
    """One bay on one line."""
    if not view.get("occupied"):
        return f"bay {shown(view['bay'])}: empty"
    text = f"bay {shown(view['bay'])}: {view['advice']} ({safe(str(view['reason']))})"
    until = view.get("until_s")
    left = f", about {duration(until)} left" if isinstance(until, int | float) else ""
    return f"{text}{left}, camera {shown(view['camera'])}"


def _progress(view: dict[str, Any]) -> str:
    done, total = view.get("done_bytes") or 0, view.get("total_bytes") or 0
    if not total or done >= total:
        return "-" if not total else size(total)
    return f"{size(done)} of {size(total)}, {size(view.get('rate_bytes_s') or 0)}/s"
