"""Who may ask, and what every answer carries."""

import asyncio
from pathlib import Path

import pytest

from tests.fakes.desk import FakeDesk, bay_view
from tests.web.serving import serving

ROUTES = [
    "/",
    "/static/page.css",
    "/static/page.js",
    "/static/icon.svg",
    "/static/none",
    "/metrics",
    "/nowhere",
    *(f"/api/v1/{name}" for name in ("station", "bays", "clips", "queue", "events", "custody", "health")),
    "/api/v1/clips?limit=x",
]
EXPECTED = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'; form-action 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def missing(headers: list[tuple[str, str]]) -> set[str]:
    """Names of expected headers that are not there exactly once with their value."""
    return {name for name, value in EXPECTED.items() if [v for n, v in headers if n.lower() == name] != [value]}


@pytest.mark.parametrize("route", ROUTES)
async def test_every_answer_carries_the_headers_and_opens_to_no_other_site(tmp_path: Path, route: str) -> None:
    async with serving(FakeDesk(bay_view("1")), tmp_path) as api:
        for client in (api.page, api.orders):
            for method in ("GET", "HEAD", "POST", "OPTIONS"):
                answer = await client.request(method, route, headers={"Origin": "http://evil.example"})
                assert missing(answer.headers.multi_items()) == set()
                assert not [name for name in answer.headers if name.startswith("access-control-")]
                assert "server" not in answer.headers


async def test_a_stream_and_a_crash_carry_the_headers_too(tmp_path: Path) -> None:
    desk = FakeDesk()
    async with serving(desk, tmp_path) as api:
        async with api.page.stream("GET", "/api/v1/stream") as stream:
            assert missing(stream.headers.multi_items()) == set()
            assert stream.headers["content-type"] == "text/event-stream"
        desk.failure = RuntimeError("crash")
        crash = await api.page.get("/api/v1/bays")
    assert crash.status_code == 500
    assert missing(crash.headers.multi_items()) == set()


@pytest.mark.parametrize("host", ["127.0.0.1", "LOCALHOST:8420", "localhost", "[::1]:1", "127.0.0.1:65535"])
async def test_loopback_names_are_answered(tmp_path: Path, host: str) -> None:
    async with serving(FakeDesk(), tmp_path) as api:
        assert (await api.page.get("/", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8420",
        "127.0.0.1.evil.example",
        "localhost.",
        "localhost@evil.example",
        "127.0.0.1:8420:1",
        "127.0.0.1, evil.example",
        "127.0.0.2",
        "[::2]",
        "",
    ],
)
@pytest.mark.parametrize("route", ["/", "/metrics", "/api/v1/bays", "/api/v1/stream", "/nowhere"])
async def test_a_foreign_host_name_is_turned_away_before_any_route(tmp_path: Path, host: str, route: str) -> None:
    desk = FakeDesk()
    async with serving(desk, tmp_path) as api:
        answer = await api.page.get(route, headers={"Host": host})
    assert answer.status_code == 421
    assert desk.views_made == 0


@pytest.mark.parametrize("heads", ["", "Host: localhost\r\nHost: evil.example\r\n"])
async def test_no_host_name_or_two_are_turned_away(tmp_path: Path, heads: str) -> None:
    async with serving(FakeDesk(), tmp_path) as api, asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(f"GET /api/v1/bays HTTP/1.1\r\n{heads}\r\n".encode())
        status = await reader.readline()
        writer.close()
    assert status.split()[1] == b"421"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("route", ["/api/v1/actions/seize", "/api/v1/offload", "/api/v1/bays", "/"])
async def test_the_page_s_listener_takes_no_order(tmp_path: Path, method: str, route: str) -> None:
    desk = FakeDesk()
    async with serving(desk, tmp_path) as api:
        answer = await api.page.request(method, route, content=b'{"camera": "X1"}')
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert desk.asked == []


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_another_site_s_page_gets_nothing_but_may_link_here(tmp_path: Path, site: str) -> None:
    async with serving(FakeDesk(), tmp_path) as api:
        fetched = await api.page.get("/api/v1/stream", headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"})
        linked = await api.page.get("/", headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"})
    assert fetched.status_code == 403
    assert linked.status_code == 200
