"""Bodies of one object on their way to an S3 store, one after the other.

Rules: each body carries its SHA-256 twice, in the signature and as a checksum, because servers differ in which of the
two they look at. Progress is what the sockets took of all of them, and only rises.
"""

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from threading import Event, Lock

from agent.core.errors import StoreLied
from agent.ports import Shipment, Transfer
from agent.stores.answer import Answer, BytesAltered
from agent.stores.line import Line
from agent.stores.lines import Lines
from agent.stores.passage import Passage
from agent.stores.s3_answer import is_too_large
from agent.stores.s3_hint import as_etag
from agent.stores.s3_part import PartSizes
from agent.stores.s3_uploads import S3Uploads, SentPart
from agent.stores.spool_copy import SpoolCopy
from agent.stores.stretch import Stretch


class S3Progress:
    """Adds up how much of each part is there or on its way; called from several threads."""

    def __init__(self, transfer: Transfer) -> None:
        """People see `transfer`."""
        self._transfer = transfer
        self._lock = Lock()
        self._parts: dict[int, int] = {}
        self._sum_bytes = 0

    def there(self, start: int, size_bytes: int) -> None:
        """Count a part that begins at `start` as so far along; said with the next byte that leaves."""
        with self._lock:
            self._count(start, size_bytes)

    def of_part(self, start: int) -> Transfer:
        """The view of one part that is about to be sent from its first byte; it stops with the whole."""
        self.there(start, 0)
        return Transfer(stop=self._transfer.stop, on_progress=lambda taken: self._moved(start, taken - start))

    def _moved(self, start: int, size_bytes: int) -> None:
        with self._lock:
            self._count(start, size_bytes)
            if self._sum_bytes > self._transfer.sent_bytes:
                self._transfer.sent_bytes = self._sum_bytes
                self._transfer.on_progress(self._sum_bytes)

    def _count(self, start: int, size_bytes: int) -> None:
        self._sum_bytes += size_bytes - self._parts.get(start, 0)
        self._parts[start] = size_bytes


class S3Sender:
    """Sends stretches of a copy. `halt` ends everything that is under way."""

    def __init__(
        self,
        uploads: S3Uploads,
        lines: Lines,
        sizes: PartSizes,
        shipment: Shipment,
        transfer: Transfer,
        halt: Event,
    ) -> None:
        """Nothing happens yet."""
        self._uploads = uploads
        self._lines = lines
        self._sizes = sizes
        self._shipment = shipment
        self._halt = halt
        self.progress = S3Progress(transfer)

    async def part(
        self, copy: SpoolCopy, upload: str, part_bytes: int, number: int, on_sent: Callable[[], None]
    ) -> SentPart:
        """Send a part, at whose start `copy` stands. Raises UploadStopped, SpoolCorrupt, StoreError kinds.

        `on_sent` is called, in the worker's thread, when nothing more of it will be taken from `copy`.
        """
        start = (number - 1) * part_bytes
        end = min(start + part_bytes, copy.size_bytes)
        passage = self._passage(self._uploads.part_url(self._shipment, upload, number), copy, start, end)
        passage.on_sent = on_sent
        stretch, answer = await self._sent(copy, passage, {}, lambda: copy.look_ahead(start, end))
        etag = as_etag(answer.headers.get("etag", ""))
        if etag is None:
            raise StoreLied(f"{self._doing}: the store did not say which part it took")
        return SentPart(number, etag, stretch.checksum)

    async def whole(self, copy: SpoolCopy, url: str, headers: Mapping[str, str]) -> Answer:
        """Send the whole object and return the answer of a store that took it."""
        size_bytes = copy.size_bytes
        stretch = Stretch(0, size_bytes, bytes.fromhex(self._shipment.sha256))
        passage = self._passage(url, copy, 0, size_bytes)
        _, answer = await self._sent(copy, passage, headers, lambda: stretch)
        return answer

    def _passage(self, url: str, copy: SpoolCopy, start: int, end: int) -> Passage:
        transfer = self.progress.of_part(start)
        return Passage(url, start, end, copy, transfer, self._doing, self._lines.throttle, method="PUT")

    async def _sent(
        self, copy: SpoolCopy, passage: Passage, headers: Mapping[str, str], known: Callable[[], Stretch]
    ) -> tuple[Stretch, Answer]:
        """Send what `known` tells the digest of, which is asked in the thread that sends then."""
        limits = self._lines.limits

        def send(line: Line, loop: asyncio.AbstractEventLoop) -> tuple[Stretch, Answer]:
            stretch = known()
            checked = {**headers, "x-amz-checksum-sha256": stretch.checksum}
            passage.headers = self._uploads.signed("PUT", passage.url, checked, stretch.digest.hex())
            return stretch, passage.send(line, loop, stall_s=limits.stall_s, answer_s=limits.answer_s)

        began = asyncio.get_running_loop().time()
        stretch, answer = await self._lines.lend(send, halt=self._halt, pulse=lambda: passage.taken + copy.moved_bytes)
        took_s = asyncio.get_running_loop().time() - began
        if answer.status != HTTPStatus.OK:
            if is_too_large(answer):
                self._sizes.refused(stretch.size_bytes)
            raise self._uploads.refused(answer, self._doing)
        if answer.headers.get("x-amz-checksum-sha256", stretch.checksum) != stretch.checksum:
            raise BytesAltered(f"{self._doing}: the store names another digest than that of the bytes it was sent")
        self._sizes.arrived(stretch.size_bytes, took_s)
        return stretch, answer

    @property
    def _doing(self) -> str:
        return self._uploads.doing("sending", self._shipment)
