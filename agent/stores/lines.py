"""The body connections of one store and the threads that use them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from threading import Event
from typing import TypeVar

from agent.stores.answer import CredentialRefused
from agent.stores.line import Line
from agent.stores.remote import Remote
from agent.stores.throttle import Throttle
from agent.stores.workers import Workers, do_nothing, no_pulse

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TusLimits:
    """Bounds of one store, in seconds, bytes and threads."""

    connect_s: float = 10.0
    stall_s: float = 60.0
    answer_s: float = 60.0  # for the answer after the last byte of a stretch: the store may be syncing it
    control_s: float = 60.0  # for a whole short request: the store may be hashing what it has
    patch_bytes: int | None = None  # of every PATCH; None: by what the line carries
    max_workers: int = 36  # more than uploads run at a time, urgent ones included ([upload] workers is at most 32)


class Lines:
    """Lends a line to one job at a time; a line is kept for the next job only if all went well."""

    def __init__(self, remote: Remote, limits: TusLimits, throttle: Throttle | None = None) -> None:
        """Open nothing yet. `throttle` is what bodies of clips pass on their way out."""
        self.limits = limits
        self.throttle = throttle or Throttle()
        self._remote = remote
        self._idle: list[Line] = []
        self._workers = Workers(remote.name, limits.max_workers)
        # Longer than the line's own patience, which says more precisely what went wrong.
        self._patience_s = 2 * limits.connect_s + limits.stall_s + limits.answer_s

    @property
    def encrypts(self) -> bool:
        """Whether bodies are encrypted on their way out, which takes the time of the thread that sends them."""
        return self._remote.endpoint.base.startswith("https:")

    async def lend(
        self, job: Callable[[Line, asyncio.AbstractEventLoop], T], *, halt: Event, pulse: Callable[[], int]
    ) -> T:
        """Run `job` in a thread with a connection.

        Cancellation: `halt` is set, then the line is cut; what the store took stays there.
        """
        line = self._take()
        loop = asyncio.get_running_loop()
        kept = False
        try:
            result = await self.run(lambda: job(line, loop), halt=halt, pulse=pulse, cut=line.cut)
            kept = not line.was_cut
            return result
        finally:
            line.release()
            if kept:
                self._idle.append(line)
            else:
                line.cut()
                line.close()

    def _take(self) -> Line:
        while self._idle:
            line = self._idle.pop()
            if line.is_current:
                return line
            line.close()
        return Line(self._remote, self.limits.connect_s, self.limits.stall_s)

    async def run(
        self,
        job: Callable[[], T],
        *,
        halt: Event,
        pulse: Callable[[], int] = no_pulse,
        cut: Callable[[], None] = do_nothing,
    ) -> T:
        """Run `job` in a thread; StoreUnreachable when `pulse` stands still for too long."""
        return await self._workers.run(job, stall_s=self._patience_s, pulse=pulse, halt=halt.set, cut=cut)

    async def admitted(self, ask: Callable[[], Awaitable[T]], renew: Callable[[], bool]) -> T:
        """Ask; once more if the credential was refused and `renew` finds another one in its file."""
        route = self._remote.route
        shown = route.credential
        try:
            return await ask()
        except CredentialRefused:
            renewed = await self.run(lambda: renew() | route.renew(), halt=Event())
            if not renewed and route.credential == shown:  # another upload may have read the new one by now
                raise
        return await ask()

    def close(self) -> None:
        """Close idle lines; busy ones end with their jobs. Idempotent."""
        for line in self._idle:
            line.close()
        self._idle.clear()
        self._workers.close()
