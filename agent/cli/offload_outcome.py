"""What an offload came to: a table, a sentence that says what to do next, and an exit code."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from agent.cli.failure import Exit
from agent.cli.wording import count, safe, shown, size

View = dict[str, Any]
COLUMNS = ("name", "size", "state", "camera copy", "receipts")

_BY_ITSELF, _BY_HAND = "the upload goes on by itself", "the upload goes on once the service runs, or this is run again"

_NEXT_STEPS = {
    "listed": "only the camera holds {clips}: keep it, and run this again",
    "quarantined": "{clips} could not be taken whole: run this again; if it stays so, keep the camera for examination",
    "lost": "{clips} vanished before the copy: keep the camera and tell the evidence manager",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result object, as the service or this process gave it."""

    result: View
    alone: bool  # no service runs, so nobody goes on with the uploads
    path: str  # of what was handed over

    @property
    def states(self) -> Counter[str]:
        """How many clips are in which state."""
        return Counter(str(clip["state"]) for clip in self.result["clips"])

    @property
    def listed_whole(self) -> bool:
        """Whether the walk over the medium was finished: what was never listed would not be missed."""
        return self.result.get("listed_whole") is True

    @property
    def overlooked(self) -> int:
        """How many files look like footage, but no rule names them."""
        return int(self.result.get("unrecognised") or 0)

    @property
    def nothing_there(self) -> bool:
        """Whether the place was wholly empty: a mount point without its card looks just so."""
        return self.result.get("blank") is True and not self.result["clips"]

    @property
    def refused(self) -> bool:
        """Whether nothing was looked at, because the profile that was asked for does not exist."""
        return self.result.get("unknown_profile") is True

    @property
    def left(self) -> str:
        """What else stays on the camera, as the end of a sentence; empty when nothing does."""
        files = int(self.result.get("left") or 0)
        return f"; {count(files, 'other file')} that the profile does not name left on it" if files else ""

    @property
    def code(self) -> Exit:
        """Total: 0 only when every clip is confirmed, none can have been overlooked, and anything was there at all."""
        if self.refused:
            return Exit.USAGE
        states = self.states
        if not self.listed_whole or self.overlooked or self.nothing_there or states.keys() - {"spooled", "confirmed"}:
            return Exit.FAILED
        return Exit.UNCONFIRMED if states["spooled"] else Exit.DONE


def rows(outcome: Outcome) -> list[tuple[str, ...]]:
    """One row under COLUMNS for each clip."""
    return [
        (
            shown(clip["name"]),
            size(clip["size"]),
            shown(clip["state"]),
            shown(clip["camera_copy"]).replace("_", " "),
            ", ".join(f"{shown(r['store'])} ({shown(r['kind'])})" for r in clip["receipts"]) or "-",
        )
        for clip in outcome.result["clips"]
    ]


def sentences(outcome: Outcome) -> list[str]:
    """What to tell the person: the outcome first, then what is no fault but should be known."""
    result, states = outcome.result, outcome.states
    total = sum(states.values())
    said = [] if outcome.refused else [_headline(outcome, total)]
    if outcome.code is Exit.FAILED:
        said += [_capital(t.format(clips=count(states[s], "clip"))) + "." for s, t in _NEXT_STEPS.items() if states[s]]
    said += [f"note: {safe(str(note))}" for note in result.get("notes", [])]
    if result.get("trial"):
        said.append("TRIAL: a store on this machine may confirm footage. Not for evidence.")
    return said


def problems(outcome: Outcome) -> list[str]:
    """What went wrong, for stderr. Without a service nothing goes on by itself, whatever the stores' errors say."""
    said = [safe(str(problem)) for problem in outcome.result["problems"]]
    return [text.replace(_BY_ITSELF, _BY_HAND) for text in said] if outcome.alone else said


def _headline(outcome: Outcome, total: int) -> str:
    states = outcome.states
    if not outcome.listed_whole:
        return "Not every file was seen: keep the camera as it is, and run this again."
    if outcome.overlooked:
        files = count(outcome.overlooked, "file")
        return f"{files} that may be footage were not copied: keep the card, and name its layout with --profile."
    if outcome.nothing_there:
        return f"Nothing was found under {safe(outcome.path)}: is it mounted?"
    if not total:
        return f"There are no clips here{outcome.left}."
    whole = f"{count(total, 'clip')} ({size(outcome.result['bytes'])})"
    if outcome.code is Exit.DONE:
        return f"All confirmed: {whole}{outcome.left}."
    never = outcome.result.get("never")
    if outcome.code is Exit.UNCONFIRMED and never:
        return f"All safe in the spool: {whole}; none of it can ever be confirmed: {safe(str(never))}."
    if outcome.code is Exit.UNCONFIRMED:
        then = (
            "start the service or run this again" if outcome.alone else "the service goes on with the uploads by itself"
        )
        return f"All safe in the spool: {whole}; {states['spooled']} not confirmed yet: {then}."
    return f"Not all is well: {states['confirmed']} of {whole} confirmed, {states['spooled']} safe in the spool."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
