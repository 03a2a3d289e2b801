"""The near end of a line in tests."""

import asyncio
import contextlib
import hashlib

from tests.badwan.far_end import LIMIT_S
from tests.badwan.proxy import Badwan


def some_bytes(count: int) -> bytes:
    return hashlib.shake_256(b"line").digest(count)


async def connect(line: Badwan) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(*line.address)


async def send(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Send everything; a line that ends meanwhile is no fault here."""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(LIMIT_S):
            writer.write(data)
            await writer.drain()


async def how_it_ends(reader: asyncio.StreamReader) -> tuple[bytes, str]:
    got = b""
    async with asyncio.timeout(LIMIT_S):
        try:
            while data := await reader.read(1 << 16):
                got += data
        except ConnectionError:
            return got, "reset"
        return got, "fin"
