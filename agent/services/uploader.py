"""Spool to stores: N workers take what the ledger says is waiting, and turn receipts into confirmed clips.

There is no queue in memory. A worker asks the ledger, picks by policy, sends, proves, records. What a store says
wins over what was remembered; a failing store is paused as a whole, a failing object by itself. One worker more than
are configured serves urgent objects only: they begin before the uploads have stopped that make room for them.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import structlog

from agent.core.errors import (
    AgentError,
    IllegalMove,
    LedgerError,
    ObjectRefused,
    SpoolCorrupt,
    StoreBusy,
    StoreError,
    StoreRefused,
    StoreUnreachable,
)
from agent.core.object import Digest
from agent.core.queue_policy import Waiting, choose_next, must_stop
from agent.core.retry_policy import RetryIn, SetAside, decide
from agent.files.disk import disk_name
from agent.ledger import objects, upload_orders, uploads
from agent.ledger.custody import to_us
from agent.ledger.database import Tx
from agent.ledger.uploads import Failure
from agent.ports import StorePolicy, Transfer, UploadStopped
from agent.services.kit import Kit
from agent.services.shipment import shipment_of

if TYPE_CHECKING:
    from agent.core.clip import CameraId

log = structlog.get_logger()

_REMEMBERED_TURNS = 1000
_LEAST_NAP_S = 0.05
LEDGER_PAUSE_S = 5.0
"""Between tries while the ledger cannot be written, for example on a full disk."""
_IDLE_S = 30.0
"""Longest sleep while something waits for its next try; a ring ends it earlier."""


@dataclass(slots=True)
class Pause:
    """A store that is left alone until a moment of the monotonic clock."""

    until: float = 0.0
    failures: int = 0
    problem: str | None = None


@dataclass(slots=True)
class Running:
    """One upload under way."""

    waiting: Waiting
    transfer: Transfer = field(default_factory=Transfer)


class Uploader:
    """Brings objects to stores. `running` and `pauses` may be read at any time."""

    def __init__(self, kit: Kit) -> None:
        """Nothing runs before `run`."""
        self._kit = kit
        self.running: dict[tuple[Digest, str], Running] = {}
        self.pauses: dict[str, Pause] = {}
        self.served: dict[CameraId, int] = {}
        self._held: dict[tuple[Digest, str], int] = {}  # bytes that a store had when a try began that failed
        self._turn = 0
        self._taking = asyncio.Lock()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._kit.settings.workers):
                group.create_task(self._work(), name=f"upload worker {number}")
            group.create_task(self._work(only_urgent=True), name="upload worker for urgent objects")
            group.create_task(self._watch_urgent(), name="pre-emption")

    async def _work(self, *, only_urgent: bool = False) -> None:
        while True:
            seen = self._kit.work.rings
            try:
                running = await self._take(only_urgent=only_urgent)
                if running is None:
                    await self._kit.work.wait(seen, await self._nap())
                    continue
                try:
                    await self._ship(running)
                finally:
                    del self.running[running.waiting.sha256, running.waiting.store]
                    self._kit.change.ring()
            except LedgerError as error:
                await self._sit_out(error)

    async def _sit_out(self, error: LedgerError) -> None:
        """What cannot be recorded is not done: wait, and ask the ledger afresh."""
        log.error("upload.not_recorded", problem=error.told())
        await asyncio.sleep(LEDGER_PAUSE_S)

    async def _nap(self) -> float:
        """Seconds until a paused store or object may be tried again, at most _IDLE_S."""
        now, now_us = time.monotonic(), to_us(self._kit.recorder.clock())
        waits = [p.until - now for p in self.pauses.values() if p.until > now]
        next_us = await self._kit.ledger(lambda tx, _: uploads.next_try_us(tx, now_us))
        if next_us is not None:
            waits.append((next_us - now_us) / 1e6)
        return max(_LEAST_NAP_S, min([_IDLE_S, *waits]))

    async def _take(self, *, only_urgent: bool) -> Running | None:
        async with self._taking:
            chosen = choose_next(await self._waiting(), self.served, self._under_way(), self._kit.settings.workers)
            if chosen is None or (only_urgent and not chosen.urgent):
                return None
            self._turn += 1
            self.served.pop(chosen.camera, None)
            self.served[chosen.camera] = self._turn
            if len(self.served) > _REMEMBERED_TURNS:
                del self.served[next(iter(self.served))]  # the camera that was served longest ago
            running = Running(chosen)
            self.running[chosen.sha256, chosen.store] = running
            self._kit.change.ring()
            return running

    async def _waiting(self) -> list[Waiting]:
        now_us = to_us(self._kit.recorder.clock())
        busy = set(self.running)  # one of these may end, proved, before the answer is here
        of_a_camera = Counter((r.waiting.camera, r.waiting.store) for r in self.running.values())
        places = max(of_a_camera.values(), default=0) + 1
        awake = [s.name for s in self._kit.settings.stores if self.is_open(s.name)]

        def look(tx: Tx) -> list[Waiting]:
            uploads.wake(tx, now_us)
            stopped = upload_orders.pauses(tx)
            if upload_orders.EVERY_STORE in stopped:
                return []
            return [w for name in awake if name not in stopped for w in uploads.waiting(tx, name, places)]

        found = await self._kit.ledger(lambda tx, _: look(tx))
        return [w for w in found if (w.sha256, w.store) not in busy | self.running.keys()]

    def is_open(self, store: str) -> bool:
        """Whether no failure, no hour of the day and no drain keeps anything from a store."""
        rests = self._kit.draining or self._kit.bandwidth.paused(store)
        return not rests and self._pause(store).until <= time.monotonic()

    def _pause(self, store: str) -> Pause:
        return self.pauses.setdefault(store, Pause())

    async def _watch_urgent(self) -> None:
        """Make room for urgent objects."""
        while True:
            seen = self._kit.work.rings
            try:
                await self._make_room()
            except LedgerError as error:
                await self._sit_out(error)
            else:
                await self._kit.work.wait(seen)

    async def _make_room(self) -> None:
        async with self._taking:
            waiting = await self._waiting()
            under_way = self._under_way()  # as it is after the wait
            best = choose_next(waiting, self.served, under_way)
            for victim in must_stop(under_way, best, self._kit.settings.workers + 1):
                transfer = self.running[victim.sha256, victim.store].transfer
                if not transfer.stop.is_set():
                    transfer.stop.set()
                    log.info("upload.interrupted", object=victim.sha256)

    def _under_way(self) -> list[Waiting]:
        return [running.waiting for running in self.running.values()]

    async def _ship(self, running: Running) -> None:
        waiting = running.waiting
        policy = next((s for s in self._kit.settings.stores if s.name == waiting.store), None)
        if policy is None or waiting.store not in self._kit.stores:
            return  # a reload took the store away
        try:
            await self._send_and_prove(running, policy)
        except UploadStopped:
            self._kit.work.ring()
        except SpoolCorrupt as error:
            await self._spool_copy_failed(waiting.sha256, error)
        except IllegalMove as error:  # about this object; any other trouble of the ledger is not its fault
            await self._failed(running, error)
        except LedgerError:
            raise
        except AgentError as error:
            await self._failed(running, error)
        except Exception:
            # One object that trips over a fault of ours must not stop the others; it is tried again later.
            log.exception("upload.crashed", object=waiting.sha256, store=waiting.store)
            await self._failed(running, StoreError("Internal error while uploading; the spool keeps the footage."))
        else:
            self.pauses[waiting.store] = Pause()
            self._held.pop((waiting.sha256, waiting.store), None)

    async def _send_and_prove(self, running: Running, policy: StorePolicy) -> None:
        waiting, kit = running.waiting, self._kit
        store = kit.stores[waiting.store]
        shipment = await shipment_of(kit, waiting)
        row = await kit.ledger(lambda tx, _: uploads.upload_of(tx, waiting.sha256, waiting.store))
        handle = await store.find(shipment) if store.find is not None and row.hint is None else None
        if handle is None:

            async def keep_hint(hint: str) -> None:
                await kit.ledger(lambda tx, _: uploads.keep_hint(tx, waiting.sha256, waiting.store, hint))

            handle = await store.send(shipment, row.hint, running.transfer, keep_hint)
        shipment = await shipment_of(kit, waiting)  # what was sighted meanwhile is told as well
        receipt = await store.prove(shipment, handle, policy.require)
        confirmed = await kit.ledger(lambda tx, rec: objects.keep_receipt(tx, rec, receipt, policy.place))
        for clip in confirmed:
            log.info("clip.confirmed", clip=clip.id, store=waiting.store, size_bytes=clip.entry.size_bytes)
        kit.ring()

    async def _spool_copy_failed(self, sha256: Digest, error: SpoolCorrupt) -> None:
        """The spool's bytes are wrong: the camera's, never wiped before they were confirmed, are taken again."""
        log.error("object.spool_copy_failed", object=sha256, problem=str(error))
        reason = str(error)
        disk = disk_name(self._kit.spool.root)
        await self._kit.ledger(lambda tx, rec: objects.spool_copy_failed(tx, rec, sha256, reason, disk))
        await self._kit.on_disk(lambda: self._kit.spool.reject(sha256))
        self._kit.ring()

    async def _failed(self, running: Running, error: AgentError) -> None:
        waiting, went_on = running.waiting, self._went_on(running)
        store_wide = isinstance(error, StoreUnreachable | StoreBusy | StoreRefused) and not isinstance(
            error, ObjectRefused
        )
        pause = self._pause(waiting.store)
        row = await self._kit.ledger(lambda tx, _: uploads.upload_of(tx, waiting.sha256, waiting.store))
        # A line that breaks again and again, and carries something each time, is no store that is away.
        attempt = 1 if store_wide and went_on else (pause.failures if store_wide else row.attempts) + 1
        decision = decide(error, attempt, random.random())  # noqa: S311 - spreads load, guards nothing
        text = error.told().removeprefix(f"store {waiting.store}: ")  # whoever shows it names the store
        tell = log.error if not isinstance(decision, RetryIn) or decision.alarm else log.warning
        tell("upload.failed", store=waiting.store, code=error.code, attempt=attempt, problem=str(error))
        match decision:
            case RetryIn(delay_s) if store_wide:
                self.pauses[waiting.store] = Pause(time.monotonic() + delay_s, attempt, text)
            case RetryIn(delay_s):
                await self._note(waiting, delay_s, text)
            case SetAside(delay_s):
                await self._note(waiting, delay_s, text, set_aside=True)
            case _:
                raise AssertionError(decision)

    def _went_on(self, running: Running) -> bool:
        """Whether the tries before this one brought the store something that it keeps."""
        key = running.waiting.sha256, running.waiting.store
        held_bytes = running.transfer.held_bytes
        if held_bytes <= self._held.get(key, 0):
            return False
        self._held[key] = held_bytes
        return True

    async def _note(self, waiting: Waiting, delay_s: float, problem: str, *, set_aside: bool = False) -> None:
        failure = Failure(to_us(self._kit.recorder.clock()) + int(delay_s * 1e6), problem, set_aside)
        await self._kit.ledger(lambda tx, _: uploads.upload_failed(tx, waiting.sha256, waiting.store, failure))

    def retry_now(self, store: str | None = None) -> None:
        """Forget the pause of a store, or of all: a person says that the cause is mended."""
        for name in [store] if store is not None else list(self.pauses):
            self.pauses.pop(name, None)
        self._kit.ring()

    async def halt(self, concerned: Callable[[Waiting], bool]) -> None:
        """Stop these running uploads at their next block; what the stores have stays there.

        Call it once the ledger says that they shall not go on: then none of them begins anew either.
        """
        async with self._taking:  # who chose before the ledger said so is in `running` by now
            for running in self.running.values():
                if concerned(running.waiting):
                    running.transfer.stop.set()
                    log.info("upload.halted", object=running.waiting.sha256, store=running.waiting.store)

    def hasten(self, sha256: Digest) -> None:
        """An object that is perhaps under way has become urgent: what else goes to its store makes room for it."""
        for running in self.running.values():
            if running.waiting.sha256 == sha256:
                running.waiting = replace(running.waiting, urgent=True)
        self._kit.ring()
