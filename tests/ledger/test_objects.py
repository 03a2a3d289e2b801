"""Objects, receipts and the upload queue."""

from datetime import UTC, datetime, timedelta

import pytest

from agent.core.clip import CameraId, Copy, Custody
from agent.core.errors import IllegalMove
from agent.core.object import Digest, ReceiptKind
from agent.ledger import clips, objects, uploads
from agent.ledger.custody import to_us
from agent.ledger.uploads import Failure, UploadRow
from agent.ports import StorePolicy
from tests.ledger.stage import CAMERA, CENTRAL, PLACE, Stage, digest_of

SECOND = StorePolicy("second", ReceiptKind.CHECKSUM, counts=True, place=PLACE)
FIFTY_YEARS = timedelta(days=50 * 365)
OTHER = CameraId("CAM-2")


def copied(stage: Stage, *names: str, camera: CameraId = CAMERA, bay: str = "1") -> None:
    stage.listing(stage.dock(camera, bay=bay), *names, camera=camera)
    for name in names:
        stage.spooled(name, camera)


def waiting(stage: Stage, store: StorePolicy = CENTRAL, places: int = 9) -> list[Digest]:
    stage.do(lambda tx: uploads.wake(tx, to_us(stage.now)))
    rows = stage.do(lambda tx: uploads.waiting(tx, store.name, places))
    return [row.sha256 for row in sorted(rows, key=lambda row: row.sequence)]


def failed(stage: Stage, name: str, pause: timedelta | None) -> None:
    """The store does not take an object; without a pause it is set aside for a day."""
    next_us = to_us(stage.now + (timedelta(days=1) if pause is None else pause))
    failure = Failure(next_us, "no answer", set_aside=pause is None)
    stage.do(lambda tx: uploads.upload_failed(tx, digest_of(name), "central", failure))


def test_a_copied_clip_is_spooled_and_not_confirmed(stage: Stage) -> None:
    copied(stage, "a")
    clip = stage.clip("a")
    assert (clip.custody, clip.sha256, clip.read_in) == (Custody.SPOOLED, digest_of("a"), clip.session)
    assert stage.sql("SELECT size_bytes, spool, confirmed_us FROM objects") == [(1, "present", None)]


def test_a_spool_copy_that_failed_sends_its_clips_back_to_the_camera(stage: Stage) -> None:
    copied(stage, "a", "b")
    copied(stage, "a", camera=OTHER, bay="2")
    again = stage.do(lambda tx: objects.spool_copy_failed(tx, stage.recorder, digest_of("a"), "altered", "The disk"))
    assert [clip.custody for clip in again] == [Custody.LISTED, Custody.LISTED]
    assert {clip.problem for clip in again} == {"altered"}
    assert stage.sql("SELECT spool, fault FROM objects WHERE sha256 = ?", digest_of("a")) == [("absent", "altered")]
    assert stage.clip("b").custody is Custody.SPOOLED
    stage.spooled("a")
    assert stage.clip("a").custody is Custody.SPOOLED
    assert stage.sql("SELECT spool, fault FROM objects WHERE sha256 = ?", digest_of("a")) == [("present", None)]


def spool_failed(stage: Stage, name: str) -> Custody:
    """The spool's copy fails; what becomes of the clip."""
    stage.do(lambda tx: objects.spool_copy_failed(tx, stage.recorder, digest_of(name), "It was altered.", "Disk 8:1"))
    return stage.clip(name).custody


def test_a_disk_that_does_not_keep_three_copies_of_a_clip_is_for_a_person(stage: Stage) -> None:
    copied(stage, "a", "b")
    assert [spool_failed(stage, "a"), stage.spooled("a").custody] == [Custody.LISTED, Custody.SPOOLED]
    assert [spool_failed(stage, "a"), stage.spooled("a").custody] == [Custody.LISTED, Custody.SPOOLED]
    assert spool_failed(stage, "b") is Custody.LISTED  # another clip has its own count
    stage.database.close()
    again = Stage(stage.path)
    assert spool_failed(again, "a") is Custody.QUARANTINED
    problem = again.clip("a").problem
    assert problem is not None
    assert problem.startswith("Disk 8:1 did not keep 3 copies of it: It was altered.")
    assert "Replace that disk" in problem
    again.close()


def test_after_its_quarantine_a_clip_gets_three_copies_again(stage: Stage) -> None:
    copied(stage, "a")
    for _ in range(2):
        spool_failed(stage, "a")
        stage.spooled("a")
    assert spool_failed(stage, "a") is Custody.QUARANTINED
    stage.listing(stage.dock(), "a")
    stage.spooled("a")
    assert spool_failed(stage, "a") is Custody.LISTED


def test_a_confirmed_clip_stays_confirmed_when_the_spool_copy_fails(stage: Stage) -> None:
    copied(stage, "a")
    stage.proved("a")
    failed = stage.do(lambda tx: objects.spool_copy_failed(tx, stage.recorder, digest_of("a"), "altered", "The disk"))
    assert failed == []
    assert stage.clip("a").custody is Custody.CONFIRMED


def test_an_object_waits_for_each_store_that_lacks_it(stage: Stage) -> None:
    stage.gate(stores=(CENTRAL, SECOND))
    copied(stage, "a", "b")
    stage.listing(stage.dock(OTHER, bay="2"), "c", camera=OTHER)
    assert waiting(stage) == [digest_of("a"), digest_of("b")]
    stage.proved("a")
    assert waiting(stage) == [digest_of("b")]
    assert waiting(stage, SECOND) == [digest_of("a"), digest_of("b")]
    stage.do(lambda tx: objects.purged(tx, stage.recorder, digest_of("a")))
    assert waiting(stage, SECOND) == [digest_of("b")]


def test_quarantined_bytes_do_not_leave_the_station(stage: Stage) -> None:
    copied(stage, "a")
    stage.quarantined("a")
    assert waiting(stage) == []


def test_each_camera_and_urgency_shows_its_first_few(stage: Stage) -> None:
    copied(stage, *"abcdefgh")
    copied(stage, "x", "y", camera=OTHER, bay="2")
    for name in "fgh":
        stage.sql("UPDATE clips SET event = 1 WHERE id = ?", stage.clip(name).id)
    rows = stage.do(lambda tx: uploads.waiting(tx, "central", 2))
    assert {(row.camera, row.urgent, row.sha256) for row in rows} == {
        ("CAM-1", False, digest_of("a")),
        ("CAM-1", False, digest_of("b")),
        ("CAM-1", True, digest_of("f")),
        ("CAM-1", True, digest_of("g")),
        (OTHER, False, digest_of("x")),
        (OTHER, False, digest_of("y")),
    }


def test_one_urgent_sighting_makes_the_object_urgent_and_it_counts_once(stage: Stage) -> None:
    copied(stage, "a")
    copied(stage, "a", camera=OTHER, bay="2")
    stage.sql("UPDATE clips SET requested = 1 WHERE camera = ?", OTHER)
    (row,) = stage.do(lambda tx: uploads.waiting(tx, "central", 5))
    assert (row.urgent, row.sequence, row.size_bytes, row.store) == (True, 1, 1, "central")


def test_a_failed_upload_pauses_and_comes_back_by_itself(stage: Stage) -> None:
    copied(stage, "a", "b")
    failed(stage, "a", timedelta(minutes=5))
    assert waiting(stage) == [digest_of("b")]
    stage.now += timedelta(minutes=5)
    assert waiting(stage) == [digest_of("a"), digest_of("b")]


@pytest.mark.parametrize("jump", [FIFTY_YEARS, -FIFTY_YEARS])
def test_a_clock_that_jumps_by_fifty_years_strands_no_upload(stage: Stage, jump: timedelta) -> None:
    copied(stage, "a")
    failed(stage, "a", timedelta(hours=1))
    assert waiting(stage) == []
    stage.now += jump
    assert waiting(stage) == [digest_of("a")]


@pytest.mark.parametrize("start", [datetime(1970, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)])
def test_a_pause_holds_under_any_clock(stage: Stage, start: datetime) -> None:
    stage.now = start
    copied(stage, "a")
    failed(stage, "a", timedelta(hours=1))
    assert waiting(stage) == []


def test_what_is_set_aside_comes_back_after_a_day_or_when_a_person_asks(stage: Stage) -> None:
    copied(stage, "a", "b", "c")
    for name in "ab":
        failed(stage, name, None)
    stage.now += timedelta(hours=23)
    assert waiting(stage) == [digest_of("c")]
    assert stage.do(lambda tx: uploads.retry_now(tx, digest_of("a"))) == 1
    assert waiting(stage) == [digest_of("a"), digest_of("c")]
    assert stage.do(lambda tx: uploads.retry_now(tx, None)) == 1
    assert waiting(stage) == [digest_of("a"), digest_of("b"), digest_of("c")]
    assert stage.do(lambda tx: uploads.retry_now(tx, digest_of("c"))) == 0
    failed(stage, "a", None)
    stage.now += timedelta(days=1)
    assert waiting(stage) == [digest_of("a"), digest_of("b"), digest_of("c")]
    assert stage.do(lambda tx: uploads.upload_of(tx, digest_of("a"), "central")).attempts == 1


@pytest.mark.parametrize("jump", [FIFTY_YEARS, -FIFTY_YEARS])
def test_a_clock_that_jumps_strands_nothing_that_is_set_aside(stage: Stage, jump: timedelta) -> None:
    copied(stage, "a")
    failed(stage, "a", None)
    assert waiting(stage) == []
    stage.now += jump
    assert waiting(stage) == [digest_of("a")]


def test_a_fresh_start_can_be_given_to_one_store_alone(stage: Stage) -> None:
    stage.gate(stores=(CENTRAL, SECOND))
    copied(stage, "a", "b")
    failed(stage, "a", timedelta(hours=1))
    failure = Failure(to_us(stage.now + timedelta(hours=1)), "full")
    stage.do(lambda tx: uploads.upload_failed(tx, digest_of("b"), "second", failure))
    assert stage.do(lambda tx: uploads.retry_now(tx, store="second")) == 1
    assert [waiting(stage), waiting(stage, SECOND)] == [[digest_of("b")], [digest_of("a"), digest_of("b")]]


def test_failures_are_counted_in_a_row_and_the_hint_stays(stage: Stage) -> None:
    copied(stage, "a")

    def row() -> UploadRow:
        return stage.do(lambda tx: uploads.upload_of(tx, digest_of("a"), "central"))

    assert row() == UploadRow(None, 0)
    stage.do(lambda tx: uploads.keep_hint(tx, digest_of("a"), "central", "url-1"))
    failed(stage, "a", timedelta(0))
    failed(stage, "a", timedelta(0))
    assert row() == UploadRow("url-1", 2)
    stage.do(lambda tx: uploads.keep_hint(tx, digest_of("a"), "central", None))
    assert row() == UploadRow(None, 2)
    stage.do(lambda tx: uploads.retry_now(tx, None))
    assert row() == UploadRow(None, 0)


def test_an_object_is_filed_under_its_oldest_sighting(stage: Stage) -> None:
    copied(stage, "a")
    copied(stage, "a", camera=OTHER, bay="2")
    first, second = stage.do(lambda tx: objects.labels(tx, digest_of("a"), "hub7"))
    assert (first.clip, first.camera, first.bay, first.station) == (stage.clip("a").id, CAMERA, "1", "hub7")
    assert (first.path, first.role, first.event) == (b"DCIM/a.MP4", "clip", False)
    assert (first.started_at, first.ended_at, first.officer) == (None, None, None)
    assert (second.camera, second.bay) == (OTHER, "2")


def test_a_clip_that_is_listed_again_with_other_bytes_is_not_merged_with_its_old_ones(stage: Stage) -> None:
    copied(stage, "a")
    stage.do(lambda tx: objects.spool_copy_failed(tx, stage.recorder, digest_of("a"), "altered", "The disk"))
    clip = stage.clip("a")
    with pytest.raises(IllegalMove, match="keeps the digest"):
        stage.do(lambda tx: objects.spooled(tx, stage.recorder, clip, digest_of("b"), 1, "1"))
    new = stage.do(lambda tx: clips.replace_sighting(tx, stage.recorder, clip, digest_of("b")))
    done = stage.do(lambda tx: objects.spooled(tx, stage.recorder, new, digest_of("b"), 1, "1"))
    assert (done.custody, done.copy) == (Custody.SPOOLED, Copy.PRESENT)


def test_a_clip_that_neither_camera_nor_spool_holds_any_more_calls_a_person(stage: Stage) -> None:
    """Called listed, it would wait for ever for a camera that does not show it."""
    copied(stage, "a")
    stage.listing(stage.dock())
    assert stage.clip("a").copy is Copy.MISSING
    stage.do(lambda tx: objects.spool_copy_failed(tx, stage.recorder, digest_of("a"), "altered", "The disk"))
    assert stage.clip("a").custody in (Custody.LOST, Custody.QUARANTINED)


def wake(stage: Stage) -> None:
    stage.do(lambda tx: uploads.wake(tx, to_us(stage.now)))


def next_try(stage: Stage) -> int | None:
    return stage.do(lambda tx: uploads.next_try_us(tx, to_us(stage.now)))


def test_the_next_try_is_that_of_the_object_whose_pause_ends_first(stage: Stage) -> None:
    copied(stage, "a", "b", "c", "d")
    assert next_try(stage) is None
    failed(stage, "a", timedelta(minutes=9))
    failed(stage, "b", timedelta(minutes=5))
    failed(stage, "c", None)
    failed(stage, "d", timedelta(0))
    assert next_try(stage) == to_us(stage.now)  # its pause ended after the last look, and nobody has woken it yet
    wake(stage)
    assert next_try(stage) == to_us(stage.now + timedelta(minutes=5))
    stage.now += timedelta(minutes=5)
    wake(stage)
    assert next_try(stage) == to_us(stage.now + timedelta(minutes=4))
    stage.now += timedelta(minutes=4)
    wake(stage)
    assert next_try(stage) is None


def test_a_pause_that_was_written_under_another_clock_sets_no_next_try(stage: Stage) -> None:
    copied(stage, "a")
    failed(stage, "a", timedelta(hours=1))
    stage.now -= FIFTY_YEARS
    assert next_try(stage) is None


def test_more_ended_pauses_than_one_batch_end_one_batch_after_the_other(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "_WAKE_BATCH", 2)
    copied(stage, "a", "b", "c")
    for name in "abc":
        failed(stage, name, timedelta(minutes=1))
    stage.now += timedelta(minutes=1)
    assert [len(waiting(stage)), len(waiting(stage))] == [2, 3]


def test_an_unchanged_gate_writes_nothing_and_a_changed_one_says_so(stage: Stage) -> None:
    def gate(**changes: object) -> bool:
        demands = {"copies": 1, "wiping": True, "stores": (CENTRAL, SECOND)} | changes
        return stage.do(lambda tx: objects.apply_gate(tx, **demands))  # type: ignore[arg-type]

    assert [gate(), gate(), gate(copies=2), gate(wiping=False), gate(stores=(CENTRAL,))] == [
        True,
        False,
        True,
        True,
        True,
    ]


def test_what_is_owed_to_a_store_comes_and_goes_with_the_store(stage: Stage) -> None:
    copied(stage, "a")
    stage.do(lambda tx: uploads.keep_hint(tx, digest_of("a"), "central", "url"))
    stage.gate(stores=(CENTRAL, SECOND))
    assert [waiting(stage), waiting(stage, SECOND)] == [[digest_of("a")], [digest_of("a")]]
    assert stage.do(lambda tx: uploads.upload_of(tx, digest_of("a"), "central")).hint == "url"
    stage.gate(stores=(SECOND,))
    assert [waiting(stage), waiting(stage, SECOND)] == [[], [digest_of("a")]]


def test_a_hint_does_not_move_with_a_store_to_another_place(stage: Stage) -> None:
    copied(stage, "a")
    stage.do(lambda tx: uploads.keep_hint(tx, digest_of("a"), "central", "url"))
    stage.gate(stores=(StorePolicy("central", ReceiptKind.SIGNED, counts=True, place="tus+https://new.test/"),))
    assert waiting(stage) == [digest_of("a")]
    assert stage.do(lambda tx: uploads.upload_of(tx, digest_of("a"), "central")) == UploadRow(None, 0)
