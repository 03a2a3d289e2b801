"""Tells which folder bays are occupied: trial folders, mounted cards, import folders, simulated racks.

Rules: whole snapshots, never deltas; what a signal says is not believed, it only makes us look. Signals come from the
kernel's mount table and from watched directories; a slow reconciliation catches what they miss. The content of a bay
that must be a mount is never looked at here: a hung camera would hang us. Other bays are looked at in worker threads,
and one that does not come back keeps its last state without holding up the rest.
"""

import asyncio
import os
import select
import stat
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirModifiedEvent,
    DirMovedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from agent.core.clip import BayName
from agent.devices.apart import run_apart
from agent.devices.drivers.arrivals import ImportFolder, Sight
from agent.devices.drivers.mounts import MOUNTINFO, Mount, mounted_at, read_mounts
from agent.ports import Docked

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver, ObservedWatch

RECONCILE_S = 30.0
QUIET_S = 0.2
"""A burst of signals makes one look: a bouncing plug gives at most five a second."""
LOOK_S = 5.0

_THREAD = "bay-watch"
_SIMULATED_SCRIPT = ".camera.json"
# Opening and reading are no signals: our own look would cause the next one.
_SIGNALS: list[type[FileSystemEvent]] = [
    DirCreatedEvent, DirDeletedEvent, DirModifiedEvent, DirMovedEvent,
    FileCreatedEvent, FileDeletedEvent, FileModifiedEvent, FileMovedEvent,
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class FolderBay:
    """One bay that is a directory.

    `must_be_mount`: occupied while something is mounted there. `settle_s`: an import folder, occupied once it holds a
    regular file whose size and time stood still for so long.
    """

    path: Path
    driver: str = "folder"
    must_be_mount: bool = False
    settle_s: float | None = None


def _disk_sequence(device: str) -> str:
    """The kernel's never repeated number of a disk: mount ids and device numbers are used again. Empty if unknown."""
    for place in (f"/sys/dev/block/{device}/diskseq", f"/sys/dev/block/{device}/../diskseq"):
        with suppress(OSError):
            return Path(place).read_text("ascii").strip()
    return ""


def _see_mount(mount: Mount | None) -> Sight:
    if mount is None:
        return Sight()
    return Sight(f"{mount.id}:{mount.device}:{_disk_sequence(mount.device)}")


def _see_folder(bay: FolderBay, mount: Mount | None, imports: ImportFolder | None) -> Sight:
    """Look at a bay on the machine's own disks; runs in a worker thread."""
    try:
        root = bay.path.lstat()
        if bay.driver == "simulated":
            script = (bay.path / _SIMULATED_SCRIPT).lstat()
            occupied = stat.S_ISREG(script.st_mode)
            return Sight(f"{root.st_dev}:{root.st_ino}:{script.st_ino}" if occupied else None)
        if not stat.S_ISDIR(root.st_mode):
            return Sight()
        if imports is not None:
            return imports.look(bay.path, time.monotonic())
        with os.scandir(bay.path) as entries:
            occupied = next(entries, None) is not None
        return Sight(f"{root.st_dev}:{root.st_ino}:{mount.id if mount else ''}" if occupied else None)
    except OSError:
        return Sight()


class _Ring(FileSystemEventHandler):
    """Turns any file event into a ring, from the observer's thread."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._loop = asyncio.get_running_loop()

    def on_any_event(self, event: FileSystemEvent) -> None:  # noqa: ARG002 - whatever it was, we look
        with suppress(RuntimeError):  # the loop has just been closed
            self._loop.call_soon_threadsafe(self._ring)


class _Watches:
    """The watched directories. Methods block for moments; call `follow` from one worker thread at a time."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._handler = _Ring(ring)
        self._observer: BaseObserver = Observer()
        self._watched: dict[tuple[Path, bool], tuple[int, ObservedWatch]] = {}
        self._observer.start()

    def follow(self, bays: Mapping[BayName, FolderBay]) -> None:
        """Watch each bay and its parent, anew where another directory has taken the place."""
        folders = [bay for bay in bays.values() if not bay.must_be_mount]
        wanted = {(bay.path.parent, False) for bay in folders}
        wanted |= {(bay.path, bay.settle_s is not None) for bay in folders}
        inodes = {key: _directory_inode(key[0]) for key in wanted}
        for key, (inode, watch) in list(self._watched.items()):
            if inodes.get(key) != inode:
                del self._watched[key]
                with suppress(KeyError, OSError):
                    self._observer.unschedule(watch)
        for key in wanted - self._watched.keys():
            inode_now = inodes[key]
            if inode_now is None:
                continue
            with suppress(OSError):  # no watches left on this machine: the reconciliation must do
                watch = self._observer.schedule(self._handler, str(key[0]), recursive=key[1], event_filter=_SIGNALS)
                self._watched[key] = (inode_now, watch)

    def stop(self) -> None:
        self._observer.stop()
        self._observer.join(LOOK_S)


def _directory_inode(path: Path) -> int | None:
    with suppress(OSError):
        facts = path.lstat()
        return facts.st_ino if stat.S_ISDIR(facts.st_mode) else None
    return None


@contextmanager
def _mount_signal(ring: Callable[[], None]) -> Iterator[None]:
    """Ring when the mount table changes.

    The kernel marks that as an exceptional condition, which event loops do not wait for; an epoll descriptor that
    waits for it is itself plainly readable.
    """
    loop = asyncio.get_running_loop()
    with Path(MOUNTINFO).open("rb") as table, select.epoll() as waiting:
        waiting.register(table.fileno(), select.EPOLLPRI | select.EPOLLERR)

        def changed() -> None:
            waiting.poll(0)  # asking is what resets it
            ring()

        loop.add_reader(waiting.fileno(), changed)
        try:
            yield
        finally:
            loop.remove_reader(waiting.fileno())


class FolderWatch:
    """Implements `ports.BayWatch` for bays that are directories. One iterator of `snapshots` at a time."""

    def __init__(
        self, bays: Mapping[BayName, FolderBay], *, reconcile_s: float = RECONCILE_S, quiet_s: float = QUIET_S
    ) -> None:
        """Watch `bays`; `quiet_s` is how long a burst of signals is let to end."""
        self._reconcile_s = reconcile_s
        self._quiet_s = quiet_s
        self._bell = asyncio.Event()
        self._bays: dict[BayName, FolderBay] = {}
        self._imports: dict[BayName, ImportFolder] = {}
        self._looks: dict[BayName, Future[Sight]] = {}
        self._sights: dict[BayName, Sight] = {}
        self._mount_points: dict[BayName, Path] = {}
        self._following: Future[None] | None = None
        self.set_bays(bays)

    @property
    def problems(self) -> Mapping[str, str]:
        """A folder has none of its own."""
        return {}

    def set_bays(self, bays: Mapping[BayName, FolderBay]) -> None:
        """Take over a changed configuration; bays that stayed the same notice nothing."""
        for name in self._bays.keys() | bays.keys():
            bay = bays.get(name)
            if bay == self._bays.get(name):
                continue
            for known in (self._imports, self._looks, self._sights):
                known.pop(name, None)
            if bay is not None and bay.settle_s is not None:
                self._imports[name] = ImportFolder(bay.settle_s)
        self._bays = dict(bays)
        # Of the path itself nothing is resolved: that could ask a hung camera.
        self._mount_points = {name: bay.path.parent.resolve() / bay.path.name for name, bay in bays.items()}
        self._bell.set()

    async def snapshots(self) -> AsyncGenerator[Mapping[BayName, Docked], None]:
        """Yield which bays are occupied, at once and after each change. Close it to end the watching."""
        shown: Mapping[BayName, Docked] | None = None
        with ExitStack() as held:
            self._following = None
            watches = _Watches(self._bell.set)
            held.callback(run_apart, _THREAD, watches.stop)
            held.enter_context(_mount_signal(self._bell.set))
            while True:
                self._bell.clear()
                bays = self._bays
                await self._follow(watches, bays)
                present = await self._look(bays)
                if present != shown:
                    shown = present
                    yield present
                await self._wait()

    async def _follow(self, watches: _Watches, bays: Mapping[BayName, FolderBay]) -> None:
        """Bring the watches up to date before the look, so that no change falls between the two."""
        if self._following is None:
            self._following = run_apart(_THREAD, watches.follow, bays)
        await _within(LOOK_S, [self._following])
        if self._following.done():
            following, self._following = self._following, None
            following.result()

    async def _wait(self) -> None:
        due = [sight.again_s for sight in self._sights.values() if sight.again_s is not None]
        with suppress(TimeoutError):
            async with asyncio.timeout(min([self._reconcile_s, *due])):
                await self._bell.wait()
        await asyncio.sleep(self._quiet_s)

    async def _look(self, bays: Mapping[BayName, FolderBay]) -> dict[BayName, Docked]:
        mounts = read_mounts()
        for name, bay in bays.items():
            mount = mounted_at(os.fsencode(self._mount_points[name]), mounts)
            if bay.must_be_mount:
                self._sights[name] = _see_mount(mount)
            elif name not in self._looks:
                self._looks[name] = run_apart(_THREAD, _see_folder, bay, mount, self._imports.get(name))
        await _within(LOOK_S, list(self._looks.values()))
        for name, look in list(self._looks.items()):
            if look.done():
                self._sights[name] = look.result()
                del self._looks[name]
        return {
            name: Docked(name, bay.driver, os.fspath(bay.path), token)
            for name, bay in bays.items()
            if (token := self._sights.get(name, Sight()).token) is not None
        }


async def _within(seconds: float, work: list[Future[Sight]] | list[Future[None]]) -> None:
    """Wait for `work`, but not longer."""
    if work:
        await asyncio.wait([asyncio.wrap_future(each) for each in work], timeout=seconds)
