"""The upload queue in the ledger: one row for each object that one store has yet to prove.

Triggers make and remove the rows (see `owed` in the schema); here they are only read and paused. Every question is
answered by an index, however many objects wait, and by the number of cameras rather than of rows.
"""

from dataclasses import dataclass

from agent.core.clip import CameraId
from agent.core.object import Digest
from agent.core.queue_policy import Waiting
from agent.core.retry_policy import RETRY_AFTER_CAP_S, SET_ASIDE_S
from agent.ledger.database import Tx

_PAUSE_CAP_US = int(2 * RETRY_AFTER_CAP_S * 1e6)
"""A pause that lies further ahead than this was written under another clock and is over."""
_ASIDE_CAP_US = int(2 * SET_ASIDE_S * 1e6)
"""The same for what is set aside."""
_WAKE_BATCH = 500
RETRY_BATCH = 5000

# Hops from camera to camera along the index, once for each urgency, and takes the first few of each.
_WAITING = """
WITH RECURSIVE turn(urgent, camera) AS (
  SELECT urgent, (SELECT min(u.camera) FROM uploads u
                  WHERE u.store = :store AND u.urgent = lane.urgent
                    AND u.next_us = 0 AND u.asked_person = 0 AND u.held = 0)
  FROM (SELECT 0 AS urgent UNION ALL SELECT 1) lane
  UNION ALL
  SELECT urgent, (SELECT min(u.camera) FROM uploads u
                  WHERE u.store = :store AND u.urgent = turn.urgent
                    AND u.next_us = 0 AND u.asked_person = 0 AND u.held = 0 AND u.camera > turn.camera)
  FROM turn WHERE camera IS NOT NULL
)
SELECT u.sha256, u.camera, u.urgent, u.number, o.size_bytes
FROM turn
CROSS JOIN uploads u ON u.rowid IN (
  SELECT n.rowid FROM uploads n
  WHERE n.store = :store AND n.camera = turn.camera AND n.urgent = turn.urgent
    AND n.next_us = 0 AND n.asked_person = 0 AND n.held = 0
  ORDER BY n.number LIMIT :places)
CROSS JOIN objects o ON o.sha256 = u.sha256
"""


def waiting(tx: Tx, store: str, places: int) -> list[Waiting]:
    """What this store still lacks and may be tried now: the first `places` of each camera and urgency.

    `places` must exceed the number of running uploads of any one camera, because those still count as waiting here.
    """
    return [
        Waiting(Digest(sha256), store, CameraId(camera), bool(urgent), number, size)
        for sha256, camera, urgent, number, size in tx.conn.execute(_WAITING, {"store": store, "places": places})
    ]


def wake(tx: Tx, now_us: int) -> None:
    """End the pauses that are over, and those of what was set aside; called before `waiting`, a few hundred at a time.

    What was set aside keeps its count of failures: one more sets it aside again.
    """
    tx.conn.execute(
        "UPDATE uploads SET next_us = 0 WHERE rowid IN ("
        "SELECT rowid FROM uploads WHERE asked_person = 0 AND next_us <> 0 AND next_us <= :now UNION ALL"
        " SELECT rowid FROM uploads WHERE asked_person = 0 AND next_us <> 0 AND next_us > :now + :cap LIMIT :batch)",
        {"now": now_us, "cap": _PAUSE_CAP_US, "batch": _WAKE_BATCH},
    )
    tx.conn.execute(
        "UPDATE uploads SET next_us = 0, asked_person = 0 WHERE rowid IN ("
        "SELECT rowid FROM uploads WHERE asked_person = 1 AND next_us <= :now UNION ALL"
        " SELECT rowid FROM uploads WHERE asked_person = 1 AND next_us > :now + :cap LIMIT :batch)",
        {"now": now_us, "cap": _ASIDE_CAP_US, "batch": _WAKE_BATCH},
    )


@dataclass(frozen=True, slots=True)
class UploadRow:
    """What is remembered of an upload between tries."""

    hint: str | None
    attempts: int


def upload_of(tx: Tx, sha256: Digest, store: str) -> UploadRow:
    """Read the hint and the number of failures in a row."""
    row = tx.conn.execute(
        "SELECT hint, attempts FROM uploads WHERE sha256 = ? AND store = ?", (sha256, store)
    ).fetchone()
    return UploadRow(None, 0) if row is None else UploadRow(*row)


def keep_hint(tx: Tx, sha256: Digest, store: str, hint: str | None) -> None:
    """Remember the adapter's handle before bytes are sent under it; forgotten with the upload."""
    tx.conn.execute("UPDATE uploads SET hint = ? WHERE sha256 = ? AND store = ?", (hint, sha256, store))


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure of one object at one store, and when it may be tried again."""

    next_us: int
    problem: str
    set_aside: bool = False  # it leaves the order until then


def upload_failed(tx: Tx, sha256: Digest, store: str, failure: Failure) -> None:
    """Remember a failure of this object."""
    tx.conn.execute(
        "UPDATE uploads SET attempts = attempts + 1, next_us = ?, asked_person = ?, problem = ?"
        " WHERE sha256 = ? AND store = ?",
        (failure.next_us, int(failure.set_aside), failure.problem, sha256, store),
    )


def next_try_us(tx: Tx, now_us: int) -> int | None:
    """When the earliest paused object may be tried again; None when none is paused. What is set aside has time.

    That may have passed: one whose pause ended since `wake` was called last is not forgotten.
    """
    row = tx.conn.execute(
        "SELECT min(next_us) FROM uploads WHERE asked_person = 0 AND next_us <> 0 AND next_us <= ?",
        (now_us + _PAUSE_CAP_US,),
    ).fetchone()
    return None if row[0] is None else int(row[0])


def retry_now(tx: Tx, sha256: Digest | None = None, store: str | None = None) -> int:
    """Forget the failures of one object or of all, at one store or at all; returns how many uploads that changed.

    Some thousands at a time, so that no other flow waits long: call it again while it returns RETRY_BATCH.
    """
    return tx.conn.execute(
        "UPDATE uploads SET next_us = 0, asked_person = 0, attempts = 0, problem = NULL WHERE rowid IN ("
        "SELECT rowid FROM uploads WHERE problem IS NOT NULL AND (:sha256 IS NULL OR sha256 = :sha256)"
        " AND (:store IS NULL OR store = :store) LIMIT :batch)",
        {"sha256": sha256, "store": store, "batch": RETRY_BATCH},
    ).rowcount
