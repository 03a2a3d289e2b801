"""The ledger refuses unsafe changes itself: what may be called spooled or confirmed, and what may be wiped."""

import pytest

from agent.core.clip import CameraId, Copy
from agent.core.errors import IllegalMove
from agent.core.object import ReceiptKind
from agent.ledger.database import Tx
from agent.ports import StorePolicy
from tests.ledger.careless import raw_move, raw_receipt, refuses, refuses_move, refuses_receipt
from tests.ledger.stage import CENTRAL, PLACE, Stage, digest_of


@pytest.mark.parametrize("name", ["listed", "quarantined", "lost"])
def test_spooled_without_its_bytes_in_the_spool_is_refused(peopled: Stage, name: str) -> None:
    refuses_move(peopled, name, "spooled|CHECK", "custody = 'spooled'")
    refuses_move(peopled, name, "spooled|FOREIGN|illegal", f"custody = 'spooled', sha256 = '{digest_of('nowhere')}'")


def test_spooled_under_an_object_of_another_size_is_refused(peopled: Stage) -> None:
    refuses_move(
        peopled, "listed", "spooled without", f"custody = 'spooled', sha256 = '{digest_of('confirmed')}', problem = 'x'"
    )


def test_spooled_from_an_object_that_was_purged_is_refused(stage: Stage) -> None:
    stage.listing(stage.dock(), "a")
    stage.spooled("a")
    stage.proved("a")
    stage.sql("UPDATE objects SET spool = 'absent'")
    other = CameraId("CAM-2")
    stage.listing(stage.dock(other, bay="2"), "a", camera=other)
    with pytest.raises(IllegalMove, match="spooled without"):
        raw_move(stage, stage.clip("a", other), f"custody = 'spooled', sha256 = '{digest_of('a')}'")


@pytest.mark.parametrize(
    ("store", "kind"),
    [
        (None, None),
        ("central", ReceiptKind.READBACK),
        ("central", ReceiptKind.CHECKSUM),
        ("elsewhere", ReceiptKind.SIGNED),
    ],
)
def test_confirmed_without_a_receipt_that_counts_is_refused(
    peopled: Stage, store: str | None, kind: ReceiptKind | None
) -> None:
    if store is not None and kind is not None:
        assert peopled.proved("spooled", store, kind) == []
    refuses_move(peopled, "spooled", "without enough receipts", "custody = 'confirmed'")


def test_confirmed_by_a_store_that_does_not_count_is_refused(peopled: Stage) -> None:
    peopled.gate(stores=(StorePolicy("local", ReceiptKind.CHECKSUM, counts=False, place=PLACE),))
    assert peopled.proved("spooled", "local", ReceiptKind.SIGNED) == []
    refuses_move(peopled, "spooled", "without enough receipts", "custody = 'confirmed'")


def test_confirmed_by_one_store_where_two_are_demanded_is_refused(peopled: Stage) -> None:
    second = StorePolicy("second", ReceiptKind.CHECKSUM, counts=True, place=PLACE)
    peopled.gate(copies=2, stores=(CENTRAL, second))
    assert peopled.proved("spooled") == []
    refuses_move(peopled, "spooled", "without enough receipts", "custody = 'confirmed'")
    assert [clip.id for clip in peopled.proved("spooled", "second", ReceiptKind.READBACK)] == [
        peopled.clip("spooled").id
    ]


def test_a_receipt_for_another_size_is_refused(peopled: Stage) -> None:
    refuses_receipt(peopled, "another size", "spooled", size_bytes=8)


@pytest.mark.parametrize("changes", [{"kind": 0}, {"kind": 4}, {"proof": ""}])
def test_a_receipt_of_no_kind_or_without_its_proof_is_refused(peopled: Stage, changes: dict[str, object]) -> None:
    refuses_receipt(peopled, "CHECK", "spooled", **changes)


def test_a_receipt_for_bytes_that_nobody_knows_is_refused(peopled: Stage) -> None:
    refuses_receipt(peopled, "size|FOREIGN", "nowhere")


def test_a_receipt_that_is_right_in_everything_can_be_inserted(peopled: Stage) -> None:
    raw_receipt(peopled, "spooled")
    assert peopled.one("SELECT count(*) FROM current_receipts WHERE sha256 = ?", digest_of("spooled")) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"told": "clip.forced"},
        {"of": "confirmed"},
        {"store": "second"},
        {"event": 1},
        {"event": 999_999},
        {"event": None},
    ],
)
def test_a_receipt_without_its_own_custody_event_is_refused(peopled: Stage, changes: dict[str, object]) -> None:
    """The log alone must tell who proved what and when: a row that it does not know proves nothing."""
    refuses_receipt(peopled, "needs its own custody event", "spooled", **changes)


def test_the_event_of_an_earlier_receipt_does_not_pay_for_another_one(peopled: Stage) -> None:
    peopled.proved("spooled", "central", ReceiptKind.CHECKSUM)
    peopled.dock(CameraId("CAM-2"), bay="2")
    refuses(
        peopled,
        "needs its own custody event",
        "INSERT INTO receipts SELECT sha256, store, place, 3, size_bytes, handle, issued_us, checked_us, proof, event"
        " FROM receipts WHERE sha256 = ?",
        digest_of("spooled"),
    )


@pytest.mark.parametrize(
    "column",
    ["sha256", "store", "place", "kind", "size_bytes", "handle", "issued_us", "checked_us", "proof", "event"],
)
def test_a_receipt_is_never_changed(peopled: Stage, column: str) -> None:
    refuses(peopled, "receipts are never changed", f"UPDATE receipts SET {column} = {column}")  # noqa: S608


def test_confirmed_by_a_receipt_from_where_the_store_was_before_is_refused(peopled: Stage) -> None:
    assert peopled.proved("spooled", place="tus+https://old.test/files/") == []
    refuses_move(peopled, "spooled", "without enough receipts", "custody = 'confirmed'")


def test_gone_without_an_acknowledged_unlink_is_refused(peopled: Stage) -> None:
    refuses_move(peopled, "intended", "CHECK", "copy = 'gone'")


@pytest.mark.parametrize("name", ["listed", "spooled", "confirmed", "missing", "quarantined"])
def test_an_unlink_without_an_intent_is_refused(peopled: Stage, name: str) -> None:
    refuses(
        peopled,
        "CHECK|unlink needs its own",
        "UPDATE clips SET unlinked_in = session WHERE id = ?",
        peopled.clip(name).id,
    )


def test_a_copy_that_is_still_there_does_not_stay_unlinked(peopled: Stage) -> None:
    peopled.unlinked("intended")
    refuses_move(peopled, "intended", "CHECK", "copy = 'present'")


WIPE = "copy = 'wipe_intended'"


def test_a_looked_at_confirmed_clip_may_be_wiped(peopled: Stage) -> None:
    raw_move(peopled, peopled.clip("looked"), WIPE)
    assert peopled.clip("looked").copy is Copy.WIPE_INTENDED


@pytest.mark.parametrize(
    "spoiler",
    [
        "UPDATE gate SET wiping = 0",
        "UPDATE gate SET copies = 2",
        "UPDATE stores SET counts = 0",
        "DELETE FROM stores",
        "UPDATE stores SET place = 'tus+https://elsewhere.test/'",
        "UPDATE objects SET spooled_event = (SELECT max(seq) FROM events)",
        "UPDATE clips SET looked_in = NULL",
        "UPDATE clips SET looked_in = (SELECT min(id) FROM sessions)",
        "UPDATE sessions SET ended_us = 1 WHERE ended_us IS NULL",
    ],
)
def test_a_wipe_is_refused_as_soon_as_one_fact_is_missing(peopled: Stage, spoiler: str) -> None:
    peopled.sql(spoiler)
    refuses_move(peopled, "looked", "unsafe wipe", WIPE)


@pytest.mark.parametrize(
    ("event", "spoiler"),
    [
        ("camera.seized", "UPDATE cameras SET seized_by = 'sergeant', seized_reason = 'case' WHERE id = ?"),
        ("camera.claimed", "UPDATE cameras SET claimed_by = NULL WHERE id = ?"),
        ("clip.held", "UPDATE clips SET hold = 'case' WHERE camera = ? AND id = :clip"),
    ],
)
def test_a_wipe_is_refused_by_a_decision_and_a_decision_needs_its_event(
    peopled: Stage, event: str, spoiler: str
) -> None:
    clip = peopled.clip("looked")
    text = spoiler.replace(":clip", f"'{clip.id}'")
    refuses(peopled, "needs its own custody event", text, clip.camera)

    def decide(tx: Tx) -> None:
        peopled.recorder.record(tx, event, {}, clip=clip.id, camera=clip.camera)
        tx.conn.execute(text, (clip.camera,))

    peopled.do(decide)
    refuses_move(peopled, "looked", "unsafe wipe", WIPE)


@pytest.mark.parametrize("name", ["listed", "spooled", "quarantined", "lost", "missing"])
def test_a_wipe_of_what_is_not_confirmed_is_refused(peopled: Stage, name: str) -> None:
    refuses_move(peopled, name, "unsafe wipe|CHECK|illegal", f"{WIPE}, looked_in = session")


def test_a_wipe_without_a_last_look_in_this_session_is_refused(peopled: Stage) -> None:
    refuses_move(peopled, "confirmed", "unsafe wipe", WIPE)


def test_a_wipe_that_lifts_the_hold_in_the_same_breath_is_refused(peopled: Stage) -> None:
    refuses_move(peopled, "held", "unsafe wipe", f"{WIPE}, hold = NULL, looked_in = session")


def test_a_wipe_that_confirms_in_the_same_breath_is_refused(peopled: Stage) -> None:
    peopled.do(lambda tx: tx.conn.execute("UPDATE stores SET require = 1"))
    raw_receipt(peopled, "spooled")
    refuses_move(peopled, "spooled", "unsafe wipe", f"{WIPE}, custody = 'confirmed', looked_in = session")


def test_the_moment_that_receipts_must_be_newer_than_only_rises(peopled: Stage) -> None:
    refuses(peopled, "an object is its bytes", "UPDATE objects SET spooled_event = 1 WHERE spooled_event > 1")


def test_gone_is_not_to_be_had_without_the_unlinks_own_event(peopled: Stage) -> None:
    raw_move(peopled, peopled.clip("looked"), WIPE)
    refuses_move(peopled, "looked", "unlink needs its own", "copy = 'gone', unlinked_in = session")
