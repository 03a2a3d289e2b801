"""The upload queue as people see it: how long it is, and the first rows of what is not simply waiting for its turn.

Every question is bounded and answered by an index: a queue of a hundred thousand is looked at like one of ten.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent.core.clip import CameraId, ClipId
from agent.core.object import Digest
from agent.ledger.custody import from_us
from agent.ledger.database import Tx


@dataclass(frozen=True, slots=True)
class Lane:
    """Uploads that wait for one reason, as the ledger keeps them."""

    name: str
    rows: str  # which uploads, in their order


RETRYING = Lane("retrying", "u.next_us <> 0 AND u.asked_person = 0 AND u.held = 0 ORDER BY u.next_us")
HELD_BACK = Lane("held back", "u.held = 1 ORDER BY u.number")
SET_ASIDE = Lane("set aside", "u.asked_person = 1 AND u.held = 0 ORDER BY u.next_us")


@dataclass(frozen=True, slots=True)
class Known:
    """One upload and what is remembered of it; `clip` is the one that is held back, or else the oldest sighting."""

    sha256: Digest
    store: str
    camera: CameraId
    urgent: bool
    size_bytes: int
    attempts: int
    next_at: datetime | None  # not before
    problem: str | None
    clip: ClipId
    held_back: str | None  # by whom and why
    announced: bool  # the store was told that it comes


_KNOWN = (
    "SELECT u.sha256, u.store, u.camera, u.urgent, o.size_bytes, u.attempts, u.next_us, u.problem,"
    " coalesce(h.id, (SELECT id FROM clips WHERE number = u.number)), h.held_back, u.announced"
    " FROM uploads u CROSS JOIN objects o ON o.sha256 = u.sha256 LEFT JOIN clips h ON h.number ="
    " (SELECT min(number) FROM clips WHERE sha256 = u.sha256 AND held_back IS NOT NULL) WHERE "
)


def lane(tx: Tx, which: Lane, limit: int) -> list[Known]:
    """The first uploads of a lane."""
    return [_known(row) for row in tx.conn.execute(f"{_KNOWN}{which.rows} LIMIT ?", (limit,))]


def known(tx: Tx, wanted: Iterable[tuple[Digest, str]]) -> dict[tuple[Digest, str], Known]:
    """What is remembered of these uploads; without those that have ended meanwhile."""
    sql = f"{_KNOWN}u.sha256 = ? AND u.store = ?"
    rows = (tx.conn.execute(sql, pair).fetchone() for pair in wanted)
    return {(row[0], row[1]): _known(row) for row in rows if row is not None}


def _known(row: tuple[Any, ...]) -> Known:
    sha256, store, camera, urgent, size, attempts, next_us, problem, clip, held_back, announced = row
    next_at = from_us(next_us) if next_us else None
    known_as = (Digest(sha256), store, CameraId(camera), bool(urgent), size, attempts, next_at, problem)
    return Known(*known_as, ClipId(clip), held_back, bool(announced))


@dataclass(frozen=True, slots=True)
class Lengths:
    """How many uploads there are, and how many of them wait for something else than their turn."""

    uploads: int
    held_back: int
    set_aside: int


def lengths(tx: Tx) -> Lengths:
    """Count; SQLite counts the pages of an index for the first, the others are few."""
    questions = (
        "SELECT count(*) FROM uploads",
        "SELECT count(*) FROM uploads WHERE held = 1",
        "SELECT count(*) FROM uploads WHERE asked_person = 1",
    )
    return Lengths(*(tx.conn.execute(question).fetchone()[0] for question in questions))


@dataclass(frozen=True, slots=True)
class Aside:
    """What one store has refused so often that it is set aside."""

    objects: int
    problem: str  # of one of them


def asides(tx: Tx) -> dict[str, Aside]:
    """By store, what is set aside."""
    rows = tx.conn.execute(
        # The problem is that of the row with the most attempts: what SQLite promises of max() and bare columns.
        "SELECT store, count(*), max(attempts), problem FROM uploads WHERE asked_person = 1 GROUP BY store"
    )
    return {store: Aside(count, problem) for store, count, _, problem in rows}
