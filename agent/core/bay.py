"""What a bay tells the officer in front of it.

Rules: an occupied bay derives exactly one advice from facts; nothing stores it. The words are a contract with
people, so they are listed here and nowhere else.
"""

from dataclasses import dataclass
from enum import StrEnum


class Advice(StrEnum):
    """The only four things a bay ever says about taking the camera."""

    TAKE = "take"
    TAKE_ABOARD = "take, footage still aboard"
    WAIT = "wait"
    DO_NOT_REMOVE = "do not remove"


class Phase(StrEnum):
    """What a session is busy with; shown, never stored."""

    IDENTIFYING = "identifying"
    LISTING = "listing"
    OFFLOADING = "offloading"
    UPLOADING = "uploading"
    LOOKING = "looking"  # last look at the camera's own bytes
    WIPING = "wiping"
    DONE = "done"
    RELEASING = "releasing"  # urgent release: coming to a safe point
    FAULTED = "faulted"


@dataclass(frozen=True, slots=True)
class BayFacts:
    """Everything the advice depends on. Counts are clips aboard the docked camera."""

    phase: Phase
    listed: int  # not in the spool yet
    spooled: int  # in the spool, not confirmed
    confirmed: int  # confirmed, still aboard
    quarantined: int  # aboard, a person must look
    wipe_pending: bool  # wiping is on and allowed for this camera, and something is left to wipe
    window_open: bool  # a wipe window or a flash is open right now
    release_asked: bool
    problem: str | None  # why the session cannot go on
    eta_s: float | None  # seconds until the last byte is off the camera, when known
    not_cleared: str | None = None  # why confirmed clips stay aboard, in words
    ledger_damaged: bool = False  # then the counts above may be wrong
    uncopied: int = 0  # things aboard that look like footage or could not be looked at, and are no clips to us
    left: int = 0  # other files aboard that no rule of the profile names


_DAMAGED = "the ledger is damaged: nobody can say what is kept"
_STORED = "all footage is in the evidence store"
_STORED_AS_NAMED = "all footage that its profile names is in the evidence store"


@dataclass(frozen=True, slots=True)
class BayAdvice:
    """One advice with its reason in plain words; `until_s` is a remaining time in seconds, when known."""

    advice: Advice
    reason: str
    until_s: float | None = None


def bay_advice(facts: BayFacts) -> BayAdvice:
    """Derive the one advice of an occupied bay. Total; danger first, then honesty about what is aboard."""
    if facts.window_open:
        return BayAdvice(Advice.DO_NOT_REMOVE, "the camera is being cleared")
    if facts.release_asked and facts.phase is not Phase.RELEASING:
        return _released(facts)
    if facts.phase is Phase.RELEASING:
        return BayAdvice(Advice.WAIT, "coming to a safe point")
    if facts.phase is Phase.FAULTED or facts.problem is not None:
        return _faulted(facts)
    if facts.phase in (Phase.IDENTIFYING, Phase.LISTING):
        return BayAdvice(Advice.WAIT, "finding out which camera this is and what is on it")
    if facts.listed:
        return BayAdvice(Advice.WAIT, f"copying, {_clips(facts.listed)} left", facts.eta_s)
    if facts.phase in (Phase.LOOKING, Phase.WIPING) or (facts.wipe_pending and not facts.spooled):
        return BayAdvice(Advice.WAIT, "checking and clearing the camera", facts.eta_s)
    return _finished(facts)


def _clips(count: int) -> str:
    return "1 clip" if count == 1 else f"{count} clips"


def _uncopied(facts: BayFacts) -> str:
    what = "1 thing" if facts.uncopied == 1 else f"{facts.uncopied} things"
    return f"{what} on the camera could not be copied; tell your supervisor"


def _stored(facts: BayFacts) -> str:
    """What may be said of the footage: the agent cannot vouch for files that no rule names."""
    return _STORED_AS_NAMED if facts.left else _STORED


def _clear(facts: BayFacts, of_what: str) -> str:
    """Whether a camera without a clip is clear, or only `of_what`."""
    if not facts.left:
        return "the camera is clear"
    files = "1 other file is" if facts.left == 1 else f"{facts.left} other files are"
    return f"the camera is clear of {of_what}, but {files} left on it"


def _aboard(facts: BayFacts) -> int:
    return facts.listed + facts.spooled + facts.confirmed + facts.quarantined


def _released(facts: BayFacts) -> BayAdvice:
    if facts.phase in (Phase.IDENTIFYING, Phase.LISTING):
        return BayAdvice(Advice.TAKE_ABOARD, "released on request before it was known what is aboard")
    aboard = _aboard(facts)
    if facts.ledger_damaged:
        return BayAdvice(Advice.TAKE_ABOARD, f"released on request; {_DAMAGED}")
    if aboard:
        return BayAdvice(Advice.TAKE_ABOARD, f"released on request; {_clips(aboard)} still aboard")
    if facts.uncopied:
        return BayAdvice(Advice.TAKE_ABOARD, f"released on request; {_uncopied(facts)}")
    return BayAdvice(Advice.TAKE, f"released on request; {_clear(facts, 'what its profile names')}")


def _faulted(facts: BayFacts) -> BayAdvice:
    """What is aboard may be unknown; then nobody can say that the camera is clear."""
    return BayAdvice(Advice.TAKE_ABOARD, facts.problem or "the bay has a fault")


def _finished(facts: BayFacts) -> BayAdvice:
    if facts.ledger_damaged:
        return BayAdvice(Advice.TAKE_ABOARD, "the ledger is damaged: nobody can say what is kept; tell your supervisor")
    if facts.quarantined:
        return BayAdvice(Advice.TAKE_ABOARD, f"{_clips(facts.quarantined)} could not be read; tell your supervisor")
    if facts.spooled:
        return BayAdvice(Advice.TAKE_ABOARD, f"all copied; {_clips(facts.spooled)} on the way to the evidence store")
    if facts.uncopied:
        return BayAdvice(Advice.TAKE_ABOARD, _uncopied(facts))
    if facts.confirmed:
        why = f": {facts.not_cleared}" if facts.not_cleared else ""
        return BayAdvice(Advice.TAKE_ABOARD, f"{_stored(facts)}; the camera was not cleared{why}")
    return BayAdvice(Advice.TAKE, f"{_stored(facts)}; {_clear(facts, 'it')}")
