"""Serving the local API on loopback and on a Unix socket, in the agent's own loop."""

import asyncio
import contextlib
import socket as sockets
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog
import uvicorn
from starlette.types import ASGIApp

from agent.ports import Desk
from agent.web.application import create_app
from agent.web.connection import Connection
from agent.web.listener import listen_tcp, listen_unix, parse_listen, remove_unix

log = structlog.get_logger()

MAX_REQUESTS = 256
"""Connections of one listener above which requests are answered with 503."""
KEEP_ALIVE_S = 5
GRACE_S = 2
"""Answers have this long to end once the agent stops; streams end at once."""
NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})


def _tell_nobody(_url: str) -> None:
    pass


async def serve(
    desk: Desk,
    *,
    listen: str,
    socket: Path,
    stop: asyncio.Event,
    on_ready: Callable[[str], None] = _tell_nobody,
) -> None:
    """Serve until `stop` is set; `on_ready` gets the page's URL once both listeners answer.

    `listen` is HOST:PORT on loopback, port 0 picks a free one. Raises ConfigError, AddressTaken. Cancellation:
    connections are cut.
    """
    address = parse_listen(listen)
    with contextlib.ExitStack() as held:
        page_listener = held.enter_context(listen_tcp(address))
        held.callback(remove_unix, socket)
        order_listener = held.enter_context(listen_unix(socket))
        url = f"http://{address.shown_host}:{page_listener.getsockname()[1]}/"
        closing = asyncio.Event()
        names = NAMES | {address.shown_host}
        page = _Server(create_app(desk, writable=False, allowed_hosts=names, closing=closing))
        orders = _Server(create_app(desk, writable=True, allowed_hosts=names, closing=closing))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(page.serve(sockets=[page_listener]))
                group.create_task(orders.serve(sockets=[order_listener]))
                await page.answering.wait()
                await orders.answering.wait()
                log.info("api.opened", url=url)
                on_ready(url)
                await stop.wait()
                closing.set()
                page.should_exit = orders.should_exit = True
        finally:
            page.cut()
            orders.cut()


class _Server(uvicorn.Server):
    """A server that says when it answers, and leaves signals to the agent."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=MAX_REQUESTS,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=GRACE_S,
            )
        )
        self.answering = asyncio.Event()

    async def startup(self, sockets: list[sockets.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.answering.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def cut(self) -> None:
        """Cut what is still connected; nothing is after a graceful end."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()
