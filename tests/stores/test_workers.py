"""Threads that hang, and those who wait for them."""

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from agent.core.errors import StoreUnreachable
from agent.stores import workers as workers_module
from agent.stores.workers import Workers


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_module, "GRACE_S", 0.2)


async def test_a_job_without_progress_fails_and_leaves_its_thread_behind() -> None:
    pool, release = Workers("x", 1), threading.Event()
    with pytest.raises(StoreUnreachable, match="nothing moved"):
        await pool.run(lambda: release.wait(20), stall_s=0.1)
    release.set()
    pool.close()


async def test_a_slow_job_with_progress_is_left_alone() -> None:
    pool, seen = Workers("x", 1), [0]

    def pulse() -> int:
        seen[0] += 1
        if seen[0] == 5:
            release.set()
        return seen[0]

    release = threading.Event()
    assert await pool.run(lambda: release.wait(20), stall_s=0.05, pulse=pulse)
    pool.close()


async def test_cancelling_halts_the_job_and_waits_for_it() -> None:
    pool, halt, ended = Workers("x", 1), threading.Event(), threading.Event()
    loop, began = asyncio.get_running_loop(), asyncio.Event()

    def job() -> None:
        loop.call_soon_threadsafe(began.set)
        halt.wait(20)
        ended.set()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(pool.run(job, stall_s=20, halt=halt.set))
        await began.wait()
        task.cancel()
    assert ended.is_set()
    pool.close()


async def test_a_job_that_does_not_halt_has_its_line_cut_and_is_not_waited_for_for_ever() -> None:
    pool, cut, release = Workers("x", 1), threading.Event(), threading.Event()
    loop, began = asyncio.get_running_loop(), asyncio.Event()

    def job() -> None:
        loop.call_soon_threadsafe(began.set)
        release.wait(20)

    start = time.monotonic()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(pool.run(job, stall_s=20, cut=cut.set))
        await began.wait()
        task.cancel()
    assert cut.is_set()
    assert time.monotonic() - start < 10
    release.set()
    pool.close()


HANGS = """
import asyncio, time
from agent.core.errors import StoreUnreachable
from agent.stores import workers

workers.GRACE_S = 0.01

async def main():
    pool = workers.Workers("dead mount", 1)
    try:
        await pool.run(lambda: time.sleep(40), stall_s=0.05)
    except StoreUnreachable:
        pool.close()

asyncio.run(main())
print("nothing left to do", flush=True)
"""


def test_a_thread_that_hangs_does_not_keep_the_agent_from_ending() -> None:
    with subprocess.Popen([sys.executable, "-c", HANGS], stdout=subprocess.PIPE) as process:  # noqa: S603 - our own
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"nothing left to do\n"
            assert process.wait(5) == 0
        finally:
            process.kill()


async def test_more_hanging_jobs_than_threads_leave_no_further_threads_behind() -> None:
    pool, release = Workers("bounded", 2), threading.Event()
    for _ in range(4):
        with pytest.raises(StoreUnreachable):
            await pool.run(lambda: release.wait(20), stall_s=0.02)
    assert sum(thread.name.startswith("store-bounded") for thread in threading.enumerate()) == 2
    release.set()
    assert await pool.run(lambda: 7, stall_s=20) == 7
    pool.close()


async def test_what_a_job_raises_reaches_its_caller_and_the_thread_goes_on() -> None:
    pool = Workers("x", 1)
    with pytest.raises(SystemExit):
        await pool.run(lambda: sys.exit(3), stall_s=20)
    assert await pool.run(lambda: 7, stall_s=20) == 7
    pool.close()


async def test_after_closing_threads_end_and_no_job_is_taken() -> None:
    pool = Workers("closed", 1)
    await pool.run(lambda: None, stall_s=20)
    (thread,) = (thread for thread in threading.enumerate() if thread.name.startswith("store-closed"))
    pool.close()
    pool.close()
    thread.join(20)
    assert not thread.is_alive()
    with pytest.raises(RuntimeError):
        await pool.run(lambda: None, stall_s=20)
