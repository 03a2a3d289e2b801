"""The desk: answers people's questions and takes their requests. Implements ports.Desk."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from agent.core.queue_policy import Waiting
from agent.ledger import uploads
from agent.ports import JsonObject, StorePolicy
from agent.services import views
from agent.services.actions import Actions
from agent.services.handover import hand_over
from agent.services.kit import Kit
from agent.services.station import Station
from agent.services.uploader import Uploader

if TYPE_CHECKING:
    from agent.core.custody import JsonValue

_CHANGE_PAUSE_S = 0.25
_LIMIT_CAP = 10_000


class Desk:
    """Built by the app around the running flows."""

    def __init__(
        self,
        kit: Kit,
        station: Station,
        uploader: Uploader,
        *,
        version: str,
        bay_names: Callable[[], list[str]],
        notices: list[str],
    ) -> None:
        """`notices`: what start-up found and a person should read."""
        self._kit, self._station, self._uploader = kit, station, uploader
        self._version, self._bay_names, self._notices = version, bay_names, notices
        self._actions = Actions(kit, station, uploader)
        self.act = self._actions.act

    async def station(self) -> JsonObject:
        """Everything about the station as a whole."""
        settings = self._kit.settings
        numbers, doubts = await self._kit.ledger(lambda tx, _: (views.totals(tx), views.ledger_notices(tx)))
        space = await self._kit.on_disk(lambda: os.statvfs(self._kit.spool.root))
        states = await self._store_states()
        stores: list[JsonValue] = [self._store_view(s, states[s.name]) for s in settings.stores]
        return {
            "station": settings.station,
            "version": self._version,
            "trial": settings.trial,
            "wiping": settings.wiping,
            "copies": settings.copies,
            "totals": numbers,
            "stores": stores,
            "spool": {
                "free_bytes": space.f_bavail * space.f_frsize,
                "reserve_bytes": self._kit.spool.reserve_bytes,
            },
            "uploading": len(self._uploader.running),
            "notices": [*doubts, *self._notices],
        }

    async def _store_states(self) -> dict[str, tuple[int, str | None]]:
        """For each configured store the failures in a row and what is wrong, with it or with single objects."""
        stuck = await self._kit.ledger(lambda tx, _: views.stuck(tx))
        states: dict[str, tuple[int, str | None]] = {}
        for name in (s.name for s in self._kit.settings.stores):
            pause, some = self._uploader.pauses.get(name), stuck.get(name)
            if pause is not None and pause.failures:
                states[name] = pause.failures, pause.problem
            else:
                states[name] = (0, None) if some is None else (some.attempts, some.told())
        return states

    def _store_view(self, policy: StorePolicy, state: tuple[int, str | None]) -> JsonObject:
        failures, problem = state
        return {
            "name": policy.name,
            "require": policy.require.word,
            "counts": policy.counts,
            "ok": not failures,
            "place": policy.place,
            "problem": problem,
            "failures": failures,
        }

    async def bays(self) -> list[JsonObject]:
        """Every configured bay, and occupied ones that are not configured."""
        names = self._bay_names()
        extra = sorted(set(self._station.slots) - set(names))
        return [views.bay_view(name, self._station.slots.get(name)) for name in [*names, *extra]]  # type: ignore[call-overload]

    async def clips(self, *, camera: str | None, custody: str | None, limit: int) -> list[JsonObject]:
        """Clips, newest first."""
        capped = max(1, min(limit, _LIMIT_CAP))
        return await self._kit.ledger(lambda tx, _: views.clip_views(tx, camera, custody, capped))

    async def queue(self) -> list[JsonObject]:
        """Running uploads first, then what waits, in turn."""
        problems = await self._kit.ledger(lambda tx, _: views.upload_problems(tx))
        running = list(self._uploader.running.values())
        rows: list[JsonObject] = [
            self._upload_view(r.waiting, "uploading", problems) | {"sent_bytes": r.transfer.sent_bytes} for r in running
        ]
        waiting: list[Waiting] = []
        for store in self._kit.settings.stores:
            waiting += await self._kit.ledger(lambda tx, _, s=store.name: uploads.waiting(tx, s, 1000))  # type: ignore[misc]
        busy = {(r.waiting.sha256, r.waiting.store) for r in running}
        rest = [w for w in waiting if (w.sha256, w.store) not in busy]
        rows += [self._upload_view(w, "waiting", problems) for w in views.in_turn(rest, self._uploader.served)]
        shown = busy | {(w.sha256, w.store) for w in rest}
        rows += [
            {"sha256": sha256, "store": store, "state": "paused", **problem}
            for (sha256, store), problem in problems.items()
            if (sha256, store) not in shown
        ]
        return rows

    def _upload_view(self, w: Waiting, state: str, problems: dict[tuple[str, str], JsonObject]) -> JsonObject:
        pause = self._uploader.pauses.get(w.store)
        known = problems.get((w.sha256, w.store), {})
        return {
            "sha256": w.sha256,
            "store": w.store,
            "camera": w.camera,
            "urgent": w.urgent,
            "size": w.size_bytes,
            "state": state,
            "attempts": known.get("attempts", 0),
            "problem": known.get("problem") or (pause.problem if pause else None),
        }

    async def events(self, *, after: int, limit: int) -> list[JsonObject]:
        """Custody events as objects, for reading; `custody_lines` is what can be verified."""
        return [json.loads(line) for line in await self.custody_lines(after=after, limit=limit)]

    async def custody_lines(self, *, after: int, limit: int) -> list[str]:
        """The exact lines of events above a number."""
        capped = max(1, min(limit, _LIMIT_CAP))
        return await self._kit.ledger(lambda tx, _: views.event_lines(tx, after, capped))

    async def health(self) -> JsonObject:
        """What a person should look at."""
        states = await self._store_states()
        problems = [f"store {name}: {problem}" for name, (_, problem) in states.items() if problem]
        problems += [f"bay {b}: {s.problem}" for b, s in self._station.slots.items() if s.faulted and s.problem]
        problems += await self._kit.ledger(lambda tx, _: views.ledger_notices(tx))
        kept: list[JsonValue] = [*problems, *self._notices]
        return {"ok": not problems, "problems": kept}

    async def changes(self) -> AsyncIterator[None]:
        """Yield at once, then after each change, at most four times a second."""
        while True:
            seen = self._kit.change.rings
            yield
            await asyncio.sleep(_CHANGE_PAUSE_S)
            await self._kit.change.wait(seen)

    def hand_over(self, request: JsonObject) -> AsyncIterator[JsonObject]:
        """Offload a folder that a person hands over."""
        return hand_over(self._kit, self._station, self._uploader, request)
