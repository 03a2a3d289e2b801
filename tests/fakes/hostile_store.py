"""A store that speaks just enough tus to lie on demand.

`faults` maps what is asked (POST, HEAD, PATCH, DELETE, GET for bytes, RECEIPT) to the name of a fault; without one it
behaves. Names that fit any request: `status CODE [Header=value]`, `silence`, `drip`, `endless headers`,
`huge header`, `endless 1xx`, `not http`, `bomb`, `endless body`, `reset`. The others stand with what they belong to.
"""

import asyncio
import contextlib
import gzip
import json
import socket
import ssl
import struct
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.core.object import Digest
from agent.core.receipt import Statement
from agent.stores.receipts import ReceiptKeys, key_id

OTHER_DIGEST = Digest("ab" * 32)
_DRIP_S = 0.02
_BOMB = gzip.compress(bytes(32 << 20), 1)


@dataclass
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Kept:
    """One upload."""

    length: int
    data: bytearray = field(default_factory=bytearray)


class HostileStore:
    """Use as an async context manager; `elsewhere` is a second listener that nobody may ever talk to."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, **faults: str) -> None:
        self._tls = tls
        self.faults = faults
        self.asked: list[Asked] = []
        self.uploads: dict[str, Kept] = {}
        self.strangers = 0
        self.station = "hub7"
        self._key = Ed25519PrivateKey.generate()
        self.keys = ReceiptKeys({key_id(self._key.public_key()): self._key.public_key()})
        self._created = 0
        self._replay: bytes | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self._elsewhere = await asyncio.start_server(self._stranger, "127.0.0.1", 0)
        scheme = "https" if self._tls else "http"
        self.url = f"{scheme}://127.0.0.1:{_port(self._server)}/files/"
        self.elsewhere = f"http://127.0.0.1:{_port(self._elsewhere)}/files/stolen"
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in (self._server, self._elsewhere):
            server.close()
        for writer in self._writers:
            writer.transport.abort()

    def methods(self) -> list[str]:
        return [asked.method for asked in self.asked]

    def stored(self) -> list[bytes]:
        return [bytes(kept.data) for kept in self.uploads.values()]

    async def _stranger(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.strangers += 1
        writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                asked = _parse(await reader.readuntil(b"\r\n\r\n"))
                self.asked.append(asked)
                what = "RECEIPT" if asked.path.startswith("/receipts/") else asked.method
                await self._answer(what, asked, self.faults.get(what, ""), reader, writer)
                await writer.drain()
        writer.transport.abort()
        self._writers.discard(writer)

    async def _answer(
        self, what: str, asked: Asked, fault: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        early = fault.endswith("mid-body")
        if what == "PATCH":
            wanted = int(asked.headers["content-length"])
            asked.body = await reader.readexactly(wanted // 2 if early else wanted)
            if early:
                self._keep(asked, asked.body)
        if await self._misbehave(fault.removesuffix(" mid-body"), writer):
            return
        handler = {"POST": self._post, "HEAD": self._head, "PATCH": self._patch, "RECEIPT": self._receipt}
        reply = handler.get(what, self._bytes_or_delete)(asked, fault)
        if fault == "reset after body":
            _reset(writer)
        elif fault == "silence after body":
            await _silence()
        elif fault == "drip after body":
            await _drip(writer)
        else:
            writer.write(reply)

    async def _misbehave(self, fault: str, writer: asyncio.StreamWriter) -> bool:
        if fault.startswith("status "):
            _, code, *headers = fault.split(" ")
            lines = [header.replace("=", ": ", 1) for header in headers]
            writer.write(_reply(int(code), *lines))
            return True
        match fault:
            case "silence":
                await _silence()
            case "drip":
                await _drip(writer)
            case "reset":
                _reset(writer)
            case "not http":
                writer.write(b"220 welcome to the mail server\r\n\r\n")
                writer.close()
            case "huge header":
                writer.write(b"HTTP/1.1 200 OK\r\nX-Fill: " + b"x" * (10 << 20) + b"\r\n\r\n")
            case "endless headers" | "endless 1xx" | "endless body":
                await _flood(fault, writer)
            case "bomb":
                writer.write(_reply(200, "Content-Encoding: gzip", body=_BOMB))
            case _:
                return False
        return True

    def _post(self, asked: Asked, fault: str) -> bytes:
        """Faults: `location URL`."""
        name = f"u{self._created}"
        self._created += 1
        self.uploads[name] = Kept(int(asked.headers["upload-length"]))
        place = fault.removeprefix("location ") if fault else f"/files/{name}"
        return _reply(201, f"Location: {place}")

    def _head(self, asked: Asked, fault: str) -> bytes:
        """Faults: `offset TEXT`, `behind`, `length TEXT`."""
        kept = self.uploads.get(asked.path.rsplit("/", 1)[-1])
        if kept is None:
            return _reply(404)
        offset, length = str(len(kept.data)), str(kept.length)
        if fault == "behind":
            del kept.data[len(kept.data) // 3 :]
            offset = str(len(kept.data))
        elif fault.startswith("offset "):
            offset = fault.removeprefix("offset ")
        elif fault.startswith("length "):
            length = fault.removeprefix("length ")
        return _reply(200, f"Upload-Offset: {offset}", f"Upload-Length: {length}")

    def _patch(self, asked: Asked, fault: str) -> bytes:
        """Faults: `keep less`, `keep nothing`, `lie less`, `alter`, `claim more`."""
        body = bytearray(asked.body)
        start, whole = int(asked.headers["upload-offset"]), len(body)
        if start != len(self.uploads[asked.path.rsplit("/", 1)[-1]].data):
            return _reply(409)
        if fault == "alter":
            body[len(body) // 2] ^= 1
        if fault in ("keep less", "lie less"):
            del body[len(body) // 2 :]
        if fault == "keep nothing":
            body.clear()
        self._keep(asked, body)
        reached = start + (whole if fault == "lie less" else len(body)) + (5 if fault == "claim more" else 0)
        return _reply(204, f"Upload-Offset: {reached}")

    def _keep(self, asked: Asked, body: bytes | bytearray) -> None:
        self.uploads[asked.path.rsplit("/", 1)[-1]].data += body

    def _bytes_or_delete(self, asked: Asked, _fault: str) -> bytes:
        name = asked.path.rsplit("/", 1)[-1]
        if asked.method == "DELETE":
            return _reply(204 if self.uploads.pop(name, None) else 404)
        kept = self.uploads.get(name)
        return _reply(200, body=bytes(kept.data)) if kept else _reply(404)

    def _receipt(self, asked: Asked, fault: str) -> bytes:
        """Faults: `other` clip, size, station, upload, nonce, key; forged, edited, future, past, replayed, no json."""
        path, _, query = asked.path.partition("?nonce=")
        name = path.rsplit("/", 1)[-1]
        kept, now = self.uploads[name], datetime.now(UTC)
        key = Ed25519PrivateKey.generate() if fault == "other key" else self._key
        when = now + {"future": timedelta(hours=1), "past": timedelta(hours=-1)}.get(fault, timedelta())
        statement = Statement(
            station="hub9" if fault == "other station" else self.station,
            sha256=OTHER_DIGEST if fault == "other clip" else Digest(sha256(kept.data).hexdigest()),
            size_bytes=kept.length + (fault == "other size"),
            upload="u99" if fault == "other upload" else name,
            nonce="0" * 32 if fault == "other nonce" else query,
            issued_at=when,
            key=key_id(key.public_key()),
        )
        text = statement.text()
        signature = bytes(64) if fault == "forged" else key.sign(text.encode())
        if fault == "edited":
            text = text.replace(f"size {kept.length}", f"size {kept.length}0")
        body = json.dumps({"statement": text, "signature": b64encode(signature).decode()}).encode()
        self._replay = self._replay or body
        body = {"replayed": self._replay, "no json": b"<html>"}.get(fault, body)
        return _reply(200, body=body)


def _parse(head: bytes) -> Asked:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    pairs = (line.split(": ", 1) for line in lines if line)
    return Asked(method, path, {name.lower(): value for name, value in pairs})


def _reply(code: int, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {code} X", "Tus-Resumable: 1.0.0", *headers]
    if code != 204:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _silence() -> None:
    await asyncio.Event().wait()


async def _drip(writer: asyncio.StreamWriter) -> None:
    async for byte in _slowly(b"HTTP/1.1 200 OK\r\n" + b"X-Fill: x\r\n" * 10_000):
        writer.write(byte)
        await writer.drain()


async def _slowly(text: bytes) -> AsyncIterator[bytes]:
    for number in text:
        await asyncio.sleep(_DRIP_S)
        yield bytes([number])


async def _flood(fault: str, writer: asyncio.StreamWriter) -> None:
    first, again = {
        "endless headers": (b"HTTP/1.1 200 OK\r\n", b"X-Fill: x\r\n" * 1000),
        "endless 1xx": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        "endless body": (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", bytes(64 << 10)),
    }[fault]
    writer.write(first)
    while True:
        writer.write(again)
        await writer.drain()
        await asyncio.sleep(_DRIP_S if fault == "endless 1xx" else 0)


def _port(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])
