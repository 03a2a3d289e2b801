"""A content destination, written from the specification: Swift-like, strict with its clients, bad on demand.

Whatever a client does wrong (order, encoding, bounds, names) is kept in `broken`; tests want it to be empty. `faults`
maps the beginning of a path, or a method and the beginning of a path (`PUT /v1/...`), to a status or to one of
tests.fakes.bad_answers; the longest that fits holds. `lose_answer_to` breaks the line once after such a request was
carried out. `takes_reads` false: only the two published files can be fetched, as with the published example server.
"""

import asyncio
import contextlib
import json
import secrets
import ssl
from dataclasses import dataclass, field
from hashlib import md5
from typing import Any, Self
from urllib.parse import unquote

from tests.fakes.axis_rules import (
    BOOKMARK,
    RECORDING,
    REJECTED,
    broken_by_container,
    broken_by_headers,
    broken_by_object,
    metadata,
)
from tests.fakes.bad_answers import misbehave, reset
from tests.fakes.hostile_store import Asked

USER, KEY = "station one", "key-of-the-station"
ACCOUNT = "/v1/AUTH_site"
_PIECE = 64 << 10
_PUBLISHED = frozenset({"System/Capabilities.json", "System/Categories.json"})


@dataclass
class Stored:
    """One object."""

    data: bytes
    meta: dict[str, str]


@dataclass
class Container:
    """One container; `complete` once it said so."""

    meta: dict[str, str] = field(default_factory=dict)
    objects: dict[str, Stored] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return self.meta.get("status") == "Complete"


class AxisServer:
    """Use as an async context manager."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, capabilities: tuple[str, ...] | None = ()) -> None:
        """`capabilities` None: there is no such file."""
        self._tls = tls
        self.faults: dict[str, int | str] = {}
        self.lose_answer_to = ""
        self.takes_reads = True
        self.takes_heads = True
        self.rejects = ""  # what a path holds that it can never store
        self.storage: str | None = None  # what is named as X-Storage-Url
        self.expire_at_bytes: int | None = None  # the token ends once so much of a clip came
        self.etags: dict[str, str] = {}  # what is told of an object, by how its name ends
        self.asked: list[Asked] = []
        self.broken: list[str] = []
        self.strangers = 0
        self.containers: dict[str, Container] = {}
        self._tokens: set[str] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        if capabilities is not None:
            said = json.dumps({"Store": dict.fromkeys(capabilities, True), "Read": {}, "StoreAndRead": {}})
            self.publish("Capabilities.json", said.encode())

    def publish(self, name: str, data: bytes) -> None:
        self.containers.setdefault("System", Container()).objects[name] = Stored(data, {})

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 20, ssl=self._tls)
        self._elsewhere = await asyncio.start_server(self._stranger, "127.0.0.1", 0)
        self.origin = f"http{'s' if self._tls else ''}://127.0.0.1:{_port(self._server)}"
        self.elsewhere = f"http://127.0.0.1:{_port(self._elsewhere)}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._elsewhere.close()
        for writer in self._writers:
            writer.transport.abort()

    def expire(self) -> None:
        """No token given so far is good any more."""
        self._tokens.clear()

    def lines(self) -> list[str]:
        """What was asked, as method and path without the account."""
        return [f"{asked.method} {asked.path.removeprefix(ACCOUNT)}" for asked in self.asked]

    def clips(self) -> dict[str, Stored]:
        """The clips in all recordings, finished or not, by container and name."""
        return {
            f"{place}/{name}": stored
            for place, container in self.containers.items()
            if RECORDING.fullmatch(place) or REJECTED.fullmatch(place)
            for name, stored in container.objects.items()
            if not name.endswith(".key") and not BOOKMARK.fullmatch(name)
        }

    async def _stranger(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.strangers += 1
        writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._one(reader, writer):
                    await writer.drain()
        finally:
            writer.transport.abort()
            self._writers.discard(writer)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        asked = _parsed(await reader.readuntil(b"\r\n\r\n"))
        self.asked.append(asked)
        low = {name.lower(): value for name, value in asked.headers.items()}
        fault = self._fault(asked)
        if isinstance(fault, str):
            if not await misbehave(fault, writer):
                raise AssertionError(fault)
            return not fault.startswith("status") or not low.get("content-length", "0").strip("0")
        body = await self._body(reader, int(low.get("content-length", 0)), is_clip=asked.path.count("/") > 3)
        if body is None:
            self.expire()
            writer.write(_reply(401, "Connection: close"))
            await writer.drain()
            return False
        asked.body = body
        answer = _reply(fault) if fault is not None else self._answer(asked, low)
        line = f"{asked.method} {asked.path}"
        if self.lose_answer_to and self.lose_answer_to in line:
            self.lose_answer_to = ""
            reset(writer)
            return False
        writer.write(answer)
        return True

    def _fault(self, asked: Asked) -> int | str | None:
        lines = asked.path, f"{asked.method} {asked.path}"
        fits = [start for start in self.faults if any(line.startswith(start) for line in lines)]
        return self.faults[max(fits, key=len)] if fits else None

    async def _body(self, reader: asyncio.StreamReader, length: int, *, is_clip: bool) -> bytes | None:
        """The whole body; None once the token has expired in its midst. One that ends early is nothing at all."""
        body = bytearray()
        while len(body) < length:
            body += await reader.readexactly(min(_PIECE, length - len(body)))
            if is_clip and self.expire_at_bytes is not None and len(body) >= self.expire_at_bytes:
                self.expire_at_bytes = None
                return None
        return bytes(body)

    def _answer(self, asked: Asked, low: dict[str, str]) -> bytes:
        if asked.path == "/auth/v1.0":
            return self._log_in(asked, low)
        if "x-auth-key" in low or "x-auth-user" in low:
            self.broken.append(f"the password was sent to {asked.path}")
        if low.get("x-auth-token") not in self._tokens:
            return _reply(401)
        if not asked.path.startswith(f"{ACCOUNT}/"):
            return _reply(404)
        container, slash, name = asked.path.removeprefix(f"{ACCOUNT}/").partition("/")
        if "/" in name or "?" in name:
            self.broken.append(f"a path that has too many parts: {asked.path}")
            return _reply(400)
        self.broken += broken_by_headers(asked.headers)
        if self.rejects and self.rejects in asked.path and asked.method in ("PUT", "POST"):
            return _reply(400)
        act = self._on_object if slash else self._on_container
        return act(asked.method, unquote(container), unquote(name), low, asked.body)

    def _log_in(self, asked: Asked, low: dict[str, str]) -> bytes:
        if asked.method != "GET" or (low.get("x-auth-user"), low.get("x-auth-key")) != (USER, KEY):
            return _reply(401)
        token = secrets.token_urlsafe(24)
        self._tokens.add(token)
        storage = self.storage or f"{self.origin}{ACCOUNT}"
        return _reply(200, f"X-Auth-Token: {token}", f"X-Storage-Url: {storage}", "Content-Type: text/html")

    def _on_container(self, method: str, name: str, _name: str, low: dict[str, str], _body: bytes) -> bytes:
        found = self.containers.get(name)
        meta = metadata(low)
        match method:
            case "PUT":
                if found is None:
                    self.broken += broken_by_container(name, meta)
                    if RECORDING.fullmatch(name) and not self._knows(name):
                        self.broken.append(f"the user or camera of {name} was not entered before")
                        return _reply(400)
                elif found.complete:
                    self.broken.append(f"{name} was complete and is written to")
                self.containers.setdefault(name, Container()).meta.update(meta)
                return _reply(201 if found is None else 202, "Content-Type: text/html")
            case "POST" if found is not None:
                if found.complete:
                    self.broken.append(f"{name} was complete and is written to")
                if meta.get("status") == "Complete" and not found.objects:
                    self.broken.append(f"{name} is called complete and holds nothing")
                found.meta.update(meta)
                return _reply(204)
            case "HEAD" if not self.takes_heads:
                return _reply(405)
            case "HEAD" if found is not None:
                return _reply(204, *(f"X-Container-Meta-{key}: {value}" for key, value in found.meta.items()))
        return _reply(404)

    def _on_object(self, method: str, place: str, name: str, low: dict[str, str], body: bytes) -> bytes:
        container = self.containers.get(place)
        if container is None:
            if method == "PUT":
                self.broken.append(f"{place}/{name} comes before its container")
            return _reply(404)
        found = container.objects.get(name)
        match method:
            case "PUT":
                return self._put(place, container, name, low, body)
            case "HEAD" if not self.takes_heads:
                return _reply(405)
            case "GET" if not self.takes_reads and f"{place}/{name}" not in _PUBLISHED:
                return _reply(403)
            case "HEAD" | "GET" if found is not None:
                etag = self._etag(name, found.data)
                meta = [f"X-Object-Meta-{key}: {value}" for key, value in found.meta.items() if value.isascii()]
                whole = _reply(200, f"ETag: {etag}", *meta, body=found.data)
                return whole if method == "GET" else whole[: len(whole) - len(found.data)]
        return _reply(404)

    def _put(self, place: str, container: Container, name: str, low: dict[str, str], body: bytes) -> bytes:
        self.broken += broken_by_object(place, name, metadata(low))
        etag = md5(body, usedforsecurity=False).hexdigest()
        if container.complete:
            self.broken.append(f"{place} was complete and {name} is put into it")
        if low.get("etag", etag) != etag:
            return _reply(422)
        if low.get("if-none-match") == "*" and name in container.objects:
            return _reply(412)
        container.objects[name] = Stored(body, metadata(low))
        return _reply(201, f"ETag: {self._etag(name, body)}", "Content-Type: text/html")

    def _etag(self, name: str, data: bytes) -> str:
        told = [etag for ending, etag in self.etags.items() if name.endswith(ending)]
        return told[0] if told else md5(data, usedforsecurity=False).hexdigest()

    def _knows(self, recording: str) -> bool:
        user, serial = recording.split("_")[:2]
        known = {place: self.containers.get(place, Container()).objects for place in ("Users", "Devices")}
        return user in known["Users"] and serial in known["Devices"]


def connection(server: AxisServer, **more: Any) -> dict[str, Any]:
    """What its connection file says."""
    return {
        "ConnectionFileVersion": "1.0",
        "SiteName": "test site",
        "ApplicationName": "a destination",
        "ApplicationVersion": "1.0",
        "ContentDestinationAsNTPServer": False,
        "AuthenticationTokenURI": [f"{server.origin}/auth/v1.0"],
        "BlobAPIKey": KEY,
        "BlobAPIUserName": USER,
        **more,
    }


def _parsed(head: bytes) -> Asked:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    return Asked(method, path, dict(line.split(": ", 1) for line in lines if line))


def _reply(status: int, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {status} X", *headers]
    if status != 204:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("ascii", "replace") + body


def _port(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])
