"""`dock-agent offload PATH`: one mounted card or folder through the whole chain, once."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.failure import DEBUG, Exit, NotRunning
from agent.cli.offload_outcome import COLUMNS, Outcome, problems, rows, sentences
from agent.cli.options import DEFAULT_CONFIG, AsJson, ConfigFile, login_name
from agent.cli.reach import reach
from agent.cli.terminal import print_json, say_error, show, table

if TYPE_CHECKING:
    from agent.cli.offload_progress import OffloadProgress
    from agent.cli.service import Service
    from agent.config import Config

View = dict[str, Any]
Place = Annotated[
    Path, typer.Argument(metavar="PATH", exists=True, file_okay=False, help="The mounted card, or a folder.")
]
ProfileName = Annotated[str | None, typer.Option("--profile", metavar="NAME", help="The camera's model.")]
Serial = Annotated[str | None, typer.Option("--camera", metavar="SERIAL", help="Its serial, where it shows none.")]
Wait = Annotated[
    float | None,
    typer.Option("--wait", metavar="SECONDS", min=0, help="How long a store may stand still before this gives up."),
]


def offload(
    path: Place,
    config: ConfigFile = DEFAULT_CONFIG,
    profile: ProfileName = None,
    camera: Serial = None,
    as_json: AsJson = False,
    wait: Wait = None,
) -> None:
    """Take a folder or card through the whole chain; with wiping on, clear it as a bay would.

    Whoever runs this vouches for the camera, in this run. Exit code 0 means that every clip is confirmed; 75 that all
    are safe in the spool, but not all confirmed.
    """
    station = reach(config)
    request: View = {"path": str(path.absolute()), "profile": profile, "camera": camera, "actor": login_name()}
    if wait is not None:
        request["wait_s"] = wait
    try:
        outcome = _carry_out(station, request)
    except KeyboardInterrupt:
        say_error(
            "Interrupted. What was copied whole is safe in the spool, the rest is still on the card: run it again."
        )
        raise typer.Exit(Exit.INTERRUPTED) from None
    if as_json:
        print_json(outcome.result | {"problems": problems(outcome)} if outcome.alone else outcome.result)
    else:
        if outcome.result["clips"]:
            show(table(COLUMNS, rows(outcome)))
        for sentence in sentences(outcome):
            print(sentence)
        for problem in problems(outcome):
            say_error(problem)
    raise typer.Exit(outcome.code)


def _carry_out(station: "Service | Config", request: View) -> Outcome:
    from agent.cli.offload_progress import OffloadProgress
    from agent.cli.service import Service

    alone = not isinstance(station, Service)
    with OffloadProgress() as progress:
        if isinstance(station, Service):
            with station:
                result = _follow(station.offload(request), progress)
        else:
            result = asyncio.run(_alone(station, request, progress))
    if result is None:
        raise NotRunning(
            "The offload ended without a result.",
            hint="What reached the spool is safe. Look at `dock-agent status`, then run this again.",
        )
    return Outcome(result, alone=alone, path=request["path"])


def _follow(views: Iterator[View], progress: "OffloadProgress") -> View | None:
    """Take all objects; the result, or None where there was none."""
    result = None
    for view in views:
        progress.take(view)
        result = view.get("result", result)
    return result


async def _alone(config: "Config", request: View, progress: "OffloadProgress") -> View | None:
    """Do it in this process, because no service runs."""
    from agent.app import offload_alone
    from agent.cli.stopped_station import refuse_other_owner
    from agent.observe.logs import configure_logs

    # The result says what went wrong, in words; the log is for whoever looks for a fault of the program.
    configure_logs(level="error" if os.environ.get(DEBUG) == "1" else "critical")
    refuse_other_owner(config.station.state_dir)
    result = None
    views: AsyncIterator[View] = offload_alone(config, request)
    try:
        async for view in views:
            progress.take(view)
            result = view.get("result", result)
    finally:
        if isinstance(views, AsyncGenerator):
            await views.aclose()  # it may hold a camera open
    return result
