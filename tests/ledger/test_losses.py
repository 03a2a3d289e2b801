"""What a store has lost: its receipt counts no more, nothing is destroyed by it, and the object is an upload again."""

import threading
from datetime import timedelta

import pytest

from agent.core.clip import Clip, ClipId, Custody
from agent.core.errors import IllegalMove
from agent.ledger import objects
from agent.ledger.audit import audit
from agent.ledger.custody import to_us
from agent.ledger.losses import STRIKES, Lost, losses, record_loss
from agent.ledger.losses import only_aboard as only_aboard_of
from tests.ledger.stage import CAMERA, PLACE, Stage, digest_of
from tests.ledger.tamper import behind_its_back


@pytest.fixture
def proved(stage: Stage) -> Stage:
    stage.listing(stage.dock(), "a")
    stage.spooled("a")
    stage.proved("a")
    return stage


def lose(stage: Stage, place: str = PLACE) -> bool:
    receipt = stage.receipt("a")
    return stage.do(lambda tx: record_loss(tx, stage.recorder, receipt, place))


def lost(stage: Stage, since_us: int = 0) -> dict[str, Lost]:
    return stage.do(lambda tx: losses(tx, since_us))


def fault(stage: Stage) -> str | None:
    stage.close()
    return audit(stage.path, threading.Event()).fault


def test_it_is_owed_again_and_no_receipt_counts_while_the_clip_stays_confirmed(proved: Stage) -> None:
    assert lose(proved)
    assert proved.do(lambda tx: objects.receipts(tx, digest_of("a"))) == []
    assert proved.sql("SELECT sha256, store, hint, announced FROM uploads") == [(digest_of("a"), "central", None, 0)]
    assert proved.clip("a").custody is Custody.CONFIRMED
    assert lost(proved) == {"central": Lost(1, 1, 0)}
    assert fault(proved) is None


def test_neither_its_camera_nor_the_spool_may_be_cleared_of_it(proved: Stage) -> None:
    lose(proved)
    with pytest.raises(IllegalMove, match="unsafe wipe"):
        proved.intended("a")
    page = proved.do(lambda tx: objects.purge_candidates(tx, proved.now + timedelta(days=9), (0, "")))
    assert page.candidates == []


def test_once_proved_again_it_counts_and_its_hold_began_at_the_loss(proved: Stage) -> None:
    proved.now += timedelta(hours=20)
    lose(proved)
    proved.now += timedelta(hours=1)
    proved.proved("a")
    assert proved.sql("SELECT count(*) FROM uploads") == [(0,)]
    assert proved.one("SELECT confirmed_us FROM objects") == to_us(proved.now - timedelta(hours=1))
    proved.intended("a")
    assert lost(proved) == {"central": Lost(1, 0, 0)}
    assert lost(proved, to_us(proved.now)) == {}
    assert fault(proved) is None


def test_a_loss_is_recorded_once_and_only_where_a_receipt_counted(proved: Stage) -> None:
    assert not lose(proved, PLACE + "elsewhere/")
    assert lose(proved)
    assert not lose(proved)
    assert proved.events().count("object.lost_by_store") == 1


def test_what_is_lost_again_and_again_is_sent_once_a_day(proved: Stage) -> None:
    for times in range(STRIKES):
        if times:
            proved.proved("a")
        lose(proved)
    (row,) = proved.sql("SELECT asked_person, next_us > ?, problem FROM uploads", to_us(proved.now))
    assert row == (1, 1, "The store has lost it 3 times after it had proved to hold it.")
    assert fault(proved) is None


def test_what_the_spool_no_longer_has_is_no_upload_and_is_said_to_be_elsewhere(proved: Stage) -> None:
    proved.do(lambda tx: objects.purged(tx, proved.recorder, digest_of("a"), ["second"]))
    assert lose(proved)
    assert lost(proved, to_us(proved.now) + 1) == {"central": Lost(1, 0, 1)}
    assert proved.sql("SELECT * FROM uploads") == []
    assert "object.hold_restarted" not in proved.events()
    assert fault(proved) is None


def test_a_purge_that_forgets_the_loss_is_refused(proved: Stage) -> None:
    lose(proved)
    with pytest.raises(IllegalMove, match="unsafe purge"):
        proved.do(lambda tx: objects.purged(tx, proved.recorder, digest_of("a")))


def test_what_only_the_camera_has_is_brought_back_and_stays_confirmed(proved: Stage) -> None:
    def only_aboard(most: int = 99, *without: ClipId) -> list[Clip]:
        return proved.do(lambda tx: only_aboard_of(tx, CAMERA, most, without))

    proved.do(lambda tx: objects.purged(tx, proved.recorder, digest_of("a")))
    assert only_aboard() == []
    lose(proved)
    (clip,) = only_aboard()
    assert only_aboard(0) == only_aboard(99, clip.id) == []
    proved.do(lambda tx: objects.brought_back(tx, proved.recorder, clip, len("a"), "1"))
    assert only_aboard() == []
    assert proved.clip("a").custody is Custody.CONFIRMED
    assert proved.sql("SELECT store FROM uploads") == [("central",)]
    with pytest.raises(IllegalMove, match="unsafe wipe"):
        proved.intended("a")
    proved.proved("a")
    proved.intended("a")
    assert fault(proved) is None


@pytest.mark.parametrize(
    "careless",
    [
        "DELETE FROM losses",
        "UPDATE losses SET store = 'second'",
        "INSERT INTO losses SELECT sha256, store, place, 1 FROM losses",
        "INSERT INTO losses SELECT sha256, 'second', place, (SELECT max(seq) FROM events) FROM losses",
    ],
)
def test_a_loss_is_never_changed_forgotten_or_invented(proved: Stage, careless: str) -> None:
    lose(proved)
    with pytest.raises(IllegalMove, match="loss"):
        proved.sql(careless)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DELETE FROM losses", "The custody log tells of 1 losses, the ledger has 0."),
        ("UPDATE losses SET store = 'second'", "Loss {} was altered: its store is not what the custody log says."),
        ("UPDATE losses SET event = 1", "Loss {} was altered: its event is not what the custody log says."),
    ],
)
def test_the_audit_finds_a_loss_that_is_not_what_the_log_says(proved: Stage, change: str, told: str) -> None:
    lose(proved)
    proved.close()
    behind_its_back(proved.path, change)
    assert audit(proved.path, threading.Event()).fault == told.format(digest_of("a"))
