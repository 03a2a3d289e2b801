"""Recording copies side by side, and a purge between them."""

import asyncio
from pathlib import Path

import pytest

from agent.services.disposal import purge_spool
from agent.services.turnstile import Turnstile
from tests.services.stage import ScriptedStore, kit_in

SOON_S = 0.05


async def test_passers_do_not_wait_for_each_other() -> None:
    turnstile = Turnstile()
    async with asyncio.timeout(5), turnstile.passing(), turnstile.passing():
        pass


async def test_who_is_alone_waits_for_all_passers_and_then_keeps_them_out() -> None:
    turnstile, order, entered = Turnstile(), list[str](), asyncio.Event()

    async def alone() -> None:
        async with turnstile.alone():
            order.append("alone")
            entered.set()
            await asyncio.sleep(0)
            order.append("done")

    async def passer() -> None:
        async with turnstile.passing():
            order.append("passer")

    async with asyncio.TaskGroup() as group:
        async with turnstile.passing():
            async with turnstile.passing():
                group.create_task(alone())
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert order == []
        await entered.wait()
        group.create_task(passer())
    assert order == ["alone", "done", "passer"]


async def test_a_passer_that_is_cancelled_leaves_the_way_free() -> None:
    turnstile = Turnstile()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(SOON_S), turnstile.passing():
            await asyncio.Event().wait()
    async with asyncio.timeout(5), turnstile.alone():
        pass


async def test_no_object_is_purged_while_a_copy_is_being_recorded(tmp_path: Path) -> None:
    with kit_in(tmp_path, ScriptedStore()) as kit:
        async with kit.purging.passing():
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(SOON_S):
                    await purge_spool(kit)
        assert await purge_spool(kit) == 0
