"""How much room the ledger takes for each clip, which docs/operator.md tells."""

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from agent.core.clip import CameraId, Copy, Entry
from agent.core.object import Digest, Receipt, ReceiptKind
from agent.ledger import clips, fleet, objects, unlisted
from agent.ledger.clips import Move, Sighting
from agent.ledger.database import Tx
from tests.ledger.stage import PLACE, Stage

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "operator.md"
PER_CAMERA = 100
CLIPS = 2000
SIZE_BYTES = 300_000_000


@dataclass(frozen=True, slots=True)
class Growth:
    """Bytes for each clip, of the whole file and of the exported custody log."""

    ledger: float
    log: float


def whole_life(tx: Tx, stage: Stage, number: int) -> None:
    """One docking: clips are seen, copied, proved with a receipt as long as the depot's, cleared and purged."""
    recorder, camera = stage.recorder, CameraId(f"X60A{number:04}")
    fleet.see_camera(tx, recorder, camera, "plain-dcim", "X60", "configuration")
    session = fleet.start_session(tx, recorder, camera, "1", {"profile": "plain-dcim", "driver": "usb"})  # type: ignore[arg-type]
    walk = clips.start_listing(tx, recorder, camera, session)
    names = [f"DCIM/100MEDIA/{camera}_20260301_{n:06}.MP4" for n in range(PER_CAMERA)]
    entries = [Entry(name.encode(), SIZE_BYTES, 1_772_366_400_000_000_000 + n) for n, name in enumerate(names)]
    clips.reconcile(
        tx, recorder, walk, [Sighting(e, "clip", event=False, started_at="2026-03-01T12:00:00Z") for e in entries]
    )
    unlisted.finish_listing(tx, recorder, walk)
    for clip in fleet.clips_in(tx, session):
        sha256 = Digest(hashlib.sha256(clip.id.encode()).hexdigest())
        objects.spooled(tx, recorder, clip, sha256, SIZE_BYTES, "1")
        proof = "bwv-receipt/1\n" + "x" * 290 + base64.b64encode(bytes(64)).decode()
        handle = f"https://evidence.example/files/{sha256[:32]}"
        objects.keep_receipt(
            tx, recorder, Receipt("central", ReceiptKind.SIGNED, sha256, SIZE_BYTES, handle, stage.now, proof), PLACE
        )
        change = Move("copy.wipe_intended", copy=Copy.WIPE_INTENDED, read_in=session, looked_in=session)
        clips.move(tx, recorder, clips.get(tx, clip.id), change)
        clips.unlinked(tx, recorder, clip.id, session)
    walk = clips.start_listing(tx, recorder, camera, session)
    unlisted.finish_listing(tx, recorder, walk)
    for clip in fleet.clips_in(tx, session):
        assert clip.copy is Copy.GONE
        assert clip.sha256 is not None
        objects.purged(tx, recorder, clip.sha256)
    fleet.end_session(tx, recorder, session, "undocked")


def growth(folder: Path, count: int) -> Growth:
    stage = Stage(folder / "ledger.sqlite")
    try:
        stage.gate()
        for number in range(count // PER_CAMERA):
            stage.do(lambda tx, n=number: whole_life(tx, stage, n))  # type: ignore[misc]
        pages, page_bytes = stage.one("PRAGMA page_count"), stage.one("PRAGMA page_size")
        log = stage.one("SELECT sum(length(line) + 1) FROM events")
    finally:
        stage.close()
    return Growth(pages * page_bytes / count, log / count)


def test_a_clips_whole_life_takes_as_much_of_the_ledger_as_the_guide_says(tmp_path: Path) -> None:
    told = re.search(
        r"about (\d+\.\d) kB in the ledger, of which (\d+\.\d) kB are its custody events", GUIDE.read_text("utf-8")
    )
    assert told is not None
    found = growth(tmp_path, CLIPS)
    assert abs(found.ledger / 1000 - float(told[1])) < 0.3, found
    assert abs(found.log / 1000 - float(told[2])) < 0.3, found
