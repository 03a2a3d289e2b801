"""The listeners: where they open, whom they bear, and how they end."""

import asyncio
import os
import signal
import socket
import stat
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from agent.core.errors import ConfigError
from agent.web import connection
from agent.web.listener import AddressTaken
from agent.web.serve import serve
from tests.fakes.desk import FakeDesk, bay_view
from tests.web.events import watching
from tests.web.serving import serving, until

HAS_IPV6 = Path("/proc/net/if_inet6").exists()


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.parametrize(
    "listen",
    ["0.0.0.0:0", "192.0.2.7:8420", "[::]:0", "example.org:80", "127.0.0.1", "127.0.0.1:70000", ":8420", "", "1:2:3"],
)
async def test_only_a_loopback_address_is_listened_on(tmp_path: Path, listen: str) -> None:
    with pytest.raises(ConfigError, match="listen") as caught:
        await serve(FakeDesk(), listen=listen, socket=tmp_path / "s", stop=asyncio.Event())
    assert "127.0.0.1:8420" in caught.value.hint
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("listen", ["localhost:0", "127.0.0.5:0", "[::1]:0"])
async def test_any_loopback_address_will_do(tmp_path: Path, listen: str) -> None:
    if listen.startswith("[") and not HAS_IPV6:
        pytest.skip("this machine has no IPv6")
    async with serving(FakeDesk(), tmp_path, listen) as api:
        assert (await api.page.get("/api/v1/bays")).status_code == 200


async def test_a_port_in_use_is_said_plainly(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(AddressTaken, match=f"Cannot listen on {listen}: Address already in use"):
            await serve(FakeDesk(), listen=listen, socket=tmp_path / "s", stop=asyncio.Event())


async def test_the_socket_is_for_owner_and_group_and_goes_with_the_agent(tmp_path: Path) -> None:
    async with serving(FakeDesk(), tmp_path) as api:
        mode = api.socket.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o660
        assert names_in(tmp_path) == [api.socket.name]
    assert names_in(tmp_path) == []


async def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "api.sock"))
    async with serving(FakeDesk(), tmp_path) as api:
        assert (await api.orders.get("/api/v1/bays")).status_code == 200


async def test_a_socket_that_answers_is_left_alone(tmp_path: Path) -> None:
    async with serving(FakeDesk(), tmp_path) as api:
        with pytest.raises(AddressTaken, match="Another dock-agent answers"):
            await serve(FakeDesk(), listen="127.0.0.1:0", socket=api.socket, stop=asyncio.Event())
        assert (await api.orders.get("/api/v1/bays")).status_code == 200


async def test_a_file_that_is_no_socket_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("precious")
    with pytest.raises(AddressTaken, match="is no socket"):
        await serve(FakeDesk(), listen="127.0.0.1:0", socket=tmp_path / "s", stop=asyncio.Event())
    assert (tmp_path / "s").read_text() == "precious"


@pytest.mark.parametrize("place", ["missing/s", "s" * 120])
async def test_a_socket_that_cannot_be_made_is_a_matter_of_configuration(tmp_path: Path, place: str) -> None:
    with pytest.raises(ConfigError, match="socket"):
        await serve(FakeDesk(), listen="127.0.0.1:0", socket=tmp_path / place, stop=asyncio.Event())


async def test_it_stops_quickly_with_screens_open_and_tells_them(tmp_path: Path) -> None:
    desk = FakeDesk(bay_view("1"))
    async with serving(desk, tmp_path) as api, AsyncExitStack() as open_screens:
        screens = [await open_screens.enter_async_context(watching(api.page)) for _ in range(8)]
        for screen in screens:
            await screen.view()
        started = time.monotonic()
        api.stop.set()
        for screen in screens:
            assert await screen.ended()
        await until(lambda: not api.socket.exists())
    assert time.monotonic() - started < 3
    assert desk.watchers == 0


async def test_it_stops_quickly_although_a_client_reads_nothing(tmp_path: Path) -> None:
    desk = FakeDesk(*(bay_view(str(n), reason="x" * 50_000) for n in range(64)))
    started = time.monotonic()
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with serving(desk, tmp_path) as api:
            deaf.connect(("127.0.0.1", api.port))
            deaf.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await until(lambda: desk.watchers == 1)
            started = time.monotonic()
    assert time.monotonic() - started < 3


async def test_a_client_that_reads_nothing_holds_up_nobody_and_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "STALL_S", 0.5)
    desk = FakeDesk(*(bay_view(str(n), reason="x" * 50_000) for n in range(64)))
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with serving(desk, tmp_path) as api:
            deaf.connect(("127.0.0.1", api.port))
            deaf.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await until(lambda: desk.watchers == 1)
            desk.bay_views = [bay_view("1")]
            async with watching(api.page) as screen:
                await screen.view()
                desk.bay_views = [bay_view("1", "take")]
                desk.ring()
                assert (await screen.view())["bays"][0]["advice"] == "take"
                await until(lambda: desk.watchers == 1)


async def test_half_a_request_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_S", 0.3)
    async with serving(FakeDesk(), tmp_path) as api, asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        assert await reader.read() == b""
        writer.close()


async def test_a_long_answer_outlives_the_time_for_a_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_S", 0.2)
    desk = FakeDesk(bay_view("1"))
    async with serving(desk, tmp_path) as api, watching(api.page) as screen:
        await screen.view()
        # This connection says nothing; once it is closed, the stream's time would have been over as well.
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        assert await reader.read() == b""
        writer.close()
        desk.bay_views = [bay_view("1", "take")]
        desk.ring()
        assert (await screen.view())["bays"][0]["advice"] == "take"


async def test_a_head_without_end_is_refused(tmp_path: Path) -> None:
    async with serving(FakeDesk(), tmp_path) as api, asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        for number in range(40):
            writer.write(b"X-%d: %s\r\n" % (number, b"x" * 1000))
        status = await reader.readline()
        writer.close()
    assert status.split()[1] == b"431"


async def test_surplus_connections_are_closed_and_leave_the_agent_working(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MAX_CONNECTIONS", 20)
    desk = FakeDesk(bay_view("1"))
    async with serving(desk, tmp_path) as api, watching(api.page) as screen, AsyncExitStack() as idle:
        await screen.view()
        opened = [await asyncio.open_connection("127.0.0.1", api.port) for _ in range(60)]
        for _, writer in opened:
            idle.callback(writer.close)
        async with asyncio.timeout(5):
            assert await opened[-1][0].read() == b""
        assert not opened[0][0].at_eof()
        desk.bay_views = [bay_view("1", "take")]
        desk.ring()
        assert (await screen.view())["bays"][0]["advice"] == "take"
        assert (await api.orders.get("/api/v1/bays")).status_code == 200


async def test_signals_stay_with_the_agent(tmp_path: Path) -> None:
    got: list[int] = []
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, lambda: got.append(signal.SIGTERM))
    try:
        async with serving(FakeDesk(), tmp_path) as api:
            os.kill(os.getpid(), signal.SIGTERM)
            await until(lambda: bool(got))
            assert (await api.page.get("/api/v1/bays")).status_code == 200
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
    assert got == [signal.SIGTERM]


async def test_cancelling_cuts_what_is_open(tmp_path: Path) -> None:
    desk = FakeDesk(bay_view("1"))
    ready = asyncio.Event()
    url = ""

    def announce(said: str) -> None:
        nonlocal url
        url = said
        ready.set()

    running = asyncio.ensure_future(
        serve(desk, listen="127.0.0.1:0", socket=tmp_path / "s", stop=asyncio.Event(), on_ready=announce)
    )
    await ready.wait()
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1].strip("/")))
    writer.write(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await until(lambda: desk.watchers == 1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    async with asyncio.timeout(5):
        assert b"event: view" in await reader.read()
    writer.close()
    await until(lambda: desk.watchers == 0)
    assert not (tmp_path / "s").exists()
