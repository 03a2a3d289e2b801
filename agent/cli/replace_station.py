"""`dock-agent replace-station`: whether a new machine may take the place of a lost one, and what is left to do.

Nothing is written here: what the new station needs is made by `setup` and `enrol`, and what it must not have is told.
"""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.failure import Exit
from agent.cli.missing import by_camera, read_missing, say_missing
from agent.cli.options import DEFAULT_CONFIG, AsJson, ConfigFile
from agent.cli.terminal import print_json, say_error
from agent.cli.wording import safe

if TYPE_CHECKING:
    from agent.config import Config
    from agent.config.model import StoreTable

Old = Annotated[str, typer.Argument(metavar="OLD", help="The name of the station that is lost.")]
MissingFile = Annotated[
    Path | None,
    typer.Option("--missing", metavar="FILE", help="What `dock-agent depot replace OLD NEW --json` wrote."),
]


def replace_station(
    old: Old, *, missing: MissingFile = None, config: ConfigFile = DEFAULT_CONFIG, as_json: AsJson = False
) -> None:
    """Check that this machine can take the place of station OLD, and say what is left to do.

    It must have a name, keys and a ledger of its own. With --missing also lists the cameras to dock: what OLD had
    announced and never brought. Exit codes: 0 nothing is in the way, 1 something is.
    """
    from agent.config import load_config

    settings = load_config(config, enrolling=True)
    rows = None if missing is None else read_missing(missing, old)
    in_the_way = [*_of_name(settings, old), *_of_ledger(settings, old), *_of_keys(settings, old)]
    steps = [] if in_the_way else _steps(settings, config)
    if as_json:
        print_json(
            {
                "old": old,
                "station": settings.station.id,
                "in_the_way": in_the_way,
                "next": steps,
                "cameras": None if rows is None else by_camera(rows),
            }
        )
    else:
        _say(settings, old, in_the_way, steps)
        if rows is not None and not in_the_way:
            say_missing(old, rows)
    raise typer.Exit(Exit.FAILED if in_the_way else Exit.DONE)


def _of_name(settings: "Config", old: str) -> list[str]:
    if settings.station.id != old:
        return []
    text = (
        f"This station is called {safe(old)} as well. A custody log belongs to one machine, and two of one name could"
        " not be told apart: give it a name of its own in [station] id. To go on as the old one, restore its backup:"
        " dock-agent restore."
    )
    return [text]


def _of_ledger(settings: "Config", old: str) -> list[str]:
    """Whether the state directory is the old station's own. Raises LedgerError, ServiceFailed, OSError."""
    first = _first_event(settings)
    if first is None or first.get("station") != old:
        return []
    text = (
        f"The ledger in {settings.station.state_dir} was begun by {safe(old)}. If its disk is sound, go on with it as"
        f" {safe(old)}; if not, keep it, and give the new station an empty state_dir."
    )
    return [text]


def _first_event(settings: "Config") -> dict[str, Any] | None:
    from agent.cli.service import find_service
    from agent.cli.stopped_station import ledger_of

    service = find_service(settings.api.socket)
    if service is not None:
        with service:
            lines = service.custody_lines(0, 1)
    elif (settings.station.state_dir / "ledger.sqlite").exists():
        from agent.services.views import event_lines

        with ledger_of(settings) as database:
            lines = database.run_blocking(lambda tx: event_lines(tx, 0, 1))
    else:
        return None
    found = json.loads(lines[0]) if lines else None
    return found if isinstance(found, dict) else None


def _of_keys(settings: "Config", old: str) -> list[str]:
    """Credentials and certificates that name the old station."""
    found = []
    for table in settings.stores:
        again = f"Revoke it there and give this station its own: dock-agent enrol {table.name} --replace."
        if _bearer_of(table) == old:
            found.append(f"The credential for store {table.name} is that of {safe(old)}. {again}")
        if _subject_of(table) == f"CN={old}":
            found.append(f"The certificate for store {table.name} is that of {safe(old)}. {again}")
    return found


def _bearer_of(table: "StoreTable") -> str | None:
    """Whom a depot's credential names. Raises ConfigError."""
    from agent.stores.credential import read_credential

    if table.credential is None or not table.credential.is_file() or not table.url.startswith("tus+"):
        return None
    token = read_credential(table.credential).token
    return None if token is None else token.rpartition(".")[0]


def _subject_of(table: "StoreTable") -> str | None:
    from agent.stores.sighting import pem_certificate

    if table.client_cert is None or not table.client_cert.is_file():
        return None
    try:
        return pem_certificate(table.client_cert.read_bytes()).subject
    except ValueError:
        return None


def _steps(settings: "Config", config: Path) -> list[str]:
    option = "" if config == DEFAULT_CONFIG else f" --config {shlex.quote(str(config))}"
    steps = []
    for table in settings.stores:
        if table.credential is None and table.client_cert is None and table.asks_who:
            steps.append(f"# store {table.name} has neither `credential` nor `client_cert`: name one if it asks for it")
        if table.credential is not None and not table.credential.is_file():
            steps.append(f"dock-agent enrol {table.name} --credential-from FILE{option}")
        if table.client_cert is not None and not table.client_cert.is_file():
            steps.append(f"dock-agent enrol {table.name} --csr FILE{option}")
    return [*steps, f"dock-agent check{option}"]


def _say(settings: "Config", old: str, in_the_way: list[str], steps: list[str]) -> None:
    for text in in_the_way:
        say_error(text)
    if not in_the_way:
        print(f"{settings.station.id} can take the place of {safe(old)}. Next:")
        for step in steps:
            print(f"  {step}")
