"""A few threads that the interpreter does not wait for when it exits.

A thread that hangs in a dead mount cannot be ended. The executors of the standard library are joined at exit, so
that one such thread would keep the agent from ever stopping. Nothing is lost by leaving: what counts is on disk or
in the ledger before anybody is told so.
"""

import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Job(Generic[T]):
    work: Callable[[], T]
    future: "Future[T]"

    def run(self) -> None:
        """Do the work and hand its outcome to whoever waits; nothing may escape, or the thread would be gone."""
        if self.future.set_running_or_notify_cancel():
            with _Caught(self.future):
                self.future.set_result(self.work())


class _Caught:
    """Passes whatever ends the block to the future, as the executors of the standard library do."""

    def __init__(self, future: "Future[T]") -> None:
        self._future = future

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> bool:
        if error is not None:
            self._future.set_exception(error)
        return True


class DaemonThreads:
    """At most `count` threads, begun when needed; jobs beyond that wait in line."""

    def __init__(self, name: str, count: int) -> None:
        """Start nothing yet."""
        self._name = name
        self._count = count
        self._jobs: queue.SimpleQueue[_Job[object] | None] = queue.SimpleQueue()
        self._begun = 0
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, work: Callable[[], T]) -> "Future[T]":
        """Let a thread do `work`. Raises RuntimeError after `close`."""
        job: _Job[T] = _Job(work, Future())
        with self._lock:
            if self._closed:
                raise RuntimeError("no more jobs are taken")
            self._jobs.put(job)  # type: ignore[arg-type]
            if not self._idle.acquire(blocking=False) and self._begun < self._count:
                self._begun += 1
                threading.Thread(target=self._work, name=f"{self._name}-{self._begun}", daemon=True).start()
        return job.future

    def close(self) -> None:
        """Cancel the jobs in line and let the threads end when they come back. Idempotent."""
        with self._lock:
            self._closed = True
            with contextlib.suppress(queue.Empty):
                while True:
                    job = self._jobs.get_nowait()
                    if job is not None:
                        job.future.cancel()
            for _ in range(self._begun):
                self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run()
            del job  # what it holds must not live on while this thread waits
            self._idle.release()
