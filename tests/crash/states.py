"""The states in which a kill can leave a station, told from what lies on disk."""

from collections.abc import Iterator

from tests.crash.checker import finished
from tests.crash.world import World

DEMANDED = (
    "no ledger yet",
    "clip listed",
    "clip spooled",
    "clip confirmed",
    "wipe intended, file there",
    "wipe intended, file unlinked",
    "unlink acknowledged, not settled",
    "clip gone",
    "part in the spool",
    "object in the spool, unknown to the ledger",
    "purge recorded, object there",
    "upload known to the ledger, no byte arrived",
    "upload part-way",
    "upload whole, object not in place",
    "object in place, not recorded",
    "part at the depot without a record",
    "finished upload without receipt",
    "receipt issued, unknown to the ledger",
    "session open",
    "catalogue journal left",
)
"""What every run must have met."""


def states_of(world: World) -> set[str]:
    """Name every state that is found."""
    return {*_of_clips(world), *_of_spool(world), *_of_depot(world)}


def _of_clips(world: World) -> Iterator[str]:
    if not world.ledger["events"]:
        yield "no ledger yet"
    aboard = {(r.camera, r.path) for r, found in zip(world.recorded, world.aboard, strict=True) if found is not None}
    for clip in world.ledger["clips"]:
        match clip["custody"], clip["copy"]:
            case "confirmed", "wipe_intended" if clip["unlinked_in"] is not None:
                yield "unlink acknowledged, not settled"
            case "confirmed", "wipe_intended":
                there = (clip["camera"], bytes(clip["path"])) in aboard
                yield f"wipe intended, file {'there' if there else 'unlinked'}"
            case "confirmed", "gone":
                yield "clip gone"
            case custody, "present":
                yield f"clip {custody}"
            case custody, copy:
                yield f"clip {custody}, copy {copy}"
    if any(session["ended_us"] is None for session in world.ledger["sessions"]):
        yield "session open"


def _of_spool(world: World) -> Iterator[str]:
    if world.parts:
        yield "part in the spool"
    rows = {row["sha256"]: row["spool"] for row in world.ledger["objects"]}
    for file in world.spooled:
        if file.path.name not in rows:
            yield "object in the spool, unknown to the ledger"
        elif rows[file.path.name] == "absent":
            yield "purge recorded, object there"


def _of_depot(world: World) -> Iterator[str]:
    parts = {f.path.stem: f for f in world.incoming}
    objects = {f.path.name for f in world.objects}
    hints = " ".join(row["hint"] or "" for row in world.ledger["uploads"])
    receipts = {row["upload"] for row in world.catalogue["receipts"]}
    for upload in world.catalogue["uploads"]:
        part = parts.pop(upload["id"], None)
        if part is not None and part.size_bytes == upload["length"]:
            yield "upload whole, object not in place"
        elif part is not None and part.size_bytes:
            yield "upload part-way"
        elif part is not None and upload["id"] in hints:
            yield "upload known to the ledger, no byte arrived"
        elif upload["finished_us"] is None and upload["sha256"] in objects - finished(world):
            yield "object in place, not recorded"
        elif upload["finished_us"] is not None and upload["id"] not in receipts:
            yield "finished upload without receipt"
    if parts:
        yield "part at the depot without a record"
    if world.journal_left:
        yield "catalogue journal left"
    proved = {row["sha256"] for row in world.ledger["receipts"]}
    if any(u["id"] in receipts and u["sha256"] not in proved for u in world.catalogue["uploads"]):
        yield "receipt issued, unknown to the ledger"
