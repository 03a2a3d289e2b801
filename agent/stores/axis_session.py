"""Being logged in at a content destination: its addresses in their order, one token for all, renewed when refused.

Rules: an address that does not answer is passed over; one that answers with a refusal or a lie is not, because the
others are the same destination. What the destination supports is asked with each log-in.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from agent.core.errors import ConfigError, StoreError, StoreLied, StoreRefused, StoreUnreachable
from agent.stores.axis_answer import axis_refusal
from agent.stores.axis_capabilities import ALL, Capabilities, declared
from agent.stores.axis_connection import AxisConnection
from agent.stores.axis_door import Door, Entry, Visit

T = TypeVar("T")

_PASSING = 500
"""From this status on, an answer says nothing about what is declared."""
_BUSY = frozenset({408, 425, 429})


class AxisSession:
    """The log-in of one store, shared by all its uploads."""

    def __init__(self, connection: AxisConnection, file: Path | None, doors: tuple[Door, ...]) -> None:
        """Nothing is asked yet. `file` is read again when the log-in is refused."""
        self.connection = connection
        self._file = file
        self._doors = doors
        self._visit: Visit | None = None
        self._entering = asyncio.Lock()

    async def admitted(self, ask: Callable[[Visit], Awaitable[T]]) -> T:
        """Ask as one who is logged in; once more with a new token if the old one is refused."""
        used: list[Visit] = []

        async def once() -> T:
            used.append(await self._enter())
            return await ask(used[-1])

        try:
            return await self._doors[0].lines.admitted(once, lambda: self._renew(used[-1] if used else None))
        except StoreUnreachable:
            self._leave(used[-1] if used else None)  # the next try begins with the first address again
            raise

    async def close(self) -> None:
        """End all connections; idempotent."""
        for door in self._doors:
            await door.close()

    async def _enter(self) -> Visit:
        async with self._entering:
            if self._visit is None:
                self._visit = await self._knock()
            return self._visit

    async def _knock(self) -> Visit:
        failed: StoreError | None = None
        for door in self._doors:
            try:
                entry = await door.log_in(self.connection)
                return Visit(door, entry, await self._capabilities(door, entry))
            except (StoreRefused, StoreLied):
                raise
            except StoreError as error:
                failed = failed or error
        raise failed or StoreUnreachable(f"store {self._doors[0].remote.name}: no address is configured")

    async def _capabilities(self, door: Door, entry: Entry) -> Capabilities:
        if self.connection.full_support:
            return ALL
        doing = f"store {door.remote.name}: asking what the content destination supports"
        answer = await Visit(door, entry, frozenset()).ask("GET", doing, "System", "Capabilities.json")
        if answer.status >= _PASSING or answer.status in _BUSY:
            raise axis_refusal(answer, doing, door.remote.clock())
        return declared(answer)

    def _leave(self, visit: Visit | None) -> None:
        if self._visit is visit:
            self._visit = None

    def _renew(self, visit: Visit | None) -> bool:
        """Forget the token and look for another log-in in the file; tell whether to ask again. Blocks on the file.

        Only name and key are taken over while the agent runs; whatever else a new file says needs a restart.
        """
        self._leave(visit)
        changed = False
        if self._file is not None:
            try:
                fresh = AxisConnection.read(self._file)
            except ConfigError:
                fresh = self.connection
            changed = (fresh.user, fresh.key) != (self.connection.user, self.connection.key)
            if changed:
                self.connection = self.connection.model_copy(update={"user": fresh.user, "key": fresh.key})
        return changed or visit is not None
