"""The local API as it runs on a station: two real servers on loopback and on a Unix socket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from agent.ports import Desk
from agent.web.serve import serve

READY_S = 10.0


@dataclass(slots=True)
class Api:
    """Clients of a running API; `stop` ends it."""

    url: str
    socket: Path
    page: httpx.AsyncClient
    orders: httpx.AsyncClient
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def port(self) -> int:
        port = httpx.URL(self.url).port
        assert port is not None
        return port


@asynccontextmanager
async def serving(desk: Desk, directory: Path, listen: str = "127.0.0.1:0") -> AsyncIterator[Api]:
    """Serve `desk` for the time of the block."""
    socket, stop = directory / "api.sock", asyncio.Event()
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        group.create_task(serve(desk, listen=listen, socket=socket, stop=stop, on_ready=url.set_result))
        async with asyncio.timeout(READY_S):
            ready = await url
        unix = httpx.AsyncHTTPTransport(uds=str(socket))
        async with (
            httpx.AsyncClient(base_url=ready, trust_env=False) as page,
            httpx.AsyncClient(base_url="http://station", transport=unix, trust_env=False) as orders,
        ):
            try:
                yield Api(ready, socket, page, orders, stop)
            finally:
                stop.set()


async def until(condition: Callable[[], bool], within_s: float = 5.0) -> None:
    """Wait until `condition()` holds. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)
