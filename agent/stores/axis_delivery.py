"""One object on its way to a content destination: filed, sent whole, or set apart where it is not taken.

Rules: there is no part of a clip in this interface, so a stopped upload starts again; a server keeps nothing of a body
that ended early. What lies under the object's name already is not sent again, and the proof decides whether that is the
object. An encrypted clip leaves after its key object, so that none is ever there that cannot be opened; if an earlier
one is there of which nobody knows what exactly left, another name is taken.
"""

import contextlib
import re
import secrets
from dataclasses import replace
from hashlib import sha256
from http import HTTPStatus
from threading import Event

from agent.core.errors import ObjectRefused, StoreError, StoreUnreachable
from agent.core.object import Digest
from agent.ports import Shipment, Transfer, UploadStopped
from agent.stores.answer import Answer, BytesAltered
from agent.stores.axis_answer import NeverStorable, is_done
from agent.stores.axis_body import Body, PlainBody, Seal, SealedBody
from agent.stores.axis_capabilities import Capability
from agent.stores.axis_door import Visit
from agent.stores.axis_filing import Filing, Sealed
from agent.stores.axis_metadata import OF_OBJECT, clip_facts, headers_of, key_facts
from agent.stores.axis_names import key_of, object_of
from agent.stores.axis_recordings import NEW_ONLY, AxisRecordings
from agent.stores.axis_register import AxisRegister
from agent.stores.delivery import KeepHint
from agent.stores.metadata import file_type
from agent.stores.passage import Passage
from agent.stores.spool_copy import SpoolCopy

_MD5 = re.compile(r"[0-9a-f]{32}")
_OTHER_HINT = (
    "Look at the object at the content destination: its name holds the SHA-256 that its bytes should have. It is never"
    " overwritten; once somebody has moved it away, the upload starts anew."
)


class AxisDelivery:
    """One call of `send`."""

    def __init__(
        self,
        visit: Visit,
        recordings: AxisRecordings,
        shipment: Shipment,
        transfer: Transfer,
        keep_hint: KeepHint,
    ) -> None:
        """Nothing happens yet."""
        self._visit = visit
        self._recordings = recordings
        self._shipment = shipment
        self._transfer = transfer
        self._keep_hint = keep_hint
        self._lines = visit.door.lines
        self._halt = Event()

    async def bring(self, kept: Filing | None, register: AxisRegister, seal: Seal | None) -> Filing:
        """Bring all bytes there; where they lie. Raises UploadStopped, SpoolCorrupt, StoreError kinds."""
        copy = await self._lines.run(lambda: SpoolCopy(self._shipment, self._stopped, beside=True), halt=self._halt)
        try:
            if self._stopped():
                raise UploadStopped
            there = await self._found(kept, encrypted=seal is not None)
            if there is not None:
                return there
            try:
                await register.enter(self._visit, self._shipment.label)
                if kept is None or not kept.rejected:
                    container = await self._recordings.placed(self._visit, self._shipment, kept, anew=seal is not None)
                    kept = kept if kept is not None and kept.container == container else Filing(container, "")
                return await self._carry(kept, copy, seal)
            except NeverStorable:
                register.forget(self._shipment.label)
                if Capability.REJECTED not in self._visit.capabilities or (kept is not None and kept.rejected):
                    raise
            apart = await self._recordings.placed_apart(self._visit, self._shipment)
            return await self._carry(Filing(apart, "", rejected=True), copy, seal)
        finally:
            copy.close()

    def _stopped(self) -> bool:
        return self._transfer.stop.is_set() or self._halt.is_set() or self._lines.throttle.is_closed

    async def _found(self, kept: Filing | None, *, encrypted: bool) -> Filing | None:
        """What an earlier try brought; None when there is nothing that could be proved."""
        if kept is not None:
            there = await self._there(kept)
            if there is not None:
                return there
        return None if encrypted else await self._recordings.find(self._visit, self._shipment)

    async def _there(self, filing: Filing) -> Filing | None:
        held = await self._recordings.held(self._visit, self._shipment, filing)
        if held is None or not held.told or (filing.encrypted and filing.sealed is None):
            return None
        size_bytes = self._shipment.size_bytes if filing.sealed is None else filing.sealed.size_bytes
        if held.size_bytes not in (None, size_bytes):
            raise ObjectRefused(f"{self._doing}: something else lies under its name", hint=_OTHER_HINT)
        return filing

    async def _carry(self, filing: Filing, copy: SpoolCopy, seal: Seal | None) -> Filing:
        """Send the clip into its container. Raises NeverStorable."""
        if copy.position:
            await self._lines.run(lambda: copy.seek(0), halt=self._halt)
        filing = await self._named(filing, encrypted=seal is not None)
        body = PlainBody(copy) if seal is None else seal.body(copy)
        await self._keep_hint(filing.text())
        if body.key_object is not None:
            place = filing.container, key_of(filing.name)
            headers = {"Content-Type": "application/json", **headers_of(OF_OBJECT, key_facts(self._shipment))}
            await self._recordings.put_small(self._visit, self._shipment, place, headers, body.key_object)
        return await self._send(filing, body)

    async def _named(self, filing: Filing, *, encrypted: bool) -> Filing:
        """Choose the object's name: always the same, but for encrypted copies of which one may be there already.

        One that is known to have left whole keeps its name and key, even if the destination says that it is not there.
        """
        name = object_of(self._shipment.label, self._shipment.sha256)
        if encrypted:
            unused = filing.encrypted and filing.sealed is None
            if unused and await self._recordings.held(self._visit, self._shipment, filing) is None:
                name = filing.name
            else:
                name = object_of(self._shipment.label, self._shipment.sha256, secrets.token_hex(8))
        return replace(filing, name=name, sealed=None)

    async def _send(self, filing: Filing, body: Body) -> Filing:
        limits, entry = self._lines.limits, self._visit.entry
        facts = headers_of(OF_OBJECT, clip_facts(self._shipment))
        headers = entry.headers({"Content-Type": file_type(self._shipment.label), **NEW_ONLY, **facts})
        url = entry.url(filing.container, filing.name)
        inner = Transfer(self._transfer.stop, on_progress=self._report)
        throttle = self._lines.throttle
        passage = Passage(url, 0, body.size_bytes, body, inner, self._doing, throttle, method="PUT", headers=headers)
        try:
            answer = await self._lines.lend(
                lambda line, loop: passage.send(line, loop, stall_s=limits.stall_s, answer_s=limits.answer_s),
                halt=self._halt,
                pulse=lambda: passage.taken,
            )
        except StoreUnreachable as error:
            if passage.handed < body.size_bytes:
                raise
            return await self._perhaps(_finished(filing, body), error)
        return await self._judged(answer, filing, body)

    async def _judged(self, answer: Answer, filing: Filing, body: Body) -> Filing:
        if answer.status == HTTPStatus.PRECONDITION_FAILED:
            if filing.encrypted:
                raise StoreError(f"{self._doing}: an encrypted copy lies under its name already")
            return filing  # the proof decides what it is
        if not is_done(answer):
            raise self._recordings.refused(self._visit, answer, self._doing)
        etag = answer.headers.get("etag", "").strip('"').lower()
        if _MD5.fullmatch(etag) and etag != body.md5():
            raise BytesAltered(f"{self._doing}: the content destination names another digest than that of what it got")
        finished = _finished(filing, body)
        if finished.sealed is not None:
            await self._keep_hint(finished.text())
        return finished

    async def _perhaps(self, finished: Filing, error: StoreError) -> Filing:
        """If only the answer was lost, the clip is there; otherwise the error stands."""
        await self._keep_hint(finished.text())
        there = None
        with contextlib.suppress(StoreError):
            there = await self._there(finished)
        if there is None:
            raise error
        return there

    def _report(self, sent_bytes: int) -> None:
        # An encrypted clip is a little larger than the clip.
        sent_bytes = min(sent_bytes, self._shipment.size_bytes)
        if sent_bytes > self._transfer.sent_bytes:
            self._transfer.sent_bytes = sent_bytes
            self._transfer.on_progress(sent_bytes)

    @property
    def _doing(self) -> str:
        return self._recordings.doing("sending", self._shipment)


def _finished(filing: Filing, body: Body) -> Filing:
    """The filing of a body that left whole, with what has to be found there again."""
    if not isinstance(body, SealedBody):
        return filing
    key_digest = Digest(sha256(body.key_object).hexdigest())
    return replace(filing, sealed=Sealed(body.size_bytes, Digest(body.sha256()), key_digest))
