"""A store that speaks just enough tus to lie on demand.

`faults` maps what is asked (POST, HEAD, PATCH, DELETE, GET for bytes, RECEIPT) to the name of a fault; without one it
behaves. Faults that fit any request are those of tests.fakes.bad_answers; with ` mid-body` behind them they come after
half of a PATCH. The others stand with what they belong to.
"""

import asyncio
import contextlib
import json
import ssl
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import sha256
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.core.object import Digest
from agent.core.receipt import Statement
from agent.stores.receipts import ReceiptKeys, key_id
from tests.fakes.bad_answers import drip, misbehave, reply, reset, sip

OTHER_DIGEST = Digest("ab" * 32)


@dataclass
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Kept:
    """One upload; `announced` is the digest that the station named."""

    length: int
    announced: str = ""
    data: bytearray = field(default_factory=bytearray)


class HostileStore:
    """Use as an async context manager; `elsewhere` is a second listener that nobody may ever talk to.

    `only`: the digest of the one object that faults concern; None means every request. `token`: the only credential
    that is accepted; None means any.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, **faults: str) -> None:
        self._tls = tls
        self.faults = faults
        self.only: str | None = None
        self.token: str | None = None
        self.expires: datetime | None = None
        self.asked: list[Asked] = []
        self.uploads: dict[str, Kept] = {}
        self.most_bytes: int | None = None  # a body with more is too large
        self.strangers = 0
        self.station = "hub7"
        self._key = Ed25519PrivateKey.generate()
        self.keys = ReceiptKeys({key_id(self._key.public_key()): self._key.public_key()})
        self._created = 0
        self._replay: bytes | None = None
        self._port = 0
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        await self.up()
        self._elsewhere = await asyncio.start_server(self._stranger, "127.0.0.1", 0)
        scheme = "https" if self._tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._port}/files/"
        self.elsewhere = f"http://127.0.0.1:{_port(self._elsewhere)}/files/stolen"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._elsewhere.close()
        self.down()

    async def up(self, tls: ssl.SSLContext | None = None) -> None:
        """Listen, after the first time on the same port again; `tls` replaces the certificate."""
        self._tls = tls or self._tls
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, ssl=self._tls)
        self._port = _port(self._server)

    def down(self) -> None:
        """Listen no more, and end what is connected."""
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    def receipt_key(self) -> bytes:
        """The public key of its receipts, as PEM."""
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def methods(self) -> list[str]:
        """What was asked about uploads, in order; what the store can do is asked once and is no part of it."""
        return [asked.method for asked in self.asked if asked.method != "OPTIONS"]

    def times_asked(self, method: str) -> int:
        """How often this was asked."""
        return [asked.method for asked in self.asked].count(method)

    def stored(self) -> list[bytes]:
        return [bytes(kept.data) for kept in self.uploads.values()]

    async def _stranger(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.strangers += 1
        writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while True:
                    asked = _parse(await reader.readuntil(b"\r\n\r\n"))
                    self.asked.append(asked)
                    what = "RECEIPT" if asked.path.startswith("/receipts/") else asked.method
                    await self._answer(what, asked, self._fault(what, asked), reader, writer)
                    await writer.drain()
        finally:
            writer.transport.abort()
            self._writers.discard(writer)

    def _fault(self, what: str, asked: Asked) -> str:
        concerned = self.only is None or self.only == self._announced(asked)
        return self.faults.get(what, "") if concerned else ""

    def _announced(self, asked: Asked) -> str:
        """The digest of the object that a request is about."""
        metadata = asked.headers.get("upload-metadata")
        if metadata is not None:
            pairs = dict(pair.partition(" ")[::2] for pair in metadata.split(","))
            return b64decode(pairs.get("sha256", "")).decode()
        name = asked.path.partition("?")[0].rsplit("/", 1)[-1]
        return self.uploads[name].announced if name in self.uploads else name

    async def _answer(
        self, what: str, asked: Asked, fault: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self.token is not None and asked.headers.get("authorization") != f"Bearer {self.token}":
            fault = "status 401 mid-body" if what == "PATCH" else "status 401"
        early, wanted = fault.endswith("mid-body"), int(asked.headers.get("content-length", 0))
        if fault == "sip":
            await sip(reader, wanted)
        elif what in ("PATCH", "POST"):
            asked.body = await reader.readexactly(wanted // 2 if early else wanted)
            if early and what == "PATCH":
                self._keep(asked, asked.body)
        if await misbehave(fault.removesuffix(" mid-body"), writer):
            if early:
                await reader.readexactly(wanted - wanted // 2)  # as servers do, so that their answer is not lost
            return
        handler = {"POST": self._post, "HEAD": self._head, "PATCH": self._patch, "RECEIPT": self._receipt}
        answer = handler.get(what, self._bytes_or_delete)(asked, fault)
        if fault == "reset after body":
            reset(writer)
        elif fault == "silence after body":
            await asyncio.Event().wait()
        elif fault == "drip after body":
            await drip(writer)
        else:
            writer.write(answer)

    def _post(self, asked: Asked, fault: str) -> bytes:
        """Faults: `location URL`. Bytes that come with it are kept, and said to be unless the fault is `silent`."""
        if self.most_bytes is not None and len(asked.body) > self.most_bytes:
            return reply(413)
        name = f"u{self._created}"
        self._created += 1
        self.uploads[name] = Kept(int(asked.headers["upload-length"]), self._announced(asked))
        self.uploads[name].data += asked.body
        place = fault.removeprefix("location ") if fault.startswith("location") else f"/files/{name}"
        taken = [f"Upload-Offset: {len(asked.body)}"] if "content-type" in asked.headers and fault != "silent" else []
        return reply(201, f"Location: {place}", *taken, *self._expiry())

    def _head(self, asked: Asked, fault: str) -> bytes:
        """Faults: `offset TEXT`, `behind`, `length TEXT`."""
        kept = self.uploads.get(asked.path.rsplit("/", 1)[-1])
        if kept is None:
            return reply(404)
        offset, length = str(len(kept.data)), str(kept.length)
        if fault == "behind":
            del kept.data[len(kept.data) // 3 :]
            offset = str(len(kept.data))
        elif fault.startswith("offset "):
            offset = fault.removeprefix("offset ")
        elif fault.startswith("length "):
            length = fault.removeprefix("length ")
        return reply(200, f"Upload-Offset: {offset}", f"Upload-Length: {length}", *self._expiry())

    def _expiry(self) -> list[str]:
        return [f"Upload-Expires: {format_datetime(self.expires, usegmt=True)}"] if self.expires else []

    def _patch(self, asked: Asked, fault: str) -> bytes:
        """Faults: `keep less|nothing`, `lie less`, `alter`, `hole`, `claim more`, `keep and deny`, `keep and 202`.

        `forget`: this once, the upload is gone.
        """
        if fault == "forget":
            del self.uploads[asked.path.rsplit("/", 1)[-1]], self.faults["PATCH"]
            return reply(404)
        if self.most_bytes is not None and len(asked.body) > self.most_bytes:
            return reply(413)
        body = bytearray(asked.body)
        start, whole = int(asked.headers["upload-offset"]), len(body)
        if start != len(self.uploads[asked.path.rsplit("/", 1)[-1]].data):
            return reply(409)
        if fault == "alter":
            body[len(body) // 2] ^= 1
        if fault == "hole":
            body[len(body) // 3 : len(body) // 2] = bytes(len(body) // 2 - len(body) // 3)
        if fault in ("keep less", "lie less"):
            del body[len(body) // 2 :]
        if fault == "keep nothing":
            body.clear()
        self._keep(asked, body)
        if fault in ("keep and deny", "keep and 202"):
            return reply(460 if fault == "keep and deny" else 202)
        reached = start + (whole if fault == "lie less" else len(body)) + (5 if fault == "claim more" else 0)
        return reply(204, f"Upload-Offset: {reached}", *self._expiry())

    def _keep(self, asked: Asked, body: bytes | bytearray) -> None:
        self.uploads[asked.path.rsplit("/", 1)[-1]].data += body

    def _bytes_or_delete(self, asked: Asked, _fault: str) -> bytes:
        name = asked.path.rsplit("/", 1)[-1]
        if asked.method == "DELETE":
            return reply(204 if self.uploads.pop(name, None) else 404)
        kept = self.uploads.get(name)
        return reply(200, body=bytes(kept.data)) if kept else reply(404)

    def _receipt(self, asked: Asked, fault: str) -> bytes:
        """Faults: `other` clip, size, station, upload, nonce, key; forged, edited, future, past, replayed, no json."""
        path, _, query = asked.path.partition("?nonce=")
        name = path.rsplit("/", 1)[-1]
        if "/by-digest/" in path:
            name = self._holding(name)
        if name not in self.uploads:
            return reply(404)
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
        return reply(200, body=body)

    def _holding(self, digest: str) -> str:
        """The upload that holds the object, or nothing."""
        found = (name for name, kept in self.uploads.items() if sha256(kept.data).hexdigest() == digest)
        return next(found, "")


def _parse(head: bytes) -> Asked:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    pairs = (line.split(": ", 1) for line in lines if line)
    return Asked(method, path, {name.lower(): value for name, value in pairs})


def _port(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])
