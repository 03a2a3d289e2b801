"""An HTTP proxy: it opens ways with CONNECT, and passes plain requests on one after the other."""

import asyncio
import contextlib
import math
import socket
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from tests.fakes.bad_answers import reset

BUFFER_BYTES = 64 << 10
"""A large one would take in what a slow way has not carried yet."""
_REFUSAL = "HTTP/1.1 {code} Some Reason\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass
class Passed:
    """One request that came to the proxy."""

    method: str
    target: str
    headers: dict[str, str]


@dataclass
class FakeProxy:
    """`pair` is the only credential that is accepted, `name:password`; None: none is asked for.

    `names` says where names lead that only the proxy knows. `fault`: `status N`, `silence`, `reset`, or `hang up` right
    after a way was opened. `carried` counts the bytes on their way to stores, `came_from` has the addresses of clients.
    """

    pair: str | None = None
    names: dict[str, tuple[str, int]] = field(default_factory=dict)
    fault: str = ""
    passed: list[Passed] = field(default_factory=list)
    rate: float = math.inf  # bytes per second through a way
    carried: int = 0
    came_from: set[str] = field(default_factory=set)
    _port: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        await self.up()
        self.address = f"127.0.0.1:{self._port}"
        self.url = f"http://{self.address}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.down()

    async def up(self) -> None:
        """Listen, after the first time on the same port again."""
        listener = socket.create_server(("127.0.0.1", self._port))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)  # accepted ones inherit it
        self._port = int(listener.getsockname()[1])
        self._server = await asyncio.start_server(self._serve, sock=listener)

    def down(self) -> None:
        """Listen no more, and end what is connected."""
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    def methods(self) -> list[str]:
        return [passed.method for passed in self.passed]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.came_from.add(writer.get_extra_info("peername")[0])
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._request(reader, writer):
                    await writer.drain()
        finally:
            writer.transport.abort()
            self._writers.discard(writer)

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Do what one request asks; whether another one may follow."""
        asked = _parse(await reader.readuntil(b"\r\n\r\n"))
        self.passed.append(asked)
        wanted = None if self.pair is None else "Basic " + b64encode(self.pair.encode()).decode()
        fault = "status 407" if asked.headers.get("proxy-authorization") != wanted else self.fault
        if fault.startswith("status "):
            await reader.readexactly(int(asked.headers.get("content-length", 0)))
            writer.write(_REFUSAL.format(code=fault.removeprefix("status ")).encode())
            await writer.drain()
            writer.close()
            return False
        if fault == "silence":
            await asyncio.Event().wait()
        if fault == "reset":
            reset(writer)
            return False
        if asked.method == "CONNECT":
            await self._tunnel(asked.target, reader, writer)
            return False
        await self._pass_on(asked, reader, writer)
        return True

    async def _tunnel(self, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await self._reach(target)
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            if self.fault == "hang up":
                await writer.drain()
                return
            async with asyncio.TaskGroup() as group:
                up = group.create_task(self._pump(reader, far_writer, counts=True))
                back = group.create_task(self._pump(far_reader, writer))
                await asyncio.wait([up, back], return_when=asyncio.FIRST_COMPLETED)
                up.cancel()
                back.cancel()
        finally:
            far_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counts: bool = False) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                self.carried += len(data) if counts else 0
                writer.write(data)
                await writer.drain()
                await asyncio.sleep(len(data) / self.rate)

    async def _pass_on(self, asked: Passed, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parts = urlsplit(asked.target)
        far_reader, far_writer = await self._reach(parts.netloc)
        try:
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            mine = {name: value for name, value in asked.headers.items() if not name.startswith("proxy-")}
            lines = [f"{asked.method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in mine.items()), "", ""]
            far_writer.write("\r\n".join(lines).encode())
            body = await reader.readexactly(int(asked.headers.get("content-length", 0)))
            self.carried += len(body)
            far_writer.write(body)
            head = await far_reader.readuntil(b"\r\n\r\n")
            answer = _parse(head)
            size_bytes = 0 if asked.method == "HEAD" else int(answer.headers.get("content-length", 0))
            writer.write(head + await far_reader.readexactly(size_bytes))
        finally:
            far_writer.transport.abort()

    async def _reach(self, target: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, _, port = target.rpartition(":")
        return await asyncio.open_connection(*self.names.get(host, (host, int(port))))


def _parse(head: bytes) -> Passed:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (line.split(": ", 1) for line in lines if line)
    return Passed(method, target, {name.lower(): value for name, value in pairs})
