"""Who and what a content destination must know before it takes a recording: the officer, the camera, this station.

Rules: what is there is left as it is. A station is bound to the destination by an object with a number that was made
once; a destination that does not know it any more is another one, and gets nothing. Source: Axis Body Worn Content
Destination API 1.6.13, "Device and User API" and "SystemID".
"""

import asyncio
import re
import secrets
from collections.abc import Callable, Mapping
from http import HTTPStatus
from threading import Event

from agent.core.errors import StoreRefused
from agent.ports import ClipLabel
from agent.stores.answer import Answer
from agent.stores.axis_answer import axis_refusal, is_done, is_offered
from agent.stores.axis_capabilities import Capability
from agent.stores.axis_door import Visit
from agent.stores.axis_marks import AxisMarks, Mark
from agent.stores.axis_metadata import OF_OBJECT, device_facts, headers_of, user_facts
from agent.stores.axis_names import serial_of, system_id, user_id

MAX_KNOWN = 4096
_NUMBER = re.compile(r"[A-Za-z0-9-]{1,100}")
_CONNECTION_ID = "x-object-meta-connectionid"


class AxisRegister:
    """What this station has entered at one destination. Methods raise StoreError kinds."""

    def __init__(self, name: str, station: str, marks: AxisMarks) -> None:
        """`name` is the store's in messages."""
        self._name = name
        self._station = station
        self._marks = marks
        self._known: dict[tuple[str, str], None] = {}
        self._bound: Visit | None = None
        self._binding = asyncio.Lock()

    async def enter(self, visit: Visit, label: ClipLabel) -> None:
        """Make sure that the destination knows whose recording comes. Raises NeverStorable, StoreRefused."""
        with_id = Capability.USER_ID in visit.capabilities
        await self._ensure(visit, "Users", user_id(label.officer), user_facts(label, with_id=with_id))
        await self._ensure(visit, "Devices", serial_of(label.camera), device_facts(label))

    def forget(self, label: ClipLabel) -> None:
        """Look for the officer and the camera again next time: the destination says that it does not know them."""
        self._known.pop(("Users", user_id(label.officer)), None)
        self._known.pop(("Devices", serial_of(label.camera)), None)

    async def bind(self, visit: Visit) -> None:
        """Make sure, once for each log-in, that this is the destination to which the station is bound."""
        async with self._binding:
            if self._bound is not visit:
                await self._bind(visit)
                self._bound = visit

    async def _bind(self, visit: Visit) -> None:
        number = await self._in_thread(visit, lambda: self._marks.get(Mark.BOUND))
        if Capability.SYSTEM_ID not in visit.capabilities:
            if number is not None:
                raise self._another("no longer declares StoreReadSystemID, or its Capabilities.json is corrupt")
            return
        doing = f"store {self._name}: looking whether this is the destination of this station"
        name = system_id(self._station)
        found = await self._look(visit, doing, "System", name)
        theirs = None if found is None else found.headers.get(_CONNECTION_ID)
        if number is not None:
            if theirs != number:
                what = "does not know this station" if found is None else "knows this station by another number"
                raise self._another(what)
            return
        chosen = theirs
        if chosen is None or not _NUMBER.fullmatch(chosen):
            chosen = secrets.token_hex(16)
            await self._put(visit, "System", name, {"ConnectionId": chosen, "SystemName": self._station})
            made = await self._look(visit, doing, "System", name)
            if made is None or made.headers.get(_CONNECTION_ID) != chosen:
                return  # it declares more than it does: a bond that cannot be looked at would only lock the station out
        bond = chosen
        await self._in_thread(visit, lambda: self._marks.set(Mark.BOUND, bond))

    async def _ensure(self, visit: Visit, container: str, name: str, facts: Mapping[str, str | None]) -> None:
        if (container, name) in self._known:
            return
        doing = f"store {self._name}: looking for an entry in {container}"
        if await self._look(visit, doing, container, name) is None:
            await self._put(visit, container, name, facts)
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[container, name] = None

    async def _look(self, visit: Visit, doing: str, container: str, name: str) -> Answer | None:
        """What is known of an entry; None when there is none, or when the destination does not tell."""
        answer = await visit.ask("HEAD", doing, container, name)
        if not is_offered(answer):
            answer = await visit.ask("GET", doing, container, name)
        if is_done(answer) or answer.status == HTTPStatus.OK:
            return answer
        if answer.status == HTTPStatus.NOT_FOUND or not is_offered(answer):
            return None
        raise axis_refusal(answer, doing, visit.door.remote.clock())

    async def _put(self, visit: Visit, container: str, name: str, facts: Mapping[str, str | None]) -> None:
        doing = f"store {self._name}: making an entry in {container}"
        answer = await visit.ask("PUT", doing, container)
        if is_done(answer):
            answer = await visit.ask("PUT", doing, container, name, headers=headers_of(OF_OBJECT, facts))
        if not is_done(answer):
            raise axis_refusal(answer, doing, visit.door.remote.clock())

    def _another(self, what: str) -> StoreRefused:
        path = self._marks.path(Mark.BOUND)
        hint = "Nothing was sent. If the old destination was replaced on purpose, stop the agent and remove "
        hint += "its mark." if path is None else f"{path}."
        return StoreRefused(f"store {self._name}: this is not the content destination it was: it {what}", hint=hint)

    async def _in_thread(self, visit: Visit, job: Callable[[], str | None]) -> str | None:
        return await visit.door.lines.run(job, halt=Event())
