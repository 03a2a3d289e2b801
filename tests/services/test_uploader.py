"""The uploader with a real ledger and spool: one bad object, one bad store, and those who may not wait."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.core.clip import Custody
from agent.core.errors import ObjectRefused, StoreLied, StoreUnreachable
from agent.core.object import Digest
from agent.core.queue_policy import Waiting
from agent.ledger import uploads
from agent.ledger.database import Tx
from agent.services import uploader as module
from agent.services.kit import Kit
from agent.services.uploader import Uploader
from tests.services.stage import ScriptedStore, custody_of, kit_in, put

LIMIT_S = 20


@asynccontextmanager
async def uploading(kit: Kit) -> AsyncIterator[Uploader]:
    uploader = Uploader(kit)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(uploader.run())
        try:
            yield uploader
        finally:
            task.cancel()


async def until(kit: Kit, true: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not true():
            await kit.change.wait(kit.change.rings, 0.05)


async def test_one_object_that_the_store_refuses_does_not_stop_the_others(tmp_path: Path) -> None:
    store = ScriptedStore()
    with kit_in(tmp_path, store) as kit:
        big, *others = [put(kit, "CAM1", bytes([n]) * 10) for n in range(4)]

        def refuse(sha256: Digest) -> None:
            if sha256 == big:
                raise ObjectRefused("too large")

        store.refuse = refuse
        async with uploading(kit) as uploader:
            await until(kit, lambda: all(custody_of(kit, o) == {Custody.CONFIRMED} for o in others))
            assert uploader.pauses["central"].failures == 0
        assert custody_of(kit, big) == {Custody.SPOOLED}
        problems = kit.database.run_blocking(
            lambda tx: tx.conn.execute("SELECT problem FROM uploads WHERE sha256 = ?", (big,)).fetchone()
        )
        assert "too large" in problems[0]


async def test_an_object_that_fails_is_not_asked_for_in_a_hot_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    real = uploads.waiting

    def counted(tx: Tx, store_name: str, places: int) -> list[Waiting]:
        asked.append(1)
        return real(tx, store_name, places)

    monkeypatch.setattr(uploads, "waiting", counted)
    store = ScriptedStore()

    def lie(_sha256: Digest) -> None:
        raise StoreLied("wrong offset")

    store.refuse = lie
    with kit_in(tmp_path, store) as kit:
        put(kit, "CAM1", b"x")
        async with uploading(kit):
            await until(kit, lambda: bool(store.sent))
            before = len(asked)
            await asyncio.sleep(0.5)
            assert len(asked) - before <= 4


async def test_a_store_that_is_away_pauses_as_a_whole(tmp_path: Path) -> None:
    store = ScriptedStore()

    def away(_sha256: Digest) -> None:
        raise StoreUnreachable("no connection")

    store.refuse = away
    with kit_in(tmp_path, store, workers=1) as kit:
        held = [put(kit, "CAM1", bytes([n])) for n in range(5)]
        async with uploading(kit) as uploader:
            await until(
                kit, lambda: uploader.pauses.get("central") is not None and uploader.pauses["central"].failures > 0
            )
            assert len(store.sent) == 1
            store.refuse = lambda _sha256: None
            uploader.retry_now()
            await until(kit, lambda: all(custody_of(kit, o) == {Custody.CONFIRMED} for o in held))


@pytest.mark.parametrize("workers", [3, 4])
async def test_an_urgent_object_has_its_store_to_itself(tmp_path: Path, workers: int) -> None:
    store = ScriptedStore()
    with kit_in(tmp_path, store, workers=workers) as kit:
        slow = [put(kit, f"CAM{n}", bytes([n]) * 9) for n in range(3)]
        store.slow = set(slow)
        async with uploading(kit) as uploader:
            await until(kit, lambda: len(store.sent) == 3)
            store.slow = {*slow, Digest(hashlib.sha256(b"urgent").hexdigest())}
            urgent = put(kit, "CAM9", b"urgent", event=True)
            kit.ring()
            await until(kit, lambda: urgent in store.sent and len(uploader.running) == 1)
            for _ in range(10):
                kit.ring()
                await asyncio.sleep(0)
            assert sorted(store.stopped) == sorted(slow)
            assert len(store.sent) == 4
            store.slow = set()
            await until(kit, lambda: all(custody_of(kit, o) == {Custody.CONFIRMED} for o in [urgent, *slow]))


async def test_a_fault_of_our_own_in_one_upload_stops_no_other(tmp_path: Path) -> None:
    store = ScriptedStore()
    with kit_in(tmp_path, store) as kit:
        first, second = put(kit, "CAM1", b"1"), put(kit, "CAM1", b"2")

        def trip(sha256: Digest) -> None:
            if sha256 == first:
                raise ZeroDivisionError

        store.refuse = trip
        async with uploading(kit):
            await until(kit, lambda: custody_of(kit, second) == {Custody.CONFIRMED})
            assert custody_of(kit, first) == {Custody.SPOOLED}


async def test_turns_are_remembered_for_so_many_cameras_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED_TURNS", 2)
    store = ScriptedStore()
    with kit_in(tmp_path, store) as kit:
        held = [put(kit, f"CAM{n}", bytes([n])) for n in range(5)]
        async with uploading(kit) as uploader:
            await until(kit, lambda: all(custody_of(kit, o) == {Custody.CONFIRMED} for o in held))
            assert len(uploader.served) == 2
