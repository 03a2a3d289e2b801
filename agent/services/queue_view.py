"""The upload queue for people: each upload with the reason why it waits and what could be done about it.

However long the queue is, only as many rows are read as are shown (of each camera), and the rest is a number.
"""

import time
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from agent.core.object import Digest
from agent.core.queue_policy import Waiting, in_turn
from agent.core.retry_policy import STRIKES
from agent.ledger import upload_lanes, upload_orders, uploads
from agent.ledger.database import Tx
from agent.ledger.upload_lanes import HELD_BACK, RETRYING, SET_ASIDE, Known, Lengths
from agent.ledger.upload_orders import EVERY_STORE, Stopped
from agent.ports import JsonObject
from agent.services.kit import Kit
from agent.services.uploader import Uploader

if TYPE_CHECKING:
    from agent.core.clip import CameraId

ROWS = 200
"""Rows unless somebody asks for another number."""
ROWS_MOST = 1000
_FIRST_PLACES = 3


@dataclass(frozen=True, slots=True)
class _Closed:
    """Why nothing begins at a store now; `until` is None when a person decides that."""

    reason: str
    until: str | None


@dataclass(frozen=True, slots=True)
class _Look:
    """What the ledger says in one transaction."""

    stopped: dict[str, Stopped]
    open_rows: list[Waiting]
    closed_rows: list[Waiting]
    known: dict[tuple[Digest, str], Known]
    lanes: dict[str, list[Known]]


class QueueView:
    """Reads ledger and uploader; changes nothing."""

    def __init__(self, kit: Kit, uploader: Uploader) -> None:
        """Look at these."""
        self._kit, self._uploader = kit, uploader

    async def rows(self, limit: int) -> list[JsonObject]:
        """Up to `limit` uploads: running ones, those that wait in turn, then those that wait for something else."""
        limit = max(1, min(limit, ROWS_MOST))
        running = list(self._uploader.running.values())
        resting = self._resting()
        look = await self._kit.ledger(lambda tx, _: self._look(tx, limit, resting))
        closed = {s: c for s in self._stores() if (c := _closed(s, look.stopped, resting)) is not None}
        shown = [
            _view(r.waiting, look.known, "uploading", None) | {"sent_bytes": r.transfer.sent_bytes} for r in running
        ]
        for before, w in enumerate(look.open_rows):
            shown.append(_view(w, look.known, "waiting", _turn(before)) | {"before": before})
        shown += [_view(w, look.known, "waiting", closed[w.store]) for w in look.closed_rows if w.store in closed]
        seen = {(row["sha256"], row["store"]) for row in shown}
        for name, state in ((RETRYING.name, "paused"), (HELD_BACK.name, "held_back"), (SET_ASIDE.name, "set_aside")):
            shown += [_lane_view(k, state) for k in look.lanes[name] if (k.sha256, k.store) not in seen]
        return shown[:limit]

    async def summary(self) -> tuple[JsonObject, dict[str, Stopped], list[str]]:
        """How many uploads there are, who paused what, and what people should be told about the queue."""

        def ask(tx: Tx) -> tuple[Lengths, dict[str, Stopped], dict[str, upload_lanes.Aside]]:
            return upload_lanes.lengths(tx), upload_orders.pauses(tx), upload_lanes.asides(tx)

        lengths, stopped, asides = await self._kit.ledger(lambda tx, _: ask(tx))
        numbers: JsonObject = {
            "uploads": lengths.uploads,
            "held_back": lengths.held_back,
            "set_aside": lengths.set_aside,
        }
        told = [paused_words(store, by) for store, by in stopped.items()]
        told += [
            f"Store {store} refuses {_objects(aside.objects)} again and again; tried once a day from now on, or after"
            f" `dock-agent queue retry`: {aside.problem}"
            for store, aside in asides.items()
        ]
        if lengths.held_back:
            which = "1 upload is" if lengths.held_back == 1 else f"{lengths.held_back} uploads are"
            told.append(f"{which} held back by a person; `dock-agent queue list` says which and why.")
        return numbers, stopped, told

    def _stores(self) -> list[str]:
        return [store.name for store in self._kit.settings.stores]

    def _resting(self) -> dict[str, _Closed]:
        """The stores at which nothing begins: after a failure, or because the hours of the day allow nothing."""
        now, clock = time.monotonic(), self._kit.recorder.clock()
        found: dict[str, _Closed] = {}
        for store in self._stores():
            pause, hours = self._uploader.pauses.get(store), self._kit.bandwidth.why_paused(store, clock)
            if pause is not None and pause.until > now:
                until = (clock + timedelta(seconds=pause.until - now)).isoformat()
                found[store] = _Closed(f"Store {store} is left alone until {until}: {pause.problem or ''}", until)
            elif hours is not None:
                found[store] = _Closed(hours, None)
        return found

    def _look(self, tx: Tx, limit: int, resting: dict[str, _Closed]) -> _Look:
        stopped = upload_orders.pauses(tx)
        busy = set(self._uploader.running)
        closed = [store for store in self._stores() if _closed(store, stopped, resting) is not None]
        open_rows = self._in_turn(tx, [store for store in self._stores() if store not in closed], busy, limit)
        closed_rows = self._in_turn(tx, closed, busy, limit)
        keys = [*busy, *((w.sha256, w.store) for w in [*open_rows, *closed_rows][:limit])]
        lanes = {lane.name: upload_lanes.lane(tx, lane, limit) for lane in (RETRYING, HELD_BACK, SET_ASIDE)}
        return _Look(stopped, open_rows, closed_rows, upload_lanes.known(tx, keys), lanes)

    def _in_turn(self, tx: Tx, stores: list[str], busy: set[tuple[Digest, str]], limit: int) -> list[Waiting]:
        """The next `limit` turns; of each camera more is read only when its share turns out to be too small."""
        places, most = len(busy) + _FIRST_PLACES, len(busy) + limit
        while True:
            rows = [w for store in stores for w in uploads.waiting(tx, store, places)]
            ordered = in_turn([w for w in rows if (w.sha256, w.store) not in busy], self._uploader.served, limit)
            if places >= most or not _used_up(rows, ordered, places):
                return ordered
            places = min(most, places * 4)


def _used_up(rows: list[Waiting], ordered: list[Waiting], places: int) -> bool:
    """Whether a camera that has more than was read comes to the end of it."""
    newest: dict[tuple[str, CameraId, bool], Waiting] = {}
    of_each = Counter((w.store, w.camera, w.urgent) for w in rows)
    for w in rows:
        key = (w.store, w.camera, w.urgent)
        if key not in newest or w.sequence > newest[key].sequence:
            newest[key] = w
    taken = set(ordered)
    return any(newest[key] in taken for key, count in of_each.items() if count == places)


def paused_words(store: str, by: Stopped) -> str:
    """A pause that a person ordered, with what ends it."""
    where, ends = ("to every store", "") if store == EVERY_STORE else (f"to store {store}", f" {store}")
    return f"Uploads {where} are paused by {by.actor}: {by.reason}. `dock-agent queue resume{ends}` ends that."


def _objects(count: int) -> str:
    return "an object" if count == 1 else f"{count} objects"


def _closed(store: str, stopped: dict[str, Stopped], resting: dict[str, _Closed]) -> _Closed | None:
    for name in (EVERY_STORE, store):
        if name in stopped:
            return _Closed(paused_words(name, stopped[name]), None)
    return resting.get(store)


def _turn(before: int) -> _Closed:
    return _Closed("its turn is next" if not before else f"its turn: {before} before it", None)


def _view(w: Waiting, known: dict[tuple[Digest, str], Known], state: str, why: _Closed | None) -> JsonObject:
    row = known.get((w.sha256, w.store))
    return {
        "sha256": w.sha256,
        "clip": row.clip if row else None,
        "store": w.store,
        "camera": w.camera,
        "urgent": w.urgent,
        "size": w.size_bytes,
        "state": state,
        "attempts": row.attempts if row else 0,
        "announced": row.announced if row else False,
        "problem": row.problem if row else None,
        "why": why.reason if why else None,
        "next_at": why.until if why else None,
    }


def _lane_view(row: Known, state: str) -> JsonObject:
    next_at = row.next_at.isoformat() if row.next_at else None
    match state:
        case "held_back":
            why = f"held back by {row.held_back}; `dock-agent queue release {row.clip}` lets it go"
            next_at = None
        case "set_aside":
            why = f"set aside until {next_at}, or until `dock-agent queue retry {row.clip}`: {row.problem}"
        case _:
            why = f"tried again at {next_at}: {row.problem}"
    return {
        "sha256": row.sha256,
        "clip": row.clip,
        "store": row.store,
        "camera": row.camera,
        "urgent": row.urgent,
        "size": row.size_bytes,
        "state": state,
        "attempts": row.attempts,
        "announced": row.announced,
        "problem": row.problem,
        "why": why,
        "next_at": next_at,
        "asks_person": state == "set_aside" or row.attempts >= STRIKES,
    }
