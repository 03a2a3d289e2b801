"""The end of a walk: what becomes of the clips that a complete listing no longer shows."""

from collections.abc import Collection
from dataclasses import dataclass

from agent.core.clip import Clip, Copy, Custody
from agent.ledger.clips import Listing, Move, move
from agent.ledger.custody import Recorder
from agent.ledger.database import Tx
from agent.ledger.rows import CLIP_COLUMNS, clip_of

SETTLE_BATCH = 200
"""Clips looked at in one transaction, so that a camera that lost thousands of files holds nobody up."""


@dataclass(slots=True)
class Settled:
    """What one step of `finish_listing` did, and from where the next goes on; None: there is nothing left."""

    gone: int = 0
    missing: int = 0
    after: tuple[int, int] | None = None


def finish_listing(
    tx: Tx,
    recorder: Recorder,
    listing: Listing,
    hidden: Collection[bytes] = frozenset(),
    after: tuple[int, int] = (0, 0),
) -> Settled:
    """After a *complete* walk: settle the next clips that it did not show; one bounded step.

    A copy whose unlink was acknowledged is gone; any other is missing, and a clip that was never copied is lost. What
    lies at or below a `hidden` path could not be looked at, and stays as it is.
    """
    settled = Settled()
    rows = tx.conn.execute(
        f"SELECT listing, rowid, {CLIP_COLUMNS} FROM clips WHERE camera = ? AND listing < ?"  # noqa: S608
        " AND copy IN ('present', 'wipe_intended') AND (listing, rowid) > (?, ?) ORDER BY listing, rowid LIMIT ?",
        (listing.camera, listing.number, *after, SETTLE_BATCH),
    ).fetchall()
    for row in rows:
        clip = clip_of(row[2:])
        if not (hidden and _lies_in(clip.entry.path, hidden)):
            _settle_unlisted(tx, recorder, clip, settled)
    if len(rows) == SETTLE_BATCH:
        settled.after = rows[-1][:2]
    return settled


def _lies_in(path: bytes, hidden: Collection[bytes]) -> bool:
    while path not in hidden:
        path, found, _ = path.rpartition(b"/")
        if not found:
            return False
    return True


def _settle_unlisted(tx: Tx, recorder: Recorder, clip: Clip, count: Settled) -> None:
    if clip.copy is Copy.WIPE_INTENDED and clip.unlinked_in is not None:
        move(tx, recorder, clip, Move("copy.gone", copy=Copy.GONE, problem=clip.problem))
        count.gone += 1
        return
    if clip.copy is Copy.WIPE_INTENDED:  # an intent alone destroys nothing: it is not there, and not by our hand
        clip = move(tx, recorder, clip, Move("copy.intent_dropped", copy=Copy.PRESENT, problem=clip.problem))
    lost = Custody.LOST if clip.custody is Custody.LISTED else None
    name = "clip.lost" if lost else "copy.missing"
    reason = "It was on the camera before, was never copied, and is not there any more." if lost else clip.problem
    move(tx, recorder, clip, Move(name, custody=lost, copy=Copy.MISSING, problem=reason))
    count.missing += 1
