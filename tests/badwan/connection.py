"""One connection over the line, from its acceptance to its end."""

import asyncio
import contextlib
import socket
import struct

from tests.badwan.conditions import Conditions
from tests.badwan.fault import Ending
from tests.badwan.gate import Gate
from tests.badwan.shape import Way
from tests.badwan.stream import Stream

LINGER_S = 0.5
"""After a FIN, what still comes is thrown away for so long; then the socket is closed, and more is answered by RST."""


class Connection:
    """Between `near`, who connected, and `far`, where the line leads; owns both sockets."""

    def __init__(self, near: socket.socket, far: socket.socket, conditions: Conditions) -> None:
        """Nothing moves before `run`."""
        self.gate = Gate()
        self._sockets = (near, far)
        self._streams = (
            Stream(Way.UP, near, far, conditions, self.gate),
            Stream(Way.DOWN, far, near, conditions, self.gate),
        )
        self._open_ways = len(self._streams)
        self._over: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Carry bytes until one side, a fault or `end` ends it. Cancellation: both sides see a reset."""
        ending = Ending.RESET
        try:
            async with asyncio.TaskGroup() as group:
                flows = [group.create_task(stream.take_in()) for stream in self._streams]
                flows += [group.create_task(self._hand_out(stream)) for stream in self._streams]
                ending = await self._over
                for flow in flows:
                    flow.cancel()
            if ending is Ending.FIN:
                await self._end_in_good_order()
        finally:
            for connection in self._sockets:
                if ending is Ending.RESET:
                    _will_reset(connection)
                connection.close()

    def end(self, ending: Ending) -> None:
        """End it now; what is under way is lost. Once is enough."""
        if not self._over.done():
            self._over.set_result(ending)

    async def _hand_out(self, stream: Stream) -> None:
        ending = await stream.hand_out()
        self._open_ways -= 1
        if ending is not None or not self._open_ways:
            self.end(ending or Ending.FIN)

    async def _end_in_good_order(self) -> None:
        """Say FIN to both sides, and take in what they still send, for else the kernel would say RST instead."""
        loop = asyncio.get_running_loop()

        async def drain(connection: socket.socket) -> None:
            with contextlib.suppress(OSError, TimeoutError):
                connection.shutdown(socket.SHUT_WR)
                async with asyncio.timeout(LINGER_S):
                    while await loop.sock_recv(connection, 1 << 16):
                        pass

        async with asyncio.TaskGroup() as group:
            for connection in self._sockets:
                group.create_task(drain(connection))


def _will_reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
