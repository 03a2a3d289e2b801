"""`dock-agent queue`: what is on its way to the evidence stores, why it waits, and what people decide about it."""

import sys
from typing import Annotated, Any

import typer

from agent.cli.options import DEFAULT_CONFIG, Actor, AsJson, ClipName, ConfigFile, Reason, clip_beginning, printable
from agent.cli.request import ask, read
from agent.cli.terminal import print_json, show, table
from agent.cli.verbs import Verbs
from agent.cli.wording import moment, shown, size

app = Verbs(help="Uploads, and decisions about clips.")
ASKED = "asked on the command line"
"""The reason for what keeps nothing back, where nobody gives another: messages name these commands without one."""
ROWS, ROWS_MOST = 50, 1000
_COLUMNS = ("clip", "store", "state", "camera", "size", "tries", "why")


def _perhaps(text: str | None) -> str | None:
    return None if text is None else printable(text)


def _perhaps_clip(text: str | None) -> str | None:
    return None if text is None else clip_beginning(text)


MaybeClip = Annotated[
    str | None, typer.Argument(metavar="[CLIP]", callback=_perhaps_clip, help="Only this clip's upload.")
]
StoreName = Annotated[
    str | None, typer.Argument(metavar="[STORE]", callback=_perhaps, help="A store's name; all stores without it.")
]
OneStore = Annotated[
    str | None, typer.Option("--store", metavar="NAME", callback=_perhaps, help="Only uploads to this store.")
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=ROWS_MOST, help="Show so many; the rest is counted.")]


@app.command("list")
def list_uploads(config: ConfigFile = DEFAULT_CONFIG, limit: Limit = ROWS, as_json: AsJson = False) -> None:
    """List uploads in the order of their turns, and why each of them waits.

    Running ones come first, then those whose turn comes, then those that wait for their store, for their next try, or
    for a person.
    """
    uploads = read(config, "queue", limit=limit)
    more = _more(config, len(uploads)) if len(uploads) == limit else 0
    if as_json:
        print_json(uploads)
    elif uploads:
        show(table(_COLUMNS, map(_row, uploads)))
    else:
        print("Nothing waits to be uploaded.")
    if more:
        print(f"and {more:,} more", file=sys.stderr if as_json else sys.stdout)


@app.command("request")
def request_clip(clip: ClipName, reason: Reason, actor: Actor, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Bring CLIP to the evidence store before all that nobody asked for; what is under way makes room."""
    ask(config, "request", actor=actor, reason=reason, clip=clip)


@app.command("prioritise")
def prioritise(clip: ClipName, reason: Reason, actor: Actor, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """The same as request."""
    ask(config, "request", actor=actor, reason=reason, clip=clip)


@app.command()
def pause(reason: Reason, actor: Actor, store: StoreName = None, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Stop uploads to STORE, or all of them, until `resume`; also over restarts. Copying off cameras goes on."""
    ask(config, "pause", actor=actor, reason=reason, **_given(store=store))


@app.command()
def resume(actor: Actor, store: StoreName = None, reason: Reason = ASKED, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """End the pause of uploads to STORE, or all pauses."""
    ask(config, "resume", actor=actor, reason=reason, **_given(store=store))


@app.command("hold-back")
def hold_back(clip: ClipName, reason: Reason, actor: Actor, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Do not upload CLIP until `release`; it is copied off its camera all the same. This is no legal hold."""
    ask(config, "hold-back", actor=actor, reason=reason, clip=clip)


@app.command()
def release(clip: ClipName, actor: Actor, reason: Reason = ASKED, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Let the upload of CLIP, which was held back, take its turn. A legal hold stays."""
    ask(config, "let-go", actor=actor, reason=reason, clip=clip)


@app.command()
def hold(clip: ClipName, reason: Reason, actor: Actor, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Legal hold: forbid that any copy of CLIP is destroyed here. It is uploaded all the same."""
    ask(config, "hold", actor=actor, reason=reason, clip=clip)


@app.command()
def unhold(clip: ClipName, reason: Reason, actor: Actor, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """End a legal hold."""
    ask(config, "unhold", actor=actor, reason=reason, clip=clip)


@app.command()
def retry(
    actor: Actor,
    clip: MaybeClip = None,
    store: OneStore = None,
    reason: Reason = ASKED,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Try again now instead of waiting for the next turn, also what was set aside: one clip, one store, or all."""
    ask(config, "retry", actor=actor, reason=reason, **_given(clip=clip, store=store))


def _given(**fields: str | None) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value is not None}


def _more(config: ConfigFile, listed: int) -> int:
    """How many uploads there are beside those that were listed."""
    counted = read(config, "station").get("queue", {}).get("uploads", 0)
    return max(0, int(counted) - listed)


def _row(view: dict[str, Any]) -> tuple[str, ...]:
    sent, total = view.get("sent_bytes"), view.get("size")
    state = shown(view["state"]).replace("_", " ") + (", urgent" if view.get("urgent") else "")
    state += ", announced" if view.get("announced") else ""
    return (
        shown(view.get("clip")),
        shown(view["store"]),
        state if sent is None or not total else f"{state} {100 * sent // total}%",
        shown(view.get("camera")),
        "-" if total is None else size(total),
        str(view.get("attempts", 0)),
        shown(_why(view)),
    )


def _why(view: dict[str, Any]) -> object:
    """Why it waits, with the moment of its next try as a person reads it; `--json` keeps it exact."""
    why, next_at = view.get("why") or view.get("problem"), view.get("next_at")
    return why.replace(next_at, moment(next_at)) if isinstance(why, str) and isinstance(next_at, str) else why
