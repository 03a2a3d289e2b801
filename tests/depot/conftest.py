"""A depot that serves, for tests that speak to it as a station would."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.depot.depot import Depot
from agent.depot.server import Tls, serve, take_address
from tests.depot.station import Station

NOW = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
READY_S = 20


@contextmanager
def serving(directory: Path, max_size_bytes: int | None = None, tls: Tls | None = None) -> Iterator[str]:
    """Serve `directory` from a thread; yields the upload URL."""
    ready = threading.Event()
    ends: list[Callable[[], object]] = []
    urls: list[str] = []

    def announce(url: str) -> None:
        urls.append(url)
        ready.set()

    async def run() -> None:
        depot = Depot(directory, clock=lambda: NOW, max_size_bytes=max_size_bytes)
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        ends.append(lambda: loop.call_soon_threadsafe(stop.set))
        try:
            await serve(depot, take_address("127.0.0.1", 0, tls), stop=stop, on_ready=announce, tls=tls)
        finally:
            depot.close()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        assert ready.wait(READY_S), "the depot did not become ready"
        yield urls[0]
    finally:
        for end in ends:
            end()
        thread.join(READY_S)
        assert not thread.is_alive(), "the depot did not stop"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "depot"


@pytest.fixture
def url(place: Path) -> Iterator[str]:
    with serving(place) as url:
        yield url


@pytest.fixture
def enrolled(url: str, place: Path) -> Iterator[Callable[[str], Station]]:
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(Station.enrolled(url, place, name))


@pytest.fixture
def station(enrolled: Callable[[str], Station]) -> Station:
    return enrolled("hub7")
