"""Threads for calls that block: file systems and the bodies of uploads.

Rules: each store owns its threads, so that one that hangs starves nobody else. A thread is never killed: it is
told to halt, its line is cut, and if it still does not come back it is left behind and the call fails. Not even
the end of the agent waits for it.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from agent.core.errors import StoreUnreachable
from agent.stores.threads import DaemonThreads

GRACE_S = 2.0
"""How long a thread may take to come back after it was told to halt, and again after its line was cut."""

T = TypeVar("T")


def do_nothing() -> None:
    """Do nothing."""


def no_pulse() -> int:
    """Show no progress: the job as a whole must end within its stall time."""
    return 0


class Workers:
    """The threads of one store."""

    def __init__(self, name: str, count: int) -> None:
        """At most `count` jobs run at a time; others wait their turn."""
        self._name = name
        self._pool = DaemonThreads(f"store-{name}", count)
        self._free = asyncio.Semaphore(count)

    async def run(
        self,
        job: Callable[[], T],
        *,
        stall_s: float,
        pulse: Callable[[], int] = no_pulse,
        halt: Callable[[], None] = do_nothing,
        cut: Callable[[], None] = do_nothing,
    ) -> T:
        """Run `job` in a thread and return what it returns.

        `pulse` is any number that changes with progress: StoreUnreachable when it stands still for `stall_s`.
        Cancellation: `halt`, then `cut`, each followed by a short wait for the thread.
        """
        async with self._free:
            running = self._pool.submit(job)
            future = asyncio.wrap_future(running)
            future.add_done_callback(_retrieve)
            try:
                await self._watch(future, pulse, stall_s)
                return future.result()
            finally:
                if not future.done() and not running.cancel():
                    for ending in (halt, cut):
                        ending()
                        await asyncio.wait({future}, timeout=GRACE_S)
                    future.cancel()  # a thread that comes back after all must not look for a loop that has ended

    async def _watch(self, future: "asyncio.Future[T]", pulse: Callable[[], int], stall_s: float) -> None:
        last = pulse()
        while not (await asyncio.wait({future}, timeout=stall_s))[0]:
            seen = pulse()
            if seen == last:
                raise StoreUnreachable(f"store {self._name}: nothing moved for {stall_s:.0f} s")
            last = seen

    def close(self) -> None:
        """Take no more jobs; running ones end by themselves. Idempotent."""
        self._pool.close()


def _retrieve(future: "asyncio.Future[T]") -> None:
    """Look at the outcome of a job whose caller has gone, so that it is not reported as forgotten."""
    if not future.cancelled():
        future.exception()
