"""A store that takes no bytes: it creates uploads, and then never reads what is sent."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def deaf_store() -> AsyncIterator[str]:
    """Its address."""
    lines: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append(writer)
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"OPTIONS"):
            writer.write(b"HTTP/1.1 405 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            writer.close()
        elif head.startswith(b"POST"):
            writer.write(b"HTTP/1.1 201 \r\nLocation: /files/one\r\nTus-Resumable: 1.0.0\r\nContent-Length: 0\r\n\r\n")
        else:
            writer.transport.pause_reading()  # type: ignore[attr-defined]

    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
    listener.bind(("127.0.0.1", 0))
    server = await asyncio.start_server(serve, sock=listener, limit=64 << 10)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/files/"
    finally:
        server.close()
        for writer in lines:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
