"""The outside checker: what must hold after any kill, judged by a code path of its own.

It believes no state that the agent keeps: bytes are hashed where they lie, the chain of events is recomputed, receipts
are verified from the text of docs/receipt.md. Each rule yields sentences, one for each thing that is wrong.
"""

import base64
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from tests.crash.world import Row, World

MOVES = {
    ("listed", "spooled"), ("listed", "quarantined"), ("listed", "lost"), ("spooled", "confirmed"),
    ("spooled", "quarantined"), ("spooled", "listed"), ("quarantined", "spooled"), ("quarantined", "listed"),
    ("lost", "listed"),
}  # fmt: skip
COPY_MOVES = {
    ("present", "wipe_intended"), ("wipe_intended", "gone"), ("wipe_intended", "present"), ("present", "missing"),
    ("missing", "present"),
}  # fmt: skip
READ_ONLY = 0o400

Rule = Callable[[World], Iterator[str]]


def faults(world: World) -> list[str]:
    """Everything that is wrong; empty when all rules hold."""
    return [f"{rule.__name__}: {fault}" for rule in RULES for fault in rule(world)]


def nothing_is_lost(world: World) -> Iterator[str]:
    """Every recorded byte is on its camera or finished at the depot, under its digest."""
    kept = {f.sha256 for f in world.objects} & finished(world)
    for file, found in zip(world.recorded, world.aboard, strict=True):
        if found is not None and found != file.sha256:
            yield f"{file.camera} {file.path!r} was altered on the camera"
        elif found is None and file.sha256 not in kept:
            yield f"{file.camera} {file.path!r} is neither on the camera nor at the depot"


def nothing_is_wiped_unproven(world: World) -> Iterator[str]:
    """Before an intent to wipe stand a confirmation and a signed receipt, and only an intent ever removes a file."""
    rows = {(r["camera"], bytes(r["path"]), r["size_bytes"]): r for r in world.ledger["clips"]}
    wiped = {r["id"]: r for r in rows.values() if r["copy"] in ("wipe_intended", "gone")}
    for file, found in zip(world.recorded, world.aboard, strict=True):
        row = rows.get((file.camera, file.path, file.size_bytes))
        if found is None and row is None:
            yield f"{file.camera} {file.path!r} is not on the camera and was never listed"
        elif found is None and row is not None:
            wiped[row["id"]] = row  # whatever its copy is called now: a pulled or killed wipe ends as missing
        elif row is not None and row["copy"] == "gone":
            yield f"{file.camera} {file.path!r} is called gone and lies on the camera"
    for clip in wiped.values():
        yield from (f"clip {clip['id']}: {fault}" for fault in _wiped_unproven(world, clip))


def _wiped_unproven(world: World, clip: Row) -> Iterator[str]:
    last = {body["event"]: seq for seq, body in world.events() if body.get("clip") == clip["id"]}
    intended = last.get("copy.wipe_intended")
    if intended is None:
        yield "no event says that a wipe was intended"
        return
    if not last.get("clip.spooled", intended) < last.get("clip.confirmed", intended) < intended:
        yield "it was not spooled and confirmed before the intent"
    if not _proved(world, clip["sha256"], after=last.get("clip.spooled", 0), before=intended):
        yield "no signed receipt stands between its spooling and the intent"
    if clip["copy"] == "gone" and not intended < last.get("copy.unlinked", 0) < last.get("copy.gone", 0):
        yield "it is gone without an unlink and a later listing"


def the_chain_holds(world: World) -> Iterator[str]:
    """Each event's digest is right, and each names the one before."""
    before = "0" * 64
    for number, row in enumerate(world.ledger["events"], start=1):
        digest = hashlib.sha256(row["line"].encode("utf-8", "surrogateescape")).hexdigest()
        try:
            body = json.loads(row["line"])
        except ValueError:
            yield f"event {number} is no JSON"
            return
        if (row["seq"], body.get("seq")) != (number, number) or body.get("prev") != before:
            yield f"event {number} does not follow from the one before"
            return
        if row["digest"] != digest:
            yield f"event {number} has another digest"
        if any(row[name] != body.get(name) for name in ("event", "clip", "camera")):
            yield f"event {number} says something else than its columns"
        before = digest


def rows_agree_with_the_chain(world: World) -> Iterator[str]:
    """Each clip is in the state to which its own events lead, by legal moves only."""
    seen: dict[str, tuple[int, Row]] = {}
    for seq, body in world.events():
        clip = body.get("clip")
        if clip is None or "custody" not in body:
            continue
        if clip in seen:
            for name, moves in (("custody", MOVES), ("copy", COPY_MOVES)):
                move = (seen[clip][1][name], body[name])
                if move[0] != move[1] and move not in moves:
                    yield f"clip {clip}: event {seq} moves {name} from {move[0]} to {move[1]}"
        elif (body["custody"], body["copy"]) != ("listed", "present"):
            yield f"clip {clip} does not start as listed and present"
        seen[clip] = (seq, body)
    rows = {row["id"]: row for row in world.ledger["clips"]}
    for clip in seen.keys() ^ rows.keys():
        yield f"clip {clip} stands in the events or in the rows only"
    for clip, row in rows.items():
        seq, body = seen.get(clip, (row["last_event"], row))
        told = (body["custody"], body["copy"], body.get("sha256", row["sha256"]), seq)
        if told != (row["custody"], row["copy"], row["sha256"], row["last_event"]):
            yield f"clip {clip}: its row says {row['custody']}, {row['copy']}, event {seq} says otherwise"


def spooled_means_durable_bytes(world: World) -> Iterator[str]:
    """What the ledger counts on lies under its final name, whole, read-only."""
    there = {f.path.name for f in world.spooled if f.sha256 == f.path.name and f.mode == READ_ONLY}
    rows = {row["sha256"]: row for row in world.ledger["objects"]}
    for sha256, row in rows.items():
        if row["spool"] == "present" and sha256 not in there:
            yield f"object {sha256} is not in the spool as the ledger says"
    for clip in world.ledger["clips"]:
        if clip["custody"] == "spooled" and rows[clip["sha256"]]["spool"] != "present":
            yield f"clip {clip['id']} is spooled, its object is not in the spool"


def no_part_is_counted(world: World) -> Iterator[str]:
    """A final name holds whole bytes with that digest, or it does not exist; parts have other names, elsewhere."""
    for file in world.spooled:
        if file.sha256 != file.path.name or file.path.parent.name != file.sha256[:2] or file.mode != READ_ONLY:
            yield f"{file.path.name} in the spool is not a whole object"
    for file in world.objects:
        if file.sha256 != file.path.name or file.mode != READ_ONLY:
            yield f"{file.path.name} at the depot is not a whole object"
    for file in (*world.parts, *world.incoming):
        if file.path.suffix != ".part":
            yield f"{file.path.name} lies among the parts"


def nothing_is_purged_unproven(world: World) -> Iterator[str]:
    """The spool's copy goes only after a signed receipt, when every clip of it is confirmed."""
    purged = {body["sha256"]: seq for seq, body in world.events() if body["event"] == "object.purged"}
    stored = {f.sha256 for f in world.objects}
    for row in world.ledger["objects"]:
        sha256 = row["sha256"]
        if row["spool"] == "present":
            continue
        clips = [c for c in world.ledger["clips"] if c["sha256"] == sha256]
        spooled = max((s for s, b in world.events() if b["event"] == "clip.spooled" and b.get("sha256") == sha256))
        if row["fault"] is not None:
            if sha256 not in stored and any(c["custody"] == "confirmed" for c in clips):
                yield f"object {sha256} is confirmed, and neither in the spool nor at the depot"
        elif purged.get(sha256, 0) < spooled or not _proved(world, sha256, after=spooled, before=purged[sha256]):
            yield f"object {sha256} was purged without an event of its own after a signed receipt"
        elif sha256 not in stored or any(c["custody"] != "confirmed" for c in clips):
            yield f"object {sha256} was purged before all of its clips were safe"


def confirmed_means_held(world: World) -> Iterator[str]:
    """A confirmed clip's bytes lie at the depot, and a receipt that verifies says so."""
    kept = {f.sha256 for f in world.objects} & finished(world)
    for clip in world.ledger["clips"]:
        if clip["custody"] == "confirmed":
            if clip["sha256"] not in kept:
                yield f"clip {clip['id']} is confirmed, the depot does not have it"
            if not _proved(world, clip["sha256"], after=0, before=clip["last_event"] + 1):
                yield f"clip {clip['id']} is confirmed without a receipt that verifies"


def the_depot_keeps_its_word(world: World) -> Iterator[str]:
    """Each finished upload has its object, and each receipt that the ledger holds is one that the depot recorded."""
    held = {f.sha256: f.size_bytes for f in world.objects}
    for upload in world.catalogue["uploads"]:
        if upload["finished_us"] is not None and held.get(upload["sha256"]) != upload["length"]:
            yield f"upload {upload['id']} is finished without its object"
    issued = {row["statement"] for row in world.catalogue["receipts"]}
    for row in world.ledger["receipts"]:
        if json.loads(row["proof"])["statement"] not in issued:
            yield f"the receipt for {row['sha256']} is unknown to the depot"


def nothing_is_there_twice(world: World) -> Iterator[str]:
    """One sighting for each recorded file, and one finished upload for each object."""
    sightings = Counter((r["camera"], bytes(r["path"]), r["size_bytes"], r["mtime_ns"]) for r in world.ledger["clips"])
    known = {(r.camera, r.path, r.size_bytes, r.mtime_ns) for r in world.recorded}
    for sighting, count in sightings.items():
        if count > 1 or sighting not in known:
            yield f"{sighting[0]} {sighting[1]!r} was sighted {count} times"
    uploads = Counter(u["sha256"] for u in world.catalogue["uploads"] if u["finished_us"] is not None)
    yield from (f"object {sha256} was uploaded {count} times" for sha256, count in uploads.items() if count > 1)


RULES: tuple[Rule, ...] = (
    nothing_is_lost,
    nothing_is_wiped_unproven,
    the_chain_holds,
    rows_agree_with_the_chain,
    spooled_means_durable_bytes,
    no_part_is_counted,
    nothing_is_purged_unproven,
    confirmed_means_held,
    the_depot_keeps_its_word,
    nothing_is_there_twice,
)


def finished(world: World) -> set[str]:
    """Digests of all finished uploads."""
    return {u["sha256"] for u in world.catalogue["uploads"] if u["finished_us"] is not None}


def _proved(world: World, sha256: str, *, after: int, before: int) -> bool:
    """Whether a receipt that verifies was recorded in the chain between these two events."""
    told: defaultdict[str, list[int]] = defaultdict(list)
    for seq, body in world.events():
        if body["event"] == "object.proved":
            told[body["sha256"]].append(seq)
    return any(
        row["event"] in told[sha256] and after < row["event"] < before and _verifies(world, row)
        for row in world.ledger["receipts"]
        if row["sha256"] == sha256
    )


def _verifies(world: World, row: Row) -> bool:
    """Check one receipt as docs/receipt.md tells to: key, signature, and the lines that name station and object."""
    proof = json.loads(row["proof"])
    key = load_pem_public_key(world.receipt_key)
    assert isinstance(key, Ed25519PublicKey)
    text = proof["statement"].encode("ascii")
    try:
        key.verify(base64.b64decode(proof["signature"]), text)
    except InvalidSignature:
        return False
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    lines = text.decode("ascii").split("\n")
    wanted = {
        0: "bwv-receipt/1",
        1: f"station {world.station}",
        2: f"sha256 {row['sha256']}",
        3: f"size {row['size_bytes']}",
        7: f"key {hashlib.sha256(raw).hexdigest()[:16]}",
    }
    return len(lines) == 9 and all(lines[number] == line for number, line in wanted.items())
