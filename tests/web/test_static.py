"""Static files are found by name alone."""

import asyncio
from itertools import product
from pathlib import Path

import pytest

from tests.fakes.desk import FakeDesk
from tests.web.serving import Api, serving

SECRET = b"create_app"
UPS = [
    "..", "%2e%2e", "%2E.", ".%2e", "%252e%252e", "..;", "..%00", "%c0%ae%c0%ae", "%uff0e%uff0e", "%e0%80%ae%e0%80%ae",
    "....", ". .", "..%20", "%ef%bc%8e%ef%bc%8e",
]  # fmt: skip
SLASHES = ["/", "%2f", "%5c", "\\", "%252f", "//", "/./", "%c0%af"]
TARGETS = ["application.py", "templates/page.html"]
CORPUS = [
    *(f"/static/{up}{slash}{target}" for up, slash, target in product(UPS, SLASHES, TARGETS)),
    "/static//etc/passwd",
    "/static/%2fetc%2fpasswd",
    "/static/file:///etc/passwd",
    "/static/page.css%00.html",
    "/static/page.css/",
    "/static/page.css/../page.html",
    "/static/./page.css",
    "/static/PAGE.CSS",
    "/static/",
    "/static",
    "/static/..",
    "/static/" + "../" * 40 + "etc/passwd",
    "/static/" + "a" * 4000,
    "/../application.py",
    "/templates/page.html",
]


async def fetch(api: Api, target: str) -> bytes:
    """Ask for exactly these bytes: a client library would tidy them up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    try:
        writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode("latin-1"))
        async with asyncio.timeout(5):
            return await reader.read()
    finally:
        writer.close()


async def test_no_spelling_of_a_path_leaves_the_static_files(tmp_path: Path) -> None:
    assert len(CORPUS) > 200
    async with serving(FakeDesk(), tmp_path) as api:
        for target in CORPUS:
            answer = await fetch(api, target)
            assert answer.split(b" ", 2)[1] in (b"404", b"400"), target
            assert SECRET not in answer
            assert b"root:" not in answer


@pytest.mark.parametrize(
    ("name", "kind"), [("page.css", "text/css"), ("page.js", "text/javascript"), ("icon.svg", "image/svg+xml")]
)
async def test_the_static_files_are_there(tmp_path: Path, name: str, kind: str) -> None:
    async with serving(FakeDesk(), tmp_path) as api:
        answer = await api.page.get(f"/static/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    assert answer.content
