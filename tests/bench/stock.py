"""A ledger that has seen a great deal: clips of many cameras, nearly all of them long confirmed."""

import hashlib
from datetime import UTC, datetime

from agent.core.clip import BayName, CameraId, Entry, SessionId
from agent.core.object import Digest, Receipt, ReceiptKind
from agent.ledger import clips, fleet, objects, unlisted
from agent.ledger.clips import Sighting
from agent.ledger.custody import Recorder
from agent.ledger.database import Database, Tx
from agent.ports import StorePolicy
from tests.scenarios.shift import Shift

PER_CAMERA = 500
PLACE = "tus+https://store.test/files/"
SIZE_BYTES = 1 << 20
_SPOOLED_OF_A_CAMERA = 5


def stock(shift: Shift, count: int) -> None:
    """Fill the ledger of a station that does not run; 1 % of the objects still lie in its spool (as holes)."""
    state = shift.root / "state"
    state.mkdir(exist_ok=True)
    database = Database.open(state / "ledger.sqlite")
    recorder = Recorder("hub7", "bench")
    try:
        policy = StorePolicy("central", ReceiptKind.SIGNED, counts=True, place=PLACE)
        database.run_blocking(lambda tx: objects.apply_gate(tx, copies=1, wiping=False, stores=(policy,)))
        for number in range(count // PER_CAMERA):
            database.run_blocking(lambda tx, n=number: _camera(tx, recorder, CameraId(f"OLD{n}")))  # type: ignore[misc]
        waiting = database.run_blocking(_in_spool)
    finally:
        database.close()
    for sha256 in waiting:
        file = state / "spool" / "objects" / sha256[:2] / sha256
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o400)
        with file.open("wb") as hole:
            hole.truncate(SIZE_BYTES)


def _camera(tx: Tx, recorder: Recorder, camera: CameraId) -> None:
    fleet.see_camera(tx, recorder, camera, "plain-dcim", None, "config")
    session = fleet.start_session(tx, recorder, camera, BayName("1"), {})
    walk = clips.start_listing(tx, recorder, camera, session)
    names = [f"DCIM/100BENCH/20260301_12{n // 60:02}{n % 60:02}.mp4" for n in range(PER_CAMERA)]
    entries = [Entry(name.encode(), SIZE_BYTES, 1_000_000_000) for name in names]
    clips.reconcile(tx, recorder, walk, [Sighting(entry, "clip", event=False) for entry in entries])
    unlisted.finish_listing(tx, recorder, walk)
    _confirm_most(tx, recorder, session)
    fleet.end_session(tx, recorder, session, "undocked")


def _confirm_most(tx: Tx, recorder: Recorder, session: SessionId) -> None:
    for number, clip in enumerate(fleet.clips_in(tx, session)):
        sha256 = Digest(hashlib.sha256(clip.id.encode()).hexdigest())
        objects.spooled(tx, recorder, clip, sha256, SIZE_BYTES, "1")
        if number < _SPOOLED_OF_A_CAMERA:
            continue
        receipt = Receipt("central", ReceiptKind.SIGNED, sha256, SIZE_BYTES, "handle", datetime.now(UTC), "signed")
        objects.keep_receipt(tx, recorder, receipt, PLACE)
        objects.purged(tx, recorder, sha256)


def _in_spool(tx: Tx) -> list[str]:
    return [sha256 for (sha256,) in tx.conn.execute("SELECT sha256 FROM objects WHERE spool = 'present'")]
