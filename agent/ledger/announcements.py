"""Which uploads a store has yet to be told of, and which it was told of. What is held back by a person is not told.

Kept with the uploads, so that a restart repeats nothing and what has arrived is no longer asked about. Both questions
are answered by an index, however many objects wait.
"""

from collections.abc import Iterable

from agent.core.announcement import Announced
from agent.core.clip import CameraId
from agent.core.object import Digest
from agent.ledger.database import Tx

COUNTED = 10_000

# The label is that of the oldest sighting, as it travels with the bytes.
_UNANNOUNCED = """
SELECT u.sha256, o.size_bytes, c.camera, c.path, c.started_at, c.event, u.urgent
FROM uploads u
CROSS JOIN objects o ON o.sha256 = u.sha256
CROSS JOIN clips c ON c.number = (SELECT min(number) FROM clips WHERE sha256 = u.sha256)
WHERE u.store = ? AND u.announced = 0 AND u.held = 0
ORDER BY u.urgent DESC, u.number LIMIT ?
"""


def unannounced(tx: Tx, store: str, limit: int) -> list[Announced]:
    """The next objects that `store` is to be told of: urgent ones first, then the oldest."""
    return [
        Announced(Digest(sha256), size, CameraId(camera), bytes(path), started_at, bool(event), bool(urgent))
        for sha256, size, camera, path, started_at, event, urgent in tx.conn.execute(_UNANNOUNCED, (store, limit))
    ]


def announced(tx: Tx, store: str, told: Iterable[Announced]) -> None:
    """Remember that `store` was told; not of what has become more or less urgent since: that is told again."""
    tx.conn.executemany(
        "UPDATE uploads SET announced = 1 WHERE sha256 = ? AND store = ? AND urgent = ?",
        [(each.sha256, store, int(each.urgent)) for each in told],
    )


def count_unannounced(tx: Tx, store: str) -> int:
    """How many uploads `store` has yet to be told of; counted up to COUNTED."""
    question = "SELECT count(*) FROM (SELECT 1 FROM uploads WHERE store = ? AND announced = 0 AND held = 0 LIMIT ?)"
    return int(tx.conn.execute(question, (store, COUNTED)).fetchone()[0])
