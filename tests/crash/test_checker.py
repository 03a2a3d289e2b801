"""The outside checker is checked itself: a whole station in order, and a tampered state for each thing it must see."""

import asyncio
import json
import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest

from tests.crash.checker import RULES, faults
from tests.crash.life import Life
from tests.crash.states import states_of
from tests.crash.tally import Tally
from tests.crash.world import Found, Row, World


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    """A life without a kill: everything is confirmed and gone, the spool still holds its copies."""

    async def play() -> Life:
        made = Life(tmp_path_factory.mktemp("checker") / "life", random.Random(1), Tally())  # noqa: S311 - unused
        await made.begin()
        await made.settle()
        return made

    return asyncio.run(play())


@pytest.fixture(scope="module")
def whole(life: Life) -> World:
    return life.world()


def clip(world: World) -> Row:
    """The clip of the first recorded file."""
    return next(r for r in world.ledger["clips"] if bytes(r["path"]) == world.recorded[0].path)


def rewrite(world: World, change: Callable[[Row], Row | None]) -> None:
    """Change or drop events, without mending the chain."""
    kept = []
    for row in world.ledger["events"]:
        body = change(json.loads(row["line"]))
        if body is not None:
            kept.append(row | {"line": json.dumps(body)})
    world.ledger["events"] = kept


def without_event(world: World, name: str) -> None:
    wanted = clip(world)
    rewrite(world, lambda b: None if b["event"] == name and wanted["id"] == b.get("clip") else b)


def at_camera(world: World, digest: str | None) -> None:
    world.aboard[0] = digest


def not_at_depot(world: World) -> None:
    world.objects = [f for f in world.objects if f.path.name != world.recorded[0].sha256]


def flipped(files: list[Found], name: str) -> list[Found]:
    return [replace(f, sha256="0" * 64) if f.path.name == name else f for f in files]


def never_listed(world: World) -> None:
    world.ledger["clips"].remove(clip(world))


def forged(world: World) -> None:
    for row in world.ledger["receipts"]:
        proof = json.loads(row["proof"])
        proof["statement"] = proof["statement"].replace("station hub7", "station hub8")
        row["proof"] = json.dumps(proof)


def of_another_object(world: World) -> None:
    first, second = world.ledger["receipts"][:2]
    first["proof"], second["proof"] = second["proof"], first["proof"]


def receipt_too_late(world: World) -> None:
    """The receipts come at the end of the chain, after every wipe."""
    end = len(world.ledger["events"])
    proofs = [e for e in world.ledger["events"] if e["event"] == "object.proved"]
    for number, row in enumerate(proofs, start=1):
        world.ledger["events"].append(row | {"seq": end + number})
    world.ledger["events"] = [e for e in world.ledger["events"] if e["seq"] > end or e["event"] != "object.proved"]
    for row in world.ledger["receipts"]:
        row["event"] = next(e["seq"] for e in world.ledger["events"] if e["seq"] > end and row["sha256"] in e["line"])


def purged(world: World) -> None:
    world.ledger["objects"][0]["spool"] = "absent"


def spooled_and_absent(world: World) -> None:
    purged(world)
    world.ledger["clips"][0].update(custody="spooled", sha256=world.ledger["objects"][0]["sha256"])


def failed_and_nowhere(world: World) -> None:
    not_at_depot(world)
    for row in world.ledger["objects"]:
        row.update(spool="absent", fault="altered")


def purged_and_told(world: World) -> None:
    """An event says so, but the depot does not have it."""
    sha256 = world.recorded[0].sha256
    next(o for o in world.ledger["objects"] if o["sha256"] == sha256)["spool"] = "absent"
    number = len(world.ledger["events"]) + 1
    line = json.dumps({"seq": number, "event": "object.purged", "sha256": sha256})
    world.ledger["events"].append({"seq": number, "event": "object.purged", "clip": None, "camera": None, "line": line})
    not_at_depot(world)


def with_part(world: World) -> None:
    world.spooled.append(Found(Path("objects/ab/cd.part"), 1, "0" * 64, 0o600))


def twice(table: list[Row], **change: object) -> None:
    table.append(table[0] | change)


def cut_off(world: World) -> None:
    del world.ledger["events"][40:]


def move_back(world: World) -> None:
    """The chain tells of a clip that went from listed to confirmed."""
    wanted = clip(world)["id"]
    rewrite(world, lambda b: None if b["event"] == "clip.spooled" and b.get("clip") == wanted else b)


TAMPERED: dict[str, tuple[str, Callable[[World], object]]] = {
    "lost everywhere": ("nothing_is_lost", not_at_depot),
    "not finished at the depot": ("nothing_is_lost", lambda w: w.catalogue["uploads"].clear()),
    "altered at the depot": (
        "nothing_is_lost", lambda w: setattr(w, "objects", flipped(w.objects, w.recorded[0].sha256)),
    ),
    "altered on the camera": ("nothing_is_lost", lambda w: at_camera(w, "0" * 64)),
    "gone and still there": ("nothing_is_wiped_unproven", lambda w: at_camera(w, w.recorded[0].sha256)),
    "wiped and never listed": ("nothing_is_wiped_unproven", never_listed),
    "wiped without intent": ("nothing_is_wiped_unproven", lambda w: without_event(w, "copy.wipe_intended")),
    "wiped unconfirmed": ("nothing_is_wiped_unproven", lambda w: without_event(w, "clip.confirmed")),
    "wiped without receipt": ("nothing_is_wiped_unproven", lambda w: w.ledger["receipts"].clear()),
    "wiped on a forged receipt": ("nothing_is_wiped_unproven", forged),
    "wiped on another's receipt": ("nothing_is_wiped_unproven", of_another_object),
    "wiped before the receipt": ("nothing_is_wiped_unproven", receipt_too_late),
    "gone without an unlink": ("nothing_is_wiped_unproven", lambda w: without_event(w, "copy.unlinked")),
    "event altered": ("the_chain_holds", lambda w: rewrite(w, lambda b: b | {"at": "later"})),
    "event dropped": ("the_chain_holds", lambda w: w.ledger["events"].pop(3)),
    "event is no JSON": ("the_chain_holds", lambda w: w.ledger["events"][3].update(line="{")),
    "digest altered": ("the_chain_holds", lambda w: w.ledger["events"][3].update(digest="0" * 64)),
    "column altered": ("the_chain_holds", lambda w: w.ledger["events"][3].update(clip="c0")),
    "custody altered": ("rows_agree_with_the_chain", lambda w: clip(w).update(custody="listed")),
    "copy altered": ("rows_agree_with_the_chain", lambda w: clip(w).update(copy="present")),
    "digest of a row altered": ("rows_agree_with_the_chain", lambda w: clip(w).update(sha256="0" * 64)),
    "end of the chain cut off": ("rows_agree_with_the_chain", cut_off),
    "a row too few": ("rows_agree_with_the_chain", lambda w: w.ledger["clips"].pop()),
    "an illegal move": ("rows_agree_with_the_chain", move_back),
    "spool without an object": ("spooled_means_durable_bytes", lambda w: w.spooled.pop()),
    "spool with a flipped bit": (
        "spooled_means_durable_bytes", lambda w: setattr(w, "spooled", flipped(w.spooled, w.recorded[0].sha256)),
    ),
    "spooled but absent": ("spooled_means_durable_bytes", spooled_and_absent),
    "part among the objects": ("no_part_is_counted", with_part),
    "writable object": (
        "no_part_is_counted", lambda w: setattr(w, "spooled", [replace(f, mode=0o600) for f in w.spooled]),
    ),
    "half an object at the depot": (
        "no_part_is_counted", lambda w: setattr(w, "objects", flipped(w.objects, w.recorded[0].sha256)),
    ),
    "purged untold": ("nothing_is_purged_unproven", purged),
    "purged and nowhere": ("nothing_is_purged_unproven", purged_and_told),
    "failed copy of what is nowhere": ("nothing_is_purged_unproven", failed_and_nowhere),
    "confirmed and not held": ("confirmed_means_held", not_at_depot),
    "confirmed without receipt": ("confirmed_means_held", lambda w: w.ledger["receipts"].clear()),
    "finished without object": ("the_depot_keeps_its_word", not_at_depot),
    "receipt unknown to the depot": ("the_depot_keeps_its_word", lambda w: w.catalogue["receipts"].clear()),
    "sighted twice": ("nothing_is_there_twice", lambda w: twice(w.ledger["clips"], id="c" + "0" * 20)),
    "sighting of nothing": ("nothing_is_there_twice", lambda w: clip(w).update(path=b"DCIM/OTHER.MP4")),
    "uploaded twice": ("nothing_is_there_twice", lambda w: twice(w.catalogue["uploads"], id="0" * 32)),
}  # fmt: skip


def test_a_station_in_order_has_no_faults(whole: World) -> None:
    assert faults(whole) == []
    assert states_of(whole) == {"clip gone"}


@pytest.mark.parametrize("name", TAMPERED)
def test_each_tampered_state_makes_its_rule_speak(whole: World, name: str) -> None:
    rule, tamper = TAMPERED[name]
    world = replace(deepcopy(whole))  # without the events that it has parsed
    tamper(world)
    assert any(fault.startswith(f"{rule}: ") for fault in faults(world))


def test_every_rule_has_a_tampered_state() -> None:
    assert {rule for rule, _ in TAMPERED.values()} == {rule.__name__ for rule in RULES}


def test_it_reads_the_bytes_where_they_lie(life: Life, whole: World) -> None:
    """The same through the disk: a file put back on the camera, and a flipped bit in the spool and at the depot."""
    first = whole.recorded[0]
    spooled = next(f.path for f in whole.spooled if f.path.name == first.sha256)
    held = next(f.path for f in whole.objects if f.path.name == first.sha256)
    original = held.read_bytes()
    first.place.write_bytes(original)
    assert [f.split(":")[0] for f in faults(life.world())] == ["nothing_is_wiped_unproven"]
    first.place.unlink()
    for path in (spooled, held):
        path.chmod(0o600)
        path.write_bytes(bytes([original[0] ^ 1]) + original[1:])
        path.chmod(0o400)
    assert {f.split(":")[0] for f in faults(life.world())} >= {"spooled_means_durable_bytes", "confirmed_means_held"}
    for path in (spooled, held):
        path.unlink()
        path.write_bytes(original)
        path.chmod(0o400)
    assert faults(life.world()) == []
