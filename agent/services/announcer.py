"""Metadata first: stores are told what is to come, before the bytes have their turn.

The ledger says what a store was not told of yet; nothing is remembered here but pauses. An announcement holds up no
upload and fails none: it has a flow of its own for each store, and its own pauses.
"""

import asyncio
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from agent.core.announcement import MAX_OBJECTS, Announcement
from agent.core.errors import AgentError, LedgerError, StoreError
from agent.core.retry_policy import STRIKES, decide
from agent.ledger import announcements, upload_orders
from agent.ledger.upload_orders import EVERY_STORE
from agent.services.kit import Kit
from agent.services.uploader import LEDGER_PAUSE_S, Uploader

if TYPE_CHECKING:
    from agent.core.announcement import Announced
    from agent.ledger.database import Tx
    from agent.ports import JsonObject

log = structlog.get_logger()

PACE_S = 2.0
"""Between two announcements to a store: clips that are copied one after the other are told together, and a long queue
takes no more of a line than a few hundred kilobits per second."""
MUTE_S = 3600.0
"""A store that takes no announcements is asked again whether it does after so long."""
_IDLE_S = 60.0


@dataclass(slots=True)
class Standing:
    """How announcements to one store go. `takes` is None until it was asked."""

    until: float = 0.0
    failures: int = 0
    problem: str | None = None
    takes: bool | None = None


class Announcer:
    """Tells stores what waits for them."""

    def __init__(self, kit: Kit, uploader: Uploader) -> None:
        """Nothing is told before `run`."""
        self._kit, self._uploader = kit, uploader
        can = [name for name, store in kit.stores.items() if store.announce is not None]
        self.stores = {name: Standing() for name in can}

    async def run(self) -> None:
        """Tell until cancelled."""
        async with asyncio.TaskGroup() as group:
            for name in self.stores:
                group.create_task(self._serve(name), name=f"announcements to {name}")

    async def _serve(self, store: str) -> None:
        while True:
            seen = self._kit.work.rings
            try:
                told = await self._tell_next(store)
            except LedgerError as error:
                log.error("announcement.not_recorded", store=store, problem=error.told())  # noqa: TRY400
                await asyncio.sleep(LEDGER_PAUSE_S)
                continue
            if not told:
                pause_s = self.stores[store].until - time.monotonic()
                await self._kit.work.wait(seen, max(0.0, pause_s) or _IDLE_S)
            await asyncio.sleep(PACE_S)

    async def _tell_next(self, store: str) -> bool:
        """Tell of the next objects; whether any were told of. Raises LedgerError."""
        if self.stores[store].until > time.monotonic() or not self._uploader.is_open(store):
            return False
        running = {sha256 for sha256, where in self._uploader.running if where == store}

        def look(tx: "Tx") -> "list[Announced]":
            stopped = upload_orders.pauses(tx)
            if EVERY_STORE in stopped or store in stopped:
                return []
            return announcements.unannounced(tx, store, MAX_OBJECTS + len(running))

        waiting = await self._kit.ledger(lambda tx, _: look(tx))
        waiting = [each for each in waiting if each.sha256 not in running]  # those tell of themselves
        if not waiting:
            return False
        announcement = Announcement.of(self._kit.settings.station, waiting)
        if not await self._tell(store, announcement):
            return False
        await self._kit.ledger(lambda tx, _: announcements.announced(tx, store, announcement.objects))
        self._kit.change.ring()
        return True

    async def _tell(self, store: str, announcement: Announcement) -> bool:
        announce = self._kit.stores[store].announce
        assert announce is not None  # noqa: S101 - no other store is in `stores`
        try:
            takes = await announce(announcement)
        except AgentError as error:
            self._failed(store, error)
            return False
        except Exception:
            # What only tells of footage must not stop what brings it.
            log.exception("announcement.crashed", store=store)
            self._failed(store, StoreError("Internal error while announcing; uploads go on."))
            return False
        self.stores[store] = Standing(0.0 if takes else time.monotonic() + MUTE_S, takes=takes)
        if takes:
            log.info("announcement.taken", store=store, objects=len(announcement.objects))
        return takes

    def _failed(self, store: str, error: AgentError) -> None:
        before = self.stores[store]
        attempt = before.failures + 1
        pause_s = decide(error, attempt, random.random()).delay_s  # noqa: S311 - spreads load, guards nothing
        log.warning("announcement.failed", store=store, code=error.code, attempt=attempt, problem=str(error))
        self.stores[store] = Standing(time.monotonic() + pause_s, attempt, error.told(), before.takes)

    async def views(self) -> "dict[str, JsonObject]":
        """For each store that can be told: whether it wants to be, what it was not told of, and what is wrong."""
        names = list(self.stores)
        waiting = await self._kit.ledger(lambda tx, _: [announcements.count_unannounced(tx, name) for name in names])
        return {
            name: {"taken": self.stores[name].takes, "waiting": count, "problem": self.stores[name].problem}
            for name, count in zip(names, waiting, strict=True)
        }

    def told(self) -> list[str]:
        """What people should know; uploads are not concerned."""
        return [
            f"Store {name} did not take {standing.failures} announcements in a row; uploads go on: {standing.problem}"
            for name, standing in self.stores.items()
            if standing.failures >= STRIKES
        ]
