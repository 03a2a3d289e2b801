"""May this copy be destroyed? The only gate before a wipe or a purge.

Rules: total functions over facts; every refusal has a stable reason that operators see. The ledger's triggers
check the same facts again, and `services/disposal.py` is the only caller that acts on the answer.
Source: design section 6, invariants I1, I2, I10, I17.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from agent.core.clip import Copy, Custody
from agent.core.object import Digest, Receipt, ReceiptKind


@dataclass(frozen=True, slots=True)
class Allow:
    """The copy may go."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The copy stays; `reason` is a stable word, shown to operators."""

    reason: str


@dataclass(frozen=True, slots=True)
class CopyFacts:
    """What is known about a camera's copy at the moment of the decision."""

    wiping_enabled: bool
    role_may_be_wiped: bool  # the profile's [wipe] roles
    camera_seized: bool
    camera_claimed: bool
    serial_on_two_bays: bool  # now, or when this camera was docked second
    custody: Custody
    copy: Copy
    hold: str | None
    sha256: Digest | None
    size_bytes: int
    doubt: str | None  # why the ledger itself is not trusted, one of REFUSALS; None in normal work
    stores_asked: bool  # enough receipts are young, or their stores said again lately that they have it
    last_look: Digest | None  # digest of the camera's own bytes, read in this session after they were confirmed


@dataclass(frozen=True, slots=True)
class Proof:
    """What counts as confirmed: how many stores, and the weakest receipt each must give."""

    copies: int
    require: dict[str, ReceiptKind]  # per store that may open the gate


def count_proofs(sha256: Digest, size_bytes: int, receipts: Iterable[Receipt], proof: Proof) -> int:
    """How many stores proved to hold exactly these bytes, each by at least its own weakest kind."""
    return len(
        {
            r.store
            for r in receipts
            if r.sha256 == sha256
            and r.size_bytes == size_bytes
            and r.store in proof.require
            and r.kind >= proof.require[r.store]
        }
    )


def is_confirmed(sha256: Digest, size_bytes: int, receipts: Iterable[Receipt], proof: Proof) -> bool:
    """Whether the receipts are enough. Never true for zero copies."""
    return proof.copies >= 1 and count_proofs(sha256, size_bytes, receipts, proof) >= proof.copies


def may_wipe(facts: CopyFacts, receipts: Iterable[Receipt], proof: Proof) -> Allow | Refuse:
    """Decide whether the camera's copy of one clip may be destroyed."""
    if facts.camera_seized:
        return Refuse("camera_seized")
    if not facts.wiping_enabled:
        return Refuse("wiping_off")
    if facts.doubt is not None:
        return Refuse(facts.doubt)
    if not facts.role_may_be_wiped:
        return Refuse("not_in_profile")
    if not facts.camera_claimed:
        return Refuse("camera_unclaimed")
    if facts.serial_on_two_bays:
        return Refuse("serial_on_two_bays")
    if facts.hold is not None:
        return Refuse("on_hold")
    if facts.copy is not Copy.PRESENT:
        return Refuse("copy_not_present")
    if facts.custody is not Custody.CONFIRMED or facts.sha256 is None:
        return Refuse("not_confirmed")
    if not is_confirmed(facts.sha256, facts.size_bytes, receipts, proof):
        return Refuse("receipts_not_enough")
    if not facts.stores_asked:
        return Refuse("stores_not_asked")
    if facts.last_look is None:
        return Refuse("not_looked_at")
    if facts.last_look != facts.sha256:
        return Refuse("camera_bytes_differ")
    return Allow()


@dataclass(frozen=True, slots=True)
class PurgeFacts:
    """What is known about the spool's copy of one object."""

    custodies: tuple[Custody, ...]  # of every clip of the object
    holds: tuple[str, ...]
    since_confirmed: timedelta | None  # by the wall clock; None when it was never confirmed
    keep_for: timedelta
    doubt: str | None  # why the ledger itself is not trusted
    proved: bool  # enough of the receipts would be accepted today


def may_purge(facts: PurgeFacts) -> Allow | Refuse:
    """Decide whether the spool's copy of an object may be destroyed."""
    if facts.doubt is not None:
        return Refuse(facts.doubt)
    if not facts.custodies:
        return Refuse("no_clip")
    if any(custody is not Custody.CONFIRMED for custody in facts.custodies):
        return Refuse("not_confirmed")
    if facts.holds:
        return Refuse("on_hold")
    if facts.since_confirmed is None or facts.since_confirmed < facts.keep_for:
        return Refuse("hold_time")
    if not facts.proved:
        return Refuse("receipts_not_enough")
    return Allow()


CAMERA_REFUSALS = frozenset(
    {
        "wiping_off",
        "camera_seized",
        "camera_unclaimed",
        "serial_on_two_bays",
        "ledger_unaudited",
        "ledger_damaged",
        "ledger_rolled_back",
    }
)
"""Reasons against a wipe that hold for every clip of a camera alike."""

REFUSALS: dict[str, str] = {
    "camera_seized": "the camera is seized: nobody may change it",
    "wiping_off": "wiping is turned off ([wipe] enabled = false)",
    "ledger_unaudited": "the ledger is still being checked through since the start",
    "ledger_damaged": "the ledger is damaged: tell the evidence manager",
    "ledger_rolled_back": "the ledger is not the one that this station wrote last: a person must accept it",
    "not_in_profile": "the camera's profile does not name this kind of file for wiping",
    "camera_unclaimed": "nobody has claimed this camera yet",
    "serial_on_two_bays": "two docked cameras showed this serial: dock each by itself",
    "on_hold": "a person put a hold on it",
    "copy_not_present": "the camera no longer shows it",
    "not_confirmed": "no store has proved yet that it holds it",
    "receipts_not_enough": "fewer stores than required have proved that they hold it",
    "stores_not_asked": "the stores proved it long ago, and did not answer whether they still hold it",
    "not_looked_at": "the camera's own bytes were not read again yet",
    "camera_bytes_differ": "the camera's bytes are no longer those that were copied",
    "no_clip": "no clip is known for these bytes",
    "hold_time": "its hold time is not over",
}

MEDIUM_REFUSALS: dict[str, str] = {
    "cannot_wipe": "this kind of camera cannot be cleared by the station",
    "read_only": "the camera's medium cannot be written to",
}
"""Reasons that no decision gives: the medium itself refused."""
