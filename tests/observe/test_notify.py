import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from agent.core.errors import LedgerDamaged
from agent.observe.notify import feed_watchdog, notify, watchdog_s

SOON_S = 10


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Where a service manager listens; it waits for a sign of life every 0.15 seconds."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "150000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        yield listening


async def heard(manager: socket.socket) -> bytes:
    async with asyncio.timeout(SOON_S):
        return await asyncio.get_running_loop().sock_recv(manager, 100)


async def test_a_state_reaches_the_service_manager(manager: socket.socket) -> None:
    notify("READY=1\nSTATUS=Serving")
    assert await heard(manager) == b"READY=1\nSTATUS=Serving"


async def test_signs_of_life_come_as_long_as_the_ledger_answers(manager: socket.socket) -> None:
    answers = asyncio.Event()
    answers.set()
    async with asyncio.TaskGroup() as group:
        feeding = group.create_task(feed_watchdog(answers.wait))
        assert [await heard(manager) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        answers.clear()
        await asyncio.sleep(0.3)
        with suppress(BlockingIOError):
            manager.recv(100)  # the one that was under way
        await asyncio.sleep(0.3)
        with pytest.raises(BlockingIOError):
            manager.recv(100)
        answers.set()
        assert await heard(manager) == b"WATCHDOG=1"
        feeding.cancel()


async def test_a_damaged_ledger_that_says_so_is_alive(manager: socket.socket) -> None:
    async def damaged() -> None:
        raise LedgerDamaged("it is damaged")

    async with asyncio.TaskGroup() as group:
        feeding = group.create_task(feed_watchdog(damaged))
        assert await heard(manager) == b"WATCHDOG=1"
        feeding.cancel()


@pytest.mark.parametrize(
    ("microseconds", "process", "seconds"),
    [("", "", 0.0), ("90000000", "", 90.0), ("90000000", "self", 90.0), ("90000000", "1", 0.0), ("soon", "", 0.0)],
)
def test_a_watchdog_counts_when_it_is_meant_for_this_process(
    monkeypatch: pytest.MonkeyPatch, microseconds: str, process: str, seconds: float
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", microseconds)
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if process == "self" else process)
    if not process:
        monkeypatch.delenv("WATCHDOG_PID")
    assert watchdog_s() == seconds


async def test_without_a_watchdog_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never() -> None:
        pytest.fail("asked")

    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    async with asyncio.timeout(SOON_S):
        await feed_watchdog(never)
