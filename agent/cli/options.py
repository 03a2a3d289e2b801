"""Options that several verbs share, and what is checked about them before anything happens."""

import getpass
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from agent.config import Config

DEFAULT_CONFIG = Path("/etc/dock-agent/agent.toml")
_TEXT_CAP = 500


def login_name() -> str:
    """Who asks: the login name, or the user's number where there is none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def printable(text: str) -> str:
    """Check a text that goes into the custody log for good. Raises BadParameter."""
    if not text.strip() or len(text) > _TEXT_CAP or not text.isprintable():
        raise typer.BadParameter(f"give printable text of 1 to {_TEXT_CAP} characters")
    return text


def clip_beginning(text: str) -> str:
    """A clip's id or how it begins, also as documents and tables shorten it: `c0ffee…`. Raises BadParameter."""
    return printable(text.rstrip("…").removesuffix("..."))


ConfigFile = Annotated[Path, typer.Option("--config", metavar="FILE", help="The station's configuration.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON instead of a table.")]
Reason = Annotated[
    str, typer.Option("--reason", metavar="TEXT", callback=printable, help="Why; goes into the custody log.")
]
ClipName = Annotated[
    str,
    typer.Argument(
        metavar="CLIP", callback=clip_beginning, help="The clip's id, as `dock-agent clips` shows it, or how it begins."
    ),
]
Actor = Annotated[
    str,
    typer.Option(
        "--actor",
        metavar="NAME",
        callback=printable,
        default_factory=login_name,
        show_default="your login name",
        help="Who asks; goes into the custody log.",
    ),
]


def load(file: Path) -> "Config":
    """Read the configuration. Raises ConfigErrors."""
    from agent.config import load_config

    return load_config(file)
