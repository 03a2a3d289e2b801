"""Which upload goes next.

Order: urgent (event-marked or requested) first; among equals the camera that was served least recently, so that
no officer waits behind another's whole shift; within a camera the oldest sighting.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.core.clip import CameraId
from agent.core.object import Digest


@dataclass(frozen=True, slots=True)
class Waiting:
    """One object that one store does not hold yet."""

    sha256: Digest
    store: str
    camera: CameraId
    urgent: bool
    sequence: int  # order of first sighting in the ledger; never a clock
    size_bytes: int


def choose_next(waiting: Iterable[Waiting], last_served: Mapping[CameraId, int]) -> Waiting | None:
    """Pick the next upload, or None when nothing waits.

    `last_served` gives each camera's turn number (higher = more recent); a camera that is not in it goes first.
    Deterministic: ties end at the smallest sequence, then digest and store.
    """
    return min(
        waiting,
        key=lambda w: (not w.urgent, last_served.get(w.camera, -1), w.sequence, w.sha256, w.store),
        default=None,
    )


def preempts(candidate: Waiting, running: Iterable[Waiting]) -> Waiting | None:
    """The running upload that must make room for an urgent one: the newest that is not urgent, or None."""
    if not candidate.urgent:
        return None
    return max((r for r in running if not r.urgent), key=lambda r: r.sequence, default=None)
