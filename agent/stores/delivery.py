"""One object on its way to a tus store: find where it stands, send the rest, keep the hint true.

Rules: the store's offset wins, but never above what can have left us; after any doubt it is asked. An upload whose
store claims the impossible is forgotten and created anew; nothing is ever skipped. Bodies leave in stretches, and
the hint says how far a stretch can get before its first byte leaves.
"""

import contextlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from threading import Event

from agent.core.errors import AgentError, SpoolCorrupt, StoreError, StoreLied
from agent.ports import Clock, Shipment, Transfer, UploadStopped
from agent.stores.answer import Answer, refusal
from agent.stores.hint import FORGOTTEN, Hint
from agent.stores.lines import Lines
from agent.stores.passage import Passage
from agent.stores.spool_copy import SpoolCopy
from agent.stores.uploads import Uploads, UploadSpoiled, offset_in

KeepHint = Callable[[str], Awaitable[None]]

DOUBTS = 3
"""How often in one call a store may keep less than it was sent, or refuse an offset, before we pause."""
CHECKSUM_MISMATCH = 460
"""The store computed another digest. Source: tus 1.0.0, checksum extension."""
_TAKEN = frozenset({HTTPStatus.OK, HTTPStatus.NO_CONTENT})


class Delivery:
    """One call of `send`. `url` is the upload's address once `bring` returned."""

    def __init__(
        self, uploads: Uploads, lines: Lines, shipment: Shipment, transfer: Transfer, keep_hint: KeepHint
    ) -> None:
        """Nothing happens yet."""
        self._uploads = uploads
        self._lines = lines
        self._shipment = shipment
        self._transfer = transfer
        self._keep_hint = keep_hint
        self._halt = Event()
        self._doubts = 0
        self._offset = 0
        self._sent: int | None = 0  # the most that can have left us under `url`; None when that is not known
        self.url = ""

    async def bring(self, hint: Hint | None, clock: Clock) -> None:
        """Bring all bytes to the store. Raises UploadStopped, SpoolCorrupt, StoreError kinds."""
        copy = await self._lines.run(lambda: SpoolCopy(self._shipment, self._stopped), halt=self._halt)
        try:
            await self._stand(hint, copy)
            while self._offset < self._shipment.size_bytes:
                await self._advance(copy, clock)
        except (SpoolCorrupt, UploadSpoiled):
            await self._forget()
            raise
        finally:
            copy.close()

    def _stopped(self) -> bool:
        return self._transfer.stop.is_set() or self._halt.is_set()

    async def _stand(self, hint: Hint | None, copy: SpoolCopy) -> None:
        """Find the upload where it was left, or create one."""
        if self._stopped():
            raise UploadStopped
        if hint is not None:
            self.url, self._sent = hint.url, hint.sent_bytes
            offset = await self._uploads.offset(self.url, self._shipment.size_bytes, self._sent)
            if offset is not None:
                self._offset, self._sent = offset, max(offset, self._sent or 0)
                self._transfer.sent_bytes = max(offset, self._transfer.sent_bytes)
                return
        if self._shipment.size_bytes == 0:
            copy.check()  # to create it is to complete it
        self.url = await self._uploads.create(self._shipment)
        self._sent = 0
        await self._keep()

    async def _advance(self, copy: SpoolCopy, clock: Clock) -> None:
        """Send one stretch and learn where the upload stands then."""
        if copy.position != self._offset:
            await self._lines.run(lambda: copy.seek(self._offset), halt=self._halt, pulse=lambda: copy.moved_bytes)
        limits, before = self._lines.limits, self._sent or 0
        end = min(self._offset + limits.patch_bytes, self._shipment.size_bytes)
        passage = Passage(self.url, self._offset, end, copy, self._transfer, self._uploads.doing(self._shipment))
        self._sent = max(before, end)
        await self._keep()
        try:
            answer = await self._lines.lend(
                lambda line, loop: passage.send(line, loop, stall_s=limits.stall_s, answer_s=limits.answer_s),
                halt=self._halt,
                pulse=lambda: passage.taken,
            )
        except (AgentError, UploadStopped) as error:
            self._sent = max(before, passage.handed)
            await self._keep()
            await self._recover(error, passage)
            return
        self._sent = max(before, passage.handed)
        await self._learn(answer, passage, clock)

    async def _learn(self, answer: Answer, passage: Passage, clock: Clock) -> None:
        """Take the new offset from the answer, or ask for it."""
        if answer.status == CHECKSUM_MISMATCH:
            raise UploadSpoiled(f"{passage.doing}: the store received other bytes than were sent (460)")
        if answer.status not in _TAKEN and answer.status != HTTPStatus.CONFLICT:
            await self._keep()
            raise refusal(answer, passage.doing, clock())
        if answer.status in _TAKEN and "upload-offset" in answer.headers:
            reached: int | None = offset_in(answer, passage.handed, passage.doing)
        else:
            reached = await self._uploads.offset(self.url, self._shipment.size_bytes, self._sent)
        if reached is None:
            raise StoreError(f"{passage.doing}: the store lost the upload while it was sent")
        if reached != passage.end:
            self._doubts += 1
            kept_nothing = answer.status in _TAKEN and reached <= passage.offset
            if kept_nothing or self._doubts > DOUBTS:
                text = f"{passage.doing}: the store was sent bytes up to {passage.end} but stands at {reached}"
                raise StoreLied(text)
        self._offset = reached

    async def _recover(self, error: AgentError | UploadStopped, passage: Passage) -> None:
        """If all bytes left and only the last answer is missing, the store knows whether they arrived."""
        size_bytes = self._shipment.size_bytes
        if not isinstance(error, StoreError) or passage.handed != size_bytes:
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
