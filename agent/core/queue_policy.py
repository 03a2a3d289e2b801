"""Which upload goes next.

Order: urgent (event-marked or requested) first; among equals the camera that was served least recently, so that
no officer waits behind another's whole shift; within a camera the oldest sighting. An urgent object has its store to
itself: it shall not share the line to it with what can wait.
"""

from collections.abc import Collection, Iterable, Mapping
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


def choose_next(
    waiting: Iterable[Waiting], last_served: Mapping[CameraId, int], running: Iterable[Waiting] = ()
) -> Waiting | None:
    """Pick the next upload, or None when nothing waits that may begin beside what is `running`.

    `last_served` gives each camera's turn number (higher = more recent); a camera that is not in it goes first.
    Deterministic: ties end at the smallest sequence, then digest and store.
    """
    taken = _urgent_stores(running)
    return min(
        (w for w in waiting if w.urgent or w.store not in taken),
        key=lambda w: (not w.urgent, last_served.get(w.camera, -1), w.sequence, w.sha256, w.store),
        default=None,
    )


def must_stop(running: Collection[Waiting], candidate: Waiting | None, workers: int) -> list[Waiting]:
    """The running uploads that must make room: what can wait at a store to which an urgent one goes, or wants to.

    `candidate` is what would be next. When all workers are busy at other stores, one of them is freed: the newest.
    """
    wanted = candidate is not None and candidate.urgent
    taken = _urgent_stores([*running, *([candidate] if candidate else [])])
    calm = sorted((r for r in running if not r.urgent), key=lambda r: r.sequence)
    stopping = [r for r in calm if r.store in taken]
    if not stopping and wanted and len(running) >= workers:
        return calm[-1:]
    return stopping


def _urgent_stores(uploads: Iterable[Waiting]) -> set[str]:
    return {upload.store for upload in uploads if upload.urgent}
