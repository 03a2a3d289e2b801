"""Sightings: what a listing, a second look and a wipe window make of a camera's files."""

import json

import pytest

from agent.core.clip import CameraId, ClipId, Copy, Custody
from agent.core.errors import IllegalMove
from agent.ledger import clips
from agent.ledger.clips import Move, Sighting
from agent.ledger.database import Tx
from tests.ledger.stage import CAMERA, Stage, digest_of, entry_of


def count_of(count: clips.ListingCount) -> tuple[int, int, int, int]:
    return (count.new, count.known, count.gone, count.missing)


def test_a_new_file_becomes_a_listed_clip_with_its_event(stage: Stage) -> None:
    session = stage.dock()
    assert count_of(stage.listing(session, "a", "b")) == (2, 0, 0, 0)
    clip = stage.clip("a")
    assert (clip.custody, clip.copy, clip.sha256, clip.session) == (Custody.LISTED, Copy.PRESENT, None, session)
    assert clip.entry == entry_of("a")
    line = json.loads(stage.one("SELECT line FROM events WHERE clip = ?", clip.id))
    assert bytes.fromhex(line["path_hex"]) == clip.entry.path
    assert (line["size"], line["mtime_ns"], line["camera"]) == (1, 1000, CAMERA)


def test_a_name_that_is_no_text_is_kept_byte_for_byte(stage: Stage) -> None:
    session = stage.dock()
    odd = clips.Sighting(entry_of("a").__class__(b"DCIM/\xff\xfe\n.MP4", 3, -5), "clip", event=True)

    def work(tx: Tx) -> None:
        clips.reconcile(tx, stage.recorder, clips.start_listing(tx, stage.recorder, CAMERA, session), [odd])

    stage.do(work)
    (ident,) = stage.sql("SELECT id FROM clips")[0]
    found = stage.again(ident)
    assert (found.entry, found.event) == (odd.entry, True)


def test_what_a_profile_claims_of_a_clip_is_kept_also_by_its_replacement(stage: Stage) -> None:
    session = stage.dock()
    seen = Sighting(entry_of("a"), "clip", True, "2026-01-01T10:00:00", "2026-01-01T10:05:00", "PC 77")
    stage.do(
        lambda tx: clips.reconcile(tx, stage.recorder, clips.start_listing(tx, stage.recorder, CAMERA, session), [seen])
    )
    old = stage.clip("a")
    stage.do(lambda tx: clips.replace_sighting(tx, stage.recorder, old, None))
    rows = stage.sql("SELECT started_at, ended_at, officer, event, role FROM clips")
    assert rows == [("2026-01-01T10:00:00", "2026-01-01T10:05:00", "PC 77", 1, "clip")] * 2


def test_a_known_file_is_known_again_in_the_next_session(stage: Stage) -> None:
    stage.listing(stage.dock(), "a")
    first = stage.clip("a")
    session = stage.dock()
    assert count_of(stage.listing(session, "a")) == (0, 1, 0, 0)
    assert stage.again(first.id).session == session
    assert stage.one("SELECT count(*) FROM clips") == 1


def test_one_file_listed_twice_in_one_batch_is_one_clip(stage: Stage) -> None:
    assert count_of(stage.listing(stage.dock(), "a", "a")) == (1, 1, 0, 0)


@pytest.mark.parametrize("other", ["size", "mtime", "path"])
def test_a_file_that_differs_in_anything_is_another_clip(stage: Stage, other: str) -> None:
    session = stage.dock()
    stage.listing(session, "a")
    base = entry_of("a")
    changed = {
        "size": base.__class__(base.path, 99, base.mtime_ns),
        "mtime": base.__class__(base.path, base.size_bytes, 99),
        "path": base.__class__(base.path.lower(), base.size_bytes, base.mtime_ns),
    }[other]
    count = stage.do(
        lambda tx: clips.reconcile(
            tx,
            stage.recorder,
            clips.start_listing(tx, stage.recorder, CAMERA, session),
            [Sighting(changed, "clip", event=False)],
        )
    )
    assert count_of(count) == (1, 0, 0, 0)


def test_the_same_name_on_another_camera_is_another_clip(stage: Stage) -> None:
    stage.listing(stage.dock(), "a")
    other = CameraId("CAM-2")
    assert count_of(stage.listing(stage.dock(other, bay="2"), "a", camera=other)) == (1, 0, 0, 0)


def test_a_listed_clip_that_vanishes_is_lost_with_a_reason(stage: Stage) -> None:
    stage.listing(stage.dock(), "a", "b")
    assert count_of(stage.listing(stage.dock(), "b")) == (0, 1, 0, 1)
    clip = stage.clip("a")
    assert (clip.custody, clip.copy) == (Custody.LOST, Copy.MISSING)
    assert clip.problem is not None
    assert "never copied" in clip.problem


def test_a_clip_that_vanishes_between_two_walks_of_one_session_is_noticed(stage: Stage) -> None:
    session = stage.dock()
    stage.listing(session, "a", "b")
    stage.listing(session, "b")
    assert stage.clip("a").custody is Custody.LOST


def test_a_lost_clip_that_comes_back_is_listed_again(stage: Stage) -> None:
    session = stage.dock()
    stage.listing(session, "a")
    stage.listing(session)
    stage.listing(session, "a")
    clip = stage.clip("a")
    assert (clip.custody, clip.copy) == (Custody.LISTED, Copy.PRESENT)
    assert stage.events()[-2:] == ["copy.seen_again", "clip.listed_again"]


def test_a_copied_clip_that_vanishes_is_missing_and_keeps_its_custody(stage: Stage) -> None:
    stage.listing(stage.dock(), "a")
    stage.spooled("a")
    stage.listing(stage.dock())
    assert (stage.clip("a").custody, stage.clip("a").copy) == (Custody.SPOOLED, Copy.MISSING)
    stage.listing(stage.dock(), "a")
    assert (stage.clip("a").custody, stage.clip("a").copy) == (Custody.SPOOLED, Copy.PRESENT)


def test_a_quarantined_clip_is_tried_again_in_the_next_session_but_not_in_the_same(stage: Stage) -> None:
    session = stage.dock()
    stage.listing(session, "a")
    stage.quarantined("a")
    stage.listing(session, "a")
    assert stage.clip("a").custody is Custody.QUARANTINED
    stage.listing(stage.dock(), "a")
    assert stage.clip("a").custody is Custody.LISTED
    assert stage.clip("a").problem is None


def test_a_walk_that_was_cut_short_settles_nothing(stage: Stage) -> None:
    stage.listing(stage.dock(), "a", "b")
    session = stage.dock()
    seen = [Sighting(entry_of("b"), "clip", event=False)]
    stage.do(
        lambda tx: clips.reconcile(tx, stage.recorder, clips.start_listing(tx, stage.recorder, CAMERA, session), seen)
    )
    assert (stage.clip("a").custody, stage.clip("a").copy) == (Custody.LISTED, Copy.PRESENT)


def test_other_cameras_are_not_concerned_by_a_listing(stage: Stage) -> None:
    stage.listing(stage.dock(), "a")
    other = CameraId("CAM-2")
    stage.listing(stage.dock(other, bay="2"), camera=other)
    assert stage.clip("a").custody is Custody.LISTED


def test_other_bytes_under_the_same_name_are_kept_apart(stage: Stage) -> None:
    session = stage.dock()
    stage.listing(session, "a")
    old = stage.spooled("a")
    new = stage.do(lambda tx: clips.replace_sighting(tx, stage.recorder, old, digest_of("other")))
    assert (new.custody, new.copy, new.sha256, new.entry) == (Custody.LISTED, Copy.PRESENT, None, old.entry)
    assert (stage.again(old.id).custody, stage.again(old.id).copy) == (Custody.SPOOLED, Copy.MISSING)
    line = json.loads(stage.one("SELECT line FROM events WHERE event = 'copy.replaced'"))
    assert (line["expected"], line["found"]) == (digest_of("a"), digest_of("other"))
    assert count_of(stage.listing(stage.dock(), "a")) == (0, 1, 0, 0)
    assert stage.again(new.id).copy is Copy.PRESENT
    assert stage.again(old.id).copy is Copy.MISSING


def test_bytes_that_were_replaced_before_they_were_kept_call_a_person(stage: Stage) -> None:
    stage.listing(stage.dock(), "a")
    old = stage.clip("a")
    stage.do(lambda tx: clips.replace_sighting(tx, stage.recorder, old, None))
    kept = stage.again(old.id)
    assert (kept.custody, kept.copy) == (Custody.QUARANTINED, Copy.MISSING)
    assert kept.problem is not None
    assert "other bytes" in kept.problem


def test_a_second_reading_is_remembered_with_its_session(stage: Stage) -> None:
    stage.listing(stage.dock(), "a")
    stage.spooled("a")
    session = stage.dock()
    stage.listing(session, "a")
    clip = stage.clip("a")
    assert clip.read_in != session
    assert stage.do(lambda tx: clips.read_again(tx, stage.recorder, clip)).read_in == session
    assert stage.events()[-1] == "clip.read_again"


def test_a_hold_keeps_the_camera_copy_and_the_spool_copy_until_it_ends(stage: Stage) -> None:
    session = stage.dock()
    stage.listing(session, "a")
    stage.spooled("a")
    stage.proved("a")
    clip = stage.clip("a")
    stage.do(lambda tx: clips.hold(tx, stage.recorder, clip.id, "case 12"))
    assert stage.clip("a").hold == "case 12"
    with pytest.raises(IllegalMove, match="unsafe wipe"):
        stage.intended("a")
    stage.do(lambda tx: clips.unhold(tx, stage.recorder, clip.id, "closed"))
    assert stage.intended("a").copy is Copy.WIPE_INTENDED
    assert stage.events()[-3:] == ["clip.held", "clip.unheld", "copy.wipe_intended"]


def test_a_hold_that_does_not_exist_cannot_end(stage: Stage) -> None:
    stage.listing(stage.dock(), "a")
    ident = stage.clip("a").id
    with pytest.raises(IllegalMove, match="not on hold"):
        stage.do(lambda tx: clips.unhold(tx, stage.recorder, ident, "x"))
    assert "clip.unheld" not in stage.events()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Move("x", custody=Custody.CONFIRMED), "from listed to confirmed"),
        (Move("x", copy=Copy.GONE), "from present to gone"),
    ],
)
def test_a_move_that_the_tables_do_not_know_is_refused_before_it_is_tried(
    stage: Stage, change: Move, message: str
) -> None:
    stage.listing(stage.dock(), "a")
    before = stage.everything()
    with pytest.raises(IllegalMove, match=message):
        stage.move(stage.clip("a"), change)
    assert stage.everything() == before


def test_a_move_from_a_state_that_is_no_longer_true_changes_nothing(stage: Stage) -> None:
    stage.listing(stage.dock(), "a")
    stale = stage.clip("a")
    stage.quarantined("a")
    before = stage.everything()
    with pytest.raises(IllegalMove, match="has moved on"):
        stage.move(stale, Move("clip.quarantined", custody=Custody.QUARANTINED, problem="x"))
    assert stage.everything() == before


def test_a_move_of_a_clip_that_a_later_session_took_over_changes_nothing(stage: Stage) -> None:
    stage.listing(stage.dock(), "a")
    stale = stage.clip("a")
    stage.listing(stage.dock(), "a")
    with pytest.raises(IllegalMove, match="has moved on"):
        stage.move(stale, Move("clip.quarantined", custody=Custody.QUARANTINED, problem="x"))


def test_an_unknown_clip_is_named(stage: Stage) -> None:
    with pytest.raises(IllegalMove, match="knows no clip c0"):
        stage.again(ClipId("c0"))
