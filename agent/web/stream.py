"""Server-sent events: the station and its bays, at once and after each change.

All screens share one view, so that a change costs the same however many are open.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog
from starlette.types import Receive, Scope, Send

from agent.core.errors import AgentError
from agent.ports import Desk
from agent.web.answer import json_text, refused
from agent.web.lifeline import while_wanted
from agent.web.refusal import Refusal

if TYPE_CHECKING:
    from agent.core.custody import JsonValue

log = structlog.get_logger()

HEARTBEAT_S = 15.0
MAX_STREAMS = 64
VIEW_S = 10.0
"""The desk has this long to make a view."""
_HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}


@dataclass(slots=True)
class Feed:
    """The view that all streams send. `closing` ends them."""

    desk: Desk
    closing: asyncio.Event
    heartbeat_s: float = HEARTBEAT_S
    open_streams: int = 0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _made: float = float("-inf")  # monotonic time at which the making of `_event` began
    _event: bytes = b""

    async def event(self, since: float) -> bytes:
        """The view as one event, made at `since` (monotonic) or later. Raises AgentError, TimeoutError."""
        async with asyncio.timeout(VIEW_S), self._turn:
            if self._made < since:
                began = time.monotonic()
                bays: list[JsonValue] = [*await self.desk.bays()]
                text = json_text({"station": await self.desk.station(), "bays": bays})
                self._event, self._made = f"event: view\ndata: {text}\n\n".encode(), began
            return self._event


class ViewStream:
    """The answer to one screen."""

    def __init__(self, feed: Feed) -> None:
        """Send what `feed` has."""
        self._feed = feed
        self._changed_at = 0.0  # monotonic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the client goes or the API closes; 503 when too many listen already."""
        feed = self._feed
        if feed.open_streams >= MAX_STREAMS:
            log.warning("stream.refused", open_streams=feed.open_streams)
            full = Refusal(503, f"{MAX_STREAMS} screens are open already", "Close one, or try again later.")
            await refused(full)(scope, receive, send)
            return
        feed.open_streams += 1
        try:
            await send(_HEAD)
            if scope["method"] != "HEAD":
                await while_wanted(self._run(send), receive, feed.closing)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            feed.open_streams -= 1

    async def _run(self, send: Send) -> None:
        changed = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self._watch(changed))
            try:
                await self._write(send, changed)
            except (AgentError, TimeoutError) as error:
                # The screen sees the end, says that its state is old, and asks again.
                log.warning("stream.failed", error=type(error).__name__)
            watching.cancel()

    async def _watch(self, changed: asyncio.Event) -> None:
        async for _ in self._feed.desk.changes():
            self._changed_at = time.monotonic()
            changed.set()

    async def _write(self, send: Send, changed: asyncio.Event) -> None:
        """Send events and heartbeats; a client that does not read is cut off by its connection."""
        sent = b""
        while True:
            event = await self._next(changed)
            if event != sent:
                await send({"type": "http.response.body", "body": event or b": alive\n\n", "more_body": True})
                sent = event or sent

    async def _next(self, changed: asyncio.Event) -> bytes:
        """The view after the next change; empty when it is time for a heartbeat."""
        try:
            async with asyncio.timeout(self._feed.heartbeat_s):
                await changed.wait()
        except TimeoutError:
            return b""
        changed.clear()
        return await self._feed.event(self._changed_at)
