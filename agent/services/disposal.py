"""The only place that destroys anything: the last look, the wipe of a camera, the purge of the spool.

Order for a wipe: everything else allows it, then the camera's own bytes are read once more, then the durable
intent, then the window, then a fresh listing. Only that listing makes a copy `gone`.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from agent.core.clip import Clip, ClipId, Copy, Entry, SessionId
from agent.core.disposal_policy import Allow, PurgeFacts, Refuse, may_purge
from agent.core.errors import ClipChanged, ClipUnreadable, LedgerFull, MediumReadOnly, SpoolError
from agent.core.object import Digest
from agent.ledger import clips, doubts, objects
from agent.ledger.clips import Move
from agent.ledger.custody import Recorder
from agent.ledger.database import Tx
from agent.ledger.objects import PurgePage
from agent.ports import Camera, Mark, Wiper
from agent.services.clearance import Clearance
from agent.services.identity import Identified
from agent.services.interlock import Interlock
from agent.services.kit import Kit
from agent.services.last_look import read_digest
from agent.services.listing import take_listing
from agent.services.patrol import Patrol, Word, is_enough, proving

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Look:
    """A last look: which clip, and the digest and mark of the file that was read."""

    clip: ClipId
    entry: Entry
    sha256: Digest
    mark: Mark


class Disposal:
    """Clears one docked camera of what is provably safe elsewhere."""

    def __init__(self, kit: Kit, interlock: Interlock, identified: Identified, clearance: Clearance) -> None:
        """Work on the camera that `identified` names, as far as its `clearance` goes."""
        self._kit = kit
        self._interlock = interlock
        self._identified = identified
        self._clearance = clearance
        self.doubtful = clearance.doubtful

    async def clear(self, camera: Camera, session: SessionId, begin: Callable[[], None]) -> int:
        """Wipe one batch of confirmed clips; returns how many copies are gone now. Raises CameraError.

        `begin` is called once there is something to look at and wipe. When none of a batch can be wiped after all,
        the next one has its turn.
        """
        wiper = camera.wiper
        if wiper is None:
            self._clearance.halted = "cannot_wipe"
        while (candidates := await self._clearance.choose()) and wiper is not None:
            begin()
            await camera.renew()  # the last look is at the medium, not at what was read from it before
            looks = [await self._look_and_intend(camera, clip, session) for clip in candidates]
            if intended := [look for look in looks if look is not None]:
                return await self._wipe_and_list(camera, wiper, intended, session)
        return 0

    async def _wipe_and_list(self, camera: Camera, wiper: Wiper, intended: list[Look], session: SessionId) -> int:
        await self._kit.bear_witness()  # a ledger restored from before these intents will be known as such
        async with self._interlock.window():
            self._kit.change.ring()
            await self._wipe_what_it_allows(wiper, intended, session)
            count = await take_listing(self._kit, camera, self._identified, session)
        self._kit.ring()
        return count.gone

    async def _still_allowed(self, look: Look) -> bool:
        """Ask everything again just before the unlink: a decision of a person or the operator may have come since."""

        def ask(tx: Tx, _: Recorder) -> bool:
            now = clips.get(tx, look.clip)
            as_before = replace(now, copy=Copy.PRESENT) if now.copy is Copy.WIPE_INTENDED else now
            return isinstance(self._clearance.decide(tx, as_before, look.sha256), Allow)

        return await self._kit.ledger(ask)

    async def _look_and_intend(self, camera: Camera, clip: Clip, session: SessionId) -> Look | None:
        """Read the camera's own bytes once more and, when they are the confirmed ones, record the intent."""
        reading = await read_digest(camera, clip.entry)
        if reading is None:
            self.doubtful.add(clip.id)  # a new walk will say what became of it
            return None
        sha256, mark = reading

        def intend(tx: Tx, recorder: Recorder) -> bool:
            now = clips.get(tx, clip.id)
            decision = self._clearance.decide(tx, now, sha256)
            if decision == Refuse("camera_bytes_differ"):
                clips.replace_sighting(tx, recorder, now, sha256)
            if not isinstance(decision, Allow):
                return False
            move = Move("copy.wipe_intended", copy=Copy.WIPE_INTENDED, read_in=session, looked_in=session)
            clips.move(tx, recorder, now, move)
            return True

        return Look(clip.id, clip.entry, sha256, mark) if await self._kit.ledger(intend) else None

    async def _wipe_what_it_allows(self, wiper: Wiper, intended: list[Look], session: SessionId) -> None:
        try:
            await self._wipe(wiper, intended, session)
        except MediumReadOnly:
            self._clearance.halted = "read_only"  # until the next docking; the fresh listing settles the intents

    async def _wipe(self, wiper: Wiper, intended: list[Look], session: SessionId) -> None:
        await wiper.open_window()
        try:
            for look in intended:
                if await self._still_allowed(look):
                    await self._unlink(wiper, look, session)
        finally:
            await wiper.close_window()

    async def _unlink(self, wiper: Wiper, look: Look, session: SessionId) -> None:
        try:
            await wiper.wipe(look.entry, look.mark)
        except (ClipChanged, ClipUnreadable):
            self.doubtful.add(look.clip)  # not what was looked at any more: the listing says what is there
            return
        await self._kit.ledger(lambda tx, rec: clips.unlinked(tx, rec, look.clip, session))


async def purge_spool(kit: Kit, *, room_wanted: bool = False) -> int:
    """Destroy spool copies whose hold time is over; returns how many. The ledger knows before the disk does.

    What an earlier round or run recorded as purged and did not destroy comes first. Every store is asked once more
    whether it has what it proved; one that does not answer keeps the copies here. Where clips wait for their room it
    keeps only those of an earlier round or run. Raises LedgerError.
    """
    keep_for = timedelta(seconds=kit.settings.keep_s)
    patrol = Patrol(kit)

    def look(tx: Tx, after: tuple[int, str]) -> PurgePage:
        now = kit.hold_clock.now(keep_for)
        page = objects.purge_candidates(tx, now - keep_for, after)
        # The query has left out what may not go; the policy is asked all the same, and the triggers once more.
        allowed = [(sha, at) for sha, at in page.candidates if _may_purge(patrol, tx, sha, now - at, keep_for)]
        return replace(page, candidates=allowed)

    def choose(tx: Tx, recorder: Recorder, after: tuple[int, str], may_go: dict[Digest, Word]) -> list[Digest]:
        chosen = [sha for sha, _ in look(tx, after).candidates if sha in may_go]
        for sha256 in chosen:
            unasked = sorted(patrol.silent) if may_go[sha256] is Word.UNKNOWN else []
            objects.purged(tx, recorder, sha256, unasked)
        kit.purges.update(chosen)  # before the commit, whose end may stay unknown: `_destroy` asks the ledger again
        return chosen

    purged = await _finish(patrol)
    # A clock that shows a time before the agent was installed says nothing about which times lie ahead.
    while kit.recorder.clock() >= kit.installed and await kit.ledger(objects.restart_holds):
        pass
    after = objects.FIRST_PAGE
    while after is not None:
        page = await kit.ledger(lambda tx, _, here=after: look(tx, here))  # type: ignore[misc]
        may_go = await patrol.ask_all([sha for sha, _ in page.candidates], room_wanted=room_wanted)
        async with kit.purging.alone():
            chosen = await kit.ledger(lambda tx, rec, here=after, go=may_go: choose(tx, rec, here, go))  # type: ignore[misc]
        purged += await _destroy(patrol, chosen)
        after = page.after if room_wanted or not patrol.silent else None
    kit.silent, kit.unproved = {} if room_wanted else patrol.silent, len(patrol.unproved)
    return purged


def _may_purge(patrol: Patrol, tx: Tx, sha256: Digest, since_confirmed: timedelta, keep_for: timedelta) -> bool:
    """Ask the policy; what stays only for want of receipts that would be accepted today is noted in `patrol`."""
    held = objects.clips_of(tx, sha256)
    proved = is_enough(patrol.kit, proving(patrol.kit, tx, sha256))
    holds = tuple(c.hold for c in held if c.hold is not None)
    doubt = next(iter(doubts.doubts(tx)), None)
    facts = PurgeFacts(tuple(c.custody for c in held), holds, since_confirmed, keep_for, doubt, proved)
    decision = may_purge(facts)
    if decision == Refuse("receipts_not_enough"):
        patrol.unproved.add(sha256)
    return isinstance(decision, Allow)


async def _finish(patrol: Patrol) -> int:
    """Destroy what was recorded as purged and is still there, as far as its stores have it; returns how many.

    The record may be older than the file: where the ledger comes from a backup or an old copy, a store may have lost
    the object since, and the file is what a camera brought back. So silence keeps it, however full the spool is. Only
    stores that proved it are asked: to another one a copy that the ledger calls purged is never sent.
    """
    left, destroyed = sorted(patrol.kit.purges), 0
    for start in range(0, len(left), objects.PURGE_PAGE):
        free = await _free(patrol, left[start : start + objects.PURGE_PAGE])
        held = [sha256 for sha256 in free if await patrol.ask(sha256, everyone=False) is Word.HELD]
        destroyed += await _destroy(patrol, held)
    return destroyed


async def _free(patrol: Patrol, recorded: list[Digest]) -> list[Digest]:
    """Those of `recorded` that the ledger still calls purged and nothing holds any more."""

    def look(tx: Tx, _: Recorder) -> tuple[list[Digest], list[Digest]]:
        purged = [sha256 for sha256 in recorded if objects.is_purged(tx, sha256)]
        # The hold time was over when the purge was recorded; a doubt, a hold or a lost key may have come since.
        return purged, [sha256 for sha256 in purged if _may_purge(patrol, tx, sha256, timedelta(0), timedelta(0))]

    purged, free = await patrol.kit.ledger(look)
    patrol.kit.purges.difference_update(set(recorded) - set(purged))  # bytes that came back since, for another clip
    return free


async def _destroy(patrol: Patrol, recorded: list[Digest]) -> int:
    """Unlink what the ledger calls purged and nothing holds any more; returns how many.

    The only place that destroys a whole object in the spool. What cannot go now stays in `kit.purges`.
    """
    kit, destroyed = patrol.kit, 0
    async with kit.purging.alone():
        free = await _free(patrol, recorded)
        if free:
            await _bear_witness_if_there_is_room(kit)
        for sha256 in free:
            try:
                await kit.on_disk(lambda d=sha256: kit.spool.purge(d))  # type: ignore[misc]
            except SpoolError as error:  # one bad directory keeps no other object past its time
                log.warning("spool.purge_failed", problem=str(error))
            else:
                kit.purges.discard(sha256)
                destroyed += 1
    return destroyed


async def _bear_witness_if_there_is_room(kit: Kit) -> None:
    """Let the witness know of the purges before the unlinks, so that a ledger from before them is noticed.

    On a full disk the unlinks come first: they give the room that the witness needs, and footage must not outstay its
    time for want of a note. The witness is written within a minute of there being room. Raises LedgerError otherwise.
    """
    with suppress(LedgerFull):
        await kit.bear_witness()
