"""A desk without a station behind it: it shows what a test puts there, and does as it is told."""

import asyncio
import copy
import json
from collections.abc import AsyncIterator
from typing import TypeVar

from agent.core.custody import GENESIS, event_line, line_digest
from agent.core.errors import AgentError
from agent.ports import JsonObject

T = TypeVar("T")


def station_view(**changed: object) -> JsonObject:
    """A healthy station with one store."""
    view: JsonObject = {
        "station": "hub7",
        "version": "0.1.0",
        "trial": False,
        "wiping": True,
        "copies": 1,
        "totals": {
            "clips": {"spooled": {"clips": 3, "bytes": 3_000}, "confirmed": {"clips": 5, "bytes": 50_000}},
            "wiped": 4,
            "spool_objects": 8,
            "spool_bytes": 53_000,
        },
        "stores": [
            {
                "name": "central",
                "require": "signed",
                "counts": True,
                "ok": True,
                "problem": None,
                "failures": 0,
                "bandwidth": None,
                "yielding": None,
                "paused": None,
                "announcements": None,
            }
        ],
        "spool": {"free_bytes": 812_000_000_000, "reserve_bytes": 20_000_000_000},
        "uploading": 1,
        "bandwidth": {"limit_bits_s": None, "until": None, "shown": "no limit"},
        "queue": {"uploads": 3, "held_back": 0, "set_aside": 0},
        "drain": None,
        "notices": [],
    }
    return json.loads(json.dumps({**view, **changed}))  # type: ignore[no-any-return]


def empty_bay(name: str) -> JsonObject:
    return {"bay": name, "occupied": False, "advice": None, "reason": "empty", "camera": None}


def bay_view(name: str, advice: str = "wait", **changed: object) -> JsonObject:
    """An occupied bay."""
    view: JsonObject = {
        "bay": name,
        "occupied": True,
        "camera": f"X60A{int(name):04d}" if name.isdigit() else "X60A0000",
        "profile": "plain-dcim",
        "model": None,
        "usb": "1209:bc01",
        "battery_percent": 64,
        "phase": "offloading",
        "advice": advice,
        "reason": "copying, 4 clips left",
        "until_s": 190.0,
        "clips": {"listed": 4, "spooled": 2, "confirmed": 6, "quarantined": 0},
        "done_bytes": 1_200_000_000,
        "total_bytes": 3_400_000_000,
        "rate_bytes_s": 42_000_000,
        "seized": None,
        "claimed_by": None,
        "uncopied": {"count": 0, "names": []},
        "left": {"count": 0, "names": []},
        "not_wiped": {},
        "problem": None,
        "strikes": 0,
    }
    return json.loads(json.dumps({**view, **changed}))  # type: ignore[no-any-return]


class FakeDesk:
    """Implements ports.Desk. Set what it shows, then call `ring`."""

    def __init__(self, *bays: JsonObject) -> None:
        self.station_view = station_view()
        self.bay_views = list(bays)
        self.clip_views: list[JsonObject] = []
        self.queue_views: list[JsonObject] = []
        self.health_view: JsonObject = {"ok": True, "problems": []}
        self.lines: list[str] = []
        self.asked: list[tuple[str, JsonObject]] = []
        self.views_made = 0
        self.watchers = 0
        self.open_hand_overs = 0
        self.failure: Exception | None = None  # raised by whatever is asked next
        self.steps: list[JsonObject | Exception] = []  # what an offload yields; an exception is raised
        self.endless = False  # an offload does not end by itself
        self.slow_end = False  # an offload takes a while to let go
        self._rings = 0
        self._bell = asyncio.Event()

    def record(self, event: str, **fields: str) -> None:
        """Add a custody event."""
        prev = line_digest(self.lines[-1]) if self.lines else GENESIS
        self.lines.append(event_line(len(self.lines) + 1, prev, event, dict(fields)))

    def ring(self) -> None:
        """Say that something changed."""
        self._rings += 1
        self._bell.set()
        self._bell = asyncio.Event()

    def _answer(self, value: T) -> T:
        if self.failure is not None:
            raise self.failure
        return copy.deepcopy(value)

    async def station(self) -> JsonObject:
        return self._answer(self.station_view)

    async def bays(self) -> list[JsonObject]:
        self.views_made += 1
        return self._answer(self.bay_views)

    async def clips(self, *, camera: str | None, custody: str | None, limit: int) -> list[JsonObject]:
        rows = [r for r in self.clip_views if camera in (None, r["camera"]) and custody in (None, r["state"])]
        return self._answer(rows[:limit])

    async def queue(self, *, limit: int) -> list[JsonObject]:
        return self._answer(self.queue_views[:limit])

    async def events(self, *, after: int, limit: int) -> list[JsonObject]:
        return [json.loads(line) for line in await self.custody_lines(after=after, limit=limit)]

    async def custody_lines(self, *, after: int, limit: int) -> list[str]:
        return self._answer(self.lines[after : after + limit])

    async def health(self) -> JsonObject:
        return self._answer(self.health_view)

    async def changes(self) -> AsyncIterator[None]:
        self.watchers += 1
        try:
            while True:
                seen = self._rings
                yield
                while self._rings == seen:
                    await self._bell.wait()
        finally:
            self.watchers -= 1

    async def act(self, action: str, request: JsonObject) -> JsonObject:
        self.asked.append((action, request))
        return self._answer({"done": f"{action} done"})

    async def hand_over(self, request: JsonObject) -> AsyncIterator[JsonObject]:
        self.asked.append(("offload", request))
        self.open_hand_overs += 1
        try:
            for step in self.steps:
                if isinstance(step, Exception):
                    raise step
                yield step
            if self.endless:
                await asyncio.Event().wait()
        finally:
            if self.slow_end:
                await asyncio.sleep(0.1)
            self.open_hand_overs -= 1


class Unanswering(AgentError):
    """A failure that says too much."""

    code = "ledger.refused"
    hint = "Keep the state directory as it is."
