"""`dock-agent clips`: what is known of each clip, newest first."""

from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.options import DEFAULT_CONFIG, AsJson, ConfigFile
from agent.cli.reach import reach
from agent.cli.terminal import print_json, show, table
from agent.cli.wording import shown, size
from agent.core.clip import Custody

Camera = Annotated[str | None, typer.Option("--camera", metavar="SERIAL", help="Only clips of this camera.")]
State = Annotated[Custody | None, typer.Option("--state", help="Only clips in this state.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many.")]


def clips(
    config: ConfigFile = DEFAULT_CONFIG,
    camera: Camera = None,
    state: State = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List clips with their state.

    Newest sighting first; works without a running service too.
    """
    found = _find(config, camera, None if state is None else state.value, limit)
    if as_json:
        print_json(found)
    elif found:
        show(table(("clip", "camera", "name", "size", "state", "camera copy", "remarks"), map(_row, found)))
    else:
        print("No clips.")


def _find(config_file: Path, camera: str | None, state: str | None, limit: int) -> list[dict[str, Any]]:
    from agent.cli.service import Service

    station = reach(config_file)
    if isinstance(station, Service):
        query: dict[str, str | int] = {"limit": limit}
        query |= {key: value for key, value in (("camera", camera), ("custody", state)) if value is not None}
        with station:
            answer: list[dict[str, Any]] = station.get("clips", **query)
            return answer
    from agent.cli.stopped_station import ledger_of
    from agent.services.views import clip_views

    with ledger_of(station) as database:
        return database.run_blocking(lambda tx: clip_views(tx, camera, state, limit))


def _row(view: dict[str, Any]) -> tuple[str, ...]:
    remarks = [word for key, word in (("event", "event"), ("requested", "requested")) if view.get(key)]
    remarks += [f"on hold: {shown(view['hold'])}"] if view.get("hold") else []
    remarks += [shown(view["problem"])] if view.get("problem") else []
    return (
        shown(view["id"]),
        shown(view["camera"]),
        shown(view["name"]),
        size(view["size"]),
        shown(view["state"]),
        shown(view["camera_copy"]).replace("_", " "),
        "; ".join(remarks),
    )
