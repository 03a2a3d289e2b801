"""The edges of the agent: what services ask of cameras, bays and evidence stores.

Each port has a tiny core; what not every adapter can do is an optional capability, a field that may be None.
Adapters translate their libraries' errors into `core.errors`; every call is bounded in size and time.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import NewType, Protocol

from agent.core.clip import BayName, CameraId, ClipId, Entry
from agent.core.custody import JsonValue
from agent.core.object import Digest, Receipt, ReceiptKind

JsonObject = dict[str, JsonValue]

# ---- cameras ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Docked:
    """A camera in a bay, as the bay watch sees it. Equal values are the same docking.

    `token` changes with every docking, so that a quick swap is seen; `address` is what the driver opens.
    """

    bay: BayName
    driver: str  # "folder" | "simulated" (| "mass_storage" | "mtp")
    address: str
    token: str


class BayWatch(Protocol):
    """Tells which bays are occupied: whole snapshots, never deltas, each time something may have changed."""

    def snapshots(self) -> AsyncGenerator[Mapping[BayName, Docked], None]:
        """Yield the present snapshot at once and then after each change; close it to end it."""
        ...


@dataclass(frozen=True, slots=True)
class CameraFacts:
    """What the driver learned on opening; None = the driver cannot tell."""

    serial: str | None = None
    model: str | None = None
    firmware: str | None = None
    battery_percent: int | None = None
    label: str | None = None
    file_system: str | None = None
    capacity_bytes: int | None = None


Mark = NewType("Mark", str)
"""What a reader saw of an open file (device, inode, change time), as text that only the driver understands: it
differs as soon as another file stands under the name or anybody has touched this one."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Something on the medium that is not offloaded, with a stable reason (symlink, fifo, device, too_deep...)."""

    path: bytes
    reason: str


class Sink(Protocol):
    """Where a reading goes, block by block; called in a worker thread. An exception ends the reading."""

    def __call__(self, block: memoryview, /) -> None:
        """Take one block, which stays as it is until the next call has returned; an empty one ends the file."""
        ...


class Camera(Protocol):
    """One opened camera. All methods raise CameraError (session over) or ClipUnreadable (this file only)."""

    facts: CameraFacts
    wiper: "Wiper | None"
    stall_s: float  # without progress for so long it counts as hung; may be changed once the model is known

    async def exists(self, paths: tuple[bytes, ...]) -> frozenset[bytes]:
        """Which of these relative paths exist (file or directory)."""
        ...

    def list(self) -> AsyncIterator[tuple[Entry | Refused, ...]]:
        """Walk the medium afresh; yields batches of at most 500, memory stays flat."""
        ...

    async def read(self, entry: Entry, sink: Sink, *, fresh: bool = False) -> Mark:
        """Read the whole file into `sink`, in order; returns the mark of the very file that was read.

        `fresh` asks for the medium's own bytes rather than cached pages. Raises ClipChanged when size or mtime
        differ from `entry` before or after the reading, ClipUnreadable on a read error, ReaderStalled when
        nothing moves for the stall time. Cancellation: the reading stops at the next block.
        """
        ...

    async def read_small(self, path: bytes, limit_bytes: int = 65536) -> bytes:
        """Read a small file whole (markers). Raises ClipUnreadable when it is missing or larger."""
        ...

    async def close(self) -> None:
        """End the reader; idempotent, bounded in time, kills what does not go."""
        ...


class Wiper(Protocol):
    """The capability to destroy files on the medium. Only services/disposal.py may call it."""

    async def open_window(self) -> None:
        """Make the medium writable."""
        ...

    async def wipe(self, entry: Entry, mark: Mark) -> None:
        """Unlink exactly the file that was read under this mark, untouched since.

        Raises ClipChanged when it is another one or was written to, MediumReadOnly, CameraError.
        """
        ...

    async def close_window(self) -> None:
        """Write everything out and make the medium read-only again, so that the next `list` is fresh."""
        ...


class CameraOpener(Protocol):
    """Opens the camera in a bay: starts its reader process and says what it is."""

    async def __call__(self, docked: Docked, *, stall_s: float) -> Camera:
        """Open. Raises CameraError."""
        ...


# ---- evidence stores -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClipLabel:
    """What travels with an object's bytes so that the store can file them (of its first clip)."""

    clip: ClipId
    camera: CameraId
    bay: BayName
    station: str
    path: bytes
    role: str
    event: bool
    started_at: str | None  # the camera's claim, RFC 3339 or local text; None when unknown
    ended_at: str | None
    officer: str | None = None


@dataclass(frozen=True, slots=True)
class Shipment:
    """One object to be brought to one store."""

    sha256: Digest
    size_bytes: int
    file: Path  # the spool's copy
    label: ClipLabel


@dataclass(slots=True)
class Transfer:
    """The shared view of a running upload: the caller may stop it, the adapter reports progress.

    `sent_bytes` counts what the store acknowledged or the socket took; `stop` is looked at after each body
    block (at most 1 MiB), and then `UploadStopped` ends the call with the store keeping what it has.
    """

    stop: Event = field(default_factory=Event)
    sent_bytes: int = 0
    on_progress: Callable[[int], None] = lambda _sent: None  # called from any thread with sent_bytes


class UploadStopped(Exception):
    """The transfer was stopped on request; what the store has stays there."""


class EvidenceStore(Protocol):
    """One evidence store. All methods raise StoreError kinds; SpoolCorrupt when the spool's bytes are wrong."""

    name: str
    place: str  # where it is (its URL): receipts from another place do not count for it

    async def send(
        self,
        shipment: Shipment,
        hint: str | None,
        transfer: Transfer,
        keep_hint: Callable[[str], Awaitable[None]],
    ) -> str:
        """Bring all bytes to the store, resuming where it stands; return the handle of the finished upload.

        `hint` is the handle kept from an earlier try; the store's answer wins over it. `keep_hint` is awaited
        with each new handle before the first byte is sent under it. The bytes are hashed again on their way,
        and the last block leaves only when the digest is right. Raises UploadStopped, SpoolCorrupt.
        """
        ...

    async def prove(self, shipment: Shipment, handle: str, at_least: ReceiptKind) -> Receipt:
        """Obtain and check a receipt of at least this kind. Raises ReceiptInvalid, StoreError."""
        ...

    def still_proves(self, receipt: Receipt) -> bool:
        """Whether a kept receipt would be accepted today: checks its stored proof again, asks nobody.

        For signed receipts: the signature with the keys pinned now, and every field of the statement.
        """
        ...

    find: "Callable[[Shipment], Awaitable[str | None]] | None"
    """Ask whether the store already holds the digest: its handle or None. None = the store cannot tell."""

    async def close(self) -> None:
        """Release connections."""
        ...


@dataclass(frozen=True, slots=True)
class StorePolicy:
    """What the operator demands of one store."""

    name: str
    require: ReceiptKind
    counts: bool  # may open the gate; false for a store on this machine outside trial mode
    place: str = ""  # the store's URL


# ---- people ----------------------------------------------------------------------------------------------


class Desk(Protocol):
    """What people may see and ask, for the local API. Views are JSON objects with the documented keys."""

    async def station(self) -> JsonObject:
        """Station id, version, trial and wiping flags, totals, stores with their state, spool space, problems."""
        ...

    async def bays(self) -> list[JsonObject]:
        """One object for each configured or occupied bay, with its one advice."""
        ...

    async def clips(self, *, camera: str | None, custody: str | None, limit: int) -> list[JsonObject]:
        """Clips, newest sighting first."""
        ...

    async def queue(self) -> list[JsonObject]:
        """Running and waiting uploads, in the order of their turns, with why each waits."""
        ...

    async def events(self, *, after: int, limit: int) -> list[JsonObject]:
        """Custody events with a number above `after`, oldest first."""
        ...

    async def custody_lines(self, *, after: int, limit: int) -> list[str]:
        """The exact lines of custody events with a number above `after`, oldest first, without newlines."""
        ...

    async def health(self) -> JsonObject:
        """`{"ok": bool, "problems": [...]}`: what a person should look at."""
        ...

    def changes(self) -> AsyncIterator[None]:
        """Yield at once and then after each change that people could see, at most a few times a second."""
        ...

    async def act(self, action: str, request: JsonObject) -> JsonObject:
        """Do what a person asks: seize, release, claim, urgent-release, request, hold, unhold, retry.

        `request` holds camera, bay or clip as the action needs, and actor and reason. Raises ActionRefused.
        """
        ...

    def hand_over(self, request: JsonObject) -> AsyncIterator[JsonObject]:
        """Offload a folder: yields progress objects and last one with key `result`. Raises ActionRefused."""
        ...


Clock = Callable[[], datetime]
"""Returns the aware present time."""
