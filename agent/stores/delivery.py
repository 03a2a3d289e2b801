"""One object on its way to a tus store: find where it stands, send the rest, keep the hint true.

Rules: the store's offset wins, but never above what can have left us; after any doubt it is asked. An upload whose
store claims the impossible is forgotten and created anew; nothing is ever skipped. Bodies leave in stretches, and
the hint says how far a stretch can get before its first byte leaves. Only what is small goes with the creation of its
upload: a line that is cut there leaves an upload behind that nobody knows.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from threading import Event

from agent.core.errors import AgentError, SpoolCorrupt, StoreError, StoreLied
from agent.core.patch_policy import CHECKED_BYTES, is_worth_going_on
from agent.ports import Clock, Shipment, Transfer, UploadStopped
from agent.stores.abilities import Abilities
from agent.stores.answer import Answer, BytesAltered, refusal
from agent.stores.hint import FORGOTTEN, Hint
from agent.stores.lines import Lines
from agent.stores.pace import Pace
from agent.stores.passage import OFFSET_STREAM, Passage
from agent.stores.spool_copy import SpoolCopy
from agent.stores.stretch import Stretch
from agent.stores.uploads import GONE, TUS, Uploads, UploadSpoiled, offset_in

KeepHint = Callable[[str], Awaitable[None]]

AT_ONCE_BYTES = 1 << 20
"""Up to this size an object goes with the creation of its upload, where the store offers that: one round trip less."""
DOUBTS = 3
"""How often in one call a store may keep less than it was sent, or refuse an offset, before we pause."""
TRIES = 3
"""How often in one call a stretch is sent whose bytes the store received otherwise."""
CHECKSUM_MISMATCH = 460
"""The store computed another digest. Source: tus 1.0.0, checksum extension."""
_TAKEN = frozenset({HTTPStatus.OK, HTTPStatus.NO_CONTENT})
_BODY_REFUSED = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.LENGTH_REQUIRED,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.NOT_IMPLEMENTED,
    }
)


class Delivery:
    """One call of `send`. `url` is the upload's address once `bring` returned."""

    def __init__(
        self,
        uploads: Uploads,
        lines: Lines,
        pace: Pace,
        shipment: Shipment,
        transfer: Transfer,
        keep_hint: KeepHint,
    ) -> None:
        """Nothing happens yet."""
        self._uploads = uploads
        self._lines = lines
        self._pace = pace
        self._shipment = shipment
        self._transfer = transfer
        self._keep_hint = keep_hint
        self._can = Abilities()
        self._halt = Event()
        self._doubts = 0
        self._offset = 0
        self._sent: int | None = 0  # the most that can have left us under `url`; None when that is not known
        self.url = ""

    async def bring(self, hint: Hint | None, clock: Clock) -> None:
        """Bring all bytes to the store. Raises UploadStopped, SpoolCorrupt, StoreError kinds."""
        copy = await self._lines.run(
            lambda: SpoolCopy(self._shipment, self._stopped, beside=self._lines.encrypts), halt=self._halt
        )
        try:
            if self._stopped():
                raise UploadStopped
            self._can = await self._uploads.abilities()
            if hint is None or not await self._stands(hint):
                await self._begin(copy)
            while self._offset < self._shipment.size_bytes:
                await self._advance(copy, clock)
        except (SpoolCorrupt, UploadSpoiled):
            await self._forget()
            raise
        finally:
            copy.close()

    def _stopped(self) -> bool:
        # A pause is no wait with an open request, which a store would soon call dead: it ends the transfer.
        return self._transfer.stop.is_set() or self._halt.is_set() or self._lines.throttle.is_closed

    async def _stands(self, hint: Hint) -> bool:
        """Find the upload where it was left; False when a new one must be created."""
        self.url, self._sent = hint.url, hint.sent_bytes
        stand = await self._uploads.stand(self.url, self._shipment.size_bytes, self._sent)
        if stand is None:
            self.url = ""
            return False
        self._pace.stands(self.url, stand.offset)
        left_bytes, new_life_s = self._shipment.size_bytes - stand.offset, self._uploads.new_life_s
        if self._pace.extends is False and not is_worth_going_on(
            left_bytes, self._pace.rate_bytes_s, stand.life_s, new_life_s
        ):
            await self._forget()
            return False
        self._offset, self._sent = stand.offset, max(stand.offset, self._sent or 0)
        self._transfer.sent_bytes = max(stand.offset, self._transfer.sent_bytes)
        self._transfer.held_bytes = stand.offset
        return True

    async def _begin(self, copy: SpoolCopy) -> None:
        """Create the upload, with its bytes where they are few."""
        size_bytes = self._shipment.size_bytes
        if size_bytes <= AT_ONCE_BYTES and self._can.creation_with_upload and await self._begin_with_bytes(copy):
            return
        if size_bytes == 0:
            copy.check()  # to create it is to complete it
        self.url = await self._uploads.create(self._shipment)
        self._offset = self._sent = 0
        await self._keep()

    async def _begin_with_bytes(self, copy: SpoolCopy) -> bool:
        """Send the object with the creation of its upload; False when the store takes no bytes with it after all."""
        size_bytes = self._shipment.size_bytes
        await self._seek(copy, 0)
        whole = await self._look_ahead(copy, size_bytes)
        headers = {**self._uploads.creation(self._shipment), **OFFSET_STREAM, **self._checksum(whole)}
        passage = self._passage(self._uploads.base, size_bytes, copy, headers, method="POST")
        answer = await self._checked(passage, copy, whole)
        if answer.status in _BODY_REFUSED:
            self._uploads.take_no_bytes()
            return False
        self.url = self._uploads.created(answer, self._shipment)
        self._offset, self._sent = 0, size_bytes
        await self._keep()
        if "upload-offset" in answer.headers:
            self._offset = offset_in(answer, size_bytes, passage.doing)
        else:
            self._offset = await self._asked(passage)
        return True

    async def _advance(self, copy: SpoolCopy, clock: Clock) -> None:
        """Send one stretch and learn where the upload stands then."""
        await self._seek(copy, self._offset)
        checked = self._can.checksum and self._pace.wants_checksum
        before = self._sent or 0
        end = self._pace.end(self._offset, self._shipment.size_bytes, CHECKED_BYTES if checked else None)
        stretch = await self._look_ahead(copy, end) if checked else None
        headers = {**TUS, **OFFSET_STREAM, "Upload-Offset": str(self._offset), **self._checksum(stretch)}
        passage = self._passage(self.url, end, copy, headers)
        self._sent = max(before, end)
        await self._keep()
        began = asyncio.get_running_loop().time()
        try:
            answer = await (self._lend(passage) if stretch is None else self._checked(passage, copy, stretch))
        except (AgentError, UploadStopped) as error:
            self._sent = max(before, passage.handed)
            await self._keep()
            self._pace.was_cut(self.url, passage.offset, passage.handed)
            await self._recover(error, passage)
            return
        self._sent = max(before, passage.handed)
        if answer.status in GONE:
            await self._begin_anew(copy, answer, passage, clock)
            return
        if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and self._pace.was_too_large(end - passage.offset):
            self._offset = await self._asked(passage)
            return
        await self._learn(answer, passage, clock)
        now = asyncio.get_running_loop().time()
        self._pace.arrived(self._offset - passage.offset, now - began)
        self._pace.saw_expiry(self.url, answer.headers.get("upload-expires"), now)

    def _passage(self, url: str, end: int, copy: SpoolCopy, headers: dict[str, str], method: str = "PATCH") -> Passage:
        doing, throttle = self._uploads.doing(self._shipment), self._lines.throttle
        return Passage(url, self._offset, end, copy, self._transfer, doing, throttle, method=method, headers=headers)

    def _checksum(self, stretch: Stretch | None) -> dict[str, str]:
        if stretch is None or not self._can.checksum:
            return {}
        return {"Upload-Checksum": f"sha256 {stretch.checksum}"}

    async def _checked(self, passage: Passage, copy: SpoolCopy, stretch: Stretch) -> Answer:
        """Send, and again while the store receives other bytes. Raises BytesAltered, UploadSpoiled."""
        for _ in range(TRIES):
            answer = await self._lend(passage)
            if answer.status != CHECKSUM_MISMATCH:
                return answer
            self._pace.altered = True
            await self._seek(copy, passage.offset)
            if await self._look_ahead(copy, passage.end) != stretch:
                raise StoreError(f"{passage.doing}: this machine read other bytes the second time")
            if self.url and await self._asked(passage) != passage.offset:
                raise UploadSpoiled(f"{passage.doing}: the store kept some of the bytes that it refused (460)")
        raise BytesAltered(f"{passage.doing}: the store received other bytes than were sent, {TRIES} times (460)")

    async def _lend(self, passage: Passage) -> Answer:
        limits = self._lines.limits
        return await self._lines.lend(
            lambda line, loop: passage.send(line, loop, stall_s=limits.stall_s, answer_s=limits.answer_s),
            halt=self._halt,
            pulse=lambda: passage.taken,
        )

    async def _seek(self, copy: SpoolCopy, offset: int) -> None:
        if copy.position != offset:
            await self._lines.run(lambda: copy.seek(offset), halt=self._halt, pulse=lambda: copy.moved_bytes)

    async def _look_ahead(self, copy: SpoolCopy, end: int) -> Stretch:
        """Hash what follows up to `end`; its digest has to be known before its first byte leaves."""
        start = copy.position
        return await self._lines.run(
            lambda: copy.look_ahead(start, end), halt=self._halt, pulse=lambda: copy.moved_bytes
        )

    async def _learn(self, answer: Answer, passage: Passage, clock: Clock) -> None:
        """Take the new offset from the answer, or ask for it."""
        if answer.status == CHECKSUM_MISMATCH:
            self._pace.altered = True
            raise UploadSpoiled(f"{passage.doing}: the store received other bytes than were sent (460)")
        if answer.status not in _TAKEN and answer.status != HTTPStatus.CONFLICT:
            await self._keep()
            raise refusal(answer, passage.doing, clock())
        if answer.status in _TAKEN and "upload-offset" in answer.headers:
            reached = offset_in(answer, passage.handed, passage.doing)
        else:
            reached = await self._asked(passage)
        if reached != passage.end:
            self._doubt(passage, reached, hopeless=answer.status in _TAKEN and reached <= passage.offset)
        self._offset = reached

    async def _asked(self, passage: Passage) -> int:
        """Where the store says that the upload stands."""
        offset = await self._uploads.offset(self.url, self._shipment.size_bytes, self._sent)
        if offset is None:
            raise StoreError(f"{passage.doing}: the store lost the upload while it was sent")
        return offset

    def _doubt(self, passage: Passage, reached: int, *, hopeless: bool) -> None:
        self._doubts += 1
        if hopeless or self._doubts > DOUBTS:
            text = f"{passage.doing}: the store was sent bytes up to {passage.end} but stands at {reached}"
            raise StoreLied(text)

    async def _begin_anew(self, copy: SpoolCopy, answer: Answer, passage: Passage, clock: Clock) -> None:
        """Create the upload again that the store has forgotten: it expired, or somebody removed it there."""
        await self._keep()
        if await self._uploads.offset(self.url, self._shipment.size_bytes, self._sent) is not None:
            raise refusal(answer, passage.doing, clock())  # it is there: the refusal is about something else
        self._doubt(passage, 0, hopeless=False)
        self.url = ""
        await self._begin(copy)

    async def _recover(self, error: AgentError | UploadStopped, passage: Passage) -> None:
        """If all bytes left and only the last answer is missing, the store knows whether they arrived."""
        size_bytes = self._shipment.size_bytes
        if not isinstance(error, StoreError) or isinstance(error, StoreLied) or passage.handed != size_bytes:
            raise error
        try:
            offset = await self._uploads.offset(self.url, size_bytes, self._sent)
        except UploadSpoiled:
            raise
        except StoreError:
            raise error from None
        if offset != size_bytes:
            raise error
        self._offset = size_bytes

    async def _keep(self) -> None:
        await self._keep_hint(Hint(self.url, self._sent).text())

    async def _forget(self) -> None:
        """Make the next try start a new upload; the old one is removed if the store calls it unfinished."""
        if self.url:
            await self._keep_hint(FORGOTTEN)
            with contextlib.suppress(StoreError):
                await self._uploads.terminate(self.url)
        self.url = ""
