"""Answers that no client can use: they never come, never end, or are no answers."""

import asyncio
import gzip
import socket
import struct

SLOW_S = 0.02
_BOMB = gzip.compress(bytes(32 << 20), 1)
_FLOODS = {
    "endless headers": (b"HTTP/1.1 200 OK\r\n", b"X-Fill: x\r\n" * 5000),
    "huge header": (b"HTTP/1.1 200 OK\r\nX-Fill: ", b"x" * (64 << 10)),
    "endless 1xx": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "flood of 1xx": (b"", b"HTTP/1.1 103 Early Hints\r\nX-Fill: x\r\n\r\n" * 1000),
    "endless body": (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", bytes(64 << 10)),
    "endless error": (b"HTTP/1.1 500 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + bytes(4096) + b"\r\n"),
}


def reply(code: int, *headers: str, body: bytes = b"") -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {code} X", "Tus-Resumable: 1.0.0", *headers]
    if code != 204:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def misbehave(fault: str, writer: asyncio.StreamWriter) -> bool:
    """Do what a fault that fits any request says; False when it is none."""
    if fault.startswith("status "):
        _, code, *headers = fault.split(" ")
        writer.write(reply(int(code), *(header.replace("=", ": ", 1) for header in headers)))
        return True
    match fault:
        case "silence":
            await asyncio.Event().wait()
        case "drip":
            await drip(writer)
        case "reset":
            reset(writer)
        case "not http":
            writer.write(b"220 welcome to the mail server\r\n\r\n")
            writer.close()
        case "bomb":
            writer.write(reply(200, "Content-Encoding: gzip", body=_BOMB))
        case _ if fault in _FLOODS:
            await _flood(fault, writer)
        case _:
            return False
    return True


def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with a RST."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def drip(writer: asyncio.StreamWriter) -> None:
    """Answer byte by byte, which never leads to an end."""
    for number in b"HTTP/1.1 200 OK\r\n" + b"X-Fill: x\r\n" * 10_000:
        await asyncio.sleep(SLOW_S)
        writer.write(bytes([number]))
        await writer.drain()


async def sip(reader: asyncio.StreamReader, length: int) -> bytes:
    """Take a body byte by byte."""
    body = b""
    while len(body) < length:
        await asyncio.sleep(SLOW_S)
        body += await reader.readexactly(1)
    return body


async def _flood(fault: str, writer: asyncio.StreamWriter) -> None:
    first, again = _FLOODS[fault]
    writer.write(first)
    while True:
        writer.write(again)
        await writer.drain()
        await asyncio.sleep(SLOW_S if fault == "endless 1xx" else 0)
