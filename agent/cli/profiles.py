"""`dock-agent profiles`: the camera models that this station knows."""

from typing import TYPE_CHECKING, Any

import typer

from agent.cli.failure import Exit, say_problems
from agent.cli.options import DEFAULT_CONFIG, AsJson, ConfigFile, load
from agent.cli.terminal import print_json, show, table
from agent.cli.verbs import Verbs
from agent.cli.wording import safe

if TYPE_CHECKING:
    from agent.core.profile import Profile

app = Verbs(help="Camera models.")


@app.callback()
def profiles() -> None:
    """Camera models."""


@app.command("list")
def list_profiles(config: ConfigFile = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """List the usable profiles; what is wrong with others goes to stderr, with exit code 78."""
    from agent.devices.profiles import load_profiles

    settings = load(config)
    loaded = load_profiles(settings.profiles_directory, station_zone=settings.station.zone)
    views = [_view(profile) for profile in loaded.profiles]
    if as_json:
        print_json(views)
    elif views:
        rows = [tuple(safe(str(view[key])) for key in ("name", "maker", "access", "description")) for view in views]
        show(table(("profile", "maker", "access", "description"), rows))
    else:
        print("No usable profiles.")
    if loaded.problems:
        say_problems(list(loaded.problems))
        raise typer.Exit(Exit.BAD_CONFIG)


def _view(profile: "Profile") -> dict[str, Any]:
    return {
        "name": profile.name,
        "maker": profile.maker,
        "description": profile.description,
        "access": profile.access.value,
        "may_wipe": sorted(role.value for role in profile.wipe_roles),
        "stall_s": profile.stall_s,
    }
