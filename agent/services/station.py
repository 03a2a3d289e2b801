"""All bays of a station: one guarded session for each docked camera.

A fault in one bay ends that bay's session and nothing else; it is tried again, and after three strikes the bay
says what is wrong until the camera is taken out. Bays come as whole snapshots, so nothing is missed.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import PurePath

import structlog

from agent.core.bay import Advice, BayAdvice, Phase
from agent.core.clip import BayName
from agent.core.errors import ActionRefused, AgentError, CameraGone, IllegalMove, LedgerError, LedgerFull
from agent.ports import BayWatch, CameraOpener, Docked
from agent.services.identity import Hand, UnknownLayout
from agent.services.kit import Kit
from agent.services.presence import Presence
from agent.services.session import Session

log = structlog.get_logger()

STRIKES = 3
STRIKE_PAUSE_S = 2.0
CALM_S = 600.0
"""A session that went well for this long starts with a clean slate."""
WINDOW_GRACE_S = 15.0
"""A wipe window only unlinks and syncs; one that takes longer than this hangs."""
END_GRACE_S = 10.0
"""A session that was cancelled closes its reader and its ledger row; both are bounded."""


@dataclass(slots=True)
class Slot:
    """One occupied bay."""

    docked: Docked
    session: Session
    task: "asyncio.Task[None] | None" = None
    problem: str | None = None
    faulted: bool = False
    strikes: int = 0
    hand: Hand | None = None  # a person handed this folder over; no watch knows of it
    leaving: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def advice(self) -> BayAdvice:
        """What the bay says: the session's word, or the fault's."""
        if self.faulted:
            return BayAdvice(Advice.TAKE_ABOARD, self.problem or "the bay has a fault")
        if self.problem and self.session.identified is None:
            return BayAdvice(Advice.WAIT, f"trying again: {self.problem}")
        return self.session.advice()


class Station:
    """Starts and ends sessions as cameras come and go."""

    def __init__(self, kit: Kit, opener: CameraOpener, watch: BayWatch) -> None:
        """Nothing runs before `run`."""
        self._kit = kit
        self._opener = opener
        self._watch = watch
        self._presence = Presence()
        self.slots: dict[BayName, Slot] = {}
        self._wanted: dict[BayName, Docked] = {}
        self._hands = 0

    async def run(self) -> None:
        """Serve all bays until cancelled; open wipe windows are finished before it returns."""
        async with asyncio.TaskGroup() as group:
            try:
                async with aclosing(self._watch.snapshots()) as snapshots:
                    async for snapshot in snapshots:
                        self._follow(group, snapshot)
            finally:
                await self._end_all()

    def _follow(self, group: asyncio.TaskGroup, snapshot: Mapping[BayName, Docked]) -> None:
        """Start and end sessions; a bay that ends slowly keeps only its own next camera waiting."""
        for bay, slot in list(self.slots.items()):
            if slot.hand is None and snapshot.get(bay) != slot.docked and not slot.leaving:
                slot.leaving = True
                group.create_task(self._empty(group, bay, slot), name=f"empty {bay}")
        self._wanted = dict(snapshot)
        for bay in snapshot:
            if bay not in self.slots:
                self._occupy(group, bay)
        self._kit.change.ring()

    def _occupy(self, group: asyncio.TaskGroup, bay: BayName) -> None:
        docked = self._wanted[bay]
        log.info("bay.occupied", bay=bay, driver=docked.driver)
        slot = Slot(docked, self._session(docked))
        self.slots[bay] = slot
        slot.task = group.create_task(self._guard(slot), name=f"bay {bay}")

    async def _empty(self, group: asyncio.TaskGroup, bay: BayName, slot: Slot) -> None:
        await self._end(slot)
        self._vacate(bay, slot)
        if bay in self._wanted:
            self._occupy(group, bay)

    def _vacate(self, bay: BayName, slot: Slot) -> None:
        if self.slots.get(bay) is slot:
            del self.slots[bay]
            log.info("bay.emptied", bay=bay)
        self._kit.ring()

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
                await asyncio.sleep(STRIKE_PAUSE_S)
                slot.session = self._session(slot.docked)
                await self._try(slot)
            slot.faulted = True
            self._kit.change.ring()
            log.error("bay.faulted", problem=slot.problem)
            await asyncio.Event().wait()  # until the camera is taken out
        finally:
            slot.ended.set()

    async def _try(self, slot: Slot) -> None:
        started = time.monotonic()
        slot.strikes += 1
        try:
            await slot.session.run()
        except CameraGone as error:
            slot.problem = str(error)  # the next snapshot will say so too
            log.info("camera.gone", problem=slot.problem)
        except IllegalMove as error:  # something moved on under our hands: the next try sees it as it is
            slot.problem = str(error)
            log.warning("session.failed", code=error.code, problem=slot.problem, strike=slot.strikes)
        except LedgerFull as error:  # heals by itself: no strike against this bay
            slot.problem, slot.strikes = error.told(), slot.strikes - 1
        except (UnknownLayout, LedgerError) as error:
            slot.problem, slot.faulted = error.told(), True
        except AgentError as error:
            slot.problem = error.told()
            log.warning("session.failed", code=error.code, problem=slot.problem, strike=slot.strikes)
        except Exception as error:
            slot.problem = f"Internal error ({type(error).__name__}); the camera keeps its footage."
            log.exception("session.crashed", strike=slot.strikes)
        if time.monotonic() - started > CALM_S:
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
        await slot.session.refresh()

    def find(self, camera: str) -> Slot | None:
        """The slot in which a serial is docked."""
        return next((s for s in self.slots.values() if s.session.standing.camera == camera), None)

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
