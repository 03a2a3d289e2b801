"""What a network puts in a station's way: it answers every request itself, whatever was asked of whom."""

import asyncio
import contextlib
from typing import Self

PAGE = b"<!doctype html><title>Welcome</title><p>Please accept the terms of use."


class Portal:
    """A log-in page. `status`: 200 with the page, 302 to it, 511 as RFC 6585 wants it. `asked` counts requests."""

    def __init__(self, status: int = 200) -> None:
        self._status = status
        self.asked = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address: tuple[str, int] = self._server.sockets[0].getsockname()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        where = "Location: http://portal.example/login\r\n" if self._status == 302 else ""
        head = f"HTTP/1.1 {self._status} X\r\n{where}Content-Type: text/html; charset=utf-8\r\nConnection: close\r\n"
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            request = await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            body = b"" if request.startswith(b"HEAD") else PAGE
            writer.write(f"{head}Content-Length: {len(PAGE)}\r\n\r\n".encode() + body)
            await writer.drain()
            while await reader.read(1 << 16):  # what is still sent must not turn the answer into a reset
                pass
        writer.close()
