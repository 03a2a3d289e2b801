"""A station as the depot sees it: an HTTP client with a credential."""

import hashlib
import socket
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import httpx

from agent.depot.stations import enrol_station

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {"Content-Type": "application/offset+octet-stream"}
NONCE = "00112233445566778899aabbccddeeff"
TIMEOUT_S = 20


def pattern(length: int, seed: int = 1) -> bytes:
    """Bytes that repeat nowhere near a block's size, the same for the same seed."""
    block = hashlib.shake_256(seed.to_bytes(4, "big")).digest(65_537)
    return (block * (length // len(block) + 1))[:length]


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def label(**values: bytes | str) -> str:
    """An Upload-Metadata header."""
    raw = {key: value.encode() if isinstance(value, str) else value for key, value in values.items()}
    return ",".join(f"{key} {b64encode(value).decode()}" for key, value in raw.items())


@dataclass(frozen=True, slots=True)
class Station:
    """One station at a running depot."""

    http: httpx.Client
    url: str
    token: str

    @classmethod
    @contextmanager
    def with_token(cls, url: str, token: str) -> Iterator[Self]:
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=url.removesuffix("/files/"), headers=headers, timeout=TIMEOUT_S) as http:
            yield cls(http, url, token)

    @classmethod
    @contextmanager
    def enrolled(cls, url: str, place: Path, name: str, *, replace: bool = False) -> Iterator[Self]:
        with cls.with_token(url, enrol_station(place, name, datetime.now(UTC), replace=replace)) as station:
            yield station

    def create(self, length: int, **values: bytes | str) -> str:
        """Create an upload; its path."""
        headers = {**TUS, "Upload-Length": str(length), "Upload-Metadata": label(**values)}
        answer = self.http.post("/files/", headers=headers)
        assert answer.status_code == 201, answer.text
        return answer.headers["location"]

    def head(self, path: str) -> httpx.Response:
        return self.http.head(path, headers=TUS)

    def offset(self, path: str) -> int:
        answer = self.head(path)
        assert answer.status_code == 200, answer.status_code
        return int(answer.headers["upload-offset"])

    def patch(self, path: str, data: bytes | Iterator[bytes], offset: int = 0, **extra: str) -> httpx.Response:
        more = {name.replace("_", "-"): value for name, value in extra.items()}
        headers = {**TUS, **BYTES, "Upload-Offset": str(offset), **more}
        return self.http.patch(path, content=data, headers=headers)

    def upload(self, data: bytes, **values: bytes | str) -> str:
        """Bring `data` to the depot in one go; the upload's path."""
        path = self.create(len(data), **values)
        answer = self.patch(path, data)
        assert answer.status_code == 204, answer.text
        return path

    def receipt(self, path: str, nonce: str = NONCE) -> httpx.Response:
        return self.http.get(path.replace("/files/", "/receipts/"), params={"nonce": nonce})

    def begin_patch(self, path: str, announced: int, sent: bytes, offset: int = 0, *extra: str) -> socket.socket:
        """Begin a PATCH on a socket of its own, send some of its body, and leave it hanging."""
        lines = [
            f"PATCH {path} HTTP/1.1",
            "Host: depot",
            f"Authorization: Bearer {self.token}",
            "Tus-Resumable: 1.0.0",
            "Content-Type: application/offset+octet-stream",
            f"Upload-Offset: {offset}",
            f"Content-Length: {announced}",
            *extra,
        ]
        line = socket.create_connection((urlsplit(self.url).hostname, urlsplit(self.url).port), timeout=TIMEOUT_S)
        line.sendall("\r\n".join([*lines, "", ""]).encode() + sent)
        return line
