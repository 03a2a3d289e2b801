"""What becomes of a copy that was to be wiped: only an acknowledged unlink and a fresh walk make it gone."""

import json

import pytest

from agent.core.clip import Copy, Custody, SessionId
from agent.core.errors import IllegalMove
from agent.ledger import clips
from agent.ledger.clips import Sighting
from agent.ledger.database import Tx
from tests.ledger.stage import CAMERA, Stage, entry_of


def settled(count: clips.ListingCount) -> tuple[int, int, int, int]:
    return (count.new, count.known, count.gone, count.missing)


def intended(stage: Stage, *names: str) -> SessionId:
    session = stage.dock()
    stage.listing(session, *names)
    for name in names:
        stage.spooled(name)
        stage.proved(name)
        stage.intended(name)
    return session


def wiped(stage: Stage, *names: str) -> SessionId:
    session = intended(stage, *names)
    for name in names:
        stage.unlinked(name)
    return session


def test_an_acknowledged_unlink_is_kept_with_its_session_and_its_event(stage: Stage) -> None:
    session = intended(stage, "a")
    clip = stage.unlinked("a")
    assert (clip.copy, clip.unlinked_in) == (Copy.WIPE_INTENDED, session)
    event, line = stage.sql("SELECT event, line FROM events ORDER BY seq DESC LIMIT 1")[0]
    assert event == "copy.unlinked"
    assert (json.loads(line)["clip"], json.loads(line)["copy"]) == (clip.id, "wipe_intended")


@pytest.mark.parametrize("name", ["listed", "spooled", "confirmed", "gone", "quarantined", "missing", "lost"])
def test_an_unlink_that_nobody_intended_is_refused(peopled: Stage, name: str) -> None:
    before = peopled.everything()
    with pytest.raises(IllegalMove, match="unlinked without an intent"):
        peopled.unlinked(name)
    assert peopled.everything() == before


def test_after_a_wipe_a_fresh_walk_settles_what_is_gone_and_what_is_still_there(stage: Stage) -> None:
    session = wiped(stage, "a", "b")
    assert settled(stage.listing(session, "b")) == (0, 1, 1, 0)
    assert (stage.clip("a").copy, stage.clip("a").unlinked_in) == (Copy.GONE, session)
    assert (stage.clip("b").copy, stage.clip("b").unlinked_in) == (Copy.PRESENT, None)
    assert {"copy.gone", "copy.still_there"} <= set(stage.events())


def test_an_intent_without_an_unlink_makes_nothing_gone(stage: Stage) -> None:
    """Another hand took the file: the record must not say that this station destroyed it."""
    session = intended(stage, "a")
    assert settled(stage.listing(session)) == (0, 0, 0, 1)
    clip = stage.clip("a")
    assert (clip.custody, clip.copy) == (Custody.CONFIRMED, Copy.MISSING)
    assert stage.events()[-2:] == ["copy.intent_dropped", "copy.missing"]


def test_an_unlink_of_a_file_that_came_back_does_not_count_for_the_next_wipe(stage: Stage) -> None:
    session = wiped(stage, "a")
    stage.listing(session, "a")
    stage.intended("a")
    assert settled(stage.listing(session)) == (0, 0, 0, 1)
    assert stage.clip("a").copy is Copy.MISSING


@pytest.mark.parametrize(("acknowledged", "copy"), [(True, Copy.GONE), (False, Copy.MISSING)])
def test_an_intent_left_open_by_a_power_cut_is_settled_by_the_next_session(
    stage: Stage, acknowledged: bool, copy: Copy
) -> None:
    intended(stage, "a", "b")
    if acknowledged:
        stage.unlinked("a")
    count = stage.listing(stage.dock(), "b")
    assert settled(count) == (0, 1, int(acknowledged), int(not acknowledged))
    assert (stage.clip("a").copy, stage.clip("b").copy) == (copy, Copy.PRESENT)


def test_a_walk_that_was_cut_short_makes_nothing_gone(stage: Stage) -> None:
    session = wiped(stage, "a", "b")
    seen = [Sighting(entry_of("b"), "clip", event=False)]

    def work(tx: Tx) -> None:
        walk = clips.start_listing(tx, stage.recorder, CAMERA, session)
        clips.reconcile(tx, stage.recorder, walk, seen)

    stage.do(work)
    assert stage.clip("a").copy is Copy.WIPE_INTENDED


def test_a_wiped_file_that_reappears_is_a_new_clip(stage: Stage) -> None:
    session = wiped(stage, "a")
    stage.listing(session)
    old = stage.clip("a")
    assert settled(stage.listing(stage.dock(), "a")) == (1, 0, 0, 0)
    assert stage.clip("a").id != old.id
    assert stage.again(old.id).copy is Copy.GONE
