"""The desk: answers people's questions and takes their requests. Implements ports.Desk."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from agent.ledger.upload_orders import EVERY_STORE
from agent.ports import JsonObject, StorePolicy
from agent.services import patrol, views
from agent.services.actions import Actions
from agent.services.announcer import Announcer
from agent.services.drain import Drain
from agent.services.handover import hand_over
from agent.services.kit import Kit
from agent.services.queue_view import ROWS, QueueView, paused_words
from agent.services.station import Station
from agent.services.uploader import Uploader

if TYPE_CHECKING:
    from agent.core.custody import JsonValue

_CHANGE_PAUSE_S = 0.25
_LIMIT_CAP = 10_000


class Desk:
    """Built by the app around the running flows."""

    def __init__(  # noqa: PLR0913 - the app builds it once, from all there is
        self,
        kit: Kit,
        station: Station,
        uploader: Uploader,
        *,
        version: str,
        bay_names: Callable[[], list[str]],
        notices: list[str],
        announcer: Announcer | None = None,
    ) -> None:
        """`notices`: what start-up found and a person should read; without `announcer` nothing is announced."""
        self._kit, self._station, self._uploader = kit, station, uploader
        self._announcer = announcer or Announcer(kit, uploader)
        self._version, self._bay_names, self._notices = version, bay_names, notices
        self._queue = QueueView(kit, uploader)
        self.drain = Drain(kit, station, uploader)
        self._actions = Actions(kit, station, uploader, bay_names, self.drain)
        self.act = self._actions.act
        self.told: Callable[[], tuple[list[str], list[str]]] = lambda: ([], [])
        """Problems and notices about the stores' probes and certificates; blocks on small files."""

    async def station(self) -> JsonObject:
        """Everything about the station as a whole."""
        settings = self._kit.settings
        numbers, doubts = await self._kit.ledger(lambda tx, _: (views.totals(tx), views.ledger_notices(tx)))
        space = await self._kit.on_disk(lambda: os.statvfs(self._kit.spool.root))
        told, _ = await self._kit.on_disk(self.told)
        states = await self._store_states()
        queue, stopped, waits = await self._queue.summary()
        announced = await self._announcer.views()
        stores: list[JsonValue] = [
            self._store_view(s, states[s.name])
            | {"announcements": announced.get(s.name)}
            | {"paused": None if (by := stopped.get(s.name) or stopped.get(EVERY_STORE)) is None else by.reason}
            for s in settings.stores
        ]
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
            "bandwidth": self._kit.bandwidth.view(self._kit.recorder.clock()),
            "queue": queue,
            "drain": self.drain.view(),
            "notices": [
                *self.drain.told(),
                *doubts,
                *waits,
                *told,
                *await patrol.told(self._kit),
                *self._asides(),
                *self._notices,
            ],
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
            "bandwidth": self._kit.bandwidth.store_view(policy.name, self._kit.recorder.clock()),
            "yielding": self._kit.bandwidth.line_view(policy.name),
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

    async def queue(self, *, limit: int = ROWS) -> list[JsonObject]:
        """Running uploads first, then what waits in turn, then what waits for something else."""
        return await self._queue.rows(limit)

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
        _, stopped, _ = await self._queue.summary()
        problems += [paused_words(store, by) for store, by in stopped.items()]
        problems += [f"bay {b}: {s.problem}" for b, s in self._station.slots.items() if s.faulted and s.problem]
        waiting = {b: s.session.standing.problem for b, s in self._station.slots.items()}
        problems += [f"bay {b}: {problem}" for b, problem in waiting.items() if problem]
        problems += [f"{'' if name == 'dock' else 'bay '}{name}: {text}" for name, text in self._station.noticed()]
        problems += await self._kit.ledger(lambda tx, _: views.ledger_notices(tx))
        problems += [*await patrol.told(self._kit), *self.drain.told()]
        told, worth_knowing = await self._kit.on_disk(self.told)
        problems += told
        kept: list[JsonValue] = [*problems, *self._asides(), *self._notices, *worth_knowing]
        return {"ok": not problems, "problems": kept}

    def _asides(self) -> list[str]:
        """What is worth knowing and stops nothing."""
        return [*self._announcer.told(), *patrol.kept_words(self._kit)]

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
