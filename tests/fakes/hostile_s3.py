"""A store that speaks just enough S3 to lie on demand.

`faults` maps what is asked (CREATE, LIST, PART, COMPLETE, ABORT, PUT, HEAD, GET) to a fault: bytes are the whole
answer, a text is one of tests.fakes.bad_answers; without one it behaves. It looks at no signature and no checksum,
as many servers do.
"""

import asyncio
import contextlib
import re
from collections.abc import Callable
from hashlib import md5
from typing import Self
from urllib.parse import parse_qs, urlsplit

from tests.fakes.bad_answers import misbehave, reply, reset
from tests.fakes.hostile_store import Asked

UPLOAD = "upload-of-the-test"
_ETAG = re.compile(rb"<PartNumber>(\d+)</PartNumber><ETag>&quot;([0-9a-f]+)&quot;")
_PAGE = 3
"""Parts in one answer: fewer than are asked for, as a server may."""


class HostileS3:
    """Use as an async context manager. `lose_answer_to` breaks the line once after that request was carried out.

    The answer to part `late_part` is held back until a later part has come.
    """

    def __init__(self) -> None:
        self.faults: dict[str, str | bytes] = {}
        self.asked: list[str] = []
        self.requests: list[Asked] = []
        self.parts: dict[int, bytes] = {}
        self.open = False
        self.objects: dict[str, bytes] = {}
        self.most_bytes: int | None = None  # a body with more is too large
        self.lose_answer_to = ""
        self.late_part = 0
        self._overtaken = asyncio.Event()
        self.parts_in_page = _PAGE
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 20)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/bucket"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while True:
                    asked = await _next(reader)
                    what, answer = self._carry_out(asked)
                    self.asked.append(what)
                    self.requests.append(asked)
                    await self._hold_back(asked)
                    fault = self.faults.get(what)
                    if what == self.lose_answer_to:
                        self.lose_answer_to = ""
                        reset(writer)
                    elif isinstance(fault, bytes):
                        writer.write(fault)
                    elif fault is None or not await misbehave(fault, writer):
                        writer.write(answer)
                    await writer.drain()
        finally:
            writer.transport.abort()
            self._writers.discard(writer)

    async def _hold_back(self, asked: Asked) -> None:
        number = int(parse_qs(urlsplit(asked.path).query).get("partNumber", ["0"])[0])
        if number > self.late_part:
            asyncio.get_running_loop().call_later(0.2, self._overtaken.set)  # its own answer goes first
        elif number and number == self.late_part:
            await self._overtaken.wait()

    def _carry_out(self, asked: Asked) -> tuple[str, bytes]:
        query = {
            name: values[0] for name, values in parse_qs(urlsplit(asked.path).query, keep_blank_values=True).items()
        }
        path = urlsplit(asked.path).path
        match asked.method:
            case "POST" if "uploads" in query:
                return "CREATE", self._unless("CREATE", self._create)
            case "POST":
                return "COMPLETE", self._unless("COMPLETE", lambda: self._complete(path, asked))
            case "PUT" if self._too_large(asked):
                return "LARGE", reply(413)
            case "PUT" if "partNumber" in query:
                return "PART", self._unless("PART", lambda: self._part(int(query["partNumber"]), asked.body))
            case "PUT":
                return "PUT", self._unless("PUT", lambda: self._put(path, asked))
            case "DELETE":
                return "ABORT", self._unless("ABORT", self._abort)
            case "GET" if "uploadId" in query:
                return "LIST", self._unless("LIST", lambda: self._list(int(query["part-number-marker"])))
            case _:
                return asked.method, self._object(path, asked.method)

    def _too_large(self, asked: Asked) -> bool:
        return self.most_bytes is not None and len(asked.body) > self.most_bytes

    def _unless(self, what: str, act: Callable[[], bytes]) -> bytes:
        return b"" if what in self.faults else act()

    def _create(self) -> bytes:
        self.open, self.parts = True, {}
        return xml(f"<InitiateMultipartUploadResult><UploadId>{UPLOAD}</UploadId></InitiateMultipartUploadResult>")

    def _part(self, number: int, body: bytes) -> bytes:
        if not self.open:
            return error(404, "NoSuchUpload")
        self.parts[number] = body
        return reply(200, f'ETag: "{tag(body)}"')

    def _list(self, after: int) -> bytes:
        if not self.open:
            return error(404, "NoSuchUpload")
        numbers = sorted(number for number in self.parts if number > after)
        page = numbers[: self.parts_in_page]
        parts = "".join(
            f"<Part><PartNumber>{n}</PartNumber><ETag>&quot;{tag(self.parts[n])}&quot;</ETag>"
            f"<Size>{len(self.parts[n])}</Size></Part>"
            for n in page
        )
        more = "true" if len(numbers) > len(page) else "false"
        end = f"<IsTruncated>{more}</IsTruncated><NextPartNumberMarker>{(page or [0])[-1]}</NextPartNumberMarker>"
        return xml(f"<ListPartsResult>{parts}{end}</ListPartsResult>")

    def _complete(self, path: str, asked: Asked) -> bytes:
        if not self.open:
            return error(404, "NoSuchUpload")
        if asked.headers.get("if-none-match") == "*" and path in self.objects:
            return error(412, "PreconditionFailed")
        named = [(int(number), etag.decode()) for number, etag in _ETAG.findall(asked.body)]
        if [number for number, etag in named if tag(self.parts.get(number, b"")) != etag]:
            return error(400, "InvalidPart")
        self.objects[path] = b"".join(self.parts[number] for number, _ in named)
        self.open = False
        return xml("<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>")

    def _put(self, path: str, asked: Asked) -> bytes:
        if asked.headers.get("if-none-match") == "*" and path in self.objects:
            return error(412, "PreconditionFailed")
        self.objects[path] = asked.body
        return reply(200, f'ETag: "{tag(asked.body)}"')

    def _abort(self) -> bytes:
        self.open, self.parts = False, {}
        return reply(204)

    def _object(self, path: str, method: str) -> bytes:
        body = self.objects.get(path)
        if body is None:
            return reply(404)
        return reply(200, body=body) if method == "GET" else reply(200, body=body)[: -len(body) or None]


def tag(body: bytes) -> str:
    return md5(body, usedforsecurity=False).hexdigest()


def xml(text: str, code: int = 200, *headers: str) -> bytes:
    return reply(code, *headers, body=b'<?xml version="1.0" encoding="UTF-8"?>\n' + text.encode())


def error(code: int, name: str, *headers: str) -> bytes:
    return xml(f"<Error><Code>{name}</Code><Message>secret words of the store</Message></Error>", code, *headers)


async def _next(reader: asyncio.StreamReader) -> Asked:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines if line)}
    return Asked(method, path, headers, await reader.readexactly(int(headers.get("content-length", 0))))
