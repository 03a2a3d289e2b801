"""The containers and objects of recordings at a content destination: look, create, mark, complete.

Rules: a recording is one object's alone, and once it is complete nothing is written into it any more. Nothing is
overwritten: every write of an object asks for a name that does not exist yet, on servers that know the condition.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import md5
from http import HTTPStatus
from secrets import token_hex
from uuid import uuid4

from agent.core.errors import ObjectRefused, StoreError
from agent.core.object import Receipt
from agent.ports import Shipment
from agent.stores.answer import Answer
from agent.stores.axis_answer import NeverStorable, axis_refusal, is_done, is_offered
from agent.stores.axis_capabilities import Capability
from agent.stores.axis_door import Visit
from agent.stores.axis_filing import Filing
from agent.stores.axis_metadata import (
    OF_OBJECT,
    OF_RECORDING,
    bookmark_facts,
    headers_of,
    recording_facts,
    rejected_facts,
)
from agent.stores.axis_names import bookmark_of, key_of, object_of, recordings_of, stamp_of

NEW_ONLY = {"If-None-Match": "*"}
_MARKED = b"Marked on the camera\n"
_FULL_HINT = (
    "Somebody removed the clip from a recording that the destination calls complete. Remove that recording there, and"
    " the upload starts anew."
)


@dataclass(frozen=True, slots=True)
class Held:
    """That something lies under an object's name; `size_bytes` is None where the destination does not tell it.

    `told` is false where it does not even tell whether something lies there.
    """

    size_bytes: int | None
    told: bool = True


class AxisRecordings:
    """Recordings at one destination, seen from the control connection. Methods raise StoreError kinds."""

    def __init__(self, name: str) -> None:
        """`name` is the store's in messages."""
        self._name = name
        self._choosing = asyncio.Lock()

    def doing(self, what: str, about: Shipment | Receipt) -> str:
        """How messages name a request about an object."""
        return f"store {self._name}: {what} {about.sha256}"

    async def held(self, visit: Visit, about: Shipment | Receipt, filing: Filing) -> Held | None:
        """Ask what lies under the object's name; None when nothing does."""
        doing = self.doing("looking for", about)
        answer = await visit.ask("HEAD", doing, filing.container, filing.name)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        if not is_offered(answer):
            return Held(None, told=False)
        if answer.status not in (HTTPStatus.OK, HTTPStatus.NO_CONTENT):
            raise self.refused(visit, answer, doing)
        return Held(answer.number("content-length"))

    async def still_has(self, visit: Visit, receipt: Receipt, filing: Filing) -> bool:
        """Ask whether what was proved is still there with its size, and the key of what is encrypted.

        A 404 counts only from a destination that shows the entry of cameras: a proxy would know nothing at all.
        Raises StoreError where the destination does not tell.
        """
        doing = self.doing("looking again for", receipt)
        clip = key = await self.held(visit, receipt, filing)
        if filing.sealed is not None:
            key = await self.held(visit, receipt, replace(filing, name=key_of(filing.name)))
        if (clip is not None and not clip.told) or (key is not None and not key.told):
            text = f"{doing}: the content destination does not say whether it still has it"
            raise StoreError(text, hint="Allow asking for recordings (HEAD) at the content destination.")
        if clip is None or key is None:
            answer = await visit.ask("HEAD", doing, "Devices")
            if answer.status not in (HTTPStatus.OK, HTTPStatus.NO_CONTENT):
                raise self.refused(visit, answer, doing)
            return False
        return clip.size_bytes in (None, receipt.size_bytes if filing.sealed is None else filing.sealed.size_bytes)

    async def find(self, visit: Visit, shipment: Shipment) -> Filing | None:
        """Where the object lies as it came off the camera; whether its bytes are right, only a proof tells."""
        name = object_of(shipment.label, shipment.sha256)
        for container in recordings_of(shipment.label, shipment.sha256):
            filing = Filing(container, name)
            held = await self.held(visit, shipment, filing)
            if held is not None and held.told and held.size_bytes in (None, shipment.size_bytes):
                return filing
        return None

    async def placed(self, visit: Visit, shipment: Shipment, kept: Filing | None, *, anew: bool) -> str:
        """Find or make a recording that is this object's and still open; its name.

        Where none of those that it may have is open, another one is made if `anew`. Raises NeverStorable,
        ObjectRefused.
        """
        names = recordings_of(shipment.label, shipment.sha256)
        async with self._choosing:
            for name in dict.fromkeys([*([kept.container] if kept is not None else []), *names]):
                if await self._is_open(visit, shipment, name):
                    return name
            if not anew:
                text = f"{self.doing('filing', shipment)}: the recording is complete, and the clip is not in it"
                raise ObjectRefused(text, hint=_FULL_HINT)
            name = f"{names[0]}_{token_hex(8)}"
            await self._create(visit, shipment, name, _opened(name, shipment))
            return name

    async def placed_apart(self, visit: Visit, shipment: Shipment) -> str:
        """Make a container for what the destination does not take in the ordinary way; its name."""
        now = visit.door.remote.clock()
        name = f"RejectedContent_{stamp_of(now)}_{uuid4()}"
        original = recordings_of(shipment.label, shipment.sha256)[0]
        facts = rejected_facts(name, original, now, shipment)
        await self._create(visit, shipment, name, headers_of(OF_RECORDING, facts))
        return name

    async def put_small(
        self, visit: Visit, shipment: Shipment, place: tuple[str, str], headers: Mapping[str, str], content: bytes
    ) -> None:
        """Write a small object with its digest. Raises NeverStorable."""
        doing = self.doing("filing", shipment)
        carried = {**headers, "ETag": md5(content, usedforsecurity=False).hexdigest()}
        answer = await visit.ask("PUT", doing, *place, headers=carried, content=content)
        if not is_done(answer):
            raise self.refused(visit, answer, doing)

    async def mark(self, visit: Visit, shipment: Shipment, filing: Filing) -> None:
        """Put a bookmark beside a clip that was marked on the camera, where the destination takes bookmarks."""
        if not shipment.label.event or Capability.BOOKMARKS not in visit.capabilities or filing.rejected:
            return
        name = bookmark_of(shipment.label, shipment.sha256)
        held = await self.held(visit, shipment, Filing(filing.container, name))
        if held is not None and held.told:
            return
        if await self._is_complete(visit, shipment, filing.container):
            return
        headers = {"Content-Type": "text/plain", **headers_of(OF_OBJECT, bookmark_facts(shipment.label))}
        try:
            await self.put_small(visit, shipment, (filing.container, name), headers, _MARKED)
        except NeverStorable:
            return  # the clip is what counts

    async def complete(self, visit: Visit, shipment: Shipment, filing: Filing) -> None:
        """Say that nothing more will come, once; content set apart has no such word."""
        if filing.rejected or await self._is_complete(visit, shipment, filing.container):
            return
        doing = self.doing("completing the recording of", shipment)
        headers = headers_of(OF_RECORDING, {"Status": "Complete"})
        answer = await visit.ask("POST", doing, filing.container, headers=headers)
        if not is_done(answer):
            raise self.refused(visit, answer, doing)

    def refused(self, visit: Visit, answer: Answer, doing: str) -> StoreError:
        """What an answer that is no success means."""
        return axis_refusal(answer, doing, visit.door.remote.clock())

    async def _is_open(self, visit: Visit, shipment: Shipment, name: str) -> bool:
        """Whether a recording is this object's and open; one that is not there is made."""
        doing = self.doing("looking for the recording of", shipment)
        answer = await visit.ask("HEAD", doing, name)
        own = name.endswith(f"_{shipment.sha256[:16]}")
        if answer.status == HTTPStatus.NOT_FOUND or (own and not is_offered(answer)):
            await self._create(visit, shipment, name, _opened(name, shipment))
            return True
        if not is_offered(answer):
            return False  # it may be another's
        if answer.status not in (HTTPStatus.OK, HTTPStatus.NO_CONTENT):
            raise self.refused(visit, answer, doing)
        return answer.headers.get("x-container-meta-sha256") == shipment.sha256 and not _says_complete(answer)

    async def _is_complete(self, visit: Visit, shipment: Shipment, name: str) -> bool:
        answer = await visit.ask("HEAD", self.doing("looking for the recording of", shipment), name)
        return _says_complete(answer)

    async def _create(self, visit: Visit, shipment: Shipment, name: str, headers: Mapping[str, str]) -> None:
        doing = self.doing("making the recording of", shipment)
        answer = await visit.ask("PUT", doing, name, headers=headers)
        if not is_done(answer):
            raise self.refused(visit, answer, doing)


def _opened(name: str, shipment: Shipment) -> dict[str, str]:
    return headers_of(OF_RECORDING, {**recording_facts(name, shipment), "Status": "Transferring"})


def _says_complete(answer: Answer) -> bool:
    return answer.headers.get("x-container-meta-status") == "Complete"
