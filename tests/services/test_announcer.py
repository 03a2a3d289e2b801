"""Stores are told what is to come, once, in the right order, and never at the cost of an upload."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.core.announcement import Announced, Announcement
from agent.core.clip import Custody
from agent.core.errors import StoreError, StoreRefused, StoreUnreachable
from agent.core.object import Digest
from agent.ledger import upload_orders
from agent.services import announcer as module
from agent.services.announcer import Announcer
from agent.services.kit import Kit
from agent.services.uploader import Pause, Uploader
from tests.services.stage import ScriptedStore, custody_of, kit_in, put
from tests.services.test_uploader import until

LIMIT_S = 20


class Told:
    """A store's ear: what it was told, in order; `refuse` may raise, `takes` may be False."""

    def __init__(self) -> None:
        self.objects: list[Announced] = []
        self.calls = 0
        self.refuse: Callable[[], None] = lambda: None
        self.takes = True

    async def __call__(self, announcement: Announcement) -> bool:
        self.calls += 1
        self.refuse()
        if self.takes:
            self.objects += announcement.objects
        return self.takes

    @property
    def digests(self) -> list[Digest]:
        return [each.sha256 for each in self.objects]


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PACE_S", 0.01)


@asynccontextmanager
async def telling(kit: Kit, *, uploads: bool = False) -> AsyncIterator[Announcer]:
    uploader = Uploader(kit)
    announcer = Announcer(kit, uploader)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(announcer.run())]
        if uploads:
            tasks.append(group.create_task(uploader.run()))
        try:
            async with asyncio.timeout(LIMIT_S):
                yield announcer
        finally:
            for task in tasks:
                task.cancel()


def refusal(error: Exception) -> Callable[[], None]:
    def refuse() -> None:
        raise error

    return refuse


async def test_each_object_is_told_once_urgent_ones_first_also_over_restarts(tmp_path: Path) -> None:
    told = Told()
    store = ScriptedStore(announce=told)
    with kit_in(tmp_path, store) as kit:
        calm = [put(kit, "CAM1", bytes([n]) * 10) for n in range(3)]
        urgent = put(kit, "CAM2", b"urgent", event=True)
        async with telling(kit):
            await until(kit, lambda: len(told.objects) == 4)
    assert told.digests == [urgent, *calm]
    assert [each.urgent for each in told.objects] == [True, False, False, False]
    with kit_in(tmp_path, store) as kit:
        later = put(kit, "CAM1", b"later")
        async with telling(kit):
            await until(kit, lambda: later in told.digests)
    assert told.digests == [urgent, *calm, later]


async def test_clips_that_come_one_after_the_other_are_told_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PACE_S", 0.3)
    told = Told()
    with kit_in(tmp_path, ScriptedStore(announce=told)) as kit:
        async with telling(kit):
            await asyncio.sleep(0.05)
            for n in range(20):
                put(kit, "CAM1", bytes([n]) * 10)
                kit.ring()
                await asyncio.sleep(0)
            await until(kit, lambda: len(told.objects) == 20)
    assert told.calls <= 4


async def test_a_failing_announcement_delays_no_upload_and_is_shown(tmp_path: Path) -> None:
    told = Told()
    told.refuse = refusal(StoreRefused("the store does not take it"))
    store = ScriptedStore(announce=told)
    with kit_in(tmp_path, store) as kit:
        slow = put(kit, "CAM1", b"slow")
        store.slow.add(slow)
        waits = put(kit, "CAM2", b"waits")
        async with telling(kit, uploads=True) as announcer:
            await until(kit, lambda: told.calls == 1 and store.sent == [slow])
            view = (await announcer.views())["central"]
            assert "does not take it" in str(view["problem"])
            assert announcer.told() == []
            store.slow.clear()
            await until(kit, lambda: custody_of(kit, slow) == custody_of(kit, waits) == {Custody.CONFIRMED})
            announcer.stores["central"].failures = 3
            assert "uploads go on" in announcer.told()[0]
    assert told.digests == []


@pytest.mark.parametrize("error", [StoreUnreachable("away"), StoreError("broken"), RuntimeError("a fault of ours")])
async def test_whatever_goes_wrong_the_object_is_told_later(tmp_path: Path, error: Exception) -> None:
    told = Told()
    told.refuse = refusal(error)
    with kit_in(tmp_path, ScriptedStore(announce=told)) as kit:
        sha256 = put(kit, "CAM1", b"a")
        async with telling(kit) as announcer:
            await until(kit, lambda: announcer.stores["central"].failures == 1)
            assert told.digests == []
            told.refuse = lambda: None
            announcer.stores["central"].until = 0.0
            kit.ring()
            await until(kit, lambda: told.digests == [sha256])
            assert announcer.stores["central"].problem is None


@pytest.mark.parametrize("closed", ["by a person", "everywhere", "by a failure", "by the hours"])
async def test_a_store_that_is_closed_is_told_nothing(
    tmp_path: Path, closed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    with kit_in(tmp_path, ScriptedStore(announce=told)) as kit:
        put(kit, "CAM1", b"a")
        name = {"by a person": "central", "everywhere": upload_orders.EVERY_STORE}.get(closed)
        if name is not None:
            kit.database.run_blocking(lambda tx: upload_orders.pause(tx, kit.recorder, name, "sgt", "test"))
        if closed == "by the hours":
            monkeypatch.setattr(kit.bandwidth, "paused", lambda _store: True)
        async with telling(kit) as announcer:
            if closed == "by a failure":
                announcer._uploader.pauses["central"] = Pause(until=float("inf"), failures=1)
            for _ in range(10):
                kit.ring()
                await asyncio.sleep(0.02)
    assert told.calls == 0


async def test_a_store_that_takes_none_is_left_alone_and_nothing_counts_as_told(tmp_path: Path) -> None:
    told = Told()
    told.takes = False
    with kit_in(tmp_path, ScriptedStore(announce=told)) as kit:
        put(kit, "CAM1", b"a")
        async with telling(kit) as announcer:
            await until(kit, lambda: announcer.stores["central"].takes is False)
            for _ in range(5):
                kit.ring()
                await asyncio.sleep(0.02)
            assert told.calls == 1
            view: dict[str, Any] = (await announcer.views())["central"]
            assert view == {"taken": False, "waiting": 1, "problem": None}


async def test_what_is_being_sent_or_was_sent_is_not_told(tmp_path: Path) -> None:
    told = Told()
    store = ScriptedStore(announce=told)
    with kit_in(tmp_path, store) as kit:
        running, sent = put(kit, "CAM1", b"running"), put(kit, "CAM2", b"sent")
        store.slow.add(running)
        uploader = Uploader(kit)
        announcer = Announcer(kit, uploader)
        async with asyncio.TaskGroup() as group:
            uploads = group.create_task(uploader.run())
            await until(kit, lambda: bool(store.sent))
            store.slow.discard(running)
            await until(kit, lambda: custody_of(kit, sent) == custody_of(kit, running) == {Custody.CONFIRMED})
            slow = put(kit, "CAM3", b"slow")
            store.slow.add(slow)
            kit.ring()
            await until(kit, lambda: slow in store.sent)
            tells = group.create_task(announcer.run())
            for _ in range(5):
                kit.ring()
                await asyncio.sleep(0.02)
            assert told.calls == 0
            tells.cancel()
            uploads.cancel()


async def test_a_store_that_cannot_be_told_has_no_flow(tmp_path: Path) -> None:
    with kit_in(tmp_path, ScriptedStore()) as kit:
        announcer = Announcer(kit, Uploader(kit))
        assert announcer.stores == {}
        assert await announcer.views() == {}
        await announcer.run()
