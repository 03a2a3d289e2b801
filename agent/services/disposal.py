"""The only place that destroys anything: the last look, the wipe of a camera, the purge of the spool.

Order for a wipe: everything else allows it, then the camera's own bytes are read once more, then the durable
intent, then the window, then a fresh listing. Only that listing makes a copy `gone`.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from agent.core.clip import Clip, ClipId, Copy, Entry, SessionId
from agent.core.disposal_policy import Allow, CopyFacts, PurgeFacts, Refuse, may_purge, may_wipe
from agent.core.errors import ClipChanged, ClipUnreadable, LedgerFull, MediumReadOnly, SpoolError
from agent.core.object import Digest
from agent.core.profile import Role
from agent.ledger import clips, doubts, fleet, objects
from agent.ledger.clips import Move
from agent.ledger.custody import Recorder
from agent.ledger.database import Tx
from agent.ports import Camera, Mark, Wiper
from agent.services.identity import Identified, is_vouched_for
from agent.services.interlock import Interlock
from agent.services.kit import Kit
from agent.services.listing import take_listing
from agent.services.presence import Presence

log = structlog.get_logger()

BATCH_CLIPS = 2048
BATCH_BYTES = 2 << 30
"""What is looked at before a window opens. The window itself only unlinks, so that a release waits seconds."""
CAMERA_REFUSALS = frozenset(
    {
        "wiping_off",
        "camera_seized",
        "camera_unclaimed",
        "serial_on_two_bays",
        doubts.UNAUDITED,
        doubts.DAMAGED,
        doubts.ROLLED_BACK,
    }
)
"""Reasons that hold for every clip of a camera alike."""


@dataclass(frozen=True, slots=True)
class Look:
    """A last look: which clip, and the digest and mark of the file that was read."""

    clip: ClipId
    entry: Entry
    sha256: Digest
    mark: Mark


class Disposal:
    """Clears one docked camera of what is provably safe elsewhere."""

    def __init__(
        self, kit: Kit, presence: Presence, interlock: Interlock, identified: Identified, doubtful: set[ClipId]
    ) -> None:
        """Work on the camera that `identified` names.

        `doubtful` is shared with the session: clips that could not be read again in it, never wiped in it.
        """
        self._kit = kit
        self._presence = presence
        self._interlock = interlock
        self._identified = identified
        self.refused: dict[str, int] = {}  # reasons of the last decision round, with counts
        self.doubtful = doubtful
        self._halted: str | None = None  # why nothing more is wiped in this session

    async def clear(self, camera: Camera, session: SessionId, begin: Callable[[], None]) -> int:
        """Wipe one batch of confirmed clips; returns how many copies are gone now. Raises CameraError.

        `begin` is called once there is something to look at and wipe.
        """
        wiper = camera.wiper
        if wiper is None:
            self._halted = "cannot_wipe"
        candidates = await self._kit.ledger(self._candidates)
        if wiper is None or not candidates:
            return 0
        begin()
        intended = [look for clip in candidates if (look := await self._look_and_intend(camera, clip, session))]
        if not intended:
            return 0
        await self._kit.bear_witness()  # a ledger restored from before these intents will be known as such
        async with self._interlock.window():
            self._kit.change.ring()
            await self._wipe_what_it_allows(wiper, intended, session)
            count = await take_listing(self._kit, camera, self._identified, session)
        self._kit.ring()
        return count.gone

    def _candidates(self, tx: Tx, _: Recorder) -> list[Clip]:
        """Confirmed clips whose wipe nothing forbids but the look that is still to come."""
        ident, roles = self._identified.camera, self._identified.profile.wipe_roles
        if self._halted is not None:
            self.refused = {self._halted: fleet.aboard(tx, ident).confirmed}
            return []
        self.refused = fleet.not_for_wiping(tx, ident, roles)
        found: list[Clip] = []
        for clip in fleet.clips_to_wipe(tx, ident, roles, BATCH_CLIPS + len(self.doubtful)):
            if clip.id in self.doubtful:
                self._refuse("not_looked_at")
                continue
            decision = self._decide(tx, clip, None)
            if isinstance(decision, Allow) or decision.reason == "not_looked_at":
                found.append(clip)
            elif decision.reason in CAMERA_REFUSALS:
                self.refused = {decision.reason: fleet.aboard(tx, ident).confirmed}
                return []
            else:
                self._refuse(decision.reason)
            if sum(c.entry.size_bytes for c in found) >= BATCH_BYTES:
                break
        return found

    def _refuse(self, reason: str) -> None:
        self.refused[reason] = self.refused.get(reason, 0) + 1

    async def _still_allowed(self, look: Look) -> bool:
        """Ask everything again just before the unlink: a decision of a person or the operator may have come since."""

        def ask(tx: Tx, _: Recorder) -> bool:
            now = clips.get(tx, look.clip)
            as_before = replace(now, copy=Copy.PRESENT) if now.copy is Copy.WIPE_INTENDED else now
            return isinstance(self._decide(tx, as_before, look.sha256), Allow)

        return await self._kit.ledger(ask)

    def _decide(self, tx: Tx, clip: Clip, look: Digest | None) -> Allow | Refuse:
        row = fleet.camera(tx, clip.camera)
        facts = CopyFacts(
            wiping_enabled=self._kit.settings.wiping,
            role_may_be_wiped=Role(clip.role) in self._identified.profile.wipe_roles,
            camera_seized=row is None or row.seized_by is not None,
            camera_claimed=row is not None and is_vouched_for(self._kit.settings, self._identified, row),
            serial_on_two_bays=self._presence.is_double(self._identified.serial),
            custody=clip.custody,
            copy=clip.copy,
            hold=clip.hold,
            sha256=clip.sha256,
            size_bytes=clip.entry.size_bytes,
            doubt=next(iter(doubts.doubts(tx)), None),
            last_look=look,
        )
        kept = objects.receipts(tx, clip.sha256) if clip.sha256 else []
        stores = self._kit.stores
        receipts = [r for r in kept if r.store in stores and stores[r.store].still_proves(r)]
        return may_wipe(facts, receipts, self._kit.settings.proof)

    async def _look_and_intend(self, camera: Camera, clip: Clip, session: SessionId) -> Look | None:
        """Read the camera's own bytes once more and, when they are the confirmed ones, record the intent."""
        reading = await read_digest(camera, clip.entry)
        if reading is None:
            self.doubtful.add(clip.id)  # a new walk will say what became of it
            return None
        sha256, mark = reading

        def intend(tx: Tx, recorder: Recorder) -> bool:
            now = clips.get(tx, clip.id)
            decision = self._decide(tx, now, sha256)
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
            self._halted = "read_only"  # until the next docking; the fresh listing settles the intents

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


async def read_digest(camera: Camera, entry: Entry) -> tuple[Digest, Mark] | None:
    """Hash the medium's own bytes, not cached pages; None when the file is no longer as it was listed.

    The mark names the very file that was read.
    """
    digest = hashlib.sha256()
    try:
        mark = await camera.read(entry, digest.update, fresh=True)
    except ClipUnreadable:
        return None
    return Digest(digest.hexdigest()), mark


async def purge_spool(kit: Kit) -> int:
    """Destroy spool copies whose hold time is over; returns how many. The ledger knows before the disk does.

    What an earlier round or run recorded as purged and did not destroy comes first. Raises LedgerError.
    """
    keep_for = timedelta(seconds=kit.settings.keep_s)

    def choose(tx: Tx, recorder: Recorder, after: tuple[int, str]) -> tuple[list[Digest], tuple[int, str] | None]:
        now = kit.hold_clock.now(keep_for)
        page = objects.purge_candidates(tx, now - keep_for, after)
        # The query has left out what may not go; the policy is asked all the same, and the triggers once more.
        chosen = [sha for sha, at in page.candidates if _may_purge(tx, sha, now - at, keep_for)]
        for sha256 in chosen:
            objects.purged(tx, recorder, sha256)
        kit.purges.update(chosen)  # before the commit, whose end may stay unknown: `_destroy` asks the ledger again
        return chosen, page.after

    left = sorted(kit.purges)
    purged = 0
    for start in range(0, len(left), objects.PURGE_PAGE):
        purged += await _destroy(kit, left[start : start + objects.PURGE_PAGE])
    # A clock that shows a time before the agent was installed says nothing about which times lie ahead.
    while kit.recorder.clock() >= kit.installed and await kit.ledger(objects.restart_holds):
        pass
    after = objects.FIRST_PAGE
    while after is not None:
        async with kit.purging.alone():
            chosen, after = await kit.ledger(lambda tx, rec, page=after: choose(tx, rec, page))  # type: ignore[misc]
        purged += await _destroy(kit, chosen)
    return purged


def _may_purge(tx: Tx, sha256: Digest, since_confirmed: timedelta, keep_for: timedelta) -> bool:
    held = objects.clips_of(tx, sha256)
    holds = tuple(c.hold for c in held if c.hold is not None)
    doubt = next(iter(doubts.doubts(tx)), None)
    facts = PurgeFacts(tuple(c.custody for c in held), holds, since_confirmed, keep_for, doubt)
    return isinstance(may_purge(facts), Allow)


async def _destroy(kit: Kit, recorded: list[Digest]) -> int:
    """Unlink what the ledger calls purged and nothing holds any more; returns how many.

    The only place that destroys a whole object in the spool. What cannot go now stays in `kit.purges`.
    """

    def look(tx: Tx, _: Recorder) -> tuple[list[Digest], list[Digest]]:
        purged = [sha256 for sha256 in recorded if objects.is_purged(tx, sha256)]
        # The hold time was over when the purge was recorded; a doubt or a person's hold may have come since.
        return purged, [sha256 for sha256 in purged if _may_purge(tx, sha256, timedelta(0), timedelta(0))]

    destroyed = 0
    async with kit.purging.alone():
        purged, free = await kit.ledger(look)
        kit.purges.difference_update(set(recorded) - set(purged))  # bytes that came back since, for another clip
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
