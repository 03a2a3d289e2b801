"""What the ledger must do, told a second time in other words: plain values, no SQL and nothing from the agent.

Every method answers whether the ledger must accept the step, and if so makes it here.
"""

from dataclasses import dataclass, field

CUSTODY_MOVES = {
    ("listed", "spooled"),
    ("listed", "quarantined"),
    ("listed", "lost"),
    ("spooled", "confirmed"),
    ("spooled", "quarantined"),
    ("spooled", "listed"),
    ("quarantined", "spooled"),
    ("quarantined", "listed"),
    ("lost", "listed"),
}
COPY_MOVES = {
    ("present", "wipe_intended"),
    ("wipe_intended", "gone"),
    ("wipe_intended", "present"),
    ("present", "missing"),
    ("missing", "present"),
}
STRENGTH = {"central": 3, "second": 1}  # the weakest receipt that counts


@dataclass(slots=True)
class ClipModel:
    """One sighting."""

    ident: str
    camera: str
    name: str
    session: int
    custody: str = "listed"
    copy: str = "present"
    content: str | None = None
    looked: int | None = None
    unlinked: bool = False  # the reader said that it has removed the file
    held: bool = False
    strikes: int = 0  # spool copies that failed, in a row

    @property
    def aboard(self) -> bool:
        return self.copy in ("present", "wipe_intended")


@dataclass(slots=True)
class CameraModel:
    """One camera and the files that are really on it: name to content."""

    claimed: bool
    medium: dict[str, str] = field(default_factory=dict)
    seized: bool = False
    session: int = 0
    docked: bool = False


@dataclass(slots=True)
class LedgerModel:
    """The whole ledger of one walk."""

    cameras: dict[str, CameraModel]
    clips: dict[str, ClipModel] = field(default_factory=dict)
    spool: dict[str, bool] = field(default_factory=dict)  # content to: present now
    receipts: set[tuple[str, str, int]] = field(default_factory=set)
    copies: int = 1
    wiping: bool = True
    counting: frozenset[str] = frozenset({"central", "second"})

    def of(self, content: str) -> list[ClipModel]:
        return [clip for clip in self.clips.values() if clip.content == content]

    def enough(self, content: str | None) -> bool:
        proved = {
            store
            for what, store, kind in self.receipts
            if what == content and store in self.counting and kind >= STRENGTH[store]
        }
        return len(proved) >= self.copies

    def _confirm(self, content: str) -> None:
        if self.enough(content):
            for clip in self.of(content):
                if clip.custody == "spooled":
                    clip.custody = "confirmed"

    def seen(self, ident: str, camera: str, name: str) -> None:
        """A walk shows a file that no living sighting explains."""
        self.clips[ident] = ClipModel(ident, camera, name, self.cameras[camera].session)

    def living(self, camera: str, name: str) -> ClipModel | None:
        """The sighting that a listed file belongs to: one aboard before one that went missing, newest first."""
        mine = [c for c in self.clips.values() if (c.camera, c.name) == (camera, name) and c.copy != "gone"]
        return max(enumerate(mine), key=lambda pair: (pair[1].aboard, pair[0]), default=(0, None))[1]

    def seen_again(self, clip: ClipModel) -> None:
        first = clip.session != self.cameras[clip.camera].session
        clip.session = self.cameras[clip.camera].session
        clip.copy, clip.unlinked = "present", False
        if clip.custody == "lost" or (clip.custody == "quarantined" and first):
            clip.custody = "listed"

    def not_seen(self, clip: ClipModel) -> None:
        if clip.unlinked:
            clip.copy = "gone"
        elif clip.aboard:  # an intent alone destroys nothing
            clip.copy = "missing"
            clip.custody = "lost" if clip.custody == "listed" else clip.custody

    def offload(self, clip: ClipModel, content: str) -> bool:
        if clip.custody not in ("listed", "quarantined", "spooled") or clip.content not in (None, content):
            return False
        clip.custody, clip.content = "spooled", content
        self.spool[content] = True
        self.receipts = {receipt for receipt in self.receipts if receipt[0] != content}  # asked for anew
        return True

    def quarantine(self, clip: ClipModel) -> bool:
        if clip.custody not in ("listed", "spooled", "quarantined"):
            return False
        clip.custody, clip.strikes = "quarantined", 0
        return True

    def prove(self, content: str, store: str, kind: int) -> bool:
        if content not in self.spool:
            return False
        self.receipts.add((content, store, kind))
        self._confirm(content)
        return True

    def spool_failed(self, content: str) -> bool:
        for clip in self.of(content):
            if clip.custody == "spooled":
                clip.strikes += 1
                if clip.copy == "missing":
                    clip.custody = "lost"
                elif clip.strikes == 3:
                    clip.custody, clip.strikes = "quarantined", 0
                else:
                    clip.custody = "listed"
        if content in self.spool:
            self.spool[content] = False
        return True

    def may_intend(self, clip: ClipModel, looked: int | None) -> bool:
        camera = self.cameras[clip.camera]
        return (
            clip.custody == "confirmed"
            and clip.copy == "present"
            and looked == clip.session
            and camera.session == clip.session
            and camera.docked
            and camera.claimed
            and not camera.seized
            and not clip.held
            and self.wiping
            and self.enough(clip.content)
        )

    def intend(self, clip: ClipModel, *, look: bool) -> bool:
        looked = clip.session if look else clip.looked
        if clip.copy != "wipe_intended" and not self.may_intend(clip, looked):
            return False
        clip.copy, clip.looked = "wipe_intended", looked
        return True

    def unlink(self, clip: ClipModel) -> bool:
        if clip.copy != "wipe_intended":
            return False
        clip.unlinked = True
        return True

    def purge(self, content: str) -> bool:
        if not self.spool.get(content, False):
            return True  # nothing is there to be destroyed
        clips = self.of(content)
        if not clips or any(clip.custody != "confirmed" or clip.held for clip in clips):
            return False
        self.spool[content] = False
        return True

    def replace(self, clip: ClipModel, new_ident: str) -> bool:
        if clip.copy != "present":
            return False
        clip.copy = "missing"
        clip.custody = "quarantined" if clip.custody == "listed" else clip.custody
        self.clips[new_ident] = ClipModel(new_ident, clip.camera, clip.name, clip.session)
        return True

    def force(self, clip: ClipModel, custody: str, copy: str) -> bool:
        """A raw UPDATE with an honest event: may it pass?"""
        moved, copied = custody != clip.custody, copy != clip.copy
        legal = (not moved or (clip.custody, custody) in CUSTODY_MOVES) and (
            not copied or (clip.copy, copy) in COPY_MOVES
        )
        facts = True
        if moved and custody == "spooled":
            facts = clip.content is not None and self.spool[clip.content]
        if moved and custody == "confirmed":
            facts = facts and self.enough(clip.content)
        if copied and copy == "wipe_intended":
            facts = facts and not moved and self.may_intend(clip, clip.looked)
        if copied and copy == "present":  # two living sightings of one file are one too many
            others = [
                c for c in self.clips.values() if (c.camera, c.name) == (clip.camera, clip.name) and c is not clip
            ]
            facts = facts and (clip.aboard or not any(other.aboard for other in others))
        if legal and facts:
            clip.custody, clip.copy = custody, copy
        return legal and facts
