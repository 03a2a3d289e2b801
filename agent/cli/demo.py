"""`dock-agent demo`: simulated cameras through the whole chain, on this machine, in a minute."""

from typing import Annotated

import typer

from agent.cli.options import AsJson
from agent.cli.terminal import console
from agent.core.errors import AgentError


class DemoMissing(AgentError):
    """The package leaves the demo out: it needs libraries that no station has."""

    code = "cli.demo_missing"
    hint = "Run ./scripts/demo in a checkout of the project."


Keep = Annotated[bool, typer.Option("--keep", help="Leave it running, with its page, until Ctrl-C.")]


def demo(keep: Keep = False, as_json: AsJson = False) -> None:
    """Show the chain with simulated cameras.

    Needs no configuration and no camera.
    """
    try:
        from agent.simulate.demo import run
    except ModuleNotFoundError as error:
        raise DemoMissing("What plays cameras is not installed on a station") from error

    raise typer.Exit(run(keep=keep, as_json=as_json, console=console(markup=True)))
