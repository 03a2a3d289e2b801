"""One direction of one connection: what comes in at one end is handed out at the other, later and slower.

Faults at a byte travel with the bytes, so that exactly what stands before them arrives. Two tasks: one takes in,
split and paced, one hands out what is due; between them lies what is under way.
"""

import asyncio
import contextlib
import fcntl
import socket
import struct
import termios
from collections.abc import Iterator

from tests.badwan.bucket import block_bytes
from tests.badwan.conditions import Conditions
from tests.badwan.delay import Delay
from tests.badwan.fault import Ending, Fault, Kind
from tests.badwan.gate import Gate
from tests.badwan.shape import Way

READ_BYTES = 64 << 10
FLUSH_S = 5.0
"""How long a cut waits for the receiver's kernel to take what was sent before."""
LOOK_S = 0.002


class Stream:
    """From `source` to `target`. `gate` belongs to the connection: while it is shut, nothing moves."""

    def __init__(
        self, way: Way, source: socket.socket, target: socket.socket, conditions: Conditions, gate: Gate
    ) -> None:
        """Nothing moves yet."""
        self._way = way
        self._source = source
        self._target = target
        self._conditions = conditions
        self._gate = gate
        self._delay = Delay()
        self._position = 0  # bytes taken in that are not lost
        self._met: set[Fault] = set()

    async def take_in(self) -> None:
        """Read until the source ends, or a fault ends the taking."""
        loop = asyncio.get_running_loop()
        while not await self._meet():
            await self._gate.passed()
            try:
                data = await loop.sock_recv(self._source, READ_BYTES)
            except OSError:
                await self._send_on(Ending.RESET)
                return
            if not data:
                await self._send_on(Ending.FIN)
                return
            self._conditions.tally.taken[self._way] += len(data)
            if self._vanishes(data) or await self._take(memoryview(data)):
                return

    async def hand_out(self) -> Ending | None:
        """Deliver until something ends the connection, which is returned; None: this direction alone ended well."""
        loop = asyncio.get_running_loop()
        while True:
            item = await self._delay.take()
            await self._gate.passed()
            if isinstance(item, Fault):
                if await self._strike(item):
                    return item.ending
            elif isinstance(item, Ending):
                if item is Ending.RESET:
                    return item
                with contextlib.suppress(OSError):
                    self._target.shutdown(socket.SHUT_WR)
                return None
            else:
                try:
                    await loop.sock_sendall(self._target, item)
                except OSError:
                    return Ending.RESET
                self._conditions.tally.delivered[self._way] += len(item)

    async def _take(self, data: memoryview) -> bool:
        """Send all of a reading on its way; True when a fault ends the taking."""
        while data:
            if await self._meet():
                return True
            shape = self._conditions.shapes[self._way]
            room = min([block_bytes(shape.rate_bit_s, len(data)), *self._distances()])
            piece, data = data[:room], data[room:]
            now = asyncio.get_running_loop().time()
            left = self._conditions.buckets[self._way].departure(len(piece), shape.rate_bit_s, now)
            await asyncio.sleep(left - now)  # the sender is kept waiting, as by a slow line
            await self._delay.put(left + shape.latency_s, self._altered(piece))
            self._position += len(piece)
        return False

    async def _meet(self) -> bool:
        """Send the faults that are due here on their way; True when one of them ends the taking."""
        here = self._position
        for fault in self._due(here, here + 1):
            if fault.kind is not Kind.CORRUPT:
                fault.struck += 1
                self._met.add(fault)
                await self._send_on(fault)
                if fault.kind is not Kind.STALL:
                    return True
        return False

    def _due(self, start: int, end: int) -> Iterator[Fault]:
        return (f for f in list(self._conditions.faults) if f.concerns(self._way, start, end) and f not in self._met)

    def _distances(self) -> list[int]:
        """How far it is to the next faults."""
        end = self._position + READ_BYTES
        return [fault.at - self._position for fault in self._due(self._position + 1, end)]

    def _altered(self, piece: memoryview) -> bytes:
        block = bytearray(piece)
        for fault in self._due(self._position, self._position + len(piece)):
            if fault.kind is Kind.CORRUPT:
                fault.struck += 1
                self._met.add(fault)
                self._conditions.tally.struck[Kind.CORRUPT] += 1
                block[fault.at - self._position] ^= 1
        return bytes(block)

    def _vanishes(self, data: bytes) -> bool:
        most = self._conditions.shapes[self._way].small_only_bytes
        if most is None or len(data) <= most:
            return False
        self._conditions.tally.struck[Kind.BLACK_HOLE] += 1
        return True

    async def _send_on(self, item: Fault | Ending) -> None:
        await self._delay.put(asyncio.get_running_loop().time() + self._conditions.shapes[self._way].latency_s, item)

    async def _strike(self, fault: Fault) -> bool:
        """Everything before the fault has been handed out; True when it ends the connection."""
        self._conditions.tally.struck[fault.kind] += 1
        match fault.kind:
            case Kind.STALL:
                self._gate.shut(fault.for_s)
            case Kind.BLACK_HOLE:
                self._gate.wall_up()
            case _:
                await self._flushed()
        return fault.kind is Kind.CUT

    async def _flushed(self) -> None:
        """A reset throws away what the receiver's kernel does not have yet: wait for that."""
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(FLUSH_S):
                while _unacknowledged(self._target):  # noqa: ASYNC110 - the kernel tells nobody when it is done
                    await asyncio.sleep(LOOK_S)


def _unacknowledged(connection: socket.socket) -> int:
    """Bytes that the other side's kernel has not taken. Source: tcp(7), SIOCOUTQ."""
    answer = fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4))
    return int(struct.unpack("i", answer)[0])
