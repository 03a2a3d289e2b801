"""Pauses of uploads and clips that are held back: kept by the ledger, with who and why."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest

from agent.core.clip import CameraId
from agent.core.errors import IllegalMove
from agent.core.object import Digest
from agent.ledger import clips, upload_lanes, upload_orders, uploads
from agent.ledger.audit import audit
from agent.ledger.custody import Recorder, to_us
from agent.ledger.database import Tx
from agent.ledger.upload_lanes import HELD_BACK, RETRYING, SET_ASIDE, Aside, Lengths
from agent.ledger.upload_orders import EVERY_STORE, Stopped
from agent.ledger.uploads import Failure
from tests.ledger.stage import CAMERA, CENTRAL, Stage, digest_of

OTHER = CameraId("CAM-2")


def copied(stage: Stage, *names: str, camera: CameraId = CAMERA, bay: str = "1") -> None:
    stage.listing(stage.dock(camera, bay=bay), *names, camera=camera)
    for name in names:
        stage.spooled(name, camera)


def waiting(stage: Stage) -> list[Digest]:
    rows = stage.do(lambda tx: uploads.waiting(tx, "central", 9))
    return [row.sha256 for row in sorted(rows, key=lambda row: row.sequence)]


def order(stage: Stage, what: Callable[..., object], subject: str, *words: str) -> None:
    stage.do(lambda tx: what(tx, stage.recorder, subject, *words))


def pauses(stage: Stage) -> dict[str, Stopped]:
    return stage.do(upload_orders.pauses)


def reopened(stage: Stage) -> Stage:
    stage.database.close()
    stage.database = Stage(stage.path).database
    return stage


def test_pauses_outlive_a_restart_with_who_and_why(stage: Stage) -> None:
    order(stage, upload_orders.pause, "central", "sgt", "line needed")
    order(stage, upload_orders.pause, EVERY_STORE, "insp", "move")
    assert pauses(reopened(stage)) == {EVERY_STORE: Stopped("insp", "move"), "central": Stopped("sgt", "line needed")}
    assert stage.events() == ["queue.paused", "queue.paused"]


def test_a_store_can_be_resumed_alone_and_all_at_once(stage: Stage) -> None:
    for store in ("central", "second", EVERY_STORE):
        order(stage, upload_orders.pause, store, "sgt", "why")
    order(stage, upload_orders.resume, "central", "sgt", "over")
    assert pauses(stage).keys() == {"second", EVERY_STORE}
    order(stage, upload_orders.resume, EVERY_STORE, "sgt", "over")
    assert pauses(stage) == {}


@pytest.mark.parametrize(
    ("before", "what", "subject", "told"),
    [
        ("central", upload_orders.pause, "central", "to store central are paused already, by sgt: why"),
        (EVERY_STORE, upload_orders.pause, EVERY_STORE, "to every store are paused already"),
        ("central", upload_orders.resume, "second", "to store second are not paused by a person"),
        (EVERY_STORE, upload_orders.resume, "central", "those to every store are, by sgt: resume without a name"),
        (None, upload_orders.resume, EVERY_STORE, "to every store are not paused"),
    ],
)
def test_an_order_that_changes_nothing_is_refused(
    stage: Stage, before: str | None, what: Callable[..., object], subject: str, told: str
) -> None:
    if before is not None:
        order(stage, upload_orders.pause, before, "sgt", "why")
    kept = stage.everything()
    with pytest.raises(IllegalMove, match=told):
        order(stage, what, subject, "sgt", "again")
    assert stage.everything() == kept


def test_what_is_held_back_is_not_chosen_until_it_is_let_go(stage: Stage) -> None:
    copied(stage, "a", "b")
    clip = stage.clip("a").id
    order(stage, upload_orders.hold_back, clip, "sgt: look first")
    assert waiting(reopened(stage)) == [digest_of("b")]
    assert stage.clip("a").held_back == "sgt: look first"
    assert stage.clip("a").hold is None
    order(stage, upload_orders.let_go, clip, "sgt: fine")
    assert waiting(stage) == [digest_of("a"), digest_of("b")]
    assert stage.events()[-2:] == ["clip.held_back", "clip.let_go"]


def test_a_clip_can_be_held_back_before_it_is_copied(stage: Stage) -> None:
    stage.listing(stage.dock(), "a", "b")
    order(stage, upload_orders.hold_back, stage.clip("a").id, "sgt: look first")
    for name in "ab":
        stage.spooled(name)
    assert waiting(stage) == [digest_of("b")]


def test_one_sighting_that_is_held_back_holds_the_bytes_back(stage: Stage) -> None:
    copied(stage, "a")
    copied(stage, "a", camera=OTHER, bay="2")
    second = stage.clip("a", OTHER).id
    order(stage, upload_orders.hold_back, second, "sgt: look first")
    assert waiting(stage) == []
    (row,) = stage.do(lambda tx: upload_lanes.lane(tx, HELD_BACK, 9))
    assert (row.clip, row.camera, row.held_back) == (second, CAMERA, "sgt: look first")


def test_a_legal_hold_and_a_holding_back_know_nothing_of_each_other(stage: Stage) -> None:
    copied(stage, "a")
    clip = stage.clip("a").id
    order(stage, clips.hold, clip, "sgt: case 12")
    assert waiting(stage) == [digest_of("a")]
    with pytest.raises(IllegalMove, match="not held back; it is on legal hold"):
        order(stage, upload_orders.let_go, clip, "sgt: over")
    order(stage, upload_orders.hold_back, clip, "sgt: look first")
    order(stage, clips.unhold, clip, "sgt: over")
    assert waiting(stage) == []
    with pytest.raises(IllegalMove, match="held back already, by sgt: look first"):
        order(stage, upload_orders.hold_back, clip, "sgt: again")


def test_what_every_store_has_cannot_be_held_back(stage: Stage) -> None:
    copied(stage, "a", "b")
    stage.proved("a")
    with pytest.raises(IllegalMove, match="has left already"):
        order(stage, upload_orders.hold_back, stage.clip("a").id, "sgt: too late")
    with pytest.raises(IllegalMove, match=r"is not held back\.$"):
        order(stage, upload_orders.let_go, stage.clip("b").id, "sgt: never was")


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO upload_pauses SELECT 'central', 'sgt', 'why', max(seq) FROM events",
        "INSERT INTO upload_pauses VALUES ('second', 'sgt', 'why', 1)",
        "UPDATE upload_pauses SET actor = 'nobody'",
        "DELETE FROM upload_pauses",
        "UPDATE clips SET held_back = 'nobody'",
        "UPDATE clips SET held_back = NULL WHERE held_back IS NOT NULL",
    ],
)
def test_code_that_forgets_the_custody_event_is_refused(stage: Stage, statement: str) -> None:
    copied(stage, "a", "b")
    order(stage, upload_orders.pause, "second", "sgt", "why")
    order(stage, upload_orders.hold_back, stage.clip("a").id, "sgt: look first")
    stage.do(lambda tx: stage.recorder.record(tx, "agent.started", {}))
    with pytest.raises(IllegalMove, match=r"custody event|never changed"):
        stage.sql(statement)


def test_the_end_of_one_pause_ends_no_other(stage: Stage) -> None:
    for store in ("central", "second"):
        order(stage, upload_orders.pause, store, "sgt", "why")

    def careless(tx: Tx, recorder: Recorder) -> None:
        recorder.record(tx, "queue.resumed", {"store": "central", "actor": "sgt", "reason": "over"})
        tx.conn.execute("DELETE FROM upload_pauses")

    with pytest.raises(IllegalMove, match="ends with its own custody event"):
        stage.do(lambda tx: careless(tx, stage.recorder))


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("DROP TRIGGER clips_hold_back; UPDATE clips SET held_back = NULL", "its holding back is not what the custody"),
        ("DROP TRIGGER upload_pauses_same; UPDATE upload_pauses SET reason = 'x'", "A pause of uploads is not what"),
        ("UPDATE uploads SET held = 0", "upload queue does not hold what is owed"),
    ],
)
def test_the_audit_holds_them_against_the_custody_log(stage: Stage, statement: str, found: str) -> None:
    copied(stage, "a")
    order(stage, upload_orders.hold_back, stage.clip("a").id, "sgt: look first")
    order(stage, upload_orders.pause, "central", "sgt", "why")
    assert audited(stage.path, stage) is None
    *drop, change = statement.split("; ")
    for name in (text.removeprefix("DROP TRIGGER ") for text in drop):
        (kept,) = stage.sql("SELECT sql FROM sqlite_schema WHERE name = ?", name)
        stage.sql(f"DROP TRIGGER {name}")
        stage.sql(change)
        stage.sql(kept[0])
    if not drop:
        stage.sql(change)
    told = audited(stage.path, stage)
    assert told is not None
    assert found in told


def audited(path: Path, stage: Stage) -> str | None:
    stage.database.close()
    told = audit(path, Event()).fault
    stage.database = Stage(path).database
    return told


def test_each_lane_shows_its_own_and_the_rest_is_counted(stage: Stage) -> None:
    copied(stage, *"abcdef")
    order(stage, upload_orders.hold_back, stage.clip("a").id, "sgt: look first")

    def fail(name: str, hours: float, *, set_aside: bool = False) -> None:
        failure = Failure(to_us(stage.now + timedelta(hours=hours)), f"no {name}", set_aside)
        stage.do(lambda tx: uploads.upload_failed(tx, digest_of(name), "central", failure))

    fail("a", 1)
    fail("b", 2)
    fail("c", 1)
    fail("d", 24, set_aside=True)
    fail("d", 24, set_aside=True)
    fail("e", 23, set_aside=True)

    def lane(which: upload_lanes.Lane, limit: int = 9) -> list[Digest]:
        return [row.sha256 for row in stage.do(lambda tx: upload_lanes.lane(tx, which, limit))]

    assert lane(HELD_BACK) == [digest_of("a")]
    assert lane(RETRYING) == [digest_of("c"), digest_of("b")]
    assert lane(SET_ASIDE) == [digest_of("e"), digest_of("d")]
    assert lane(RETRYING, 1) == [digest_of("c")]
    assert waiting(stage) == [digest_of("f")]
    assert stage.do(upload_lanes.lengths) == Lengths(uploads=6, held_back=1, set_aside=2)
    assert stage.do(upload_lanes.asides) == {"central": Aside(2, "no d")}
    wanted = [(digest_of("b"), "central"), (digest_of("b"), "elsewhere")]
    found = stage.do(lambda tx: upload_lanes.known(tx, wanted))
    assert list(found) == wanted[:1]
    row = found[digest_of("b"), "central"]
    assert (row.clip, row.attempts, row.problem) == (stage.clip("b").id, 1, "no b")
    assert row.next_at == stage.now + timedelta(hours=2)


def test_a_fresh_start_is_given_to_some_thousands_at_a_time(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "RETRY_BATCH", 2)
    stage.gate(stores=(CENTRAL,))
    copied(stage, *"abc")
    for name in "abc":
        failure = Failure(to_us(stage.now + timedelta(hours=1)), "no", set_aside=name == "a")
        stage.do(lambda tx, n=name, f=failure: uploads.upload_failed(tx, digest_of(n), "central", f))  # type: ignore[misc]
    assert [stage.do(uploads.retry_now) for _ in range(3)] == [2, 1, 0]
    assert waiting(stage) == [digest_of(name) for name in "abc"]
