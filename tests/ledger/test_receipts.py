"""Receipts: which of them count today, what they confirm, and what may be purged when they do."""

from datetime import datetime, timedelta

import pytest

from agent.core.clip import CameraId, Custody
from agent.core.errors import IllegalMove
from agent.core.object import Digest, Receipt, ReceiptKind
from agent.ledger import clips, objects, uploads
from agent.ledger.clips import Move
from agent.ledger.custody import from_us
from agent.ledger.database import Tx
from agent.ports import StorePolicy
from tests.ledger.stage import CENTRAL, PLACE, Stage, digest_of
from tests.ledger.test_objects import OTHER, SECOND, copied, waiting

MOVED = StorePolicy("central", ReceiptKind.SIGNED, counts=True, place="tus+https://new.test/files/")


def candidates(stage: Stage, before: datetime) -> list[tuple[Digest, datetime]]:
    found: list[tuple[Digest, datetime]] = []
    after = objects.FIRST_PAGE
    while after is not None:
        page = stage.do(lambda tx, start=after: objects.purge_candidates(tx, before, start))  # type: ignore[misc]
        found, after = found + page.candidates, page.after
    return found


def test_a_good_receipt_confirms_every_spooled_sighting_of_the_object(stage: Stage) -> None:
    copied(stage, "a")
    copied(stage, "a", camera=OTHER, bay="2")
    stage.listing(stage.dock(CameraId("CAM-3"), bay="3"), "a", camera=CameraId("CAM-3"))
    assert [clip.camera for clip in stage.proved("a")] == ["CAM-1", "CAM-2"]
    assert stage.clip("a", CameraId("CAM-3")).custody is Custody.LISTED
    assert stage.do(lambda tx: objects.receipts(tx, digest_of("a"))) == [stage.receipt("a")]
    assert from_us(stage.one("SELECT confirmed_us FROM objects")) == stage.now


def test_weak_receipts_are_kept_but_confirm_nothing(stage: Stage) -> None:
    copied(stage, "a")
    assert stage.proved("a", kind=ReceiptKind.CHECKSUM) == []
    assert stage.proved("a", kind=ReceiptKind.READBACK) == []
    assert stage.clip("a").custody is Custody.SPOOLED
    assert waiting(stage) == [digest_of("a")]
    assert [clip.custody for clip in stage.proved("a")] == [Custody.CONFIRMED]


def test_two_copies_are_two_stores(stage: Stage) -> None:
    stage.gate(copies=2, stores=(CENTRAL, SECOND))
    copied(stage, "a")
    assert stage.proved("a") == []
    assert stage.proved("a", kind=ReceiptKind.READBACK) == []
    assert waiting(stage) == []
    assert waiting(stage, SECOND) == [digest_of("a")]
    assert len(stage.proved("a", "second", ReceiptKind.CHECKSUM)) == 1


def test_a_receipt_for_another_size_confirms_nothing(stage: Stage) -> None:
    copied(stage, "a")
    wrong = Receipt("central", ReceiptKind.SIGNED, digest_of("a"), 2, "h", stage.now, "p")
    before = stage.everything()
    with pytest.raises(IllegalMove, match="another size"):
        stage.do(lambda tx: objects.keep_receipt(tx, stage.recorder, wrong, PLACE))
    assert stage.everything() == before


def test_a_receipt_without_its_proof_is_refused_and_not_passed_over(stage: Stage) -> None:
    """Passed over silently, the object would be sent again for ever and nobody would know why."""
    copied(stage, "a")
    stage.do(lambda tx: uploads.keep_hint(tx, digest_of("a"), "central", "url"))
    empty = Receipt("central", ReceiptKind.SIGNED, digest_of("a"), 1, "h", stage.now, "")
    with pytest.raises(IllegalMove):
        stage.do(lambda tx: objects.keep_receipt(tx, stage.recorder, empty, PLACE))
    assert stage.do(lambda tx: uploads.upload_of(tx, digest_of("a"), "central")).hint == "url"


def test_the_same_bytes_again_wait_until_a_store_proves_them_again(stage: Stage) -> None:
    """The store may have lost them since: an old receipt says nothing about today."""
    copied(stage, "a")
    stage.proved("a")
    first = stage.clip("a")
    copied(stage, "a", camera=OTHER, bay="2")
    assert stage.clip("a", OTHER).custody is Custody.SPOOLED
    assert stage.again(first.id).custody is Custody.CONFIRMED
    assert stage.do(lambda tx: objects.receipts(tx, digest_of("a"))) == []
    assert stage.do(lambda tx: objects.confirm(tx, stage.recorder, digest_of("a"))) == []
    assert stage.do(lambda tx: objects.confirm_ready(tx, stage.recorder)) == []
    assert waiting(stage) == [digest_of("a")]
    assert candidates(stage, stage.now) == []
    assert [clip.camera for clip in stage.proved("a")] == [OTHER]
    assert waiting(stage) == []


def test_the_same_bytes_come_back_into_the_spool_after_their_purge(stage: Stage) -> None:
    copied(stage, "a")
    stage.proved("a")
    stage.do(lambda tx: objects.purged(tx, stage.recorder, digest_of("a")))
    assert stage.one("SELECT spool FROM objects") == "absent"
    copied(stage, "a", camera=OTHER, bay="2")
    assert stage.one("SELECT spool FROM objects") == "present"
    assert stage.clip("a", OTHER).custody is Custody.SPOOLED
    stage.proved("a")
    assert stage.clip("a", OTHER).custody is Custody.CONFIRMED


def test_bytes_that_were_copied_again_after_a_bad_spool_copy_need_a_new_receipt(stage: Stage) -> None:
    stage.gate(copies=2, stores=(CENTRAL, SECOND))
    copied(stage, "a")
    stage.proved("a")
    stage.do(lambda tx: objects.spool_copy_failed(tx, stage.recorder, digest_of("a"), "altered", "The disk"))
    stage.spooled("a")
    assert stage.proved("a", "second", ReceiptKind.CHECKSUM) == []
    assert len(stage.proved("a")) == 1


def test_each_receipt_has_its_own_event_and_its_upload_is_forgotten(stage: Stage) -> None:
    copied(stage, "a")
    stage.do(lambda tx: uploads.keep_hint(tx, digest_of("a"), "central", "url"))
    stage.proved("a")
    stage.proved("a")
    rows = stage.sql("SELECT e.event, r.place FROM receipts r JOIN events e ON e.seq = r.event ORDER BY r.event")
    assert rows == [("object.proved", PLACE)] * 2
    assert stage.one("SELECT count(DISTINCT event) FROM receipts") == 2
    assert stage.events().count("object.proved") == 2
    assert stage.sql("SELECT * FROM uploads") == []


def test_two_receipts_of_one_store_are_one_copy(stage: Stage) -> None:
    stage.gate(copies=2, stores=(CENTRAL, SECOND))
    copied(stage, "a")
    assert stage.proved("a") == []
    assert stage.proved("a") == []
    assert stage.sql("SELECT stores FROM proofs") == [(1,)]


def test_a_receipt_from_another_place_confirms_nothing_and_the_object_goes_on_waiting(stage: Stage) -> None:
    copied(stage, "a")
    assert stage.proved("a", place=MOVED.place) == []
    assert stage.sql("SELECT * FROM proofs") == []
    assert stage.do(lambda tx: objects.receipts(tx, digest_of("a"))) == []
    assert waiting(stage) == [digest_of("a")]
    assert [clip.custody for clip in stage.proved("a")] == [Custody.CONFIRMED]


def test_receipts_do_not_move_with_a_store_to_another_place(stage: Stage) -> None:
    copied(stage, "a")
    stage.proved("a")
    assert candidates(stage, stage.now) == [(digest_of("a"), stage.now)]
    stage.gate(stores=(MOVED,))
    assert stage.sql("SELECT * FROM proofs") == []
    assert candidates(stage, stage.now) == []
    assert waiting(stage, MOVED) == [digest_of("a")]
    stage.gate(stores=(CENTRAL,))
    assert stage.sql("SELECT stores FROM proofs") == [(1,)]
    assert waiting(stage) == []


def test_six_hundred_held_objects_do_not_hide_one_that_may_be_purged(stage: Stage) -> None:
    stage.gate(wiping=False)
    names = [f"{n:04}" for n in range(600)]
    stage.listing(stage.dock(), *names, "free")

    def work(tx: Tx) -> None:
        rows = tx.conn.execute("SELECT id FROM clips ORDER BY number").fetchall()
        for name, (ident,) in zip([*names, "free"], rows, strict=True):
            clip = clips.get(tx, ident)
            objects.spooled(tx, stage.recorder, clip, digest_of(name), len(name), "1")
            objects.keep_receipt(tx, stage.recorder, stage.receipt(name), PLACE)
            if name != "free":
                clips.hold(tx, stage.recorder, ident, "case 12")

    stage.do(work)
    assert candidates(stage, stage.now) == [(digest_of("free"), stage.now)]


def test_an_object_with_one_unconfirmed_sighting_is_no_candidate(stage: Stage) -> None:
    copied(stage, "a")
    stage.proved("a")
    copied(stage, "a", camera=OTHER, bay="2")
    stage.move(stage.clip("a", OTHER), Move("x", custody=Custody.QUARANTINED, problem="read error"))
    stage.proved("a")
    assert candidates(stage, stage.now) == []


def test_a_purge_needs_every_clip_confirmed(stage: Stage) -> None:
    copied(stage, "a")
    before = stage.everything()
    with pytest.raises(IllegalMove, match="unsafe purge"):
        stage.do(lambda tx: objects.purged(tx, stage.recorder, digest_of("a")))
    assert stage.everything() == before
    stage.proved("a")
    stage.do(lambda tx: objects.purged(tx, stage.recorder, digest_of("a")))
    assert stage.events()[-1] == "object.purged"


def test_purge_candidates_are_confirmed_long_enough_and_held_by_every_store(stage: Stage) -> None:
    stage.gate(stores=(CENTRAL, SECOND))
    copied(stage, "a", "b", "c", "d")
    for name in ("a", "b", "c"):
        stage.proved(name)
    stage.proved("a", "second", ReceiptKind.READBACK)
    stage.proved("c", "second", ReceiptKind.READBACK)
    confirmed_at = stage.now
    stage.do(lambda tx: objects.purged(tx, stage.recorder, digest_of("c")))
    assert candidates(stage, confirmed_at) == [(digest_of("a"), confirmed_at)]
    assert candidates(stage, confirmed_at - timedelta(microseconds=1)) == []


def test_what_becomes_enough_when_the_operator_demands_less_is_confirmed(stage: Stage) -> None:
    """Nothing is uploaded any more for such a clip, so no receipt would ever come to confirm it."""
    stage.gate(copies=2, stores=(CENTRAL, SECOND))
    copied(stage, "a", "b")
    stage.proved("a")
    assert stage.do(lambda tx: objects.confirm_ready(tx, stage.recorder)) == []
    stage.gate(copies=1, stores=(CENTRAL,))
    done = stage.do(lambda tx: objects.confirm_ready(tx, stage.recorder))
    assert [(clip.id, clip.custody) for clip in done] == [(stage.clip("a").id, Custody.CONFIRMED)]


def test_a_hold_that_claims_to_begin_in_the_future_begins_now_and_no_other(stage: Stage) -> None:
    stage.listing(stage.dock(), "a", "b")
    for name, ahead in (("a", timedelta(0)), ("b", timedelta(days=9000))):
        stage.now += ahead
        stage.spooled(name)
        stage.proved(name)
    before = stage.now - timedelta(days=9000)
    stage.now = before + timedelta(minutes=1)
    assert stage.do(lambda tx: objects.restart_holds(tx, stage.recorder)) is False
    times = dict(stage.sql("SELECT sha256, confirmed_us FROM objects"))
    assert {sha256: from_us(us) for sha256, us in times.items()} == {digest_of("a"): before, digest_of("b"): stage.now}
    assert stage.events()[-1] == "object.hold_restarted"
    assert stage.do(lambda tx: objects.restart_holds(tx, stage.recorder)) is False
    assert stage.events().count("object.hold_restarted") == 1
