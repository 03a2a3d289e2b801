"""A docked camera behind its reader process: the adapter of `ports.Camera`."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import NoReturn

from agent.core.clip import Entry, one_line
from agent.core.errors import (
    CameraError,
    CameraGone,
    ClipChanged,
    ClipUnreadable,
    MediumReadOnly,
    ReaderFailed,
    ReaderStalled,
)
from agent.devices.reader.answers import (
    Answer,
    Finish,
    Problem,
    batch_of,
    existing_of,
    facts_of,
    finish_of,
    state_of,
)
from agent.devices.reader.child import READER_ARGV, start_child
from agent.devices.reader.drain import Drain, open_pipe
from agent.devices.reader.process import START_S, ReaderProcess
from agent.devices.reader.volume import FixedVolume, Volume
from agent.devices.reader.wire import BATCH_BYTES, BATCH_ROWS
from agent.ports import CameraFacts, Docked, Mark, Refused, Sink, Wiper

ROWS_CAP = 1_200_000
"""Rows of one listing; the reader itself stops at a million names."""
WRITE_OUT_S = 120.0
"""A slow card may take this long to write out what a wipe changed."""


def _raise(problem: Problem, what: str) -> NoReturn:
    """Turn what the reader could not do into an error of ours."""
    message = f"{what}: {problem.text or problem.code}"
    match problem.code:
        case "gone":
            raise CameraGone(f"the camera was taken out: {message}")
        case "changed":
            raise ClipChanged(message)
        case "missing" | "unreadable" | "refused" | "too_large":
            raise ClipUnreadable(message)
        case "read_only":
            raise MediumReadOnly(message)
        case "window" | "failed":
            raise CameraError(message)
        case _:
            raise ReaderFailed(f"the reader fails in a way that it has no word for: {message}")


def _what(verb: str, path: bytes) -> str:
    return f"{verb} {one_line(path)}"


class ReaderCamera:
    """Implements `ports.Camera`. One operation at a time; a listing gives way to others between its batches."""

    wiper: Wiper | None

    def __init__(
        self, process: ReaderProcess, drain: Drain, volume: Volume, *, stall_s: float, rows_cap: int = ROWS_CAP
    ) -> None:
        """Use `open_camera`."""
        self.facts = CameraFacts()
        self.wiper = None
        self._process = process
        self._volume = volume
        self._drain = drain
        self.stall_s = stall_s
        self._rows_cap = rows_cap
        self._turn = asyncio.Lock()
        self._listing = 0

    async def open(self, driver: str, address: str) -> None:
        """Have the reader open the camera. Raises CameraError."""
        question: dict[str, object] = {"verb": "open", "driver": driver, "address": os.fsencode(address).hex()}
        answer = await self.ask(question, "open the camera", within_s=max(START_S, self.stall_s))
        self.facts, can_wipe = facts_of(answer)
        self.wiper = ReaderWiper(self) if can_wipe else None

    async def ask(self, question: dict[str, object], what: str, *, within_s: float | None = None) -> Answer:
        """Ask the reader when it is free. Raises CameraError, ClipUnreadable."""
        async with self._turn:
            return await self._ask(question, what, within_s=within_s)

    async def _ask(
        self, question: dict[str, object], what: str, *, within_s: float | None = None, fd: int | None = None
    ) -> Answer:
        answer = await self._process.ask(question, within_s=within_s or self.stall_s, fd=fd)
        if isinstance(answer, Problem):
            _raise(answer, what)
        return answer

    async def exists(self, paths: tuple[bytes, ...]) -> frozenset[bytes]:
        """Which of these relative paths exist (file or directory)."""
        found: frozenset[bytes] = frozenset()
        for some in _portions(paths):
            question: dict[str, object] = {"verb": "exists", "paths": [path.hex() for path in some]}
            found |= existing_of(await self.ask(question, "look for files"), some)
        return found

    async def list(self) -> AsyncIterator[tuple[Entry | Refused, ...]]:
        """Walk the medium afresh; a second listing ends the first. Raises CameraError."""
        self._listing += 1
        mine, rows, verb = self._listing, 0, "list"
        while True:
            if mine != self._listing:
                raise CameraError("a listing was overtaken by a later one of the same camera", hint="")
            batch, done = batch_of(await self.ask({"verb": verb}, "list the camera"))
            rows += len(batch) or BATCH_ROWS  # an empty batch is a sign of life, but not without end
            if rows > self._rows_cap:
                self._process.kill()
                raise ReaderFailed(f"the camera's listing does not end: {self._rows_cap} files and still more")
            if batch:
                yield batch
            if done:
                return
            verb = "more"

    async def read(self, entry: Entry, sink: Sink, *, fresh: bool = False) -> Mark:
        """Read the whole file into `sink`, in order; see `ports.Camera`."""
        what = _what("read", entry.path)
        expected = (entry.size_bytes, entry.mtime_ns)
        question: dict[str, object] = {
            "verb": "read",
            "path": entry.path.hex(),
            "size": entry.size_bytes,
            "mtime_ns": entry.mtime_ns,
            "fresh": fresh,
        }
        async with self._turn:
            begin, count, finish = await self._receive(question, what, sink, entry.size_bytes)
        if begin != expected or (finish.size_bytes, finish.mtime_ns) != expected:
            raise ClipChanged(f"{what}: size or time is not what was listed")
        _check_count(count, entry.size_bytes, finish, what)
        return finish.mark

    async def read_small(self, path: bytes, limit_bytes: int = 65536) -> bytes:
        """Read a small file whole. Raises ClipUnreadable when it is missing or larger."""
        what, kept = _what("read", path), bytearray()
        question: dict[str, object] = {"verb": "read", "path": path.hex(), "limit": limit_bytes}
        async with self._turn:
            begin, count, finish = await self._receive(question, what, kept.extend, limit_bytes)
        if begin != (finish.size_bytes, finish.mtime_ns):
            raise ClipChanged(f"{what}: it changed while it was read")
        _check_count(count, begin[0], finish, what)
        return bytes(kept)

    async def _receive(
        self, question: dict[str, object], what: str, sink: Sink, most_bytes: int
    ) -> tuple[tuple[int, int], int, Finish]:
        """One reading through a pipe of its own: the file's state before, our count, the reader's account after."""
        read_end, write_end = open_pipe()
        try:
            try:
                begin = state_of(await self._ask(question, what, fd=write_end))
            finally:
                os.close(write_end)  # ours: the pipe ends when the reader closes its own
            count = await self._drain.run(read_end, sink, most_bytes=most_bytes, stall_s=self.stall_s)
        except ReaderStalled:
            self._process.kill()
            raise
        finally:
            os.close(read_end)  # a reading that was given up ends for the reader, too
        return begin, count, finish_of(await self._ask({"verb": "finish"}, what))

    async def renew(self) -> None:
        """Let go of the medium and open it afresh; see `ports.Camera`."""
        await self._leave()
        await self._enter(await self._volume.afresh(), writable=False)

    async def open_window(self) -> None:
        """Open the medium writable; when that fails it is readable again. Raises CameraError."""
        await self._leave()
        try:
            await self._enter(await self._volume.writable(), writable=True)
        except MediumReadOnly:
            await self.renew()
            raise

    async def _leave(self) -> None:
        await self.ask({"verb": "leave"}, "let go of the medium", within_s=WRITE_OUT_S)

    async def _enter(self, address: str, *, writable: bool) -> None:
        question: dict[str, object] = {"verb": "enter", "address": os.fsencode(address).hex(), "writable": writable}
        await self.ask(question, "open the medium again", within_s=max(START_S, self.stall_s))

    async def close(self) -> None:
        """End the reader, then let go of the volume; idempotent, bounded in time, kills what does not go."""
        try:
            await self._process.close()
        finally:
            await self._volume.close()


class ReaderWiper:
    """Implements `ports.Wiper` through the reader."""

    def __init__(self, camera: ReaderCamera) -> None:
        """Wipe on `camera`."""
        self._camera = camera

    async def open_window(self) -> None:
        """Make the medium writable. Raises CameraError."""
        await self._camera.open_window()

    async def wipe(self, entry: Entry, mark: Mark) -> None:
        """Unlink exactly the file read under `mark`, untouched since. Raises ClipChanged, CameraError."""
        question: dict[str, object] = {
            "verb": "wipe",
            "path": entry.path.hex(),
            "size": entry.size_bytes,
            "mtime_ns": entry.mtime_ns,
            "mark": mark,
        }
        try:
            await self._camera.ask(question, _what("wipe", entry.path), within_s=WRITE_OUT_S)
        except ClipChanged:
            raise
        except ClipUnreadable as error:
            raise ClipChanged(f"not wiped, it is not the file that was listed: {error}") from error

    async def close_window(self) -> None:
        """Write everything out; the next listing is fresh. Raises CameraError."""
        await self._camera.renew()


def _portions(paths: tuple[bytes, ...]) -> list[tuple[bytes, ...]]:
    """Cut so that each portion fits into one request."""
    portions: list[tuple[bytes, ...]] = []
    some: list[bytes] = []
    size = 0
    for path in paths:
        size += 2 * len(path) + 3
        if some and size > BATCH_BYTES:
            portions.append(tuple(some))
            some, size = [], 2 * len(path) + 3
        some.append(path)
    return [*portions, tuple(some)] if some else portions


def _check_count(count: int, size_bytes: int, finish: Finish, what: str) -> None:
    if count != finish.sent_bytes:
        raise ReaderFailed(f"{what}: the reader says it sent {finish.sent_bytes} bytes, {count} came")
    if count != size_bytes:
        raise ClipUnreadable(f"{what}: the file gave {count} of its {size_bytes} bytes")


async def open_camera(
    docked: Docked, *, stall_s: float, argv: Sequence[str] = READER_ARGV, rows_cap: int = ROWS_CAP
) -> ReaderCamera:
    """Start a reader for the camera in a bay and open it. Implements `ports.CameraOpener`; raises CameraError.

    `argv` is the reader's command, to which the number of its control socket is added.
    """
    volume, drain = FixedVolume(docked.address), Drain(docked.bay)
    camera = ReaderCamera(await start_child(argv), drain, volume, stall_s=stall_s, rows_cap=rows_cap)
    return await opened(camera, docked.driver, docked.address)


async def opened(camera: ReaderCamera, driver: str, address: str) -> ReaderCamera:
    """Have the camera opened, or closed when that fails. Raises CameraError."""
    async with AsyncExitStack() as unless_opened:
        unless_opened.push_async_callback(camera.close)
        await camera.open(driver, address)
        unless_opened.pop_all()
    return camera
