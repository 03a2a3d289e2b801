"""The drain: before a restart or patching, everything comes to a safe point and nothing new begins.

It lives in memory only, so a station that was restarted serves again by itself. A camera's window is never cut: as
long as one is open the station is not ready, however long that takes. Uploads stop at their next block, and the stores
keep what they have.
"""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from agent.core.errors import ActionRefused, LedgerError
from agent.ports import JsonObject
from agent.services.ask import Request
from agent.services.kit import Kit
from agent.services.slot import Slot
from agent.services.station import Station
from agent.services.uploader import Uploader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agent.core.custody import JsonValue

log = structlog.get_logger()

LOOK_S = 5.0
"""How long one wait for a window may be before it is looked at again whether the drain still holds."""
_RETRY_S = 2.0


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asked for it, and why."""

    actor: str
    reason: str


class Drain:
    """Brings the station to rest and back. `run` is its flow; `verbs` are what people may ask."""

    def __init__(self, kit: Kit, station: Station, uploader: Uploader) -> None:
        """Nothing is drained."""
        self._kit, self._station, self._uploader = kit, station, uploader
        self._asked: Asked | None = None
        self._settled = False  # every session has ended and that is written down
        self.verbs: dict[str, Callable[[Request], Awaitable[str]]] = {"drain": self._drain, "undrain": self._undrain}

    @property
    def ready(self) -> bool:
        """Whether the machine may be restarted now."""
        return self._asked is not None and self._settled and not self._waits()

    def view(self) -> JsonObject | None:
        """How far it has come; None when nobody asked for it."""
        if self._asked is None:
            return None
        waits: list[JsonValue] = [*self._waits()]
        if not waits and not self._settled:
            waits = ["the ledger is being written out"]
        return {"actor": self._asked.actor, "reason": self._asked.reason, "ready": not waits, "waits": waits}

    def told(self) -> list[str]:
        """What a person in front of the station should read."""
        if self._asked is None:
            return []
        what = "ready for a restart" if self.ready else "coming to rest for a restart"
        why = f"{self._asked.actor}: {self._asked.reason}"
        return [f"The station is {what} ({why}): no camera is read and nothing is sent. `dock-agent drain --undo`."]

    def _waits(self) -> list[str]:
        """What is still going on, for people."""
        found = []
        for slot in self._going_on():
            cleared = slot.session.interlock.window_open
            what = "the camera is being cleared" if cleared else "the session is ending"
            found.append(f"bay {slot.docked.bay}: {what}")
        sent = len(self._uploader.running)
        if sent:
            found.append("1 upload is coming to its next block" if sent == 1 else f"{sent} uploads are coming to rest")
        return found

    def _going_on(self) -> list[Slot]:
        return [s for s in self._station.slots.values() if s.task is not None and not s.ended.is_set()]

    async def _drain(self, request: Request) -> str:
        fields = request.who_and_why
        await self._kit.ledger(lambda tx, rec: rec.record(tx, "station.drain_asked", fields))
        if self._asked is None:
            self._settled = False
        self._asked = Asked(request.actor, request.reason)
        self._kit.draining = True
        await self._uploader.halt(lambda _: True)
        return "No new session and no new upload begins; what runs comes to a safe point."

    async def _undrain(self, request: Request) -> str:
        if self._asked is None:
            raise ActionRefused("The station is not drained.", hint="There is nothing to undo.")
        fields = request.who_and_why
        await self._kit.ledger(lambda tx, rec: rec.record(tx, "station.drain_ended", fields))
        self._asked, self._kit.draining = None, False
        self._station.serve_again()
        return "The station serves again."

    async def run(self) -> None:
        """Bring sessions to rest whenever that is asked for, until cancelled."""
        while True:
            seen = self._kit.work.rings
            if self._asked is not None and not self._settled:
                await self._settle()
            await self._kit.work.wait(seen)

    async def _settle(self) -> None:
        """End every session and write down how far the ledger has come; returns early when it was undone."""
        asked = self._asked
        async with asyncio.TaskGroup() as group:
            for slot in self._going_on():
                group.create_task(self._park(slot))
        if self._asked is None:
            self._station.serve_again()  # also in bays that had ended before it was undone
            return
        if not self._rests(asked):
            await self._look_again()
            return
        try:
            await self._kit.ledger(lambda tx, rec: rec.record(tx, "station.drained", {}))
            await self._kit.bear_witness()
        except LedgerError as error:
            log.error("drain.not_recorded", problem=error.told())  # noqa: TRY400 - the sentence says it all
            await self._look_again()
            return
        if not self._rests(asked):  # the writing takes its time, in which a person may have undone the drain
            await self._look_again()
            return
        self._settled = True
        self._kit.change.ring()

    def _rests(self, asked: Asked | None) -> bool:
        """Whether every session has ended, and the drain is still the one that was asked for then."""
        return self._asked is asked and not self._going_on()

    async def _look_again(self) -> None:
        await asyncio.sleep(_RETRY_S)
        self._kit.work.ring()

    async def _park(self, slot: Slot) -> None:
        while not await slot.session.interlock.safe_point(LOOK_S):
            if self._asked is None:
                return
        try:
            await self._station.release(slot)
        except LedgerError as error:
            log.error("drain.not_recorded", problem=error.told())  # noqa: TRY400 - the sentence says it all
