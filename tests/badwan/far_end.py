"""The far end of a line in tests: it notes every byte that arrives, and when; it may say something or echo."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Self

LIMIT_S = 20


@dataclass
class Arrival:
    """One connection as the far end sees it. `ended`: "fin" or "reset" once it is over."""

    data: bytearray = field(default_factory=bytearray)
    times: list[tuple[float, int]] = field(default_factory=list)  # when so many bytes were there
    ended: str = ""


class FarEnd:
    """Use as an async context manager. `says` is sent to each who connects; `echoes`: all is sent back."""

    def __init__(self, *, says: bytes = b"", echoes: bool = False) -> None:
        self._says = says
        self._echoes = echoes
        self._changed = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self.arrivals: list[Arrival] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address: tuple[str, int] = self._server.sockets[0].getsockname()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def until(self, number: int, *, has: int = 0, ended: bool = False) -> Arrival:
        """Wait until a connection has so many bytes, or is over."""
        async with asyncio.timeout(LIMIT_S):
            while len(self.arrivals) <= number or not self._reached(self.arrivals[number], has, ended=ended):
                self._changed.clear()
                await self._changed.wait()
        return self.arrivals[number]

    def _reached(self, arrival: Arrival, has: int, *, ended: bool) -> bool:
        return len(arrival.data) >= has and (not ended or bool(arrival.ended))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrival, loop = Arrival(), asyncio.get_running_loop()
        self.arrivals.append(arrival)
        self._writers.add(writer)
        try:
            writer.write(self._says)
            while data := await reader.read(1 << 16):
                arrival.data += data
                arrival.times.append((loop.time(), len(arrival.data)))
                self._changed.set()
                if self._echoes:
                    writer.write(data)
                    await writer.drain()
            arrival.ended = "fin"
        except ConnectionError:
            arrival.ended = "reset"
        finally:
            self._changed.set()
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            self._writers.discard(writer)
