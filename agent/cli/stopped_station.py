"""What a person may do while no service runs: read the ledger, and mark a camera or a clip in it."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.failure import NotRunning
from agent.cli.service_account import name_of
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
        user = name_of(owner)
        hint = f"Run it as that user: sudo -u {user} dock-agent ..."
        raise WrongUser(f"{state_dir} belongs to the user {user}.", hint=hint)


def refuse_ledger_in_use(state_dir: Path) -> None:
    """Refuse while another process works with the ledger; leaves nothing behind. Raises LedgerBusy, OSError."""
    from agent.ledger.database import refuse_busy

    refuse_busy(state_dir / "ledger.sqlite")


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
    known, store = [table.name for table in config.stores], request.get("store")
    if action == "pause" and store is not None and store not in known:
        raise ActionRefused(f"There is no store {store}; known are: {', '.join(known) or 'none'}.")
    if action not in _changes(request):
        raise NotRunning("This needs the running service, and none runs on this station.")
    from agent.app import make_recorder

    recorder = make_recorder(config)
    with ledger_of(config, make=True) as database:
        try:
            work, done = _changes(_named(database, request))[action]
            database.run_blocking(lambda tx: work(tx, recorder))
        except IllegalMove as error:
            raise ActionRefused(str(error), hint=_hint(action)) from error
    return f"{done} (No service runs; it will find this when it starts.)"


def _named(database: "Database", request: Mapping[str, str]) -> Mapping[str, str]:
    """The request with the whole id of its clip. Raises ActionRefused."""
    from agent.ledger import clips

    wanted = request.get("clip")
    if wanted is None:
        return request
    return {**request, "clip": database.run_blocking(lambda tx: clips.named(tx, wanted))}


def _hint(action: str) -> str:
    if action == "claim":
        return "Dock the camera once before it is claimed, or name it under [cameras] enrolled."
    if action in ("pause", "resume"):
        return "Look at `dock-agent queue list` once the service runs."
    if action == "accept-ledger":
        return "A ledger that was rolled back is noticed when the service starts; start it first."
    return "Look at `dock-agent clips` for what is known here."


def _changes(request: Mapping[str, str]) -> "dict[str, tuple[Callable[[Tx, Recorder], object], str]]":
    from agent.ledger import clips, doubts, fleet, upload_orders

    camera, clip = CameraId(request.get("camera", "")), ClipId(request.get("clip", ""))
    actor, reason, store = request["actor"], request["reason"], request.get("store", upload_orders.EVERY_STORE)
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
        "pause": (
            lambda tx, rec: upload_orders.pause(tx, rec, store, actor, reason),
            f"Uploads to {store or 'every store'} are paused until somebody resumes them.",
        ),
        "resume": (
            lambda tx, rec: upload_orders.resume(tx, rec, store, actor, reason),
            f"The pause of uploads to {store or 'every store'} is over.",
        ),
        "hold-back": (
            lambda tx, rec: upload_orders.hold_back(tx, rec, clip, note),
            f"The upload of clip {clip} is held back until somebody releases it. This is no legal hold.",
        ),
        "let-go": (
            lambda tx, rec: upload_orders.let_go(tx, rec, clip, note),
            f"The upload of clip {clip} takes its turn again.",
        ),
        "accept-ledger": (
            lambda tx, rec: doubts.accept(tx, rec, actor, reason),
            "The ledger is taken over as it is; that is recorded.",
        ),
    }
