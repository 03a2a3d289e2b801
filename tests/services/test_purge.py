"""What the purge of the spool destroys, and what it finishes of earlier rounds and runs."""

import asyncio
import errno
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from agent.core.errors import LedgerError
from agent.core.object import Digest, Receipt, ReceiptKind
from agent.ledger import audit, clips, doubts, objects
from agent.ledger.custody import Recorder
from agent.ledger.recovery import recover
from agent.services import patrol
from agent.services.disposal import purge_spool
from agent.services.hold_clock import HoldClock
from agent.services.kit import Kit
from tests.services.stage import PLACE, POLICY, ScriptedStore, kit_in, put

NOW = datetime(2026, 3, 28, 22, tzinfo=UTC)
SOON_S = 0.05
HOUR, YEARS = timedelta(hours=1), timedelta(days=50 * 365)


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    with kit_in(tmp_path, ScriptedStore()) as made:
        yield made


def confirmed(kit: Kit, content: bytes) -> Digest:
    """A clip of its own camera whose bytes are in the spool, and proved."""
    sha256 = put(kit, f"CAM-{content.decode()}", content)
    receipt = Receipt("central", ReceiptKind.SIGNED, sha256, len(content), "handle", NOW, "proof")
    kit.database.run_blocking(lambda tx: objects.keep_receipt(tx, kit.recorder, receipt, PLACE))
    return sha256


def recorded(kit: Kit, sha256: Digest) -> None:
    """What a run leaves that ends between the record and the unlink."""
    kit.database.run_blocking(lambda tx: objects.purged(tx, kit.recorder, sha256))


def started(kit: Kit) -> None:
    kit.purges = set(recover(kit.database, kit.spool, kit.recorder).purges_unfinished)


def trusted(kit: Kit) -> None:
    kit.database.run_blocking(lambda tx: doubts.audited(tx, kit.recorder, 1, "0" * 64))


def in_spool(kit: Kit) -> set[str]:
    return {path.name for path in (kit.spool.root / "objects").rglob("?" * 64) if path.is_file()}


async def test_an_earlier_runs_purge_is_finished_once_the_ledger_is_trusted_and_not_before(kit: Kit) -> None:
    left, other = confirmed(kit, b"left"), put(kit, "CAM-other", b"other")
    recorded(kit, left)
    started(kit)
    assert await purge_spool(kit) == 0
    assert in_spool(kit) == {left, other}, "a ledger in doubt destroys nothing"
    trusted(kit)
    assert await purge_spool(kit) == 1
    assert in_spool(kit) == {other}
    assert kit.purges == set()


async def test_no_unfinished_purge_goes_on_while_a_copy_is_being_recorded(kit: Kit) -> None:
    sha256 = confirmed(kit, b"a")
    recorded(kit, sha256)
    started(kit)
    trusted(kit)
    async with kit.purging.passing():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SOON_S):
                await purge_spool(kit)
    assert in_spool(kit) == {sha256}
    assert await purge_spool(kit) == 1


async def test_more_unfinished_purges_than_one_page_are_all_finished(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "PURGE_PAGE", 2)
    for n in range(5):
        recorded(kit, confirmed(kit, b"%d" % n))
    started(kit)
    trusted(kit)
    assert await purge_spool(kit) == 5
    assert in_spool(kit) == set()


async def test_an_unfinished_purge_waits_while_a_person_holds_the_clip(kit: Kit) -> None:
    sha256 = confirmed(kit, b"held")
    recorded(kit, sha256)
    started(kit)
    trusted(kit)
    clip = kit.database.run_blocking(lambda tx: objects.clips_of(tx, sha256))[0].id
    kit.database.run_blocking(lambda tx: clips.hold(tx, kit.recorder, clip, "case 12"))
    assert await purge_spool(kit) == 0
    assert in_spool(kit) == {sha256}
    kit.database.run_blocking(lambda tx: clips.unhold(tx, kit.recorder, clip, "closed"))
    assert await purge_spool(kit) == 1


async def test_receipts_that_would_not_be_accepted_today_let_no_copy_go_and_people_are_told(kit: Kit) -> None:
    """The camera may be cleared by now: this copy is the last one that was ever verified."""
    wanted = {confirmed(kit, b"a"), confirmed(kit, b"b")}
    store = kit.stores["central"]
    assert isinstance(store, ScriptedStore)
    store.trusted = False
    for room_wanted in (False, True):
        assert await purge_spool(kit, room_wanted=room_wanted) == 0
        assert in_spool(kit) == wanted
        (words,) = patrol.kept_words(kit)
        assert "keeps 2 copies past the hold time" in words
    store.trusted = True
    assert await purge_spool(kit) == 2
    assert patrol.kept_words(kit) == []


async def test_the_receipts_of_a_store_that_is_not_there_any_more_prove_nothing(kit: Kit) -> None:
    sha256 = confirmed(kit, b"a")
    store = kit.stores.pop("central")
    assert await purge_spool(kit, room_wanted=True) == 0
    assert in_spool(kit) == {sha256}
    kit.stores["central"] = store
    assert await purge_spool(kit) == 1


async def test_one_good_receipt_is_not_enough_where_two_stores_must_prove(kit: Kit) -> None:
    policies = (POLICY, replace(POLICY, name="second"))
    kit.settings = replace(kit.settings, copies=2, stores=policies)
    kit.database.run_blocking(lambda tx: objects.apply_gate(tx, copies=2, wiping=True, stores=policies))
    second = kit.stores["second"] = ScriptedStore("second", trusted=False)
    sha256 = confirmed(kit, b"a")
    receipt = Receipt("second", ReceiptKind.SIGNED, sha256, 1, "handle", NOW, "proof")
    kit.database.run_blocking(lambda tx: objects.keep_receipt(tx, kit.recorder, receipt, PLACE))
    assert await purge_spool(kit) == 0
    second.trusted = True
    assert await purge_spool(kit) == 1


async def test_a_store_under_another_name_proves_anew_what_the_spool_kept(kit: Kit) -> None:
    """What people are told to do when a key is not to be trusted any more."""
    sha256 = confirmed(kit, b"a")
    kit.stores = {"fresh": ScriptedStore("fresh")}
    await kit.apply(replace(kit.settings, stores=(replace(POLICY, name="fresh"),)))
    assert await purge_spool(kit) == 0
    assert await kit.ledger(lambda tx, _: tx.conn.execute("SELECT sha256, store FROM uploads").fetchall()) == [
        (sha256, "fresh")
    ]


async def test_an_unfinished_purge_waits_while_its_receipts_prove_nothing(kit: Kit) -> None:
    sha256 = confirmed(kit, b"left")
    recorded(kit, sha256)
    started(kit)
    trusted(kit)
    store = kit.stores["central"]
    assert isinstance(store, ScriptedStore)
    store.trusted = False
    assert await purge_spool(kit) == 0
    assert in_spool(kit) == {sha256}
    assert "keeps a copy past the hold time" in patrol.kept_words(kit)[0]
    store.trusted = True
    assert await purge_spool(kit) == 1


async def test_bytes_that_came_back_after_their_purge_was_recorded_stay(kit: Kit) -> None:
    """Off another camera: until the store proves them again, they may be the only copy."""
    sha256 = confirmed(kit, b"twice")
    recorded(kit, sha256)
    started(kit)
    trusted(kit)
    assert put(kit, "CAM-2", b"twice") == sha256
    assert await purge_spool(kit) == 0
    assert in_spool(kit) == {sha256}
    assert kit.purges == set()


async def test_one_file_that_cannot_go_keeps_no_other_and_goes_in_a_later_round(kit: Kit) -> None:
    stuck, *others = (confirmed(kit, content) for content in (b"a", b"b", b"c", b"d"))
    path = kit.spool.path(stuck)
    path.rename(kit.spool.root / "aside")
    path.mkdir()
    assert await purge_spool(kit) == len(others)
    assert in_spool(kit) == set()
    assert kit.purges == {stuck}
    path.rmdir()
    (kit.spool.root / "aside").rename(path)
    assert await purge_spool(kit) == 1
    assert in_spool(kit) == set()
    assert await purge_spool(kit) == 0


@pytest.fixture
def witness_fails(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The witness's disk answers with the first of these numbers, as long as there is one."""
    numbers: list[int] = []
    really = os.open

    def fake(path: Any, flags: int, mode: int = 0o777, **where: Any) -> int:
        if numbers and str(path).endswith(".witness.new"):
            raise OSError(numbers[0], os.strerror(numbers[0]))
        return really(path, flags, mode, **where)

    monkeypatch.setattr(os, "open", fake)
    yield numbers
    numbers.clear()


async def test_a_disk_too_full_for_the_witness_is_given_room_by_the_purge(kit: Kit, witness_fails: list[int]) -> None:
    confirmed(kit, b"a")
    witness_fails.append(errno.ENOSPC)
    assert await purge_spool(kit) == 1
    assert in_spool(kit) == set()


async def test_without_a_witness_nothing_goes_and_the_next_round_finishes_it(
    kit: Kit, witness_fails: list[int]
) -> None:
    sha256 = confirmed(kit, b"a")
    witness_fails.append(errno.EIO)
    with pytest.raises(LedgerError, match="witness"):
        await purge_spool(kit)
    assert in_spool(kit) == {sha256}
    with pytest.raises(LedgerError, match="witness"):
        await purge_spool(kit)
    witness_fails.clear()
    assert await purge_spool(kit) == 1
    assert in_spool(kit) == set()


class Clocks:
    """A wall clock that a test sets, and a monotonic one that it lets run."""

    def __init__(self, kit: Kit) -> None:
        self.wall, self.seconds = NOW, 1000.0
        kit.settings = replace(kit.settings, keep_s=24 * HOUR.total_seconds())
        kit.recorder = Recorder("hub7", "test", clock=lambda: self.wall)
        kit.hold_clock = HoldClock(lambda: self.wall, lambda: self.seconds)

    def run(self, span: timedelta) -> None:
        self.wall += span
        self.seconds += span.total_seconds()


async def test_what_was_confirmed_while_the_clock_was_ahead_is_purged_its_hold_time_after_the_clock_is_right(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "PURGE_PAGE", 2)
    clocks = Clocks(kit)
    clocks.wall += YEARS
    for content in (b"a", b"b", b"c"):
        confirmed(kit, content)
    clocks.wall -= YEARS
    assert await purge_spool(kit) == 0
    clocks.run(23 * HOUR)
    assert await purge_spool(kit) == 0
    clocks.run(HOUR)
    assert await purge_spool(kit) == 3
    events = kit.database.run_blocking(lambda tx: [row[0] for row in tx.conn.execute("SELECT event FROM events")])
    assert events.count("object.hold_restarted") == 3


async def test_a_clock_from_before_the_agent_was_installed_restarts_no_hold(kit: Kit) -> None:
    """Nor does the right time, at the next start, then end one early."""
    clocks = Clocks(kit)
    kit.installed = NOW - HOUR
    sha256 = confirmed(kit, b"a")
    clocks.wall -= YEARS
    assert await purge_spool(kit) == 0
    clocks.wall += YEARS
    kit.hold_clock = HoldClock(lambda: clocks.wall, lambda: clocks.seconds)
    assert await purge_spool(kit) == 0
    assert in_spool(kit) == {sha256}
    clocks.run(24 * HOUR)
    assert await purge_spool(kit) == 1


async def test_a_restarted_hold_leaves_a_ledger_that_its_audit_accepts(kit: Kit) -> None:
    clocks = Clocks(kit)
    clocks.wall += YEARS
    confirmed(kit, b"a")
    clocks.wall -= YEARS
    await purge_spool(kit)
    with kit.database.standing_still() as path:
        assert audit.audit(path, Event()).fault is None
