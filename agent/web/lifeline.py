"""Long answers: they go on for as long as somebody listens and the API is open."""

import asyncio
from collections.abc import Coroutine

from starlette.types import Receive


async def while_wanted(work: Coroutine[None, None, None], receive: Receive, closing: asyncio.Event) -> None:
    """Run `work` until it is done, the client goes, or `closing` is set; then it is cancelled and has ended.

    The request's body must have been read. Raises an ExceptionGroup with what `work` raises.
    """
    async with asyncio.TaskGroup() as group:
        tasks = {
            group.create_task(work),
            group.create_task(_client_gone(receive)),
            group.create_task(_closed(closing)),
        }
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()


async def _client_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _closed(closing: asyncio.Event) -> None:
    await closing.wait()
