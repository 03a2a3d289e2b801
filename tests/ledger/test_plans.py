"""Questions that are asked for each file or each docking find their rows by an index, however many clips there are."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from agent.core.clip import Custody, SessionId
from agent.ledger import announcements, clips, fleet, losses, objects, unlisted, upload_lanes, uploads
from agent.ledger.clips import Listing
from agent.ledger.custody import Recorder
from agent.ledger.database import Tx
from agent.services import views
from tests.ledger.stage import CAMERA, Stage, digest_of, entry_of

ALL = (
    "SCAN clips",
    "SCAN c",
    "SCAN receipts",
    "SCAN uploads",
    "SCAN u",
    "SCAN n",
    "SCAN objects",
    "SCAN o",
)
RECORDER = Recorder("hub7", "test")
MOMENT = datetime(2027, 1, 1, tzinfo=UTC)
SORT = "USE TEMP B-TREE FOR ORDER BY"


def plans(stage: Stage, ask: Callable[[Tx], object]) -> list[str]:
    """How SQLite carries out each question and change that `ask` makes, one line for each table and step."""

    def work(tx: Tx) -> list[str]:
        asked: list[str] = []
        tx.conn.set_trace_callback(asked.append)
        try:
            ask(tx)
        finally:
            tx.conn.set_trace_callback(None)
        questions = [text for text in asked if text.lstrip().startswith(("SELECT", "WITH", "UPDATE"))]
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
        lambda tx: fleet.clips_to_read_again(tx, CAMERA, SessionId(2), 50),
        lambda tx: unlisted.finish_listing(tx, RECORDER, Listing(CAMERA, SessionId(2), 9999)),
        lambda tx: uploads.waiting(tx, "central", 3),
        lambda tx: uploads.wake(tx, 1),
        lambda tx: uploads.next_try_us(tx, 1),
        lambda tx: upload_lanes.lane(tx, upload_lanes.RETRYING, 5),
        lambda tx: upload_lanes.lane(tx, upload_lanes.HELD_BACK, 5),
        lambda tx: upload_lanes.lane(tx, upload_lanes.SET_ASIDE, 5),
        lambda tx: upload_lanes.known(tx, [(digest_of("spooled"), "central")]),
        lambda tx: objects.purge_candidates(tx, MOMENT, (0, "")),
        views.totals,
        lambda tx: fleet.not_for_wiping(tx, CAMERA, ["clip"]),
        lambda tx: fleet.seizure(tx, CAMERA),
        lambda tx: objects.receipts(tx, digest_of("confirmed")),
        lambda tx: losses.only_aboard(tx, CAMERA, 9, ()),
        lambda tx: announcements.unannounced(tx, "central", 5),
        lambda tx: announcements.count_unannounced(tx, "central"),
        lambda tx: announcements.announced(tx, "central", announcements.unannounced(tx, "central", 5)),
    ],
    ids=[
        "aboard",
        "clips_aboard",
        "to_wipe",
        "to_read_again",
        "finish_listing",
        "waiting",
        "wake",
        "next_try",
        "retrying",
        "held_back",
        "set_aside",
        "known",
        "purge_candidates",
        "totals",
        "not_for_wiping",
        "seizure",
        "receipts",
        "only_aboard",
        "unannounced",
        "count_unannounced",
        "announced",
    ],
)
def test_no_question_reads_all_rows_or_sorts_them(peopled: Stage, ask: Callable[[Tx], object]) -> None:
    steps = plans(peopled, ask)
    assert [step for step in steps if _reads_everything(step)] == []


def _reads_everything(step: str) -> bool:
    return step.startswith(ALL) or SORT in step


def test_what_is_owed_for_one_object_is_found_by_index(peopled: Stage) -> None:
    """Asked by triggers at each copy and each receipt."""
    steps = plans(peopled, lambda tx: tx.conn.execute("SELECT * FROM owed WHERE sha256 = ?", (digest_of("spooled"),)))
    assert [step for step in steps if step.startswith(ALL)] == []


@pytest.mark.parametrize(
    ("ask", "index"),
    [
        (lambda tx: fleet.clips_aboard(tx, CAMERA, Custody.LISTED, 50), "clips_in_turn"),
        (lambda tx: fleet.clips_to_wipe(tx, CAMERA, ["clip"], 50), "clips_to_wipe"),
        (lambda tx: fleet.clips_to_read_again(tx, CAMERA, SessionId(2), 50), "clips_unread"),
        (lambda tx: unlisted.finish_listing(tx, RECORDER, Listing(CAMERA, SessionId(2), 1)), "clips_unlisted"),
        (lambda tx: uploads.waiting(tx, "central", 3), "uploads_ready"),
        (lambda tx: uploads.next_try_us(tx, 1), "uploads_paused"),
        (lambda tx: uploads.wake(tx, 1), "uploads_paused"),
        (lambda tx: uploads.wake(tx, 1), "uploads_aside"),
        (lambda tx: upload_lanes.lane(tx, upload_lanes.HELD_BACK, 5), "uploads_held"),
        (lambda tx: upload_lanes.lane(tx, upload_lanes.SET_ASIDE, 5), "uploads_aside"),
        (upload_lanes.asides, "uploads_aside"),
        (lambda tx: objects.purge_candidates(tx, MOMENT, (0, "")), "objects_to_purge"),
        (lambda tx: objects.restart_holds(tx, RECORDER), "objects_to_purge"),
        (lambda tx: announcements.unannounced(tx, "central", 5), "uploads_unannounced"),
        (lambda tx: announcements.count_unannounced(tx, "central"), "uploads_unannounced"),
    ],
    ids=[
        "clips_aboard",
        "to_wipe",
        "to_read_again",
        "finish_listing",
        "waiting",
        "next_try",
        "wake_paused",
        "wake_aside",
        "held_back",
        "set_aside",
        "asides",
        "purge_candidates",
        "restart_holds",
        "unannounced",
        "count_unannounced",
    ],
)
def test_each_question_uses_the_index_made_for_it(peopled: Stage, ask: Callable[[Tx], object], index: str) -> None:
    """The rows that an index leaves out are those that would make it slow: done clips, proved objects."""
    assert any(f"INDEX {index} " in step for step in plans(peopled, ask))


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
