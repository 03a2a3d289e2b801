"""Writes docs/states.md from the tables in agent/core: `scripts/diagram`, or `python -m tests.core.state_diagram`.

A move without its sentence, or a sentence without its move, is an error: the page never says less or more than
the tables.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path

from agent.core.clip import COPY_MOVES, MOVES, Copy, Custody
from agent.core.object import SPOOL_MOVES, SpoolState

PAGE = Path(__file__).resolve().parents[2] / "docs" / "states.md"

_Sentences = Mapping[tuple[StrEnum, StrEnum], str]

CUSTODY_SENTENCES: _Sentences = {
    (Custody.LISTED, Custody.SPOOLED): "All bytes lie in the spool under their digest, file and directory synced, and "
    "the camera's file had the same size and time before and after. Rule: trigger `clips_spooled`.",
    (Custody.LISTED, Custody.QUARANTINED): "The camera's file could not be read whole, or the camera shows other bytes "
    "under the same name; a person must look. Rule: a quarantined clip carries its problem (a CHECK of `clips`).",
    (Custody.LISTED, Custody.LOST): "A complete listing no longer shows a clip that was never copied. "
    "Rule: `finish_listing` in `agent/ledger/unlisted.py`.",
    (
        Custody.SPOOLED,
        Custody.CONFIRMED,
    ): "As many stores as configured gave receipts for this digest and size, each at "
    "least of the kind demanded of it. Rule: trigger `clips_confirmed`.",
    (
        Custody.SPOOLED,
        Custody.QUARANTINED,
    ): "Something about the copied clip is in doubt; the spool keeps its bytes and a "
    "person must look. Rule: trigger `objects_purge` keeps the bytes of what is not confirmed.",
    (Custody.SPOOLED, Custody.LISTED): "The spool's copy is missing or failed its re-hash; it is copied again from the "
    "camera. Rule: `spool_copy_failed` in `agent/ledger/objects.py`.",
    (Custody.QUARANTINED, Custody.SPOOLED): "A person decided that the bytes in the spool are good. "
    "Rule: trigger `clips_spooled`.",
    (Custody.QUARANTINED, Custody.LISTED): "The camera was docked again and shows the file; it is tried once more. "
    "Rule: `reconcile` in `agent/ledger/clips.py`.",
    (Custody.LOST, Custody.LISTED): "The file was seen again. Rule: `reconcile` in `agent/ledger/clips.py`.",
}
COPY_SENTENCES: _Sentences = {
    (Copy.PRESENT, Copy.WIPE_INTENDED): "The durable intent that opens a wipe window: only for a confirmed clip whose "
    "bytes on the camera were read again in this session, with wiping on, no hold, and a camera that is claimed and "
    "not seized. Rule: `may_wipe` in `agent/core/disposal_policy.py` and trigger `clips_wipe`.",
    (
        Copy.WIPE_INTENDED,
        Copy.GONE,
    ): "The reader acknowledged the unlink (`unlinked_in`, event copy.unlinked), and a later "
    "complete walk over the medium no longer lists it. Rule: `unlinked` in `agent/ledger/clips.py` and "
    "`finish_listing` in `agent/ledger/unlisted.py`.",
    (
        Copy.WIPE_INTENDED,
        Copy.PRESENT,
    ): "A later walk still lists it (copy.still_there); or a complete one no longer does "
    "although no unlink was acknowledged (copy.intent_dropped), and then it goes on to missing. "
    "Rule: `reconcile` in `agent/ledger/clips.py` and `finish_listing` in `agent/ledger/unlisted.py`.",
    (Copy.PRESENT, Copy.MISSING): "A complete listing no longer shows it although the agent never meant to wipe it, or "
    "other bytes took its name. Rule: `finish_listing` in `agent/ledger/unlisted.py` and `replace_sighting` in "
    "`agent/ledger/clips.py`.",
    (Copy.MISSING, Copy.PRESENT): "The camera shows it again. Rule: `reconcile` in `agent/ledger/clips.py`.",
}
SPOOL_SENTENCES: _Sentences = {
    (SpoolState.ABSENT, SpoolState.PRESENT): "All bytes are durable under the object's final name. "
    "Rule: `SpoolPart.finish` in `agent/ledger/spool.py`, before the ledger is told.",
    (
        SpoolState.PRESENT,
        SpoolState.ABSENT,
    ): "Every clip of the object is confirmed, nobody holds one, the hold time is over and enough receipts would be "
    "accepted today; or the copy was found missing or altered. Rule: `may_purge` in `agent/core/disposal_policy.py` "
    "and trigger `objects_purge`.",
}


def _order(machine: type[StrEnum], moves: Iterable[tuple[StrEnum, StrEnum]]) -> list[tuple[StrEnum, StrEnum]]:
    rank = {state: place for place, state in enumerate(machine)}
    return sorted(moves, key=lambda move: (rank[move[0]], rank[move[1]]))


def section(
    title: str,
    machine: type[StrEnum],
    start: StrEnum,
    moves: frozenset[tuple[StrEnum, StrEnum]],
    sentences: _Sentences,
) -> str:
    """One machine: its drawing and one sentence for each move. Raises ValueError when the two differ."""
    if set(sentences) != moves:
        odd = sorted(f"{was} → {becomes}" for was, becomes in set(sentences) ^ moves)
        raise ValueError(f"Moves and sentences of {title!r} differ: {', '.join(odd)}. Write or remove the sentence.")
    ordered = _order(machine, moves)
    final = [state for state in machine if not any(was is state for was, _ in moves)]
    drawing = [f"    [*] --> {start.value}"]
    drawing += [f"    {was.value} --> {becomes.value}" for was, becomes in ordered]
    drawing += [f"    {state.value} --> [*]" for state in final]
    told = [f"- **{was.value} → {becomes.value}**: {sentences[was, becomes]}" for was, becomes in ordered]
    return "\n".join([f"## {title}", "", "```mermaid", "stateDiagram-v2", *drawing, "```", "", *told, ""])


def page() -> str:
    """The whole of docs/states.md."""
    head = (
        "# States\n\n"
        "Made by `scripts/diagram` from the tables in `agent/core`; change those, not this page.\n"
        "A state is a fact that bytes on disk prove. Every move writes one custody event in the same transaction, and\n"
        "the ledger's triggers refuse all other moves.\n"
    )
    custody = section("Custody of a clip", Custody, Custody.LISTED, frozenset(MOVES), CUSTODY_SENTENCES)
    copy = section("The camera's copy of a clip", Copy, Copy.PRESENT, frozenset(COPY_MOVES), COPY_SENTENCES)
    spool = section(
        "The spool's copy of an object", SpoolState, SpoolState.ABSENT, frozenset(SPOOL_MOVES), SPOOL_SENTENCES
    )
    return f"{head}\n{custody}\n{copy}\n{spool}".rstrip() + "\n"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), "utf-8")
