"""`dock-agent drain`: let the running service come to rest before the machine is restarted or patched."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.options import DEFAULT_CONFIG, Actor, AsJson, ConfigFile, printable
from agent.cli.reach import reach
from agent.cli.terminal import print_json, say_error
from agent.cli.wording import safe
from agent.core.errors import AgentError, Remedy

if TYPE_CHECKING:
    from agent.cli.service import Service

READY = "Ready for reboot."
_LOOK_S = 0.25

Wait = Annotated[
    float, typer.Option("--wait", metavar="SECONDS", min=0, help="How long to wait until the station is at rest.")
]
Undo = Annotated[bool, typer.Option("--undo", help="Let it serve again without a restart.")]
Why = Annotated[
    str, typer.Option("--reason", metavar="TEXT", callback=printable, help="Why; goes into the custody log.")
]


class NotAtRest(AgentError):
    """The station was told, and something still goes on."""

    code, remedy = "cli.not_at_rest", Remedy.RETRY
    hint = "Nothing new begins meanwhile. Do not restart it yet; run this again, or end it with --undo."


def drain(
    *,
    wait: Wait = 120.0,
    undo: Undo = False,
    reason: Why = "restart",
    actor: Actor,
    config: ConfigFile = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Begin nothing new, and wait until the machine may be restarted.

    No wipe is cut off, and uploads stop where they can go on. Ends with 0 once the station is ready, with 1 when
    something still goes on. After a restart the station serves again by itself.
    """
    from agent.cli.service import Service

    station = reach(config)
    if not isinstance(station, Service):
        from agent.cli.stopped_station import refuse_ledger_in_use

        refuse_ledger_in_use(station.station.state_dir)
        if as_json:
            print_json({"running": False, "ready": True, "waits": []})
        elif undo:
            print("No service runs on this station, so there is nothing to undo: it serves as soon as it is started.")
        else:
            print(f"No service runs on this station. {READY}")
        return
    with station:
        done = station.act("undrain" if undo else "drain", {"actor": actor, "reason": reason})
        if undo:
            if as_json:
                print_json({"running": True, "ready": False, "waits": []})
            else:
                print(safe(done))
            return
        say_error(done)
        waits = _until_at_rest(station, wait)
    if as_json:
        print_json({"running": True, "ready": not waits, "waits": waits})
    elif not waits:
        print(READY)
    if waits:
        raise NotAtRest(f"The station is not at rest after {wait:g} s: {'; '.join(waits)}.")


def _until_at_rest(service: "Service", wait_s: float) -> list[str]:
    """What still goes on when the time is over; empty once nothing does. Tells progress on stderr."""
    deadline, told = time.monotonic() + wait_s, list[str]()
    while True:
        waits = _waits(service.get("station"))
        if waits != told:
            told = waits
            for text in waits:
                say_error(f"waiting: {text}")
        if not waits or time.monotonic() >= deadline:
            return waits
        time.sleep(_LOOK_S)


def _waits(station: Mapping[str, Any]) -> list[str]:
    drain = station.get("drain")
    if drain is None:
        return ["somebody else has undone it"]
    return [] if drain["ready"] else [str(text) for text in drain["waits"]]
