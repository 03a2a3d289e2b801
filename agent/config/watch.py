"""Notices that the configuration or a profile was changed, so that nobody has to restart the agent."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

QUIET_S = 0.5
"""Editors write in several steps; this long nothing may happen before the files are read again."""
_READING = frozenset({"opened", "closed_no_write"})


class _Ring(FileSystemEventHandler):
    def __init__(self, wanted: tuple[Path, ...], bell: asyncio.Event) -> None:
        self._wanted = wanted
        self._bell = bell
        self._loop = asyncio.get_running_loop()

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in _READING:
            return
        touched = {Path(str(p)) for p in (event.src_path, event.dest_path) if p}
        if any(t == w or w in t.parents for t in touched for w in self._wanted):
            self._loop.call_soon_threadsafe(self._bell.set)


async def changes(watched: tuple[Path, ...]) -> AsyncIterator[None]:
    """Yield once the watching has begun and after each burst of changes to these; ends never by itself.

    The first yield is for what was changed between reading the files and watching them.
    """
    bell = asyncio.Event()
    bell.set()
    observer = Observer()
    handler = _Ring(watched, bell)
    for folder in {w if w.is_dir() else w.parent for w in watched}:
        if folder.is_dir():
            observer.schedule(handler, str(folder), recursive=False)
    observer.start()
    try:
        while True:
            await bell.wait()
            while bell.is_set():
                bell.clear()
                await asyncio.sleep(QUIET_S)
            yield
    finally:
        observer.stop()
