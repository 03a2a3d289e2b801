"""What people decide about uploads: to stop them, and to hold single clips back. All of it outlives a restart.

Neither keeps anything from being copied off a camera, and neither is a legal hold: that one forbids to destroy, these
only forbid to send.
"""

from dataclasses import dataclass

from agent.core.clip import Clip, ClipId, Custody
from agent.core.errors import IllegalMove
from agent.ledger import clips
from agent.ledger.custody import Recorder
from agent.ledger.database import Tx

EVERY_STORE = ""
"""Stands for all stores, also those that are configured later."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Who stopped the uploads, and why."""

    actor: str
    reason: str


def pauses(tx: Tx) -> dict[str, Stopped]:
    """The pauses that people have ordered, by store; EVERY_STORE is one of the names."""
    rows = tx.conn.execute("SELECT store, actor, reason FROM upload_pauses ORDER BY store")
    return {store: Stopped(actor, reason) for store, actor, reason in rows}


def pause(tx: Tx, recorder: Recorder, store: str, actor: str, reason: str) -> None:
    """Stop uploads to `store`, or to EVERY_STORE. Raises IllegalMove when somebody did so before."""
    known = pauses(tx).get(store)
    if known is not None:
        raise IllegalMove(f"Uploads {_to(store)} are paused already, by {known.actor}: {known.reason}.")
    fields = {"store": store or None, "actor": actor, "reason": reason}
    event = recorder.record(tx, "queue.paused", dict(fields))
    tx.conn.execute("INSERT INTO upload_pauses VALUES (?, ?, ?, ?)", (store, actor, reason, event))


def resume(tx: Tx, recorder: Recorder, store: str, actor: str, reason: str) -> None:
    """Let uploads to `store` go on; EVERY_STORE ends all pauses. Raises IllegalMove when there is none to end."""
    known = pauses(tx)
    if not known or (store != EVERY_STORE and store not in known):
        everywhere = known.get(EVERY_STORE)
        more = "" if everywhere is None else f"; those to every store are, by {everywhere.actor}: resume without a name"
        raise IllegalMove(f"Uploads {_to(store)} are not paused by a person{more}.")
    recorder.record(tx, "queue.resumed", {"store": store or None, "actor": actor, "reason": reason})
    tx.conn.execute("DELETE FROM upload_pauses WHERE :store = '' OR store = :store", {"store": store})


def _to(store: str) -> str:
    return "to every store" if store == EVERY_STORE else f"to store {store}"


def hold_back(tx: Tx, recorder: Recorder, clip: ClipId, note: str) -> Clip:
    """Keep the clip's bytes from being uploaded until `let_go`; `note` says who and why.

    It may be decided before the clip is copied. Raises IllegalMove when the clip is unknown or held back already, and
    when every store has it.
    """
    found = clips.get(tx, clip)
    if found.held_back is not None:
        raise IllegalMove(f"The upload of clip {clip} is held back already, by {found.held_back}.")
    sql = "SELECT 1 FROM uploads WHERE sha256 = ? LIMIT 1"
    if found.custody is Custody.CONFIRMED and tx.conn.execute(sql, (found.sha256,)).fetchone() is None:
        raise IllegalMove(f"Clip {clip} has left already: every store holds it, so there is nothing to hold back.")
    recorder.record(tx, "clip.held_back", {"note": note}, clip=clip, camera=found.camera)
    tx.conn.execute("UPDATE clips SET held_back = ? WHERE id = ?", (note, clip))
    return found


def let_go(tx: Tx, recorder: Recorder, clip: ClipId, note: str) -> Clip:
    """Let the upload of a clip that was held back take its turn. Raises IllegalMove when nobody holds it back."""
    found = clips.get(tx, clip)
    if found.held_back is None:
        ends = f"; it is on legal hold, which `dock-agent queue unhold {clip} --reason TEXT` ends"
        legal = "" if found.hold is None else ends
        raise IllegalMove(f"The upload of clip {clip} is not held back{legal}.")
    recorder.record(tx, "clip.let_go", {"note": note}, clip=clip, camera=found.camera)
    tx.conn.execute("UPDATE clips SET held_back = NULL WHERE id = ?", (clip,))
    return found
