"""Which clips of one docked camera may be cleared now. Everything is asked here, nothing is destroyed.

Rules: each decision reads the ledger anew; what forbids one clip keeps no other from its turn, however many there are.
"""

import time
from dataclasses import dataclass, field

from agent.core.clip import Clip, ClipId
from agent.core.disposal_policy import CAMERA_REFUSALS, Allow, CopyFacts, Refuse, may_wipe
from agent.core.object import Digest
from agent.core.profile import Role
from agent.ledger import doubts, fleet, objects
from agent.ledger.database import Tx
from agent.services.identity import Identified, is_vouched_for
from agent.services.kit import Kit
from agent.services.patrol import ASK_AGAIN_S, Patrol, is_asked, proving
from agent.services.presence import Presence

BATCH_CLIPS = 2048
BATCH_BYTES = 2 << 30
"""What is looked at before a window opens. The window itself only unlinks, so that a release waits seconds."""
PAGE_CLIPS = 512
"""So many are decided about in one transaction, so that other bays get their turn at the ledger."""


@dataclass(slots=True)
class _Round:
    """One way through the confirmed clips aboard, until a batch is full or all are decided about."""

    confirmed: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    found: list[Clip] = field(default_factory=list)
    found_bytes: int = 0
    unasked: list[Digest] = field(default_factory=list)  # whose receipts are too old to be believed unasked
    last: Clip | None = None
    ended: bool = False

    def take(self, clip: Clip) -> None:
        """Nothing forbids this one but the look that is still to come."""
        self.found.append(clip)
        self.found_bytes += clip.entry.size_bytes
        self.ended = len(self.found) >= BATCH_CLIPS or self.found_bytes >= BATCH_BYTES

    def refuse(self, reason: str) -> None:
        """This one stays."""
        self.refused[reason] = self.refused.get(reason, 0) + 1

    def refuse_all(self, reason: str) -> None:
        """What forbids one forbids every other."""
        self.refused, self.found, self.ended = {reason: self.confirmed}, [], True


class Clearance:
    """Decides for one docked camera. `refused` has the reasons of the last round, with counts."""

    def __init__(self, kit: Kit, presence: Presence, identified: Identified, doubtful: set[ClipId]) -> None:
        """Decide about the camera that `identified` names.

        `doubtful` is shared with the session: clips that could not be read again in it, never wiped in it.
        """
        self._kit = kit
        self._presence = presence
        self._identified = identified
        self.doubtful = doubtful
        self.refused: dict[str, int] = {}
        self.settled = 0
        """So many confirmed clips were aboard when all had been decided about and none could go; 0 until then."""
        self.halted: str | None = None
        """Why nothing more is wiped in this session."""
        self._not_asked_before = 0.0

    async def choose(self) -> list[Clip]:
        """The next clips that nothing forbids to wipe but a look at their bytes; none: all that are aboard stay.

        Stores whose receipts are old are asked first. Raises LedgerError.
        """
        made = await self._go_through()
        if made.unasked and time.monotonic() >= self._not_asked_before:
            answered = await Patrol(self._kit).ask_about(made.unasked)
            self._not_asked_before = 0 if answered else time.monotonic() + ASK_AGAIN_S
            made = await self._go_through()
        self.refused = made.refused
        self.settled = 0 if made.found else made.confirmed
        return made.found

    async def _go_through(self) -> _Round:
        made = _Round()
        while not made.ended:
            await self._kit.ledger(lambda tx, _: self._turn_page(tx, made))
        return made

    def _turn_page(self, tx: Tx, made: _Round) -> None:
        ident, roles = self._identified.camera, self._identified.profile.wipe_roles
        if made.last is None:
            made.confirmed = fleet.aboard(tx, ident).confirmed
            made.refused = fleet.not_for_wiping(tx, ident, roles)
        if self.halted is not None:
            made.refuse_all(self.halted)
            return
        page = fleet.clips_to_wipe(tx, ident, roles, PAGE_CLIPS, made.last)
        for clip in page:
            made.last = clip
            self._consider(tx, clip, made)
            if made.ended:
                return
        made.ended = len(page) < PAGE_CLIPS

    def _consider(self, tx: Tx, clip: Clip, made: _Round) -> None:
        if clip.id in self.doubtful:
            made.refuse("not_looked_at")
            return
        decision = self.decide(tx, clip, None)
        if isinstance(decision, Allow) or decision.reason == "not_looked_at":
            made.take(clip)
        elif decision.reason in CAMERA_REFUSALS:
            made.refuse_all(decision.reason)
        else:
            made.refuse(decision.reason)
            if decision.reason == "stores_not_asked" and clip.sha256 is not None:
                made.unasked.append(clip.sha256)

    def decide(self, tx: Tx, clip: Clip, look: Digest | None) -> Allow | Refuse:
        """Whether this copy may be destroyed; `look` is the digest of the bytes that were just read from it."""
        row = fleet.camera(tx, clip.camera)
        receipts = proving(self._kit, tx, clip.sha256) if clip.sha256 else []
        facts = CopyFacts(
            wiping_enabled=self._kit.settings.wiping,
            role_may_be_wiped=Role(clip.role) in self._identified.profile.wipe_roles,
            camera_seized=row is None or fleet.seizure(tx, self._identified.serial) is not None,
            camera_claimed=row is not None and is_vouched_for(self._kit.settings, self._identified, row),
            # What was decided about this serial may be meant for the very camera that has another name now.
            serial_on_two_bays=self._identified.is_double or self._presence.is_double(self._identified.serial),
            custody=clip.custody,
            copy=clip.copy,
            hold=clip.hold or _hold_elsewhere(tx, clip),
            sha256=clip.sha256,
            size_bytes=clip.entry.size_bytes,
            doubt=next(iter(doubts.doubts(tx)), None),
            stores_asked=is_asked(self._kit, receipts),
            last_look=look,
        )
        return may_wipe(facts, receipts, self._kit.settings.proof)


def _hold_elsewhere(tx: Tx, clip: Clip) -> str | None:
    """A hold on another sighting of the same bytes, or the seizure of the camera that showed them.

    A card without a serial has another name where it is mounted elsewhere: what was decided is about its bytes.
    """
    others = objects.clips_of(tx, clip.sha256) if clip.sha256 else []
    seized = "a seized camera showed the same bytes"
    holds = [each.hold or (seized if fleet.seizure(tx, each.camera) else None) for each in others]
    return next((hold for hold in holds if hold), None)
