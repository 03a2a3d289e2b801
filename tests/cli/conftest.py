"""A station's configuration, and a real API with a made-up desk behind it."""

import asyncio
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog

from agent.web.serve import serve
from tests.cli.command import Here
from tests.fakes.desk import FakeDesk, bay_view, empty_bay

READY_S = 20


@dataclass(frozen=True, slots=True)
class Place:
    """A station that was configured and never started."""

    config: Path
    state: Path
    socket: Path


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    config = tmp_path / "agent.toml"
    with tempfile.TemporaryDirectory(prefix="sock") as short:  # a socket's path must be short
        socket = Path(short) / "api.sock"
        config.write_text(
            f'[station]\nid = "hub7"\nstate_dir = "state"\nallow_unsafe_spool = true\n'
            f'[api]\nlisten = "127.0.0.1:0"\nsocket = "{socket}"\n'
        )
        yield Place(config, tmp_path / "state", socket)


class Service:
    """The real web application on the place's socket, served from a thread."""

    def __init__(self, socket: Path) -> None:
        self.desk = FakeDesk(empty_bay("1"), bay_view("2"))
        self._socket = socket
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        await serve(
            self.desk,
            listen="127.0.0.1:0",
            socket=self._socket,
            stop=self._stop,
            on_ready=lambda _url: self._ready.set(),
        )

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(READY_S), "the API did not become ready"

    def ring(self) -> None:
        """Say that something changed."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self.desk.ring)

    def end(self) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(READY_S)
        assert not self._thread.is_alive(), "the API did not stop"


@pytest.fixture
def service(place: Place) -> Iterator[Service]:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())  # its log is not the command's output
    made = Service(place.socket)
    made.start()
    try:
        yield made
    finally:
        made.end()
        structlog.reset_defaults()


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Here:
    assert tmp_path.is_dir()  # pytest names it after the login name, so it comes before the made-up one
    monkeypatch.setenv("LOGNAME", "sgt.miller")
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("DOCK_AGENT_DEBUG", raising=False)
    return Here(capsys)
