"""The random walk: honest calls, what people decide in between, and what careless programmers try."""

from agent.core.clip import CameraId, ClipId, Copy, Custody
from agent.core.object import ReceiptKind
from agent.ledger import clips, fleet
from agent.ledger.database import Tx
from agent.ports import StorePolicy
from tests.properties.ledger_model import STRENGTH, ClipModel
from tests.properties.ledger_walker import Walker


class RandomWalker(Walker):
    """Chooses the steps, more often those that lead somewhere."""

    # ---- what people decide

    def hold(self) -> None:
        clip = self._any(lambda c: c.held)
        if clip is None:
            return
        ident, rec = ClipId(clip.ident), self.stage.recorder
        if clip.held:
            self._do(lambda tx: clips.unhold(tx, rec, ident, "over"))
        elif self.random.random() < 0.4:
            self._do(lambda tx: clips.hold(tx, rec, ident, "case"))
        else:
            return
        clip.held = not clip.held
        self.log.append(f"hold {ident} {clip.held}")

    def seize(self) -> None:
        ident = self._camera()
        camera, rec = self.model.cameras[ident], self.stage.recorder
        if camera.seized:
            self._do(lambda tx: fleet.release(tx, rec, CameraId(ident), "x", "y"))
        else:
            self._do(lambda tx: fleet.seize(tx, rec, CameraId(ident), "x", "y"))
        camera.seized = not camera.seized
        self.log.append(f"seize {ident} {camera.seized}")

    def claim(self) -> None:
        ident = self._camera()
        self._do(lambda tx: fleet.claim(tx, self.stage.recorder, CameraId(ident), "sergeant"))
        self.model.cameras[ident].claimed = True
        self.log.append(f"claim {ident}")

    def configure(self) -> None:
        self.model.copies = self.random.choice([1, 1, 1, 2])
        self.model.wiping = self.random.random() < 0.8
        self.model.counting = frozenset(store for store in STRENGTH if self.random.random() < 0.8)
        if self.random.random() < 0.1:
            place, weakest = self.random.choice(["tus+https://a.test/", "tus+https://b.test/"]), ReceiptKind.CHECKSUM
            self.extra = (StorePolicy("extra", weakest, counts=False, place=place),)
        self._gate()

    def ask_first(self) -> None:
        """A person wants a clip before all others; only the order of uploads changes."""
        clip = self._any(lambda c: c.custody == "spooled")
        if clip is not None:
            self._do(lambda tx: tx.conn.execute("UPDATE clips SET requested = 1 WHERE id = ?", (clip.ident,)))
            self.log.append(f"ask first {clip.ident}")

    # ---- what careless callers try

    def force(self) -> None:
        """Any state at all, by a raw UPDATE with an honest event."""
        clip = self._any(lambda _c: True)
        if clip is None:
            return
        custody, copy = self.random.choice(list(Custody)).value, self.random.choice(list(Copy)).value
        if self.random.random() < 0.5:
            custody, copy = self.random.choice([(custody, clip.copy), (clip.custody, copy)])

        def work(tx: Tx) -> None:
            state = {"custody": custody, "copy": copy}
            seq = self.stage.recorder.record(tx, "clip.forced", state, clip=ClipId(clip.ident))
            tx.conn.execute(
                "UPDATE clips SET custody = ?, copy = ?, problem = 'forced', last_event = ? WHERE id = ?",
                (custody, copy, seq, clip.ident),
            )

        accepted = self._allowed_by_checks(clip, custody, copy) and self.model.force(clip, custody, copy)
        self._tell(f"force {clip.ident} {custody} {copy}", accepted, work)

    @staticmethod
    def _allowed_by_checks(clip: ClipModel, custody: str, copy: str) -> bool:
        intended = copy in ("wipe_intended", "gone")
        return (
            (custody not in ("spooled", "confirmed") or clip.content is not None)
            and (custody == "confirmed" or not intended)
            and (clip.unlinked or copy != "gone")
            and (intended or not clip.unlinked)
        )

    def sneak(self) -> None:
        """A move without an event, or the removal of what must stay: never."""
        clip = self._any(lambda c: c.custody == "listed")
        if clip is None:
            return
        becomes = "spooled" if clip.custody == "listed" else "listed"
        text = self.random.choice(
            [
                "UPDATE clips SET custody = :becomes WHERE id = :id",
                "DELETE FROM clips WHERE id = :id",
                "INSERT OR REPLACE INTO clips SELECT * FROM clips WHERE id = :id",
                "DELETE FROM events WHERE clip = :id",
                "UPDATE events SET line = line WHERE clip = :id",
            ]
        )
        self._tell(f"sneak {text}", False, lambda tx: tx.conn.execute(text, {"becomes": becomes, "id": clip.ident}))

    def go(self, steps: int) -> None:
        choices = (
            [self.offload] * 6
            + [self.prove] * 6
            + [self.walk] * 5
            + [self.intend] * 5
            + [self.force] * 4
            + [self.purge, self.spool_failed, self.quarantine, self.replace, self.dock, self.write, self.vanish] * 2
            + [self.sneak, self.hold, self.seize, self.claim, self.configure, self.undock, self.unlink, self.ask_first]
        )
        for _ in range(steps):
            self.random.choice(choices)()
