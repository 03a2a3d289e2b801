"""Questions that are asked for each file or each docking find their rows by an index, however many clips there are."""

from collections.abc import Callable

import pytest

from agent.core.clip import Custody
from agent.ledger import clips, fleet, objects
from agent.ledger.database import Tx
from tests.ledger.stage import CAMERA, Stage, digest_of, entry_of

ALL = ("SCAN clips", "SCAN c", "SCAN receipts")


def plans(stage: Stage, ask: Callable[[Tx], object]) -> list[str]:
    """How SQLite carries out each SELECT that `ask` makes, one line for each table and step."""

    def work(tx: Tx) -> list[str]:
        asked: list[str] = []
        tx.conn.set_trace_callback(asked.append)
        try:
            ask(tx)
        finally:
            tx.conn.set_trace_callback(None)
        questions = [text for text in asked if text.lstrip().startswith("SELECT")]
        assert questions
        return [row[3] for text in questions for row in tx.conn.execute(f"EXPLAIN QUERY PLAN {text}")]

    return stage.do(work)


def test_a_listed_file_is_found_by_the_index_made_for_it(peopled: Stage) -> None:
    steps = plans(peopled, lambda tx: clips._find(tx, CAMERA, entry_of("spooled")))
    wanted = "clips USING INDEX clips_find (camera=? AND path=? AND size_bytes=? AND mtime_ns=?)"
    assert any(wanted in step for step in steps), steps


@pytest.mark.parametrize(
    "ask",
    [
        lambda tx: fleet.aboard(tx, CAMERA),
        lambda tx: fleet.clips_aboard(tx, CAMERA, Custody.LISTED, 50),
        lambda tx: fleet.clips_to_wipe(tx, CAMERA, ["clip"], 50),
        lambda tx: fleet.not_for_wiping(tx, CAMERA, ["clip"]),
        lambda tx: objects.clips_of(tx, digest_of("spooled")),
        lambda tx: objects.receipts(tx, digest_of("confirmed")),
    ],
    ids=["aboard", "clips_aboard", "to_wipe", "not_for_wiping", "clips_of", "receipts"],
)
def test_no_question_reads_all_clips(peopled: Stage, ask: Callable[[Tx], object]) -> None:
    steps = plans(peopled, ask)
    assert [step for step in steps if step.startswith(ALL)] == []


@pytest.mark.parametrize("question", ["confirm", "confirm_ready"])
def test_confirming_reads_only_the_clips_that_may_be_confirmed(peopled: Stage, question: str) -> None:
    """The first is asked after each receipt, the second at each start: both with every clip in the ledger."""
    peopled.gate(copies=2)
    peopled.proved("spooled")
    peopled.gate(copies=1)
    recorder = peopled.recorder
    if question == "confirm":
        steps = plans(peopled, lambda tx: objects.confirm(tx, recorder, digest_of("spooled")))
    else:
        steps = plans(peopled, lambda tx: objects.confirm_ready(tx, recorder))
    assert peopled.clip("spooled").custody is Custody.CONFIRMED
    assert [step for step in steps if step.startswith(ALL)] == []
