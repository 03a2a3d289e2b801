"""Server-sent events: every change, to many screens, for as long as they look."""

import asyncio
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import uvicorn

from agent.core.errors import AgentError
from agent.web.application import create_app
from agent.web.stream import MAX_STREAMS
from tests.fakes.desk import FakeDesk, bay_view
from tests.web.events import watching
from tests.web.serving import serving, until


async def test_a_screen_sees_the_state_at_once_and_after_each_change(tmp_path: Path) -> None:
    desk = FakeDesk(bay_view("1"))
    async with serving(desk, tmp_path) as api, watching(api.page) as screen:
        assert await screen.line() == "event: view"
        first = await screen.view()
        assert first == {"station": desk.station_view, "bays": desk.bay_views}
        for advice in ("do not remove", "take"):
            desk.bay_views = [bay_view("1", advice)]
            desk.ring()
            assert (await screen.view())["bays"][0]["advice"] == advice


async def test_a_change_that_nobody_can_see_sends_nothing(tmp_path: Path) -> None:
    desk = FakeDesk(bay_view("1"))
    async with serving(desk, tmp_path) as api, watching(api.page) as screen:
        await screen.view()
        made = desk.views_made
        desk.ring()
        await until(lambda: desk.views_made > made)
        desk.bay_views = [bay_view("1", "take")]
        desk.ring()
        assert (await screen.view())["bays"][0]["advice"] == "take"


async def test_a_quiet_stream_shows_that_it_lives() -> None:
    desk = FakeDesk(bay_view("1"))
    app = create_app(desk, writable=False, allowed_hosts=frozenset({"127.0.0.1"}), heartbeat_s=0.05)
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with asyncio.TaskGroup() as group:
            group.create_task(server._serve([listener]))
            async with httpx.AsyncClient(base_url=url, trust_env=False) as client, watching(client) as screen:
                await screen.view()
                assert [await screen.line(), await screen.line()] == [": alive", ": alive"]
            server.should_exit = True


async def test_streams_are_bounded_and_a_place_is_free_again_when_one_goes(tmp_path: Path) -> None:
    desk = FakeDesk(bay_view("1"))
    limits = httpx.Limits(max_connections=None)
    async with serving(desk, tmp_path) as api, httpx.AsyncClient(base_url=api.url, limits=limits) as client:
        async with AsyncExitStack() as open_screens:
            screens = [await open_screens.enter_async_context(watching(client)) for _ in range(MAX_STREAMS)]
            async with asyncio.TaskGroup() as group:
                for screen in screens:
                    group.create_task(screen.view())
            refused = await client.get("/api/v1/stream")
            assert (refused.status_code, set(refused.json())) == (503, {"error", "hint"})
            made = desk.views_made
            desk.bay_views = [bay_view("1", "take")]
            desk.ring()
            for screen in screens:
                assert (await screen.view())["bays"][0]["advice"] == "take"
            assert desk.views_made - made <= 2, "all screens share a view"
        await until(lambda: desk.watchers == 0)
        async with watching(client) as screen:
            await screen.view()


async def test_a_stream_ends_when_its_screen_goes(tmp_path: Path) -> None:
    desk = FakeDesk(bay_view("1"))
    async with serving(desk, tmp_path) as api:
        async with watching(api.page) as screen:
            await screen.view()
            assert desk.watchers == 1
        await until(lambda: desk.watchers == 0)


async def test_a_stream_ends_properly_when_the_desk_cannot_answer(tmp_path: Path) -> None:
    desk = FakeDesk(bay_view("1"))
    async with serving(desk, tmp_path) as api, watching(api.page) as screen:
        await screen.view()
        desk.failure = AgentError("the ledger is busy")
        desk.ring()
        assert await screen.ended()
        await until(lambda: desk.watchers == 0)


async def test_asking_for_the_head_of_a_stream_opens_none(tmp_path: Path) -> None:
    desk = FakeDesk(bay_view("1"))
    async with serving(desk, tmp_path) as api:
        answer = await api.page.head("/api/v1/stream")
    assert answer.headers["content-type"] == "text/event-stream"
    assert desk.views_made == 0
