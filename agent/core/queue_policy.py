"""Which upload goes next.

Order: urgent (event-marked or requested) first; among equals the camera that was served least recently, so that
no officer waits behind another's whole shift; within a camera the oldest sighting. An urgent object has its store to
itself: it shall not share the line to it with what can wait. What can wait never takes the last worker for a store that
has all the others while another store could be served: one slow store shall not stop the rest.
"""

import heapq
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
    waiting: Iterable[Waiting],
    last_served: Mapping[CameraId, int],
    running: Collection[Waiting] = (),
    workers: int | None = None,
) -> Waiting | None:
    """Pick the next upload, or None when nothing waits that may begin beside what is `running`.

    `workers` is how many uploads that can wait may run at a time; None: as many as one likes.
    `last_served` gives each camera's turn number (higher = more recent); a camera that is not in it goes first.
    Deterministic: ties end at the smallest sequence, then digest and store.
    """
    taken, full = _urgent_stores(running), _full_store(running, workers)
    return min(
        (w for w in waiting if w.urgent or w.store not in taken),
        key=lambda w: (not w.urgent, not w.urgent and w.store == full, last_served.get(w.camera, -1), *_age(w)),
        default=None,
    )


def _full_store(running: Iterable[Waiting], workers: int | None) -> str | None:
    """The store that has all workers but the last one, if there is such a store."""
    served = [r.store for r in running if not r.urgent]
    if workers is None or len(served) < workers - 1 or len(set(served)) != 1:
        return None
    return served[0]


def in_turn(waiting: Iterable[Waiting], last_served: Mapping[CameraId, int], limit: int) -> list[Waiting]:
    """The next `limit` uploads in the order in which `choose_next` would take them, one after the other."""
    turns = dict(last_served)
    turn = max(turns.values(), default=-1)
    queues: dict[tuple[bool, CameraId], list[Waiting]] = {}
    for upload in sorted(waiting, key=_age, reverse=True):
        queues.setdefault((upload.urgent, upload.camera), []).append(upload)
    ordered: list[Waiting] = []
    for urgent in (True, False):
        heads = [(turns.get(c, -1), *_age(queue[-1]), c) for (u, c), queue in queues.items() if u is urgent]
        heapq.heapify(heads)
        while heads and len(ordered) < limit:
            camera = heapq.heappop(heads)[-1]
            queue = queues[urgent, camera]
            ordered.append(queue.pop())
            turn += 1
            turns[camera] = turn
            if queue:
                heapq.heappush(heads, (turn, *_age(queue[-1]), camera))
    return ordered


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


def _age(upload: Waiting) -> tuple[int, Digest, str]:
    return upload.sequence, upload.sha256, upload.store


def _urgent_stores(uploads: Iterable[Waiting]) -> set[str]:
    return {upload.store for upload in uploads if upload.urgent}
