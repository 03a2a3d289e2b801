"""The depot's worker threads: everything that touches the disk runs here, never on the loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 8


class Workers:
    """A small pool of threads."""

    def __init__(self, threads: int = THREADS) -> None:
        """Start with no thread; at most `threads` come when needed."""
        self._pool = ThreadPoolExecutor(threads, "depot-disk")

    def start(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Begin `work` in a thread."""
        return asyncio.wrap_future(self._pool.submit(work, *args, **kwargs))

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in a thread. Cancellation: waits until the thread is done, so that nothing runs unowned."""
        future = self.start(work, *args, **kwargs)
        try:
            return await asyncio.shield(future)
        finally:
            if not future.done():
                await asyncio.wait([future])

    def close(self) -> None:
        """Wait for what is running and end the threads."""
        self._pool.shutdown(cancel_futures=True)
