"""All bays of a station: one guarded session for each docked camera.

A fault in one bay ends that bay's session and nothing else; it is tried again, and after three strikes the bay
says what is wrong until the camera is taken out. Bays come as whole snapshots, so nothing is missed.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import PurePath

import structlog

from agent.core.bay import Phase
from agent.core.clip import BayName, CameraId
from agent.core.errors import (
    ActionRefused,
    AgentError,
    CameraGone,
    DeviceRefused,
    HelperUnreachable,
    IllegalMove,
    LedgerError,
    LedgerFull,
    ReaderStalled,
    SpoolPlain,
)
from agent.ports import BayWatch, CameraOpener, Docked, PortPower
from agent.services.doorbell import Doorbell
from agent.services.identity import Hand, UnknownLayout
from agent.services.kit import Kit
from agent.services.presence import Presence
from agent.services.revival import Revival
from agent.services.session import Session
from agent.services.slot import STRIKES, Slot

log = structlog.get_logger()

STRIKE_PAUSE_S = 2.0
WINDOW_GRACE_S = 15.0
"""A wipe window only unlinks and syncs; one that takes longer than this hangs."""
RETURN_S = 30.0
"""After its power came back a camera starts up, and the kernel asks it who it is."""
END_GRACE_S = 10.0
"""A session that was cancelled closes its reader and its ledger row; both are bounded."""


_NOT_RETURNED = (
    "The camera stopped answering and did not come back when its power did. Take it out and put it back; if that does"
    " not help, keep it for examination: its footage is still aboard."
)

_NOT_READ = "The station is about to be restarted: this camera is read afterwards."


class Station:
    """Starts and ends sessions as cameras come and go."""

    def __init__(
        self, kit: Kit, opener: CameraOpener, watches: Sequence[BayWatch], power: PortPower | None = None
    ) -> None:
        """Nothing runs before `run`. Each bay is in the sight of one watch only."""
        self._kit = kit
        self._opener = opener
        self._watches = watches
        self._revival = Revival(kit, power)
        self._presence = Presence()
        self._sights: dict[int, Mapping[BayName, Docked]] = {}
        self._looks = Doorbell()
        self.slots: dict[BayName, Slot] = {}
        self._wanted: dict[BayName, Docked] = {}
        self._hands = 0
        self._group: asyncio.TaskGroup | None = None  # holds the bays' tasks while the station runs

    async def run(self) -> None:
        """Serve all bays until cancelled; open wipe windows are finished before it returns."""
        async with asyncio.TaskGroup() as bays:
            self._group = bays
            try:
                async with asyncio.TaskGroup() as group:
                    for number, watch in enumerate(self._watches):
                        group.create_task(self._listen(number, watch), name=f"watch {number}")
            finally:
                await self._end_all()
                self._group = None

    async def _listen(self, number: int, watch: BayWatch) -> None:
        async with aclosing(watch.snapshots()) as snapshots:
            async for snapshot in snapshots:
                self._see(number, snapshot)

    def _see(self, number: int, snapshot: Mapping[BayName, Docked]) -> None:
        self._sights[number] = snapshot
        self._wanted = {bay: docked for sight in self._sights.values() for bay, docked in sight.items()}
        self._looks.ring()
        self._follow()

    def _follow(self) -> None:
        """Start and end sessions; a bay that ends slowly keeps only its own next camera waiting."""
        if (group := self._group) is None:
            return  # the station has ended, and all sessions with it
        for bay, slot in list(self.slots.items()):
            if slot.is_watched and self._wanted.get(bay) != slot.docked:
                slot.leaving = True
                group.create_task(self._empty(bay, slot), name=f"empty {bay}")
        for bay in self._wanted:
            if bay not in self.slots:
                self._occupy(group, bay)
        self._kit.change.ring()

    def _occupy(self, group: asyncio.TaskGroup, bay: BayName) -> None:
        docked = self._wanted[bay]
        log.info("bay.occupied", bay=bay, driver=docked.driver)
        slot = Slot(docked, self._session(docked))
        self.slots[bay] = slot
        if self._kit.draining:
            slot.problem, slot.faulted = _NOT_READ, True
            return
        slot.task = group.create_task(self._guard(slot), name=f"bay {bay}")

    async def _empty(self, bay: BayName, slot: Slot) -> None:
        await self._end(slot)
        if slot.task is not None and not slot.ended.is_set():
            slot.problem, slot.faulted = "The last camera's session has not ended yet; nothing is read before.", True
            self._kit.change.ring()
            await slot.ended.wait()  # what it still asks for names the bay, and must not meet the next camera
        self._vacate(bay, slot)
        self._follow()

    def _vacate(self, bay: BayName, slot: Slot) -> None:
        if self.slots.get(bay) is slot:
            del self.slots[bay]
            log.info("bay.emptied", bay=bay)
        self._kit.ring()

    def serve_again(self) -> None:
        """Begin anew in every bay whose session has ended: a drain was undone."""
        for bay, slot in list(self.slots.items()):
            if slot.is_watched and (slot.task is None or slot.ended.is_set()):
                del self.slots[bay]
        self._follow()

    async def _end_all(self) -> None:
        self._wanted = {}
        async with asyncio.TaskGroup() as group:
            for slot in list(self.slots.values()):
                group.create_task(self._end(slot))
        for bay, slot in list(self.slots.items()):
            self._vacate(bay, slot)

    async def _end(self, slot: Slot) -> None:
        """End a session at a safe point; one that does not end in time is left behind, and said."""
        await slot.session.interlock.safe_point(WINDOW_GRACE_S)
        if slot.task is None:
            return
        slot.task.cancel()
        try:
            async with asyncio.timeout(END_GRACE_S):
                await slot.ended.wait()
        except TimeoutError:
            log.exception("session.does_not_end", bay=slot.docked.bay)

    def _session(self, docked: Docked, hand: Hand | None = None) -> Session:
        return Session(self._kit, self._opener, self._presence, docked, hand)

    async def _guard(self, slot: Slot) -> None:
        """Run sessions of one docking; whatever goes wrong stays in this bay."""
        structlog.contextvars.bind_contextvars(bay=slot.docked.bay)
        try:
            await self._try(slot)
            while not slot.faulted and slot.strikes < STRIKES:
                if slot.hung and slot.docked.usb is not None:
                    if not await self._revive(slot):
                        break
                else:
                    await asyncio.sleep(STRIKE_PAUSE_S)
                slot.session = self._session(slot.docked)
                await self._try(slot)
            slot.faulted = True
            self._kit.change.ring()
            log.error("bay.faulted", problem=slot.problem)
            await asyncio.Event().wait()  # until the camera is taken out
        finally:
            slot.ended.set()

    async def _revive(self, slot: Slot) -> bool:
        """Free a camera that hangs; whether it is here again. Its strikes stay, since this was our own hand."""
        before, slot.reviving = slot.docked, True
        try:
            refusal = await self._revival.power_cycle(slot, lambda: self._wanted.get(before.bay) == before)
            if refusal is not None:
                slot.problem = f"The camera stopped answering: {refusal}. Take it out and put it back."
            else:
                log.warning("camera.power_cut", strike=slot.strikes)
                if await self._returned(before):
                    slot.docked = self._wanted[before.bay]
                    return True
                log.error("camera.not_returned", camera=slot.session.standing.camera)
                slot.problem = _NOT_RETURNED
        except LedgerError as error:
            slot.problem = error.told()
        finally:
            slot.reviving = False
        self._follow()
        return False

    async def _returned(self, before: Docked) -> bool:
        deadline = time.monotonic() + RETURN_S
        while True:
            seen = self._looks.rings
            if self._wanted.get(before.bay, before) != before:  # looked at first: time is no reason not to see it
                return True
            if (left_s := deadline - time.monotonic()) <= 0:
                return False
            await self._looks.wait(seen, left_s)

    async def _try(self, slot: Slot) -> None:
        slot.begun = time.monotonic()
        slot.strikes += 1
        slot.hung = False
        try:
            await slot.session.run()
        except CameraGone as error:
            slot.problem = str(error)  # the next snapshot will say so too
            log.info("camera.gone", problem=slot.problem)
        except IllegalMove as error:  # something moved on under our hands: the next try sees it as it is
            slot.problem = str(error)
            log.warning("session.failed", code=error.code, problem=slot.problem, strike=slot.strikes)
        except (LedgerFull, HelperUnreachable) as error:  # heals by itself: no strike against this bay
            slot.problem, slot.strikes = error.told(), slot.strikes - 1
        except (UnknownLayout, DeviceRefused, SpoolPlain, LedgerError) as error:
            slot.problem, slot.faulted = error.told(), True
        except ReaderStalled as error:
            slot.problem, slot.hung = slot.told(error), True
            log.warning("session.failed", code=error.code, problem=slot.problem, strike=slot.strikes)
        except AgentError as error:
            slot.problem = slot.told(error)
            log.warning("session.failed", code=error.code, problem=slot.problem, strike=slot.strikes)
        except Exception as error:
            slot.problem = f"Internal error ({type(error).__name__}); the camera keeps its footage."
            log.exception("session.crashed", strike=slot.strikes)
        finally:
            slot.window_broken |= slot.session.interlock.broken  # also for the tries that follow
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # A task group that is failing already swallows a cancellation (before Python 3.13): this is its end.
            raise asyncio.CancelledError
        if slot.is_calm:
            slot.strikes = 0
        self._kit.change.ring()

    async def release(self, slot: Slot) -> None:
        """Urgent release: stop at a safe point; from then on the bay says what is still aboard."""
        standing, known = slot.session.standing, slot.session.listed_whole
        standing.release_asked = True
        standing.phase = Phase.RELEASING
        self._kit.change.ring()
        await self._end(slot)
        standing.phase = Phase.DONE if known else Phase.LISTING
        self._follow()  # it may have been without power, so that nobody saw it leave
        await slot.session.refresh()

    def noticed(self) -> list[tuple[str, str]]:
        """What the watches tell about bays."""
        return [noticed for watch in self._watches for noticed in watch.problems.items()]

    def docked_as(self, camera: CameraId) -> list[Slot]:
        """The slots whose camera has this name or shows the serial that it stands for."""
        return [slot for slot in self.slots.values() if slot.session.is_about(camera)]

    @asynccontextmanager
    async def handed_over(self, docked: Docked, hand: Hand) -> AsyncIterator[Slot]:
        """A slot for a folder that a person hands over; the caller runs its session as `slot.task`.

        It ends at a safe point, as every other. Ask `refuse_overlap` first.
        """
        self._hands += 1
        docked = replace(docked, bay=BayName(f"hand-{self._hands}"))
        slot = Slot(docked, self._session(docked, hand), hand=hand)
        self.slots[docked.bay] = slot
        try:
            yield slot
        finally:
            await self._end(slot)
            self._vacate(docked.bay, slot)

    def refuse_overlap(self, address: str) -> None:
        """One medium, one session: a folder in, at or above a docked camera or the state directory is not taken.

        Raises ActionRefused.
        """
        wanted = PurePath(address)
        taken = {f"bay {slot.docked.bay}": PurePath(slot.docked.address) for slot in self.slots.values()}
        taken["the agent's own state"] = self._kit.spool.root.parent
        for name, place in taken.items():
            if wanted.is_relative_to(place) or place.is_relative_to(wanted):
                raise ActionRefused(f"{address} overlaps with {name} ({place}).", hint="Give a folder of its own.")
