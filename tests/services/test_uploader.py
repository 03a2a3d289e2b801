"""The uploader with a real ledger and spool: one bad object, one bad store, and those who may not wait."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.clip import Custody
from agent.core.errors import ObjectRefused, StoreLied, StoreUnreachable
from agent.core.object import Digest
from agent.core.queue_policy import Waiting
from agent.ledger import objects, uploads
from agent.ledger.database import Tx
from agent.services import uploader as module
from agent.services.kit import Kit
from agent.services.uploader import Uploader
from tests.services.stage import POLICY, ScriptedStore, always, custody_of, kit_in, put

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


async def test_what_is_wrong_with_a_store_does_not_name_it_twice(tmp_path: Path) -> None:
    store = ScriptedStore(refuse=always(StoreUnreachable("store central: sending b94d: no connection to the store")))
    with kit_in(tmp_path, store) as kit:
        put(kit, "CAM1", b"x")
        async with uploading(kit) as uploader:
            await until(kit, lambda: bool(store.sent) and uploader.pauses["central"].failures > 0)
            said = uploader.pauses["central"].problem or ""
    assert said.startswith("sending b94d: no connection to the store.")


async def test_who_brings_the_same_bytes_while_they_are_sent_is_told_with_the_proof(tmp_path: Path) -> None:
    content = b"on two cameras"
    digest = Digest(hashlib.sha256(content).hexdigest())
    store = ScriptedStore(slow={digest})
    with kit_in(tmp_path, store) as kit:
        put(kit, "CAM1", content)
        async with uploading(kit):
            await until(kit, lambda: store.sent == [digest])
            put(kit, "CAM2", content)
            store.slow.clear()
            await until(kit, lambda: custody_of(kit, digest) == {Custody.CONFIRMED})
    (told,) = store.proved
    assert [label.camera for label in (told.label, *told.others)] == ["CAM1", "CAM2"]


async def test_an_object_that_fails_is_not_asked_for_in_a_hot_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    real = uploads.waiting

    def counted(tx: Tx, store_name: str, places: int) -> list[Waiting]:
        asked.append(1)
        return real(tx, store_name, places)

    monkeypatch.setattr(uploads, "waiting", counted)
    store = ScriptedStore(refuse=always(StoreLied("wrong offset")))
    with kit_in(tmp_path, store) as kit:
        put(kit, "CAM1", b"x")
        async with uploading(kit):
            await until(kit, lambda: bool(store.sent))
            before = len(asked)
            await asyncio.sleep(0.5)
            assert len(asked) - before <= 4


async def test_a_store_that_is_away_pauses_as_a_whole(tmp_path: Path) -> None:
    store = ScriptedStore(refuse=always(StoreUnreachable("no connection")))
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


async def test_a_store_that_takes_for_ever_leaves_a_worker_to_the_others(tmp_path: Path) -> None:
    trickling, quick = ScriptedStore(), ScriptedStore("second")
    with kit_in(tmp_path, trickling, workers=2) as kit:
        policies = (POLICY, replace(POLICY, name="second"))
        kit.settings = replace(kit.settings, stores=policies)
        kit.database.run_blocking(lambda tx: objects.apply_gate(tx, copies=1, wiping=True, stores=policies))
        kit.stores["second"] = quick
        held = [put(kit, f"CAM{n}", bytes([n])) for n in range(4)]
        trickling.slow = set(held)
        async with uploading(kit):
            await until(kit, lambda: sorted(quick.sent) == sorted(held))
            await until(kit, lambda: len(trickling.sent) == 2)  # what nobody else wants is not left idle
            trickling.slow.clear()
            await until(kit, lambda: sorted(trickling.sent) == sorted(held))


async def test_a_line_that_breaks_again_and_again_is_no_store_that_is_away_while_it_carries_something(
    tmp_path: Path,
) -> None:
    store = ScriptedStore(refuse=always(StoreUnreachable("the line broke")))
    with kit_in(tmp_path, store) as kit:
        put(kit, "CAM1", b"x" * 100)
        failures: list[int] = []
        async with uploading(kit) as uploader:
            for held_bytes in (0, 10, 20, 20, 20, 30, 5):
                store.held_bytes, tries = held_bytes, len(failures)
                if "central" in uploader.pauses:
                    uploader.pauses["central"].until = 0.0
                kit.ring()
                await until(kit, lambda tries=tries: len(store.sent) > tries and not uploader.running)  # type: ignore[misc]
                failures.append(uploader.pauses["central"].failures)
        assert failures == [1, 1, 1, 2, 3, 1, 2]


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
