"""One object on its way to an S3 store: small ones in one request, others in parts.

Rules: nothing is ever overwritten; a store that has something under the key already is not sent it again, and the
proof decides whether that is the object. Which parts are there is asked of the store, and each is compared with what
was acknowledged and with the spool's bytes; in doubt a part is sent again. The last part leaves, and the upload is
completed, only when the digest of the whole is right. An upload that is given up is aborted.
"""

import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from threading import Event

from agent.core.errors import SpoolCorrupt, StoreError, StoreLied, StoreUnreachable
from agent.ports import Shipment, Transfer, UploadStopped
from agent.stores.answer import BytesAltered
from agent.stores.hint import FORGOTTEN
from agent.stores.lines import Lines
from agent.stores.s3_answer import PartsDoubted
from agent.stores.s3_convoy import S3Convoy
from agent.stores.s3_hint import S3Hint
from agent.stores.s3_part import PartSizes
from agent.stores.s3_sender import S3Sender
from agent.stores.s3_uploads import NEW_ONLY, ObjectThere, S3Uploads, SentPart, StoredPart, UploadGone
from agent.stores.spool_copy import SpoolCopy
from agent.stores.stretch import Stretch

KeepHint = Callable[[str], Awaitable[None]]

TRIES = 3
"""How often in one call parts are sent whose bytes the store received otherwise."""


class S3Delivery:
    """One call of `send`."""

    def __init__(
        self,
        uploads: S3Uploads,
        lines: Lines,
        sizes: PartSizes,
        shipment: Shipment,
        transfer: Transfer,
        keep_hint: KeepHint,
    ) -> None:
        """Nothing happens yet."""
        self._uploads = uploads
        self._lines = lines
        self._sizes = sizes
        self._shipment = shipment
        self._transfer = transfer
        self._keep_hint = keep_hint
        self._halt = Event()
        self._sender = S3Sender(uploads, lines, sizes, shipment, transfer, self._halt)

    async def bring(self, hint: S3Hint | None) -> str:
        """Bring all bytes to the store; the object's handle. Raises UploadStopped, SpoolCorrupt, StoreError kinds."""
        size_bytes = self._shipment.size_bytes
        copy = await self._lines.run(lambda: SpoolCopy(self._shipment, self._stopped), halt=self._halt)
        try:
            if self._stopped():
                raise UploadStopped
            if hint is None and size_bytes <= self._sizes.of(size_bytes):
                return await self._put(copy)
            return await self._in_parts(copy, hint)
        finally:
            copy.close()

    def _stopped(self) -> bool:
        return self._transfer.stop.is_set() or self._halt.is_set() or self._lines.throttle.is_closed

    async def _put(self, copy: SpoolCopy) -> str:
        """Send a small object whole."""
        size_bytes = self._shipment.size_bytes
        if not size_bytes:
            copy.check()  # nothing is handed out, so nothing is compared
        url = self._uploads.object_url(self._shipment)
        headers = {**self._uploads.of_object(self._shipment), **NEW_ONLY}
        try:
            answer = await self._sender.whole(copy, url, headers)
        except ObjectThere:
            return await self._there()
        except StoreUnreachable as error:
            return await self._perhaps(error)
        return self._uploads.handle(self._shipment, answer)

    async def _in_parts(self, copy: SpoolCopy, hint: S3Hint | None) -> str:
        stored = None if hint is None else await self._stored(hint)
        if hint is None or stored is None:
            # The answer to an earlier completion may have been lost, or another station was faster.
            there = await self._uploads.find(self._shipment)
            if there is not None:
                return there
            part_bytes = self._sizes.of(self._shipment.size_bytes)
            hint, stored = S3Hint(await self._uploads.create(self._shipment), part_bytes), {}
            await self._keep_hint(hint.text())
        self._transfer.held_bytes = sum(part.size_bytes for part in stored.values())
        try:
            return await self._complete(hint, await self._send_missing(copy, hint, stored))
        except (SpoolCorrupt, PartsDoubted):
            await self._forget(hint)
            raise
        except UploadGone:
            await self._keep_hint(FORGOTTEN)
            raise

    async def _stored(self, hint: S3Hint) -> dict[int, StoredPart] | None:
        """What the store has of a kept upload; None when it is of no use any more."""
        if not self._sizes.may_be(hint.part_bytes, self._shipment.size_bytes):
            await self._forget(hint)
            return None
        try:
            return await self._uploads.listed(self._shipment, hint.upload)
        except UploadGone:
            return None

    async def _send_missing(self, copy: SpoolCopy, hint: S3Hint, stored: dict[int, StoredPart]) -> list[SentPart]:
        """Read all parts, send those that the store has not, and return all in order."""
        sent: dict[int, SentPart] = {}

        async def arrived(part: SentPart) -> None:
            nonlocal hint
            sent[part.number] = part
            hint = hint.with_etag(part.number, part.etag)
            await self._keep_hint(hint.text())

        for again in range(TRIES - 1, -1, -1):
            convoy = S3Convoy(partial(self._sender.part, copy, hint.upload, hint.part_bytes), arrived)
            try:
                await self._send_round(copy, convoy, hint, stored, sent)
                break
            except BaseException as error:  # noqa: BLE001 - raised again, once nothing is under way any more
                ending = await convoy.end(error)
                if not isinstance(ending, BytesAltered) or not again:
                    raise ending  # noqa: B904 - mostly the very same error
        await self._seek(copy, self._shipment.size_bytes)
        copy.check()
        return [part for _, part in sorted(sent.items())]

    async def _send_round(
        self,
        copy: SpoolCopy,
        convoy: S3Convoy,
        hint: S3Hint,
        stored: dict[int, StoredPart],
        sent: dict[int, SentPart],
    ) -> None:
        """Let each part leave that is not in `sent` yet, unless the store has it."""
        size_bytes, part_bytes = self._shipment.size_bytes, hint.part_bytes
        for number, start in enumerate(range(0, size_bytes, part_bytes), 1):
            if number in sent:
                continue
            await convoy.turn()
            await self._seek(copy, start)
            end = min(start + part_bytes, size_bytes)
            there = stored.get(number)
            if there is not None and there.etag is not None and there.size_bytes == end - start:
                stretch = await self._look_ahead(copy, start, end)
                if _is_kept(there, hint.etag(number), stretch):
                    sent[number] = SentPart(number, there.etag, stretch.checksum)
                    self._sender.progress.there(start, end - start)
                    continue
            convoy.start(number)
        await convoy.all_arrived()

    async def _complete(self, hint: S3Hint, sent: list[SentPart]) -> str:
        try:
            return await self._uploads.complete(self._shipment, hint.upload, sent)
        except ObjectThere:
            await self._forget(hint)
            return await self._there()
        except (UploadGone, StoreUnreachable) as error:
            return await self._perhaps(error)

    async def _look_ahead(self, copy: SpoolCopy, start: int, end: int) -> Stretch:
        return await self._lines.run(
            lambda: copy.look_ahead(start, end), halt=self._halt, pulse=lambda: copy.moved_bytes
        )

    async def _seek(self, copy: SpoolCopy, offset: int) -> None:
        if copy.position != offset:
            await self._lines.run(lambda: copy.seek(offset), halt=self._halt, pulse=lambda: copy.moved_bytes)

    async def _there(self) -> str:
        """The handle of what was said to be there already."""
        there = await self._uploads.find(self._shipment)
        if there is None:
            doing = self._uploads.doing("sending", self._shipment)
            raise StoreLied(f"{doing}: the store has something under the key, and then again nothing")
        return there

    async def _perhaps(self, error: StoreError) -> str:
        """If only the answer was lost, the store has the object; otherwise the error stands."""
        there = None
        with contextlib.suppress(StoreError):
            there = await self._uploads.find(self._shipment)
        if there is None:
            raise error
        return there

    async def _forget(self, hint: S3Hint) -> None:
        """Make the next try start a new upload; this one is given up."""
        await self._keep_hint(FORGOTTEN)
        with contextlib.suppress(StoreError):
            await self._uploads.abort(self._shipment, hint.upload)


def _is_kept(there: StoredPart, known: str | None, stretch: Stretch) -> bool:
    """Whether a part of this size need not be sent again; False in any doubt.

    The tag must be the acknowledged one, or the store must tell the digest of the spool's bytes.
    """
    if there.checksum is not None:
        return there.checksum == stretch.checksum
    return there.etag == known
