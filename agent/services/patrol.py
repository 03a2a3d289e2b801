"""The patrol: stores are asked once more about what they have proved, before a copy of ours is destroyed.

A receipt says what a store held when it gave it. Rules: only a store's own word that it no longer has an object makes a
loss, never its silence; a store that does not answer is asked once in a round. A loss is recorded, a person is called,
and the object is sent again while the spool has it.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto

import structlog

from agent.core.disposal_policy import is_confirmed
from agent.core.errors import StoreError
from agent.core.object import Digest, Receipt
from agent.ledger import losses, objects
from agent.ledger.custody import to_us
from agent.ledger.database import Tx
from agent.ports import StorePolicy
from agent.services.kit import Kit

log = structlog.get_logger()

OLD = timedelta(days=7)
"""A camera is not cleared by the word of receipts that are older, unless their stores were asked again."""
AHEAD = timedelta(minutes=5)
"""How far a receipt may be dated ahead of our clock and still be called young: what stores' receipts are allowed."""
ASKED_S = 3600.0
"""How long an answer stands; a wipe follows its question within minutes."""
ASK_AGAIN_S = 600.0
"""A camera waits for so long before a store that did not answer is asked again about its clips."""
TOLD_FOR = timedelta(days=7)
"""A loss is shown to people for so long, or until the store has the object again."""


class Word(Enum):
    """What the stores say of an object."""

    HELD = auto()  # every one that was asked has it
    LOST = auto()  # one of them no longer has it
    UNKNOWN = auto()  # one of them did not answer


@dataclass(slots=True)
class Patrol:
    """One round of questions.

    `silent` says which stores did not answer, and why; `unproved` what too few receipts prove any more.
    """

    kit: Kit
    silent: dict[str, str] = field(default_factory=dict)
    unproved: set[Digest] = field(default_factory=set)

    async def ask(self, sha256: Digest, *, everyone: bool = True) -> Word:
        """Ask the stores whose receipts count; with `everyone`, a store without a receipt is one that does not answer.

        Raises LedgerError.
        """
        newest = {r.store: r for r in await self.kit.ledger(lambda tx, _: objects.receipts(tx, sha256))}
        words = []
        for policy in self.kit.settings.stores:
            receipt = newest.get(policy.name)
            if receipt is not None:
                words.append(await self._ask(policy, receipt))
            elif everyone:
                words.append(Word.UNKNOWN)
        return next((word for word in (Word.LOST, Word.UNKNOWN) if word in words), Word.HELD)

    async def ask_about(self, wanted: Iterable[Digest]) -> bool:
        """Ask the stores that proved each of these; False as soon as one does not answer. Raises LedgerError."""
        for sha256 in wanted:
            await self.ask(sha256, everyone=False)
            if self.silent:
                return False
        return True

    async def ask_all(self, candidates: Iterable[Digest], *, room_wanted: bool) -> dict[Digest, Word]:
        """Which copies may go by the stores' word, or without it where their room is wanted. Raises LedgerError.

        In the first days after the ledger was restored nothing goes without it.
        """
        room_wanted = room_wanted and not _restored_lately(self.kit)
        may_go: dict[Digest, Word] = {}
        for sha256 in candidates:
            word = await self.ask(sha256)
            if word is Word.HELD or (word is Word.UNKNOWN and room_wanted):
                may_go[sha256] = word
            elif self.silent and not room_wanted:
                break  # all others would wait for the same store
        return may_go

    async def _ask(self, policy: StorePolicy, receipt: Receipt) -> Word:
        store = self.kit.stores.get(policy.name)
        if store is None or policy.name in self.silent:
            return Word.UNKNOWN
        try:
            # Of a store that cannot be asked, its receipt is all that can be had.
            held = store.still_holds is None or await store.still_holds(receipt)
        except StoreError as error:
            self.silent[policy.name] = error.told()
            log.warning("object.not_asked_about", store=policy.name, problem=str(error))
            return Word.UNKNOWN
        if held:
            self.kit.asked[receipt.sha256, policy.name] = time.monotonic()
            return Word.HELD
        place = policy.place
        if await self.kit.ledger(lambda tx, rec: losses.record_loss(tx, rec, receipt, place)):
            log.error("object.lost_by_store", object=receipt.sha256, store=policy.name)
            self.kit.ring()
        return Word.LOST


def proving(kit: Kit, tx: Tx, sha256: Digest) -> list[Receipt]:
    """The receipts of an object that count and that would be accepted today: kept proofs are looked at once more."""
    stores = kit.stores
    return [r for r in objects.receipts(tx, sha256) if r.store in stores and stores[r.store].still_proves(r)]


def is_enough(kit: Kit, receipts: Sequence[Receipt]) -> bool:
    """Whether receipts, all of one object, are of as many stores and as strong as the operator demands."""
    return any(is_confirmed(r.sha256, r.size_bytes, receipts, kit.settings.proof) for r in receipts[:1])


def is_asked(kit: Kit, receipts: Iterable[Receipt]) -> bool:
    """Whether enough of an object's receipts are young, or were asked about a short while ago."""
    return is_enough(kit, [r for r in receipts if _is_fresh(kit, r)])


def _restored_lately(kit: Kit) -> bool:
    return kit.restored is not None and kit.recorder.clock() - kit.restored <= OLD


def _is_fresh(kit: Kit, receipt: Receipt) -> bool:
    before_restored = kit.restored is not None and receipt.issued_at <= kit.restored
    if not before_restored and -AHEAD <= kit.recorder.clock() - receipt.issued_at <= OLD:
        return True
    asked = kit.asked.get((receipt.sha256, receipt.store))
    return asked is not None and time.monotonic() - asked <= ASKED_S


def forget_old_answers(kit: Kit) -> None:
    """Keep the memory of answers as small as it needs to be."""
    oldest = time.monotonic() - ASKED_S
    kit.asked = {about: asked for about, asked in kit.asked.items() if asked >= oldest}


async def told(kit: Kit) -> list[str]:
    """What stores have lost, in words for people. Raises LedgerError."""
    since_us = to_us(kit.recorder.clock() - TOLD_FOR)
    found = await kit.ledger(lambda tx, _: losses.losses(tx, since_us))
    return [_words(store, lost) for store, lost in found.items()]


def kept_words(kit: Kit) -> list[str]:
    """Which stores keep copies in the spool: by not answering, or because their receipts prove nothing any more."""
    silent = [
        f"The spool keeps copies past their hold time, because store {store} did not say whether it still has what it"
        f" proved; they go once it answers, or when their room is needed: {why}"
        for store, why in kit.silent.items()
    ]
    return [*silent, _unproved_words(kit.unproved)] if kit.unproved else silent


def _unproved_words(count: int) -> str:
    what = "a copy" if count == 1 else f"{count} copies"
    return (
        f"The spool keeps {what} past the hold time, because too few receipts would be accepted today: a receipt key is"
        " no longer pinned, or probing found that a store's checksums prove nothing. Pin the key again if it is still"
        " to be trusted; otherwise give that store another `name`: what is in the spool is then proved anew."
    )


def _words(store: str, lost: losses.Lost) -> str:
    what = "an object" if lost.objects == 1 else f"{lost.objects} objects"
    text = f"store {store} lost {what} that it had proved to hold: ask its operators what happened."
    if lost.sending:
        text += f" The spool sends {lost.sending} again."
    if lost.not_here:
        text += f" {lost.not_here} the spool no longer has: dock the cameras that recorded them, which are not cleared."
    return text
