"""`dock-agent demo`: simulated cameras through the whole chain, on this machine, in a minute."""

from typing import Annotated

import typer

from agent.cli.options import AsJson
from agent.cli.terminal import console

Keep = Annotated[bool, typer.Option("--keep", help="Leave it running, with its page, until Ctrl-C.")]


def demo(keep: Keep = False, as_json: AsJson = False) -> None:
    """Show the chain with simulated cameras.

    Needs no configuration and no camera.
    """
    from agent.simulate.demo import run

    raise typer.Exit(run(keep=keep, as_json=as_json, console=console(markup=True)))
