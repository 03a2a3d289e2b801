"""One camera from dock to undock: identify, list, offload, wait for proof, clear.

The session decides nothing about evidence: the ledger says what is left to do, policies say what may be done,
and each step asks again. It may be cancelled anywhere outside a wipe window.
"""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from agent.core.bay import BayAdvice, BayFacts, Phase, bay_advice
from agent.core.clip import CameraId, Clip, ClipId, Custody, SessionId, shows_serial
from agent.core.disposal_policy import MEDIUM_REFUSALS, REFUSALS
from agent.core.errors import LedgerError, SpoolError, SpoolFull
from agent.ledger import clips, fleet, losses
from agent.ledger.clips import ListingCount
from agent.ledger.custody import Recorder
from agent.ledger.database import Tx
from agent.ports import Camera, CameraOpener, Docked
from agent.services.clearance import Clearance
from agent.services.disposal import Disposal
from agent.services.identity import Hand, Identified, identify, is_vouched_for
from agent.services.interlock import Interlock
from agent.services.kit import Kit
from agent.services.last_look import read_digest
from agent.services.listing import take_listing
from agent.services.offload import offload
from agent.services.patrol import ASK_AGAIN_S
from agent.services.presence import Presence
from agent.services.progress import Progress
from agent.services.standing import Standing

if TYPE_CHECKING:
    from agent.core.custody import JsonValue

log = structlog.get_logger()

OPEN_STALL_S = 30.0
"""Time without an answer before the profile, which may say otherwise, is known."""
READ_BATCH = 100
SPOOL_PAUSE_S = 10.0
"""How often a full spool is looked at again; uploads and purges ring earlier."""


class Session:
    """Runs one docking. `standing`, `progress` and `interlock` may be read at any time."""

    def __init__(
        self, kit: Kit, opener: CameraOpener, presence: Presence, docked: Docked, hand: Hand | None = None
    ) -> None:
        """`hand`: a person handed this folder over and vouches for it."""
        self._kit = kit
        self._opener = opener
        self._presence = presence
        self._hand = hand
        self.docked = docked
        self.standing = Standing()
        self.progress = Progress()
        self.interlock = Interlock()
        self.listing = ListingCount()
        self.listed_whole = False
        self.ident: SessionId | None = None
        self.identified: Identified | None = None
        self._clearance: Clearance | None = None
        self._doubtful: set[ClipId] = set()  # known clips that could not be read again in this session
        self._doubts_settled = 0
        self._taken: set[ClipId] = set()  # what a store lost is brought back once in a session

    async def run(self) -> None:
        """Serve the camera until cancelled. Raises AgentError when the session cannot go on."""
        camera = await self._opener(self.docked, stall_s=OPEN_STALL_S)
        try:
            await self._serve(camera)
        finally:
            await camera.close()

    async def _serve(self, camera: Camera) -> None:
        self._enter(Phase.IDENTIFYING)
        identified = await identify(camera, self.docked, self._kit.settings, self._hand)
        camera.stall_s = identified.profile.stall_s
        try:
            await self._serve_identified(camera, identified)
        finally:
            self._presence.leave(identified.serial, self.docked.bay)

    async def _serve_identified(self, camera: Camera, identified: Identified) -> None:
        name = await self._presence.arrive(identified.serial, self.docked.bay)
        if name != identified.serial:
            # Nobody but a person can vouch for a camera with a doubled serial.
            identified = replace(identified, camera=name, claimed_by=None, by_hand=False)
        self.identified = identified
        structlog.contextvars.bind_contextvars(camera=identified.camera)
        log.info("camera.identified", profile=identified.profile.name)
        self.standing.camera, self.standing.profile = identified.camera, identified.profile.name
        self.standing.model, self.standing.battery_percent = camera.facts.model, camera.facts.battery_percent
        outcome = "failed"
        try:
            session = await self._start(camera, identified)
            self._clearance = Clearance(self._kit, self._presence, identified, self._doubtful)
            self._enter(Phase.LISTING)
            self.listing = await take_listing(self._kit, camera, identified, session)
            self.listed_whole = True
            await self._work_until_cancelled(camera, identified, session)
        except asyncio.CancelledError:
            outcome = "released" if self.standing.release_asked else "undocked"
            raise
        finally:
            await self._end(outcome)

    async def _start(self, camera: Camera, identified: Identified) -> SessionId:
        facts: dict[str, JsonValue] = {
            "profile": identified.profile.name,
            "driver": self.docked.driver,
            "model": camera.facts.model,
            "firmware": camera.facts.firmware,
            "file_system": camera.facts.file_system,
        }
        ident, profile, model = identified.camera, identified.profile.name, camera.facts.model
        await self._kit.ledger(lambda tx, rec: fleet.see_camera(tx, rec, ident, profile, model, identified.claimed_by))
        self.ident = await self._kit.ledger(lambda tx, rec: fleet.start_session(tx, rec, ident, self.docked.bay, facts))
        return self.ident

    async def _end(self, outcome: str) -> None:
        session = self.ident
        try:
            if session is not None:
                await self._kit.ledger(lambda tx, rec: fleet.end_session(tx, rec, session, outcome))
        except LedgerError as error:  # left open; the camera's next docking, or the next start, ends it
            log.warning("session.not_ended", session=session, problem=str(error))
        self._kit.change.ring()

    async def _work_until_cancelled(self, camera: Camera, identified: Identified, session: SessionId) -> None:
        """Do whatever the ledger says is left, then sleep until something rings."""
        while True:
            seen = self._kit.work.rings
            await self._offload_all(camera)
            await self._read_again(camera, session)
            await self._clear(camera, identified, session)
            await self._list_again(camera, identified, session)
            await self.refresh()
            if self.standing.aboard.listed and self.standing.problem is None:
                continue  # the fresh listing after a wipe showed something new
            self._enter(Phase.UPLOADING if self.standing.aboard.spooled else Phase.DONE)
            await self._kit.work.wait(seen, self._look_again_s)

    @property
    def _look_again_s(self) -> float | None:
        """After what time something may have become possible without a ring; None: never."""
        if self.standing.problem is not None:
            return SPOOL_PAUSE_S
        return ASK_AGAIN_S if "stores_not_asked" in self.wipe_refusals else None

    async def _offload_all(self, camera: Camera) -> None:
        """Copy what is listed: urgent first, then the oldest. A full spool makes the bay wait, nothing more."""
        waits: SpoolError | None = None
        most_bytes = fleet.ANY_SIZE  # what does not fit now must not keep back what does
        clip = await self._next(most_bytes)
        self.progress.total_bytes = self.progress.done_bytes + self.standing.aboard.bytes_listed
        while clip is not None:
            self._enter(Phase.OFFLOADING)
            self._taken.add(clip.id)
            try:
                await offload(self._kit, camera, clip, self.docked.bay, self.progress)
            except SpoolFull as error:
                waits = error
                self._kit.room.ring()
                most_bytes = min(clip.entry.size_bytes - 1, await self._kit.on_disk(self._kit.spool.free_bytes))
            except SpoolError as error:
                waits = error
                break
            clip = await self._next(most_bytes)
        self.standing.problem = None if waits is None else f"waiting for the spool: {waits.clause()}"
        self._kit.change.ring()

    async def _next(self, most_bytes: int) -> Clip | None:
        """Read where the camera stands and what to copy next; asked for each clip, so that an urgent one goes first."""
        identified = self.identified
        assert identified is not None  # noqa: S101 - set before any work starts
        ident = identified.camera

        def ask(tx: Tx, _: Recorder) -> list[Clip]:
            self.standing.look(tx, identified)
            listed = fleet.clips_aboard(tx, ident, Custody.LISTED, 1, most_bytes)
            return listed or losses.only_aboard(tx, ident, most_bytes, self._taken)

        listed = await self._kit.ledger(ask)
        self._kit.change.ring()
        return listed[0] if listed else None

    async def _read_again(self, camera: Camera, session: SessionId) -> None:
        """Clips that an earlier session copied are known by name only: read them, name and size prove nothing."""
        ident = self.standing.camera
        assert ident is not None  # noqa: S101 - set before any work starts
        last: ClipId | None = None
        while True:
            known = await self._kit.ledger(
                lambda tx, _, after=last: fleet.clips_to_read_again(tx, ident, session, READ_BATCH, after)  # type: ignore[misc]
            )
            if not known:
                return
            for clip in known:
                if clip.id not in self._doubtful:
                    self._enter(Phase.LOOKING)
                    await self._compare(camera, clip)
            last = known[-1].id

    async def _compare(self, camera: Camera, clip: Clip) -> None:
        reading = await read_digest(camera, clip.entry)
        if reading is None:
            self._doubtful.add(clip.id)
            return
        found = reading[0]

        def note(tx: Tx, recorder: Recorder) -> None:
            now = clips.get(tx, clip.id)  # it may have been confirmed while we read
            if found == now.sha256:
                clips.read_again(tx, recorder, now)
            else:
                clips.replace_sighting(tx, recorder, now, found)

        await self._kit.ledger(note)

    async def _clear(self, camera: Camera, identified: Identified, session: SessionId) -> None:
        assert self._clearance is not None  # noqa: S101 - made together with the session
        if not self._kit.settings.wiping:
            return
        disposal = Disposal(self._kit, self.interlock, identified, self._clearance)
        while self.standing.aboard.confirmed:
            if not await disposal.clear(camera, session, lambda: self._enter(Phase.WIPING)):
                break
            await self.refresh()

    async def _list_again(self, camera: Camera, identified: Identified, session: SessionId) -> None:
        """After a clip could not be read again: walk once more, to learn what became of it."""
        if len(self._doubtful) > self._doubts_settled:
            self._doubts_settled = len(self._doubtful)
            await take_listing(self._kit, camera, identified, session)

    async def refresh(self) -> None:
        """Read from the ledger what the camera still holds and who may touch it."""
        identified = self.identified
        if identified is not None:
            await self._kit.ledger(lambda tx, _: self.standing.look(tx, identified))
        self._kit.change.ring()

    def _enter(self, phase: Phase) -> None:
        if self.standing.phase is not phase and not self.standing.release_asked:
            self.standing.phase = phase
            self._kit.change.ring()

    @property
    def wipe_refusals(self) -> dict[str, int]:
        """Why confirmed clips stay on the camera: reasons with counts."""
        if not self._kit.settings.wiping:
            return {"wiping_off": self.standing.aboard.confirmed} if self.standing.aboard.confirmed else {}
        return dict(self._clearance.refused) if self._clearance else {}

    def is_about(self, camera: CameraId) -> bool:
        """Whether what is decided about this camera may be meant for the one that is docked here."""
        return self.identified is not None and shows_serial(camera, self.identified.serial)

    def advice(self) -> BayAdvice:
        """What this bay tells the officer now."""
        standing, aboard, refusals = self.standing, self.standing.aboard, self.wipe_refusals
        why = max(refusals, key=lambda reason: refusals[reason], default=None)
        return bay_advice(
            BayFacts(
                phase=standing.phase,
                listed=aboard.listed,
                spooled=aboard.spooled,
                confirmed=aboard.confirmed,
                quarantined=aboard.quarantined,
                wipe_pending=self.wipe_pending,
                window_open=self.interlock.window_open,
                release_asked=standing.release_asked,
                problem=standing.problem,
                ledger_damaged=standing.ledger_damaged,
                uncopied=self.listing.uncopied,
                left=self.listing.left,
                eta_s=self.progress.eta_s,
                not_cleared=None if why is None else (REFUSALS | MEDIUM_REFUSALS)[why],
            )
        )

    @property
    def wipe_pending(self) -> bool:
        """Whether confirmed clips are still to be cleared: a receipt may have come since the last were."""
        row, identified, settings = self.standing.row, self.identified, self._kit.settings
        if row is None or identified is None or not settings.wiping or self.standing.seizure is not None:
            return False
        double = identified.is_double or self._presence.is_double(identified.serial)
        vouched = is_vouched_for(settings, identified, row) and not double
        return vouched and self.standing.aboard.confirmed > (self._clearance.settled if self._clearance else 0)
