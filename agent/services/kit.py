"""What every flow is handed: ledger, spool, settings and doorbells."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from agent.core.bandwidth_policy import BandwidthPolicy
from agent.core.clip import CameraId
from agent.core.disposal_policy import Proof
from agent.core.enrolment import Enrolment
from agent.core.object import Digest
from agent.core.profile import Profile, UsbId
from agent.ledger.custody import Recorder
from agent.ledger.database import Database, Tx
from agent.ledger.objects import apply_gate, confirm_ready
from agent.ledger.restored import restored_at
from agent.ledger.spool import Spool
from agent.ledger.witness import Mark, Witness, newest
from agent.ports import EvidenceStore, StorePolicy
from agent.services.bandwidth import Bandwidth
from agent.services.doorbell import Doorbell
from agent.services.hold_clock import HoldClock
from agent.services.turnstile import Turnstile

T = TypeVar("T")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the operator decided; replaced whole by a hot reload."""

    station: str
    digest: str  # of the configuration that they were made from
    copies: int
    wiping: bool
    trial: bool
    enrolled: tuple[str, ...]  # serials or patterns that the operator vouches for
    profiles: tuple[Profile, ...]
    fallback: Profile | None  # for folders that a person or an import hands over and no profile matches
    stores: tuple[StorePolicy, ...]
    keep_s: float  # hold time of the spool's copy after it was confirmed
    workers: int  # uploads at a time; taken at the start
    bandwidth: BandwidthPolicy = field(default_factory=BandwidthPolicy)

    def vouches_for(self, camera: CameraId, usb: UsbId | None = None) -> bool:
        """Whether the configuration enrols this serial, alone or under the USB id that it stands with."""
        return any(Enrolment.parse(entry).vouches_for(camera, usb) for entry in self.enrolled)

    @property
    def never(self) -> str | None:
        """Why no clip can ever be confirmed as the stores are configured, and what to do; None where it can."""
        counting = sum(s.counts for s in self.stores)
        if counting >= self.copies:
            return None
        if not self.stores:
            return "no store is configured: add one on another machine"
        if not counting:
            there = "every store is on this machine or not mounted"
            return f"{there}: add one elsewhere, or set [station] trial = true for a trial"
        return f"[confirm] copies = {self.copies}, but only {counting} may confirm: add a store on another machine"

    @property
    def proof(self) -> Proof:
        """What counts as confirmed."""
        return Proof(self.copies, {s.name: s.require for s in self.stores if s.counts})


@dataclass(slots=True)
class Kit:
    """Shared by all flows of one station. `disk` runs what blocks on the spool's disk."""

    database: Database
    recorder: Recorder
    spool: Spool
    disk: ThreadPoolExecutor
    stores: dict[str, EvidenceStore]
    settings: Settings
    installed: datetime = EPOCH  # a clock that shows an earlier time is wrong
    purges: set[Digest] = field(default_factory=set)  # recorded, their files perhaps still there
    bandwidth: Bandwidth = field(default_factory=Bandwidth)  # how fast clips may leave now
    purging: Turnstile = field(default_factory=Turnstile)  # no object is recorded while others are destroyed
    draining: bool = False  # nothing new begins: a person wants to restart the machine
    audited: asyncio.Event = field(default_factory=asyncio.Event)  # the audit of this start has ended, well or not
    asked: dict[tuple[Digest, str], float] = field(default_factory=dict)  # when stores last said that they have it
    silent: dict[str, str] = field(default_factory=dict)  # stores that keep objects in the spool by not answering: why
    unproved: int = 0  # objects in the spool past their hold time that too few receipts prove any more
    room: Doorbell = field(default_factory=Doorbell)  # a clip did not fit into the spool
    work: Doorbell = field(default_factory=Doorbell)  # something may have become possible
    change: Doorbell = field(default_factory=Doorbell)  # something that people see has changed
    _witnessing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _witnessed: Mark | None = None
    restored: datetime | None = field(init=False)  # when the ledger came from a backup: older receipts need asking
    hold_clock: HoldClock = field(init=False)  # what ends the hold of the spool's copies

    def __post_init__(self) -> None:
        """The hold's clock watches the wall clock from now on."""
        self.restored = restored_at(self.database.path)
        self.hold_clock = HoldClock(self.recorder.clock)

    async def ledger(self, work: Callable[[Tx, Recorder], T]) -> T:
        """Run `work` in one ledger transaction. Raises IllegalMove, LedgerError."""
        return await self.database.run(lambda tx: work(tx, self.recorder))

    async def on_disk(self, work: Callable[[], T]) -> T:
        """Run something that blocks on the spool's disk.

        Cancellation, also a second one, waits until it has ended, so that nothing goes on behind the caller's back,
        and then cancels.
        """
        running = asyncio.get_running_loop().run_in_executor(self.disk, work)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            while not running.done():
                with suppress(asyncio.CancelledError):  # raised again below
                    await asyncio.wait([running])
            if not running.cancelled():
                running.exception()  # seen: nobody waits for the outcome any more
            raise

    async def bear_witness(self) -> None:
        """Write down beside the ledger how far it has come. Raises LedgerError."""
        async with self._witnessing:
            mark = await self.database.run(newest)  # durable by now: the witness is never ahead of it
            if mark is None or mark == self._witnessed:
                return
            witness = Witness(self.database.path)
            await self.on_disk(lambda: witness.write(mark))
            self._witnessed = mark

    async def apply(self, settings: Settings) -> None:
        """Take new settings into force: the ledger's gate first, then the flows."""

        def work(tx: Tx, recorder: Recorder) -> None:
            if apply_gate(tx, copies=settings.copies, wiping=settings.wiping, stores=settings.stores):
                confirm_ready(tx, recorder)

        await self.ledger(work)
        self.settings = settings
        self.bandwidth.apply(settings.bandwidth, self.recorder.clock())
        self.ring()

    def ring(self) -> None:
        """Something changed: wake the flows and those who watch."""
        self.work.ring()
        self.change.ring()
