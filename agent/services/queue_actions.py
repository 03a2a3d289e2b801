"""What people may ask about uploads: first, later, not now, again. Nothing here keeps a camera from being copied."""

from typing import TYPE_CHECKING

from agent.core.clip import Clip
from agent.core.errors import ActionRefused
from agent.core.object import Digest, as_digest
from agent.ledger import clips, upload_orders, uploads
from agent.ledger.custody import Recorder
from agent.ledger.database import Tx
from agent.ledger.upload_orders import EVERY_STORE
from agent.services.ask import Request
from agent.services.kit import Kit
from agent.services.queue_view import paused_words
from agent.services.uploader import Uploader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class QueueActions:
    """Carries requests about the queue out; `verbs` are their names."""

    def __init__(self, kit: Kit, uploader: Uploader) -> None:
        """Act on these."""
        self._kit, self._uploader = kit, uploader
        self.verbs: dict[str, Callable[[Request], Awaitable[str]]] = {
            "request": self._ask_first,
            "pause": self._pause,
            "resume": self._resume,
            "hold-back": self._hold_back,
            "let-go": self._let_go,
            "retry": self._retry,
        }

    async def _ask_first(self, request: Request) -> str:
        wanted = request.text("clip")

        def mark(tx: Tx, rec: Recorder) -> Clip:
            found = clips.get(tx, clips.named(tx, wanted))
            rec.record(tx, "clip.requested", request.who_and_why, clip=found.id, camera=found.camera)
            tx.conn.execute("UPDATE clips SET requested = 1 WHERE id = ?", (found.id,))
            return found

        asked = await self._kit.ledger(mark)
        if asked.sha256 is not None:
            self._uploader.hasten(asked.sha256)
        return f"Clip {asked.id} goes before all that nobody asked for."

    async def _pause(self, request: Request) -> str:
        store = self._store(request) or EVERY_STORE
        actor, reason = request.actor, request.reason
        await self._kit.ledger(lambda tx, rec: upload_orders.pause(tx, rec, store, actor, reason))
        await self._uploader.halt(lambda w: store in (EVERY_STORE, w.store))
        where = "every store" if store == EVERY_STORE else f"store {store}"
        return f"Uploads to {where} are paused until somebody resumes them; copying off cameras goes on."

    async def _resume(self, request: Request) -> str:
        store = request.maybe("store") or EVERY_STORE  # perhaps one that is no longer configured

        def work(tx: Tx, rec: Recorder) -> list[str]:
            upload_orders.resume(tx, rec, store, request.actor, request.reason)
            return [paused_words(name, by) for name, by in upload_orders.pauses(tx).items() if name == EVERY_STORE]

        left = await self._kit.ledger(work)
        where = "every store" if store == EVERY_STORE else f"store {store}"
        return " ".join([f"The pause of uploads to {where} is over.", *left])

    async def _hold_back(self, request: Request) -> str:
        wanted, note = request.text("clip"), request.note
        held = await self._kit.ledger(lambda tx, rec: upload_orders.hold_back(tx, rec, clips.named(tx, wanted), note))
        await self._uploader.halt(lambda w: w.sha256 == held.sha256)
        return (
            f"The upload of clip {held.id} is held back until somebody releases it. This is no legal hold: `dock-agent"
            " queue hold` forbids to destroy it."
        )

    async def _let_go(self, request: Request) -> str:
        wanted, note = request.text("clip"), request.note
        freed = await self._kit.ledger(lambda tx, rec: upload_orders.let_go(tx, rec, clips.named(tx, wanted), note))
        return f"The upload of clip {freed.id} takes its turn again."

    async def _retry(self, request: Request) -> str:
        sha256, store = await self._object(request), self._store(request)
        fields = request.who_and_why | {"sha256": sha256, "store": store}
        await self._kit.ledger(lambda tx, rec: rec.record(tx, "queue.retried", fields))
        changed = batch = await self._kit.ledger(lambda tx, _: uploads.retry_now(tx, sha256, store))
        while batch == uploads.RETRY_BATCH:
            batch = await self._kit.ledger(lambda tx, _: uploads.retry_now(tx, sha256, store))
            changed += batch
        self._uploader.retry_now(store)
        stopped = await self._kit.ledger(lambda tx, _: upload_orders.pauses(tx))
        where = "All stores are" if store is None else f"Store {store} is"
        started = "1 waiting upload was" if changed == 1 else f"{changed} waiting uploads were"
        told = [f"{where} tried now; {started} given a fresh start."]
        return " ".join([*told, *(paused_words(name, by) for name, by in stopped.items())])

    async def _object(self, request: Request) -> Digest | None:
        """The object that a request names by its digest or by a clip."""
        wanted, clip = request.maybe("sha256"), request.maybe("clip")
        if wanted is not None:
            try:
                return as_digest(wanted)
            except ValueError as error:
                raise ActionRefused(str(error)) from error
        if clip is None:
            return None
        found = await self._kit.ledger(lambda tx, _: clips.get(tx, clips.named(tx, clip)))
        if found.sha256 is None:
            raise ActionRefused(f"Clip {found.id} is not in the spool yet, so there is no upload to be tried again.")
        return found.sha256

    def _store(self, request: Request) -> str | None:
        name = request.maybe("store")
        known = [store.name for store in self._kit.settings.stores]
        if name is not None and name not in known:
            raise ActionRefused(f"There is no store {name}; known are: {', '.join(known) or 'none'}.")
        return name
