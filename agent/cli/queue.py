"""`dock-agent queue`: what is on its way to the evidence stores, and what people decide about it."""

from typing import Annotated, Any

import typer

from agent.cli.options import DEFAULT_CONFIG, Actor, AsJson, ConfigFile, Reason, printable
from agent.cli.request import ask, read
from agent.cli.terminal import print_json, show, table
from agent.cli.wording import shown, size

app = typer.Typer(help="Uploads, and decisions about clips.", no_args_is_help=True, rich_markup_mode=None)
ClipName = Annotated[
    str, typer.Argument(metavar="CLIP", callback=printable, help="The clip's id, as `dock-agent clips` shows it.")
]
RetryReason = Annotated[
    str, typer.Option("--reason", metavar="TEXT", callback=printable, help="Why; goes into the custody log.")
]
_DIGITS = 12
"""So many digits of a digest tell objects apart on a screen; JSON has all of them."""


@app.command("list")
def list_uploads(config: ConfigFile = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """List running, waiting and paused uploads in the order of their turns."""
    uploads = read(config, "queue")
    if as_json:
        print_json(uploads)
    elif uploads:
        columns = ("object", "store", "state", "camera", "size", "tries", "problem")
        show(table(columns, map(_row, uploads)))
    else:
        print("Nothing waits to be uploaded.")


@app.command("request")
def request_clip(clip: ClipName, reason: Reason, actor: Actor, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Bring CLIP to the evidence store before all that nobody asked for."""
    ask(config, "request", actor=actor, reason=reason, clip=clip)


@app.command()
def hold(clip: ClipName, reason: Reason, actor: Actor, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Forbid that any copy of CLIP is destroyed here."""
    ask(config, "hold", actor=actor, reason=reason, clip=clip)


@app.command()
def unhold(clip: ClipName, reason: Reason, actor: Actor, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """End a hold."""
    ask(config, "unhold", actor=actor, reason=reason, clip=clip)


@app.command()
def retry(actor: Actor, reason: RetryReason = "asked on the command line", config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Try every store again now instead of waiting for the next turn."""
    ask(config, "retry", actor=actor, reason=reason)


def _row(view: dict[str, Any]) -> tuple[str, ...]:
    sent, total = view.get("sent_bytes"), view.get("size")
    state = shown(view["state"]) + (", urgent" if view.get("urgent") else "")
    return (
        shown(view["sha256"])[:_DIGITS],
        shown(view["store"]),
        state if sent is None or not total else f"{state} {100 * sent // total}%",
        shown(view.get("camera")),
        "-" if total is None else size(total),
        str(view.get("attempts", 0)),
        shown(view.get("problem")),
    )
