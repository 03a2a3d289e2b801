"""Acceptance: a whole part becomes an object that the catalogue answers for.

Order: the bytes are durable, and were read back; their digest is compared with what the client said; the catalogue
learns what the upload is about to become; the part is moved to its name; the catalogue records the end; only then is
anybody told. A kill between any two steps leaves what `settle` puts right, at the next start or the next request. All
of it blocks.
"""

import logging
import time
from collections.abc import Callable
from contextlib import closing as closed_after
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from threading import Event

from agent.core.object import Digest
from agent.depot.catalogue import Catalogue
from agent.depot.metadata import expected_digest
from agent.depot.objects import Objects
from agent.depot.part import Part, drop_part
from agent.depot.reading import FRESH_S
from agent.depot.refusal import Refusal, unknown_upload
from agent.depot.upload import Upload, UploadId, to_us

log = logging.getLogger(__name__)


class Acceptance:
    """The way from `incoming/` to `objects/`."""

    def __init__(
        self, incoming: Path, objects: Objects, catalogue: Catalogue, clock: Callable[[], datetime], closing: Event
    ) -> None:
        """`clock` dates the end of an upload; `closing` ends a long re-hash."""
        self._incoming = incoming
        self._objects = objects
        self._catalogue = catalogue
        self._clock = clock
        self._closing = closing
        self._read_at: dict[UploadId, float] = {}

    def part_of(self, upload: UploadId) -> Path:
        """Where the upload's part lies while it is unfinished."""
        return self._incoming / f"{upload}.part"

    def accept(self, upload: Upload, part: Part) -> Upload:
        """Finish an upload whose bytes are all in `part`.

        Raises Refusal 460 when they are not what the client said, 500 when the disk failed to keep them; in both
        cases the upload is dropped. Raises OSError, sqlite3.Error when the end could not be reached: `settle` then can.
        """
        try:
            part.freeze()
            digest = part.digest()
        except OSError as error:
            raise self.lose(upload, error) from error
        expected = expected_digest(upload.label)
        if expected is not None and digest != expected:
            self.drop(upload)
            log.warning("upload.refused", extra={"upload": upload.id, "station": upload.station})
            message = f"the bytes on disk have SHA-256 {digest}, announced was {expected}; send them anew"
            raise Refusal(460, "digest_mismatch", message)
        self._catalogue.intend(upload.id, digest)
        self._objects.admit(part.path, digest)
        return self._finish(upload, digest)

    def was_read_lately(self, upload: UploadId) -> bool:
        """Whether this process finished the upload, and so read its bytes from the disk, within the last minute."""
        read_s = self._read_at.get(upload)
        return read_s is not None and time.monotonic() - read_s < FRESH_S

    def settle(self, upload: Upload) -> Upload:
        """Put right an unfinished upload that has no part: either its object is there, or nothing is.

        Raises Refusal 404, the upload then being forgotten.
        """
        if upload.sha256 is not None and self._objects.proves(upload.sha256):
            return self._finish(upload, upload.sha256)
        self._catalogue.remove(upload.id)
        raise unknown_upload()

    def resume(self, upload: Upload) -> Upload:
        """Bring an upload as far as its bytes on disk allow; it may come back unfinished. Raises as the others."""
        try:
            part = Part(self.part_of(upload.id), None, self._closing)
        except FileNotFoundError:
            return self.settle(upload)
        with closed_after(part):
            if part.size_bytes < upload.length_bytes:
                return upload
            if part.size_bytes > upload.length_bytes:
                message = f"the part of upload {upload.id} is longer than the upload; it was kept as it is"
                raise Refusal(500, "part_too_long", message)
            return self.accept(upload, part)

    def drop(self, upload: Upload) -> None:
        """Forget an unfinished upload and its bytes. Raises OSError, sqlite3.Error."""
        drop_part(self.part_of(upload.id))
        self._catalogue.remove(upload.id)

    def forget(self, upload: Upload) -> None:
        """Drop an upload that nobody can know of, unless it was dropped already. Raises OSError, sqlite3.Error."""
        if self._catalogue.find(upload.station, upload.id) is not None:
            self.drop(upload)

    def lose(self, upload: Upload, error: OSError) -> Refusal:
        """Drop an upload whose bytes the disk failed to keep, and return the answer for its client.

        The kernel forgets pages that it could not write, so a second fsync would succeed and prove nothing.
        """
        log.error("upload.lost", extra={"upload": upload.id, "station": upload.station, "reason": str(error)})
        self.drop(upload)
        return Refusal(500, "storage_failed", f"the disk did not keep the bytes ({error.strerror}); start a new upload")

    def _finish(self, upload: Upload, digest: Digest) -> Upload:
        now_s = time.monotonic()
        for old, read_s in list(self._read_at.items()):
            if now_s - read_s > FRESH_S:
                self._read_at.pop(old, None)
        self._read_at[upload.id] = now_s
        now_us = to_us(self._clock())
        self._catalogue.finish(upload.id, digest, now_us)
        return replace(upload, sha256=digest, finished_us=now_us)
