"""Reads server-sent events as a screen does."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx

WAIT_S = 5.0


class Screen:
    """One open stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def line(self) -> str:
        """The next line that is not empty. Raises StopAsyncIteration at the end."""
        async with asyncio.timeout(WAIT_S):
            while not (line := await anext(self._lines)):
                pass
            return line

    async def view(self) -> dict[str, Any]:
        """The next view."""
        while not (line := await self.line()).startswith("data: "):
            pass
        return cast("dict[str, Any]", json.loads(line.removeprefix("data: ")))

    async def ended(self) -> bool:
        """Whether the stream comes to a proper end."""
        try:
            while True:
                await self.line()
        except StopAsyncIteration:
            return True


@asynccontextmanager
async def watching(client: httpx.AsyncClient) -> AsyncIterator[Screen]:
    async with client.stream("GET", "/api/v1/stream", timeout=httpx.Timeout(5, pool=None)) as response:
        yield Screen(response)
