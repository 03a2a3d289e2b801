"""What a person may do while no service runs: read the ledger, and mark a camera or a clip in it."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.failure import NotRunning
from agent.core.clip import CameraId, ClipId
from agent.core.errors import ActionRefused, AgentError, IllegalMove, Remedy

if TYPE_CHECKING:
    from agent.config import Config
    from agent.ledger.custody import Recorder
    from agent.ledger.database import Database, Tx


class WrongUser(AgentError):
    """The state directory belongs to another user, who could no longer use what this one leaves in it."""

    code, remedy = "cli.wrong_user", Remedy.HALT


class NoLedger(AgentError):
    """There is nothing to read."""

    code, remedy = "cli.no_ledger", Remedy.HALT
    hint = "Check state_dir in the configuration that you gave with --config."


def refuse_other_owner(state_dir: Path) -> None:
    """Refuse to leave files of one user in another's state directory. Raises WrongUser."""
    try:
        owner = state_dir.stat().st_uid
    except FileNotFoundError:
        return
    if owner != os.geteuid():
        hint = f"Run it as that user: sudo -u '#{owner}' dock-agent ..."
        raise WrongUser(f"{state_dir} belongs to user number {owner}.", hint=hint)


@contextmanager
def ledger_of(config: "Config", *, make: bool = False) -> "Iterator[Database]":
    """Open the ledger of a station whose service is stopped; `make` one where there is none.

    Raises NoLedger, LedgerBusy, LedgerError, WrongUser.
    """
    if not make and not config.station.state_dir.is_dir():
        raise NoLedger(f"This station has recorded nothing yet: there is no {config.station.state_dir}.")
    refuse_other_owner(config.station.state_dir)
    from agent.app import open_ledger

    database = open_ledger(config)
    try:
        yield database
    finally:
        database.close()


def act_on_ledger(config: "Config", action: str, request: Mapping[str, str]) -> str:
    """Do what a person asks without a service; what was done, in words.

    `request` holds actor, reason, and camera or clip. Raises NotRunning for what needs a running service,
    ActionRefused.
    """
    change = _changes(request).get(action)
    if change is None:
        raise NotRunning("This needs the running service, and none runs on this station.")
    from agent.app import make_recorder

    recorder = make_recorder(config)
    work, done = change
    with ledger_of(config, make=True) as database:
        try:
            database.run_blocking(lambda tx: work(tx, recorder))
        except IllegalMove as error:
            raise ActionRefused(str(error), hint=_hint(action)) from error
    return f"{done} (No service runs; it will find this when it starts.)"


def _hint(action: str) -> str:
    if action == "claim":
        return "Dock the camera once before it is claimed, or name it under [cameras] enrolled."
    if action == "accept-ledger":
        return "A ledger that was rolled back is noticed when the service starts; start it first."
    return "Look at `dock-agent clips` for what is known here."


def _changes(request: Mapping[str, str]) -> "dict[str, tuple[Callable[[Tx, Recorder], object], str]]":
    from agent.ledger import clips, doubts, fleet

    camera, clip = CameraId(request.get("camera", "")), ClipId(request.get("clip", ""))
    actor, reason = request["actor"], request["reason"]
    note = f"{actor}: {reason}"
    return {
        "seize": (
            lambda tx, rec: fleet.seize(tx, rec, camera, actor, reason),
            f"Camera {camera} is seized: it will never be wiped, flashed, clock-set or power-cycled.",
        ),
        "release": (
            lambda tx, rec: fleet.release(tx, rec, camera, actor, reason),
            f"Camera {camera} is no longer seized.",
        ),
        "claim": (lambda tx, rec: fleet.claim(tx, rec, camera, actor), f"Camera {camera} is claimed by {actor}."),
        "hold": (
            lambda tx, rec: clips.hold(tx, rec, clip, note),
            f"Clip {clip} is on hold: no copy of it is destroyed here.",
        ),
        "unhold": (lambda tx, rec: clips.unhold(tx, rec, clip, note), f"Clip {clip} is no longer on hold."),
        "accept-ledger": (
            lambda tx, rec: doubts.accept(tx, rec, actor, reason),
            "The ledger is taken over as it is; that is recorded.",
        ),
    }
