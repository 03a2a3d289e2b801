"""The line itself: listens, and leads every connection to one place.

In tests it is an object with methods; `python -m tests.badwan` is the same for people.
"""

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from tests.badwan.conditions import Conditions
from tests.badwan.connection import Connection
from tests.badwan.fault import Ending, Fault
from tests.badwan.shape import Shape, Way
from tests.badwan.tally import Tally

Address = tuple[str, int]

CONNECT_S = 5.0
MOST_CONNECTIONS = 256
"""Connections in a black hole stay; whoever comes when all places are taken is refused."""
BUFFER_BYTES = 64 << 10
"""Of each socket: large ones would take in what a slow or dead line never carries."""


class Badwan:
    """A bad line to `to`. Use as an async context manager; everything may be changed while it is in use.

    `up` is what the one who connected sends. Without shapes and faults it only passes on.
    """

    def __init__(
        self,
        to: Address,
        *,
        listen: Address = ("127.0.0.1", 0),
        up: Shape | None = None,
        down: Shape | None = None,
        faults: Sequence[Fault] = (),
    ) -> None:
        """Nothing listens yet; port 0 means any free one."""
        self._to = to
        self._listen = listen
        self._conditions = Conditions({Way.UP: up or Shape(), Way.DOWN: down or Shape()}, list(faults))
        self._connections: set[Connection] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        """Listen. Raises OSError."""
        self._listener = socket.create_server(self._listen, family=_family(self._listen[0]), backlog=MOST_CONNECTIONS)
        _keep_small(self._listener)  # accepted ones inherit it
        self._listener.setblocking(False)
        await self._tasks.__aenter__()
        self._accepting = self._tasks.create_task(self._accept())
        return self

    async def __aexit__(self, *_: object) -> None:
        """End all connections by a reset and listen no more."""
        for task in {self._accepting, *self._serving}:
            task.cancel()
        try:
            await self._tasks.__aexit__(None, None, None)
        finally:
            self._listener.close()

    @property
    def address(self) -> Address:
        """Where it listens."""
        host, port = self._listener.getsockname()[:2]
        return str(host), int(port)

    @property
    def tally(self) -> Tally:
        """What went over the line so far."""
        return self._conditions.tally

    @property
    def faults(self) -> list[Fault]:
        """The faults of the line; more may be added, and all may be taken away."""
        return self._conditions.faults

    def shape(self, way: Way) -> Shape:
        """How one direction is; change it in place."""
        return self._conditions.shapes[way]

    def carry(self, url: str) -> str:
        """The same URL, but over this line."""
        host, port = self.address
        return urlunsplit(urlsplit(url)._replace(netloc=f"{host}:{port}"))

    def lead_to(self, to: Address) -> None:
        """Lead new connections elsewhere, as another network would; those that are open stay."""
        self._to = to

    def cut(self, ending: Ending = Ending.RESET) -> None:
        """End all connections now."""
        for connection in self._connections:
            connection.end(ending)

    def stall(self, for_s: float | None = None) -> None:
        """Let nothing move on the connections that are open, for so many seconds or until `resume`."""
        for connection in self._connections:
            connection.gate.shut(for_s)

    def resume(self) -> None:
        """End all stalls; what is in a black hole stays there."""
        for connection in self._connections:
            connection.gate.open()

    def black_hole(self) -> None:
        """Never let anything move again on the connections that are open; they stay open."""
        for connection in self._connections:
            connection.gate.wall_up()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            near, _ = await loop.sock_accept(self._listener)
            self.tally.connections += 1
            if len(self._serving) >= MOST_CONNECTIONS:
                self._refuse(near)
            else:
                task = self._tasks.create_task(self._serve(near))
                self._serving.add(task)
                task.add_done_callback(self._serving.discard)

    async def _serve(self, near: socket.socket) -> None:
        try:
            far = await self._reach()
        except (OSError, TimeoutError):
            self._refuse(near)
            return
        for end in (near, far):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(near, far, self._conditions)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)

    async def _reach(self) -> socket.socket:
        """Connect to where the line leads. Raises OSError, TimeoutError."""
        loop = asyncio.get_running_loop()
        host, port = self._to
        family, kind, protocol, _, address = (await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))[0]
        far = socket.socket(family, kind, protocol)
        try:
            far.setblocking(False)
            _keep_small(far)
            async with asyncio.timeout(CONNECT_S):
                await loop.sock_connect(far, address)
        except BaseException:
            far.close()
            raise
        return far

    def _refuse(self, near: socket.socket) -> None:
        self.tally.refused += 1
        with contextlib.suppress(OSError):
            near.close()


def _keep_small(connection: socket.socket) -> None:
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        connection.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
