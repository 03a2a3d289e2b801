"""The limits in force now: worked out from the policy and the wall clock, asked by whoever sends or shows them.

Only the event loop's thread changes them; any thread may ask.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime

import structlog

from agent.core.bandwidth_policy import BandwidthPolicy, InForce, in_force
from agent.core.rate import rate_text
from agent.ports import Clock, JsonObject
from agent.services.yielding import Yielding

log = structlog.get_logger()

LOOK_S = 10.0
"""The wall clock may be set at any time: it is looked at so often even if no change is due."""
_LEAST_S = 0.05


class Bandwidth:
    """The limits of the station and of each store that is reached through its line."""

    def __init__(self) -> None:
        """No limit before the first `apply`."""
        self._policy = BandwidthPolicy()
        self._station = InForce()
        self._stores: dict[str, InForce] = {}
        self._looked_at: datetime | None = None
        self._lines: dict[str, Yielding] = {}

    def station_limit(self) -> int | None:
        """Bytes per second for all stores together; None is no limit, 0 a pause."""
        return self._station.limit

    def store_limit(self, store: str) -> int | None:
        """Bytes per second for one store, beside what the station may send."""
        found = self._stores.get(store)
        return None if found is None else found.limit

    def paused(self, store: str) -> bool:
        """Whether nothing may be sent to a store now."""
        return store in self._stores and 0 in (self._station.limit, self._stores[store].limit)

    def apply(self, policy: BandwidthPolicy, now: datetime) -> None:
        """Take a policy into force."""
        self._policy = policy
        for line in self._lines.values():
            line.wanted = policy.yields
        self._look(now)

    def line(self, store: str) -> Yielding:
        """Who makes room for others on the line to a store."""
        line = self._lines.setdefault(store, Yielding(store))
        line.wanted = self._policy.yields
        return line

    def line_view(self, store: str) -> JsonObject | None:
        """What people see of room that is made for others; None when none is."""
        return self._lines[store].view() if store in self._lines else None

    def look(self, now: datetime) -> bool:
        """Follow the clock; whether another limit holds now, or holds for another time."""
        ends = [found.until for found in (self._station, *self._stores.values()) if found.until is not None]
        if self._looked_at is not None and self._looked_at <= now and all(now < end for end in ends):
            self._looked_at = now
            return False
        return self._look(now)

    def _look(self, now: datetime) -> bool:
        policy, before = self._policy, (self._station, self._stores)
        self._station = in_force(policy.station, now, policy.zone)
        self._stores = {name: in_force(table, now, policy.zone) for name, table in policy.stores.items()}
        self._looked_at = now
        if (self._station, self._stores) == before:
            return False
        stores = {name: rate_text(found.limit) for name, found in self._stores.items() if found != InForce()}
        log.info("bandwidth.limited", station=rate_text(self._station.limit), stores=stores)
        return True

    def wait_s(self, now: datetime) -> float:
        """Seconds until the clock should be looked at again."""
        ends = [found.until for found in (self._station, *self._stores.values()) if found.until is not None]
        return min([LOOK_S, *(max(_LEAST_S, (end - now).total_seconds()) for end in ends)])

    def why_paused(self, store: str, now: datetime) -> str | None:
        """Why nothing is sent to a store, and until when; None when it is not paused."""
        if not self.paused(store):
            return None
        closed = [found for found in (self._station, self._stores[store]) if found.limit == 0]
        ends = [found.until for found in closed]
        until = None if None in ends else max((end for end in ends if end is not None), default=None)
        return f"uploads are {InForce(0, until).told(now)}: the configuration allows none now"

    def view(self, now: datetime) -> JsonObject:
        """What people see of the station's limit."""
        return _view(self._station, now)

    def store_view(self, store: str, now: datetime) -> JsonObject | None:
        """What people see of a store's own limit; None when it has none."""
        table = self._policy.stores.get(store)
        if table is None or (table.limit is None and not table.hours):
            return None
        return _view(self._stores[store], now)


def _view(found: InForce, now: datetime) -> JsonObject:
    return {
        "limit_bits_s": None if found.limit is None else found.limit * 8,
        "until": None if found.until is None else found.until.isoformat(),
        "shown": found.told(now),
    }


async def follow_hours(bandwidth: Bandwidth, clock: Clock, changed: Callable[[], None]) -> None:
    """Change the limits with the hours, until cancelled; `changed` is called after each change."""
    while True:
        await asyncio.sleep(bandwidth.wait_s(clock()))
        if bandwidth.look(clock()):
            changed()
