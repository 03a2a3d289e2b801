"""One walk over a real ledger and its model, step by step: cameras, and the agent's own honest calls."""

import hashlib
from collections.abc import Callable
from random import Random
from typing import Any

from agent.core.clip import BayName, CameraId, Clip, ClipId, Copy, Custody, Entry, SessionId
from agent.core.errors import IllegalMove
from agent.core.object import Digest, Receipt, ReceiptKind
from agent.ledger import clips, fleet, objects, unlisted
from agent.ledger.clips import Move, Sighting
from agent.ledger.database import Tx
from agent.ports import StorePolicy
from tests.ledger.stage import Stage
from tests.properties.ledger_model import STRENGTH, CameraModel, ClipModel, LedgerModel

SIZE = 3
PLACE = "tus+https://store.test/files/"
NAMES = ("one", "two", "six")


def digest_of(content: str) -> Digest:
    return Digest(hashlib.sha256(content.encode()).hexdigest())


def entry_of(name: str) -> Entry:
    return Entry(f"DCIM/{name}".encode(), SIZE, 1)


class Walker:
    """Takes steps on the ledger's own thread; every answer of the ledger must be the model's."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self.stage = stage
        self.random = Random(seed)  # noqa: S311 - a repeatable walk, no secret
        self.prefix = f"w{seed}"
        cameras = {f"{self.prefix}-{n}": CameraModel(claimed=n == 0) for n in range(2)}
        self.model = LedgerModel(cameras)
        self.contents = [f"{self.prefix}-{n}" for n in range(4)]
        self.log: list[str] = []
        self.refused = 0
        self.extra: tuple[StorePolicy, ...] = ()  # stores that never count: they come and go with what is owed to them
        self._gate()
        for ident, camera in cameras.items():
            self._meet(CameraId(ident), "config" if camera.claimed else None)
            self.dock(ident)
            self.write(ident)
            self.walk(ident)

    # ---- plumbing

    def _do(self, work: Callable[[Tx], Any]) -> Any:
        return self.stage.database.transact(work)

    def _meet(self, ident: CameraId, claimed_by: str | None) -> None:
        rec = self.stage.recorder
        self._do(lambda tx: fleet.see_camera(tx, rec, ident, "plain", None, claimed_by))

    def _tell(self, step: str, accepted: bool, work: Callable[[Tx], Any]) -> None:
        """Run a step; `accepted` is the model's word."""
        self.log.append(f"{step} -> {accepted}")
        refusal = ""
        try:
            self._do(work)
        except IllegalMove as error:
            refusal = str(error)
            self.refused += 1
        assert (refusal == "") == accepted, (refusal, self.log)

    def _read(self, clip: ClipModel) -> Clip:
        found: Clip = self._do(lambda tx: clips.get(tx, ClipId(clip.ident)))
        return found

    def _gate(self) -> None:
        model = self.model
        stores = tuple(
            StorePolicy(name, ReceiptKind(weakest), counts=name in model.counting, place=PLACE)
            for name, weakest in STRENGTH.items()
        )
        stores += self.extra
        self._do(lambda tx: objects.apply_gate(tx, copies=model.copies, wiping=model.wiping, stores=stores))
        self.log.append(f"gate {model.copies} {model.wiping} {sorted(model.counting)}")

    def _any(self, bias: Callable[[ClipModel], bool]) -> ClipModel | None:
        """A random clip, more often one for which the step makes sense."""
        every = list(self.model.clips.values())
        fit = [clip for clip in every if bias(clip)]
        pool = fit if fit and self.random.random() < 0.8 else every
        return self.random.choice(pool) if pool else None

    def _camera(self) -> str:
        return self.random.choice(list(self.model.cameras))

    # ---- what happens to cameras

    def write(self, ident: str | None = None) -> None:
        """An officer records: new files, sometimes other bytes under an old name."""
        medium = self.model.cameras[ident or self._camera()].medium
        for name in self.random.sample(NAMES, 2):
            medium[name] = self.random.choice(self.contents)

    def vanish(self) -> None:
        medium = self.model.cameras[self._camera()].medium
        if medium:
            del medium[self.random.choice(sorted(medium))]

    def dock(self, ident: str | None = None) -> None:
        ident = ident or self._camera()
        camera = self.model.cameras[ident]
        rec = self.stage.recorder
        camera.session = self._do(lambda tx: fleet.start_session(tx, rec, CameraId(ident), BayName("1"), {}))
        camera.docked = True
        self.log.append(f"dock {ident}")

    def undock(self) -> None:
        camera = self.model.cameras[self._camera()]
        camera.docked = False
        session = SessionId(camera.session)
        self._do(lambda tx: fleet.end_session(tx, self.stage.recorder, session, "undocked"))
        self.log.append("undock")

    def walk(self, ident: str | None = None) -> None:
        """A listing, sometimes cut short. The ledger names new clips, so it is asked for their ids afterwards."""
        ident = ident or self._camera()
        camera = self.model.cameras[ident]
        complete = self.random.random() < 0.8
        shown = sorted(camera.medium) if complete else sorted(camera.medium)[:1]
        rec = self.stage.recorder

        def work(tx: Tx) -> dict[str, str]:
            listing = clips.start_listing(tx, rec, CameraId(ident), SessionId(camera.session))
            clips.reconcile(tx, rec, listing, [Sighting(entry_of(n), "clip", event=False) for n in shown])
            if complete:
                unlisted.finish_listing(tx, rec, listing)
            rows = tx.conn.execute(
                "SELECT path, id FROM clips WHERE camera = ? AND copy IN ('present', 'wipe_intended')", (ident,)
            )
            return {path.decode().removeprefix("DCIM/"): found for path, found in rows}

        found = self._do(work)
        self.log.append(f"walk {ident} {shown} complete={complete}")
        for name in shown:
            known = self.model.living(ident, name)
            if known is None:
                self.model.seen(found[name], ident, name)
            else:
                self.model.seen_again(known)
        for clip in list(self.model.clips.values()) if complete else []:
            if clip.camera == ident and clip.name not in shown:
                self.model.not_seen(clip)

    # ---- what honest callers do

    def offload(self) -> None:
        clip = self._any(lambda c: c.custody == "listed" and c.copy == "present")
        if clip is None:
            return
        content = self.model.cameras[clip.camera].medium.get(clip.name, self.contents[0])
        was = self._read(clip)
        accepted = self.model.offload(clip, content)
        self._tell(
            f"offload {clip.ident} {content}",
            accepted,
            lambda tx: objects.spooled(tx, self.stage.recorder, was, digest_of(content), SIZE, "1"),
        )

    def quarantine(self) -> None:
        clip = self._any(lambda c: c.custody in ("listed", "spooled"))
        if clip is None:
            return
        change = Move("clip.quarantined", custody=Custody.QUARANTINED, problem="unreadable")
        was = self._read(clip)
        accepted = self.model.quarantine(clip)
        self._tell(f"quarantine {clip.ident}", accepted, lambda tx: clips.move(tx, self.stage.recorder, was, change))

    def prove(self) -> None:
        clip = self._any(lambda c: c.custody == "spooled")
        content = (clip.content if clip else None) or self.random.choice(self.contents)
        store, kind = self.random.choice([("central", 3), ("central", 3), ("central", 1), ("second", 1), ("second", 2)])
        receipt = Receipt(store, ReceiptKind(kind), digest_of(content), SIZE, "h", self.stage.now, "proof")
        accepted = self.model.prove(content, store, kind)
        self._tell(
            f"prove {content} {store} {kind}",
            accepted,
            lambda tx: objects.keep_receipt(tx, self.stage.recorder, receipt, PLACE),
        )

    def spool_failed(self) -> None:
        content = self.random.choice(self.contents)
        accepted = self.model.spool_failed(content)
        self._tell(
            f"spool_failed {content}",
            accepted,
            lambda tx: objects.spool_copy_failed(tx, self.stage.recorder, digest_of(content), "altered", "The disk"),
        )

    def intend(self) -> None:
        clip = self._any(lambda c: c.custody == "confirmed" and c.copy == "present")
        if clip is None:
            return
        look = self.random.random() < 0.8
        was = self._read(clip)
        change = Move("copy.wipe_intended", copy=Copy.WIPE_INTENDED, looked_in=was.session if look else None)
        accepted = self.model.intend(clip, look=look)
        self._tell(
            f"intend {clip.ident} look={look}", accepted, lambda tx: clips.move(tx, self.stage.recorder, was, change)
        )
        if accepted and self.random.random() < 0.7:
            self.model.cameras[clip.camera].medium.pop(clip.name, None)  # the wipe itself
            if self.random.random() < 0.8:  # else the reader died before it could say so
                self.unlink(clip)
        if accepted and self.random.random() < 0.7:
            self.walk(clip.camera)

    def unlink(self, clip: ClipModel | None = None) -> None:
        """The reader's word, which nobody believes about a clip that was not to be wiped."""
        clip = clip or self._any(lambda _c: True)
        if clip is None:
            return
        ident, session = ClipId(clip.ident), SessionId(clip.session)
        accepted = self.model.unlink(clip)
        self._tell(f"unlink {ident}", accepted, lambda tx: clips.unlinked(tx, self.stage.recorder, ident, session))

    def purge(self) -> None:
        content = self.random.choice(self.contents)
        accepted = self.model.purge(content)
        self._tell(f"purge {content}", accepted, lambda tx: objects.purged(tx, self.stage.recorder, digest_of(content)))

    def replace(self) -> None:
        clip = self._any(lambda c: c.copy == "present")
        if clip is None or clip.copy == "missing":
            return
        was = self._read(clip)
        made: list[str] = []
        accepted = clip.copy == "present"
        self._tell(
            f"replace {clip.ident}",
            accepted,
            lambda tx: made.append(clips.replace_sighting(tx, self.stage.recorder, was, None).id),
        )
        assert self.model.replace(clip, made[0] if made else "") == accepted
