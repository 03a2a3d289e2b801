"""Stores are asked again before a copy of ours is destroyed: their word counts, their silence delays."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest

from agent.core.clip import Custody
from agent.core.errors import StoreUnreachable
from agent.core.object import Digest, Receipt, ReceiptKind
from agent.ledger import audit, doubts, objects
from agent.ledger.database import Tx
from agent.ledger.recovery import recover
from agent.services import patrol, purge
from agent.services.disposal import purge_spool
from agent.services.kit import Kit
from agent.services.patrol import Patrol, Word
from agent.services.purge import purge_regularly
from tests.services.stage import PLACE, POLICY, ScriptedStore, custody_of, kit_in, put
from tests.services.test_uploader import until, uploading

LIMIT_S = 20


class Asked:
    """A store's answers: what it has lost, and why it does not answer at all."""

    def __init__(self) -> None:
        self.about: list[Digest] = []
        self.lost: set[Digest] = set()
        self.away: str | None = None

    async def __call__(self, receipt: Receipt) -> bool:
        self.about.append(receipt.sha256)
        if self.away is not None:
            raise StoreUnreachable(self.away)
        return receipt.sha256 not in self.lost


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def kit(tmp_path: Path, asked: Asked) -> Iterator[Kit]:
    with kit_in(tmp_path, ScriptedStore(still_holds=asked)) as made:
        yield made


def confirmed(kit: Kit, content: bytes, issued_at: datetime | None = None) -> Digest:
    sha256 = put(kit, f"CAM-{content.decode()}", content)
    prove(kit, sha256, len(content), issued_at)
    return sha256


def prove(kit: Kit, sha256: Digest, size_bytes: int, issued_at: datetime | None = None) -> None:
    at = issued_at or datetime.now(UTC)
    receipt = Receipt("central", ReceiptKind.SIGNED, sha256, size_bytes, "handle", at, "proof")
    kit.database.run_blocking(lambda tx: objects.keep_receipt(tx, kit.recorder, receipt, PLACE))


def in_spool(kit: Kit) -> set[str]:
    return {path.name for path in (kit.spool.root / "objects").rglob("?" * 64)}


def purges(kit: Kit) -> list[str]:
    sql = "SELECT line FROM events WHERE event = 'object.purged' ORDER BY seq"
    return [row[0] for row in kit.database.run_blocking(lambda tx: tx.conn.execute(sql).fetchall())]


async def test_every_object_is_asked_about_once_before_its_copy_goes(kit: Kit, asked: Asked) -> None:
    wanted = [confirmed(kit, content) for content in (b"a", b"b", b"c")]
    assert await purge_spool(kit) == 3
    assert sorted(asked.about) == sorted(wanted)
    assert in_spool(kit) == set()
    assert not any("unasked" in line for line in purges(kit))


async def test_what_the_store_lost_stays_is_told_and_is_sent_again(kit: Kit, asked: Asked) -> None:
    gone, kept = confirmed(kit, b"gone"), confirmed(kit, b"kept")
    asked.lost.add(gone)
    assert await purge_spool(kit) == 1
    assert in_spool(kit) == {gone}
    assert kept in asked.about
    (told,) = await patrol.told(kit)
    assert "store central lost an object" in told
    assert "sends 1 again" in told
    assert await purge_spool(kit) == 0, "it is not proved any more"
    asked.lost.clear()
    store = kit.stores["central"]
    assert isinstance(store, ScriptedStore)
    async with uploading(kit):
        await until(kit, lambda: store.sent == [gone] and kit.database.run_blocking(_owed) == 0)
    assert custody_of(kit, gone) == {Custody.CONFIRMED}
    assert await purge_spool(kit) == 1
    with kit.database.standing_still() as path:
        assert audit.audit(path, Event()).fault is None


def _owed(tx: Tx) -> int:
    return int(tx.conn.execute("SELECT count(*) FROM uploads").fetchone()[0])


async def test_a_store_that_does_not_answer_keeps_the_copies_and_is_asked_once_in_a_round(
    kit: Kit, asked: Asked
) -> None:
    wanted = {confirmed(kit, content) for content in (b"a", b"b", b"c")}
    asked.away = "No connection."
    assert await purge_spool(kit) == 0
    assert in_spool(kit) == wanted
    assert len(asked.about) == 1
    assert await patrol.told(kit) == [], "silence is no loss"
    assert "central" in patrol.kept_words(kit)[0]
    asked.away = None
    assert await purge_spool(kit) == 3
    assert patrol.kept_words(kit) == []


async def test_where_room_is_wanted_silence_delays_nothing_and_the_log_says_so(kit: Kit, asked: Asked) -> None:
    for content in (b"a", b"b", b"c"):
        confirmed(kit, content)
    asked.away = "No connection."
    assert await purge_spool(kit, room_wanted=True) == 3
    assert len(asked.about) == 1
    assert all('"unasked":["central"]' in line for line in purges(kit))


async def test_after_a_restoration_silence_delays_even_where_room_is_wanted(kit: Kit, asked: Asked) -> None:
    confirmed(kit, b"a")
    asked.away = "No connection."
    kit.restored = datetime.now(UTC)
    assert await purge_spool(kit, room_wanted=True) == 0
    kit.restored = datetime.now(UTC) - patrol.OLD - timedelta(minutes=1)
    assert await purge_spool(kit, room_wanted=True) == 1


def left_by_an_earlier_run(kit: Kit, *contents: bytes) -> list[Digest]:
    """Recorded as purged, the file still there: a run ended too early, or the ledger is older than the file."""
    found = [confirmed(kit, content) for content in contents]
    for sha256 in found:
        kit.database.run_blocking(lambda tx, sha=sha256: objects.purged(tx, kit.recorder, sha))  # type: ignore[misc]
    kit.purges = set(recover(kit.database, kit.spool, kit.recorder).purges_unfinished)
    assert kit.purges == set(found)
    kit.database.run_blocking(lambda tx: doubts.audited(tx, kit.recorder, 1, "0" * 64))
    return found


async def test_what_an_earlier_run_left_goes_only_by_its_stores_word(kit: Kit, asked: Asked) -> None:
    """The ledger comes from a backup; since then the store lost one of them and a camera brought it back."""
    gone, kept = left_by_an_earlier_run(kit, b"gone", b"kept")
    asked.lost.add(gone)
    assert await purge_spool(kit) == 1
    assert in_spool(kit) == kit.purges == {gone}
    assert sorted(asked.about) == sorted([gone, kept])
    assert await purge_spool(kit, room_wanted=True) == 0
    assert in_spool(kit) == {gone}


async def test_what_an_earlier_run_left_outlasts_a_silent_store_however_full_the_spool_is(
    kit: Kit, asked: Asked
) -> None:
    left = left_by_an_earlier_run(kit, b"a", b"b")
    asked.away = "No connection."
    for room_wanted in (True, False):
        assert await purge_spool(kit, room_wanted=room_wanted) == 0
        assert in_spool(kit) == kit.purges == set(left)
    assert len(asked.about) == 2, "a silent store is asked once in a round"
    assert "answers" in patrol.kept_words(kit)[0]
    asked.away = None
    assert await purge_spool(kit) == 2
    assert in_spool(kit) == kit.purges == set()
    assert patrol.kept_words(kit) == []


async def test_what_an_earlier_run_left_does_not_wait_for_a_store_that_came_later(kit: Kit) -> None:
    """It would wait for ever: a copy that the ledger calls purged is sent to nobody."""
    left_by_an_earlier_run(kit, b"a")
    kit.stores["fresh"] = ScriptedStore("fresh")
    await kit.apply(replace(kit.settings, stores=(*kit.settings.stores, replace(POLICY, name="fresh"))))
    assert await purge_spool(kit) == 1


async def test_what_was_proved_before_a_restoration_counts_once_its_store_was_asked(kit: Kit, asked: Asked) -> None:
    sha256 = confirmed(kit, b"a")
    receipts = kit.database.run_blocking(lambda tx: objects.receipts(tx, sha256))
    assert patrol.is_asked(kit, receipts)
    kit.restored = datetime.now(UTC) + timedelta(seconds=1)
    assert not patrol.is_asked(kit, receipts)
    asked.away = "No connection."
    assert not await Patrol(kit).ask_about([sha256])
    assert not patrol.is_asked(kit, receipts)
    asked.away = None
    assert await Patrol(kit).ask_about([sha256])
    assert patrol.is_asked(kit, receipts)


async def test_a_loss_keeps_its_copy_even_where_room_is_wanted(kit: Kit, asked: Asked) -> None:
    gone = confirmed(kit, b"gone")
    confirmed(kit, b"kept")
    asked.lost.add(gone)
    assert await purge_spool(kit, room_wanted=True) == 1
    assert in_spool(kit) == {gone}


async def test_nothing_is_asked_before_the_hold_time_is_over(kit: Kit, asked: Asked) -> None:
    kit.settings = replace(kit.settings, keep_s=3600)
    confirmed(kit, b"a")
    assert await purge_spool(kit) == 0
    assert asked.about == []


async def test_the_receipts_of_a_store_that_cannot_be_asked_are_enough(tmp_path: Path) -> None:
    with kit_in(tmp_path, ScriptedStore()) as kit:
        confirmed(kit, b"a")
        assert await purge_spool(kit) == 1


async def test_one_store_that_lost_it_outweighs_one_that_has_it(kit: Kit, asked: Asked) -> None:
    second = replace(POLICY, name="second")
    kit.settings = replace(kit.settings, stores=(POLICY, second))
    kit.database.run_blocking(lambda tx: objects.apply_gate(tx, copies=1, wiping=True, stores=(POLICY, second)))
    other = Asked()
    kit.stores["second"] = ScriptedStore("second", still_holds=other)
    sha256 = confirmed(kit, b"a")
    assert await Patrol(kit).ask(sha256) is Word.UNKNOWN, "the second has not proved it yet"
    assert await Patrol(kit).ask(sha256, everyone=False) is Word.HELD
    receipt = Receipt("second", ReceiptKind.SIGNED, sha256, 1, "handle", datetime.now(UTC), "proof")
    kit.database.run_blocking(lambda tx: objects.keep_receipt(tx, kit.recorder, receipt, PLACE))
    other.lost.add(sha256)
    asked.away = "No connection."
    assert await Patrol(kit).ask(sha256) is Word.LOST


async def test_a_clip_that_does_not_fit_starts_a_purge_at_once(
    kit: Kit, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "PURGE_EVERY_S", 3600.0)
    asked.away = "No connection."
    sha256 = confirmed(kit, b"a")
    kit.audited.set()
    async with asyncio.TaskGroup() as group, asyncio.timeout(LIMIT_S):
        task = group.create_task(purge_regularly(kit))
        while not kit.silent:  # noqa: ASYNC110 - the first round has no bell
            await asyncio.sleep(0.01)
        assert in_spool(kit) == {sha256}
        kit.room.ring()
        while in_spool(kit):  # noqa: ASYNC110 - the file itself is what is waited for
            await asyncio.sleep(0.01)
        task.cancel()


async def test_old_receipts_count_as_asked_only_for_a_while_after_their_store_answered(
    kit: Kit, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = datetime.now(UTC) - patrol.OLD - timedelta(minutes=1)
    sha256 = confirmed(kit, b"a", old)
    receipts = kit.database.run_blocking(lambda tx: objects.receipts(tx, sha256))
    assert not patrol.is_asked(kit, receipts)
    asked.away = "No connection."
    assert not await Patrol(kit).ask_about([sha256])
    assert not patrol.is_asked(kit, receipts)
    asked.away = None
    assert await Patrol(kit).ask_about([sha256])
    assert patrol.is_asked(kit, receipts)
    monkeypatch.setattr(patrol, "ASKED_S", -1.0)
    assert not patrol.is_asked(kit, receipts)
    patrol.forget_old_answers(kit)
    assert kit.asked == {}


async def test_of_a_store_that_cannot_be_asked_old_receipts_are_enough_once_it_was_its_turn(tmp_path: Path) -> None:
    """Otherwise a camera that was away for long would never be cleared, for want of an answer that nobody can give."""
    with kit_in(tmp_path, ScriptedStore()) as kit:
        sha256 = confirmed(kit, b"a", datetime.now(UTC) - patrol.OLD - timedelta(minutes=1))
        receipts = kit.database.run_blocking(lambda tx: objects.receipts(tx, sha256))
        assert not patrol.is_asked(kit, receipts)
        assert await Patrol(kit).ask_about([sha256])
        assert patrol.is_asked(kit, receipts)


@pytest.mark.parametrize("ahead", [timedelta(minutes=6), timedelta(days=3650)], ids=str)
async def test_a_receipt_dated_in_the_future_has_no_age_and_its_store_is_asked(kit: Kit, ahead: timedelta) -> None:
    """The clock was wrong when it came, or is now: nobody can say whether it is seven days old."""
    sha256 = confirmed(kit, b"a", datetime.now(UTC) + ahead)
    receipts = kit.database.run_blocking(lambda tx: objects.receipts(tx, sha256))
    assert not patrol.is_asked(kit, receipts)
    assert await Patrol(kit).ask_about([sha256])
    assert patrol.is_asked(kit, receipts)


def test_a_store_whose_clock_is_a_little_ahead_gives_young_receipts(kit: Kit) -> None:
    sha256 = confirmed(kit, b"a", datetime.now(UTC) + timedelta(minutes=4))
    assert patrol.is_asked(kit, kit.database.run_blocking(lambda tx: objects.receipts(tx, sha256)))


def test_no_receipt_at_all_is_never_enough(kit: Kit) -> None:
    assert not patrol.is_asked(kit, [])


def test_a_young_receipt_needs_no_question(kit: Kit) -> None:
    sha256 = confirmed(kit, b"a")
    assert patrol.is_asked(kit, kit.database.run_blocking(lambda tx: objects.receipts(tx, sha256)))
