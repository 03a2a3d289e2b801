"""The reader process by itself: what it costs, what it holds, how it ends."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.core.clip import BayName, Entry
from agent.core.errors import CameraError, ReaderFailed
from agent.devices.reader.camera import ReaderCamera, open_camera
from agent.devices.reader.child import READER_ARGV
from agent.ports import Docked

MEMORY_KIB = 30 << 10
START_S = 0.2
FAT_MOST_BYTES = (4 << 30) - 1
HEAVY = {"asyncio", "agent.core", "agent.ports", "dataclasses", "pathlib", "ctypes", "logging", "subprocess"}


async def open_folder(root: Path) -> ReaderCamera:
    return await open_camera(Docked(BayName("1"), "folder", str(root), "token"), stall_s=10)


def about(camera: ReaderCamera, what: str) -> str:
    return Path(f"/proc/{camera._process.pid}/{what}").read_text("ascii")


def held_by(camera: ReaderCamera) -> list[str]:
    place = Path(f"/proc/{camera._process.pid}/fd")
    return sorted(str(each.readlink()).split(":")[0] for each in place.iterdir())


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def test_a_reader_is_small(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(os.urandom(4 << 20))
    camera = await open_folder(tmp_path)
    async for batch in camera.list():
        for entry in batch:
            await camera.read(entry, lambda _block, /: None)  # type: ignore[arg-type]
    status = about(camera, "status")
    await camera.close()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    assert peak < MEMORY_KIB


def test_a_reader_imports_almost_nothing() -> None:
    code = "import sys, agent.devices.reader.__main__, agent.devices.drivers.folder; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, env={})  # noqa: S603
    assert not HEAVY & set(done.stdout.split())


async def test_a_reader_holds_its_socket_and_the_camera_and_nothing_else(tmp_path: Path) -> None:
    secret = (tmp_path / "spool").open("wb")
    os.set_inheritable(secret.fileno(), True)
    card = tmp_path / "card"
    card.mkdir()
    camera = await open_folder(card)
    held = held_by(camera)
    environment = about(camera, "environ")
    limits = about(camera, "limits")
    await camera.close()
    secret.close()
    assert held == ["/dev/null", "/dev/null", str(card), "pipe", "socket"]
    assert {each.split("=")[0] for each in environment.split("\0") if each} <= {"LANG", "PATH"}
    allowed = {line[:25].strip(): line[25:].split()[:2] for line in limits.splitlines()}
    assert allowed["Max core file size"] == ["0", "0"]
    assert allowed["Max processes"] == ["0", "0"]


async def test_a_reader_ends_by_itself_when_the_agent_hangs_up(tmp_path: Path) -> None:
    camera = await open_folder(tmp_path)
    begun = time.monotonic()
    await camera.close()
    assert time.monotonic() - begun < 0.5  # no force was needed
    assert camera._process._life.last_words() == ["exit status 0"]


async def test_a_stopped_reader_is_killed(tmp_path: Path) -> None:
    camera = await open_folder(tmp_path)
    os.kill(camera._process.pid, signal.SIGSTOP)
    async with asyncio.timeout(5):
        await camera.close()
    assert camera._process._life.last_words() == [f"exit status {-signal.SIGKILL}"]


async def test_a_killed_reader_fails_the_next_question(tmp_path: Path) -> None:
    camera = await open_folder(tmp_path)
    os.kill(camera._process.pid, signal.SIGKILL)
    with pytest.raises(ReaderFailed, match="exit status -9"):
        await camera.exists((b"a",))
    await camera.close()


async def test_an_unknown_driver_is_reported(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="no such driver"):
        await open_camera(Docked(BayName("1"), "telepathy", str(tmp_path), "token"), stall_s=10)


async def test_no_descriptor_is_left_behind(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"clip")

    async def use() -> None:
        camera = await open_folder(tmp_path)
        async for batch in camera.list():
            for entry in batch:
                await camera.read(entry, lambda _block, /: None)  # type: ignore[arg-type]
        await camera.close()
        await asyncio.sleep(0)  # the event loop closes what it was told to

    await use()
    before = open_descriptors()
    for _ in range(3):
        await use()
    assert open_descriptors() <= before


async def test_a_file_of_4_gib_less_one_byte_is_read_to_its_end(tmp_path: Path) -> None:
    """The largest that FAT can hold."""
    with (tmp_path / "a.mp4").open("wb") as file:
        file.truncate(FAT_MOST_BYTES)
        file.seek(FAT_MOST_BYTES - 4)
        file.write(b"last")
    camera = await open_folder(tmp_path)
    ((entry,),) = [batch async for batch in camera.list()]
    assert isinstance(entry, Entry)
    count, tail = 0, b""

    def measure(block: memoryview, /) -> None:
        nonlocal count, tail
        count += len(block)
        tail = (tail + bytes(block[-4:]))[-4:]

    await camera.read(entry, measure)
    await camera.close()
    assert (entry.size_bytes, count, tail) == (FAT_MOST_BYTES, FAT_MOST_BYTES, b"last")


def test_the_reader_runs_isolated_from_its_surroundings() -> None:
    assert READER_ARGV[1] == "-I"
