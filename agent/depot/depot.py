"""The depot itself: one directory, held by one process, and what stations may do with it.

Layout: `objects/<sha256>` the evidence, `incoming/<id>.part` unfinished uploads, `stations/<id>.json` credentials,
`catalogue.sqlite`, `key.pem`, `receipt.pub`, `damaged/` what was put aside, `lock`.
"""

import fcntl
import os
import sqlite3
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event, Lock

from agent.core.object import Digest
from agent.core.receipt import Statement
from agent.depot.acceptance import Acceptance
from agent.depot.catalogue import Catalogue
from agent.depot.checks import Checks
from agent.depot.metadata import Label
from agent.depot.objects import Objects
from agent.depot.part import Part, make_part
from agent.depot.reading import Reading
from agent.depot.recovery import recover
from agent.depot.refusal import DepotError, Refusal, unknown_upload
from agent.depot.signing_key import SigningKey, load_key
from agent.depot.stations import FOLDER as STATIONS
from agent.depot.turn import Turn, Turns
from agent.depot.upload import Upload, UploadId, is_id, new_id, to_us
from agent.depot.workers import Workers
from agent.files.durable import make_directory

RESERVE_BYTES = 256 << 20
"""Kept free of new uploads, so that the catalogue can always be written."""
MAX_LENGTH_BYTES = 2**63 - 1
_REMEMBERED = 1024
"""Readings on their way that are kept between two requests; a forgotten one begins anew."""
FOLLOWERS = 2
"""Threads that read back what arrives; they hash, so more than there are cores are of no use."""


@dataclass(slots=True)
class Work:
    """An upload in the hands of one request. `part` is None when the upload is finished."""

    upload: Upload
    turn: Turn
    part: Part | None

    @property
    def offset_bytes(self) -> int:
        """How many bytes the depot has."""
        return self.upload.length_bytes if self.part is None else self.part.size_bytes


@dataclass(frozen=True, slots=True)
class SignedReceipt:
    """A statement's text, its signature in base64, and the id of the key."""

    statement: str
    signature: str
    key: str


class Depot:
    """An opened depot. Async methods raise Refusal for the client's part, OSError and sqlite3.Error for the disk's."""

    def __init__(self, directory: Path, *, clock: Callable[[], datetime], max_size_bytes: int | None = None) -> None:
        """Take hold of `directory` (made when missing) and recover. Blocks. Raises DepotError."""
        self.directory = directory
        self.clock = clock
        self.max_size_bytes = MAX_LENGTH_BYTES if max_size_bytes is None else max_size_bytes
        self.closing = Event()
        self.turns = Turns()
        self.workers = Workers()
        self.followers = Workers(FOLLOWERS)
        self._promising = Lock()
        self._readings: OrderedDict[UploadId, Reading] = OrderedDict()
        self._lock_fd = _hold(directory)
        try:
            self._open(directory)
        except (OSError, sqlite3.Error) as error:
            os.close(self._lock_fd)
            hint = "Check the disk, and that the directory and all in it belong to the depot's user."
            raise DepotError(f"the depot in {directory} cannot be opened: {error}", hint=hint) from error
        except DepotError:
            os.close(self._lock_fd)
            raise

    def _open(self, directory: Path) -> None:
        self.key: SigningKey = load_key(directory)
        self._incoming = directory / "incoming"
        make_directory(self._incoming)
        make_directory(directory / STATIONS)
        self.objects = Objects(directory, self.closing)
        self._checks = Checks(self.objects)
        self.catalogue = Catalogue(directory)
        self.acceptance = Acceptance(self._incoming, self.objects, self.catalogue, self.clock, self.closing)
        self.problems = recover(self._incoming, self.objects, self.catalogue, self.acceptance)

    def close(self) -> None:
        """Let go of the directory; blocks until the threads are done."""
        self.closing.set()
        self.workers.close()
        self.followers.close()
        self._checks.close()
        self.catalogue.close()
        os.close(self._lock_fd)

    async def create(self, station: str, length_bytes: int, label: Label) -> Upload:
        """Record a new upload, durably. Raises Refusal 413, 507."""
        if length_bytes > self.max_size_bytes:
            raise Refusal(413, "too_large", f"at most {self.max_size_bytes} bytes are taken")
        upload = Upload(new_id(), station, length_bytes, label, to_us(self.clock()))
        return await self.workers.run(self._create, upload)

    async def find(self, station: str, upload: str) -> Upload:
        """The station's upload. Raises Refusal 404."""
        found = await self.workers.run(self.catalogue.find, station, UploadId(upload)) if is_id(upload) else None
        if found is None:
            raise unknown_upload()
        return found

    async def find_object(self, station: str, digest: Digest) -> Upload:
        """A finished upload of the station with these bytes, still held. Raises Refusal 404."""
        found = await self.workers.run(self.catalogue.find_by_digest, station, digest)
        if found is None or not await self.holds(found):
            raise Refusal(404, "unknown_object", "this station has no finished upload of these bytes")
        return found

    async def holds(self, upload: Upload) -> bool:
        """Whether the object of a finished upload is there with the right size."""
        digest = upload.sha256
        return digest is not None and await self.workers.run(self.objects.holds, digest, upload.length_bytes)

    @asynccontextmanager
    async def work_on(self, station: str, upload: str) -> AsyncIterator[Work]:
        """Take the upload into hand, ending an older request at it. Raises Refusal 404, 410, 423, 503."""
        await self.find(station, upload)  # a stranger must not end anybody's request
        async with self.turns.take(upload) as turn:
            found = await self.find(station, upload)
            if found.finished_us is None:
                found = await self.workers.run(self.acceptance.resume, found)
            if found.finished_us is not None:
                if not await self.holds(found):
                    raise Refusal(410, "object_missing", "the depot no longer has these bytes; send them anew")
                yield Work(found, turn, None)
                return
            path = self.acceptance.part_of(found.id)
            part = await self.workers.run(Part, path, self._readings.get(found.id), self.closing)
            try:
                yield Work(found, turn, part)
            finally:
                self._remember(found.id, part.reading)
                part.close()

    async def receipt(self, upload: Upload, nonce: str, *, anew: bool = False) -> SignedReceipt:
        """Sign that the depot holds the upload's bytes, which are read from the disk for it.

        Only a reading at the upload's end in the last minute spares that, and not even that when `anew`: its client
        sends nothing on the strength of the answer. Raises Refusal 409, 410, 503.
        """
        if upload.finished_us is None or upload.sha256 is None:
            raise Refusal(409, "unfinished", "there is no receipt before the last byte has arrived")
        fresh = not anew and self.acceptance.was_read_lately(upload.id)
        if not await self.holds(upload) or not (fresh or await self._checks.proves(upload.sha256)):
            raise Refusal(410, "object_missing", "the depot no longer has these bytes; send them anew")
        now = self.clock()
        statement = Statement(
            upload.station,
            upload.sha256,
            upload.length_bytes,
            upload.id,
            nonce,
            now.replace(microsecond=0),
            self.key.id,
        )
        signature = self.key.sign(statement)
        await self.workers.run(self.catalogue.add_receipt, upload.id, to_us(now), statement.text(), signature)
        return SignedReceipt(statement.text(), signature, self.key.id)

    def _create(self, upload: Upload) -> Upload:
        with self._promising:
            disk = os.statvfs(self._incoming)
            if disk.f_bavail * disk.f_frsize < upload.length_bytes + self._promised_bytes() + RESERVE_BYTES:
                raise Refusal(507, "disk_full", "the depot's disk has no room for this upload; tell its operator")
            make_part(self.acceptance.part_of(upload.id))
            self.catalogue.add(upload)
        return upload if upload.length_bytes else self.acceptance.resume(upload)

    def _promised_bytes(self) -> int:
        """What the unfinished uploads still lack; one whose part was just moved lacks nothing."""
        lacking = 0
        for upload in self.catalogue.unfinished():
            with suppress(FileNotFoundError):
                lacking += max(0, upload.length_bytes - self.acceptance.part_of(upload.id).stat().st_size)
        return lacking

    def _remember(self, upload: UploadId, reading: Reading) -> None:
        self._readings[upload] = reading
        self._readings.move_to_end(upload)
        while len(self._readings) > _REMEMBERED:
            self._readings.popitem(last=False)


def _hold(directory: Path) -> int:
    try:
        make_directory(directory)
        fd = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        hint = "Give a directory that this user can write to."
        raise DepotError(f"the depot directory {directory} cannot be used: {error}", hint=hint) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        with suppress(OSError):
            os.close(fd)
        hint = "Stop the other depot, or give this one a directory of its own."
        raise DepotError(f"another depot already runs in {directory}", hint=hint) from error
    return fd
