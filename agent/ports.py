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

from agent.core.announcement import Announcement
from agent.core.clip import BayName, CameraId, ClipId, Entry
from agent.core.custody import JsonValue
from agent.core.object import Digest, Receipt, ReceiptKind
from agent.core.profile import UsbId

JsonObject = dict[str, JsonValue]

# ---- cameras ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Docked:
    """A camera in a bay; another docking has another `token`. `serial` is what a USB device calls itself."""

    bay: BayName
    driver: str  # "folder" | "simulated" | "usb": the opener finds out how to reach a USB camera
    address: str  # what is opened
    token: str
    serial: str | None = None
    usb: UsbId | None = None


class BayWatch(Protocol):
    """Tells which bays are occupied: whole snapshots, never deltas, each time something may have changed."""

    @property
    def problems(self) -> Mapping[str, str]:
        """What a person should know about single bays, or about all under the name "dock"."""
        ...

    def snapshots(self) -> AsyncGenerator[Mapping[BayName, Docked], None]:
        """Yield the present snapshot at once and then after each change; close it to end it."""
        ...


@dataclass(frozen=True, slots=True)
class CameraFacts:
    """What was learned on opening; None = nobody can tell. `usb` and `usb_serial` are what the kernel says."""

    serial: str | None = None
    model: str | None = None
    firmware: str | None = None
    battery_percent: int | None = None
    label: str | None = None
    file_system: str | None = None
    capacity_bytes: int | None = None
    usb: UsbId | None = None
    usb_serial: str | None = None
    profiles: frozenset[str] | None = None  # names of those that let it in; None: whatever fits


Mark = NewType("Mark", str)
"""What a reader saw of an open file, as text that only the driver understands; another one once it was touched."""


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

    async def renew(self) -> None:
        """Forget what was read before: what comes next is from the medium itself, freshly mounted. Marks stay good."""
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


class PortPower(Protocol):
    """Cuts the power of a bay's port and restores it."""

    async def cycle(self, bay: BayName) -> bool:
        """Off, a moment, on; False when nothing on the way to this bay can switch it. Raises nothing else."""
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
    others: tuple[ClipLabel, ...] = ()  # further clips with these bytes, which nobody sends


@dataclass(slots=True)
class Transfer:
    """The shared view of a running upload: the caller may stop it, the adapter reports progress.

    `sent_bytes` is what the socket took, `held_bytes` what the store had when this try began; `stop` is looked at
    after each body block (at most 1 MiB): UploadStopped.
    """

    stop: Event = field(default_factory=Event)
    sent_bytes: int = 0
    held_bytes: int = 0
    on_progress: Callable[[int], None] = lambda _sent: None  # called from any thread with sent_bytes


class UploadStopped(Exception):
    """The transfer was stopped, on request or by a pause of the line; what the store has stays there."""


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
        """Whether a kept receipt would be accepted today: its proof, by the keys pinned now. Asks nobody."""
        ...

    find: "Callable[[Shipment], Awaitable[str | None]] | None"
    """Ask whether the store already holds the digest: its handle or None. None = the store cannot tell."""
    still_holds: Callable[[Receipt], Awaitable[bool]] | None
    """Ask cheaply whether it still has what it proved; False is the store's own word. None = it cannot be asked."""
    announce: Callable[[Announcement], Awaitable[bool]] | None
    """Tell what is to come, as often as need be; False: it takes none, for now. None = this kind never does."""

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

    async def bays(self) -> list[JsonObject]:
        """One object for each configured or occupied bay, with its one advice."""

    async def clips(self, *, camera: str | None, custody: str | None, limit: int) -> list[JsonObject]:
        """Clips, newest sighting first."""

    async def queue(self, *, limit: int) -> list[JsonObject]:
        """Up to `limit` running and waiting uploads, in the order of their turns, with why each waits."""

    async def events(self, *, after: int, limit: int) -> list[JsonObject]:
        """Custody events with a number above `after`, oldest first."""

    async def custody_lines(self, *, after: int, limit: int) -> list[str]:
        """The exact lines of custody events with a number above `after`, oldest first, without newlines."""

    async def health(self) -> JsonObject:
        """`{"ok": bool, "problems": [...]}`: what a person should look at."""

    def changes(self) -> AsyncIterator[None]:
        """Yield at once and then after each change that people could see, at most a few times a second."""

    async def act(self, action: str, request: JsonObject) -> JsonObject:
        """Do what a person asks, such as seize or retry; docs/api.md names all actions.

        `request` holds camera, bay, clip or store as the action needs, and actor and reason. Raises ActionRefused.
        """

    def hand_over(self, request: JsonObject) -> AsyncIterator[JsonObject]:
        """Offload a folder: yields progress objects and last one with key `result`. Raises ActionRefused."""


Clock = Callable[[], datetime]
"""Returns the aware present time."""
