"""The parts of one upload that are under way: one whose bytes leave, and one before it that waits for its answer.

Over a long line the store's answer to a part takes its time, in which the bytes of the next one leave. They leave one
part after the other, because they are hashed as they leave, in their order.
"""

import asyncio
from collections.abc import Awaitable, Callable

from agent.ports import UploadStopped
from agent.stores.answer import BytesAltered
from agent.stores.s3_uploads import SentPart

PARTS_AT_A_TIME = 2


class S3Convoy:
    """Sends parts and tells `arrived` of each that the store acknowledged."""

    def __init__(
        self,
        send: Callable[[int, Callable[[], None]], Awaitable[SentPart]],
        arrived: Callable[[SentPart], Awaitable[None]],
    ) -> None:
        """`send` brings one part, by its number, to the store.

        It calls what it is given as soon as the part's bytes have left, from any thread.
        """
        self._send = send
        self._arrived = arrived
        self._under_way: set[asyncio.Task[SentPart]] = set()
        self._leaving: asyncio.Future[None] | None = None

    async def turn(self) -> None:
        """Wait until the next part may leave: no other does. Raises what a part failed with."""
        while self._leaving is not None or len(self._under_way) >= PARTS_AT_A_TIME:
            await self._settle()

    def start(self, number: int) -> None:
        """Let a part leave; it must be its turn."""
        self._leaving = asyncio.get_running_loop().create_future()
        self._under_way.add(asyncio.create_task(self._sent(number, self._leaving)))

    async def all_arrived(self) -> None:
        """Wait for what is under way. Raises what a part failed with."""
        while self._under_way:
            await self._settle()

    async def end(self, error: BaseException) -> BaseException:
        """End what is under way after an error, and return the error that says most.

        After a stop the parts end by themselves, as they all see it; what the store still acknowledges is kept. So it
        is where only the bytes of one part were altered.
        """
        if not isinstance(error, UploadStopped | BytesAltered):
            for task in self._under_way:
                task.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way)
        for task in list(self._under_way):
            failure = None if task.cancelled() else task.exception()
            if failure is not None and isinstance(error, UploadStopped):
                error = failure  # one part that fails halts the others, which then look stopped
            if task.cancelled() or failure is not None:
                self._under_way.remove(task)
            else:
                await self._take(task)
        return error

    async def _settle(self) -> None:
        """Wait until the bytes of a part have left, or one has arrived.

        Raises what a part failed with, after those that arrived with it are kept.
        """
        waited: set[asyncio.Future[SentPart] | asyncio.Future[None]] = {*self._under_way}
        if self._leaving is not None:
            waited.add(self._leaving)
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if self._leaving is not None and self._leaving.done():
            self._leaving = None
        ended = [task for task in self._under_way if task.done()]
        for task in sorted(ended, key=lambda task: task.exception() is not None):
            await self._take(task)

    async def _take(self, task: "asyncio.Task[SentPart]") -> None:
        part = task.result()
        self._under_way.remove(task)
        await self._arrived(part)

    async def _sent(self, number: int, leaving: "asyncio.Future[None]") -> SentPart:
        loop = asyncio.get_running_loop()

        def end() -> None:
            if not leaving.done():
                leaving.set_result(None)

        def left() -> None:
            loop.call_soon_threadsafe(end)

        try:
            return await self._send(number, left)
        finally:
            end()
