"""A ledger that cannot be trusted destroys nothing, and footage goes on to be copied and uploaded all the same."""

import json
import shutil
from pathlib import Path

import pytest

from agent.core.clip import Copy, Custody
from agent.core.errors import LedgerDamaged
from agent.ledger import doubts
from agent.services.disposal import purge_spool
from agent.simulate.rack import SimulatedCamera
from tests.ledger.tamper import behind_its_back, page_of, smash
from tests.scenarios.shift import Shift

CLEARED = "all footage is in the evidence store; the camera is clear"
NOBODY_KNOWS = "the ledger is damaged: nobody can say what is kept"


def ledger_of(shift: Shift) -> Path:
    return shift.root / "state" / "ledger.sqlite"


async def life_until_spooled(shift: Shift, camera: SimulatedCamera) -> None:
    """Everything is copied, and the depot is away."""
    await shift.depot.stop()
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "on the way to the evidence store")
        camera.undock()
        await running.until_advice("1", None)
    await shift.depot.start()


async def life_until_cleared(shift: Shift, camera: SimulatedCamera) -> None:
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take", CLEARED)
        camera.undock()
        await running.until_advice("1", None)


async def test_an_altered_row_holds_every_wipe_and_purge_and_nothing_else(shift: Shift) -> None:
    first, second = shift.camera("CAM1"), shift.camera("CAM2")
    await life_until_spooled(shift, first)
    behind_its_back(ledger_of(shift), "UPDATE clips SET mtime_ns = mtime_ns + 1 WHERE number = 1")
    shift.write_config(keep_hours=0.0)
    async with shift.station() as running:
        second.dock(shift.bay(2))
        await running.until_advice("2", "take, footage still aboard", NOBODY_KNOWS)
        await running.until_kept("2", {doubts.DAMAGED: len(shift.truth(second))})
        assert await purge_spool(running.agent.kit) == 0
        both = shift.truth(first) | shift.truth(second)
        await running.until(lambda: shift.depot.held().keys() == both, "uploads go on")
        station, health = await running.agent.desk.station(), await running.agent.desk.health()
        assert "was altered: its time is not what the custody log says" in str(station["notices"])
        assert "The ledger is damaged" in str(health["problems"])
        assert health["ok"] is False
        assert len(await running.events("ledger.damaged")) == 1
        assert await running.events("copy.wipe_intended") == []
    shift.nothing_lost()


async def test_a_ledger_restored_from_last_week_holds_wipes_until_a_person_accepts_it(shift: Shift) -> None:
    first, second = shift.camera("CAM1"), shift.camera("CAM2")
    await life_until_spooled(shift, first)
    backup = shift.root / "backup.sqlite"
    shutil.copy(ledger_of(shift), backup)
    await life_until_cleared(shift, first)
    shutil.copy(backup, ledger_of(shift))
    shift.write_config(keep_hours=0.0)
    async with shift.station() as running:
        second.dock(shift.bay(2))
        await running.until_kept("2", {doubts.ROLLED_BACK: len(shift.truth(second))})
        assert await purge_spool(running.agent.kit) == 0
        assert "custody accept" in str((await running.agent.desk.station())["notices"])
        (event,) = await running.events("ledger.rolled_back")
        assert event["witness_seq"] > 0
    async with shift.station() as running:  # a restart does not forget it
        await running.until_kept("2", {doubts.ROLLED_BACK: len(shift.truth(second))})
        done = await running.ask("accept-ledger")
        assert "taken over" in done["done"]
        await running.until_advice("2", "take", CLEARED)
        assert await purge_spool(running.agent.kit) > 0
        (event,) = await running.events("ledger.accepted")
        assert (event["actor"], event["reason"]) == ("sergeant", "test")
        await running.chain_holds()
    shift.nothing_lost()


async def test_a_whole_state_directory_restored_from_last_week_loses_nothing(shift: Shift) -> None:
    """Ledger, witness and spool are all of the same old day: nobody can know, and still nothing is lost."""
    wiped, newer = shift.camera("CAM1"), shift.camera("CAM2")
    await life_until_spooled(shift, wiped)
    state, backup = shift.root / "state", shift.root / "backup"
    shutil.copytree(state, backup)
    await life_until_cleared(shift, wiped)
    await life_until_cleared(shift, newer)
    newest = state / "spool" / "objects"
    kept = {path.name: path.read_bytes() for path in newest.rglob("?" * 64)}
    shutil.rmtree(state)
    shutil.copytree(backup, state)
    stray = min(shift.truth(newer) - shift.truth(wiped))
    (newest / stray[:2]).mkdir(exist_ok=True)
    (newest / stray[:2] / stray).write_bytes(kept[stray])  # not everything in the spool was restored over
    async with shift.station() as running:
        assert await running.doubts() == {}
        assert running.agent.found == ["1 objects in the spool are unknown to the ledger; they were kept."]
        wiped.dock(shift.bay(1))
        newer.dock(shift.bay(2))
        await running.until_advice("1", "take", CLEARED)
        await running.until_advice("2", "take", CLEARED)

        async def proved() -> bool:
            return all(c.custody is Custody.CONFIRMED for c in await running.clips(wiped))

        await running.until(proved, "known objects are proved anew")
        assert {c.copy for c in await running.clips(wiped)} == {Copy.MISSING}
        assert await running.clips(newer) == []
        assert (newest / stray[:2] / stray).exists()
        assert (await running.agent.desk.queue()) == []
        await running.chain_holds()
    shift.nothing_lost()


async def test_a_ledger_of_another_station_holds_wipes(shift: Shift) -> None:
    camera = shift.camera("CAM1")
    await life_until_spooled(shift, camera)
    text = shift.config.read_text().replace('id = "hub7"', 'id = "hub8"')
    shift.config.write_text(text)
    async with shift.station() as running:
        assert "written by station 'hub7'" in (await running.doubts())[doubts.ROLLED_BACK]
    shift.nothing_lost()


@pytest.mark.parametrize("page", ["header", "events"])
async def test_damage_that_start_up_meets_ends_it_with_what_to_do(shift: Shift, page: str) -> None:
    camera = shift.camera("CAM1")
    await life_until_spooled(shift, camera)
    ledger = ledger_of(shift)
    smash(ledger, 1 if page == "header" else page_of(ledger, page))
    with pytest.raises(LedgerDamaged) as caught:
        async with shift.station():
            pass
    assert "newest backup" in caught.value.told()
    shift.nothing_lost()


async def test_a_new_ledger_in_the_place_of_a_damaged_one_brings_everything_to_the_store(shift: Shift) -> None:
    """What the message promises to those who move the ledger away."""
    camera = shift.camera("CAM1")
    await life_until_spooled(shift, camera)
    ledger = ledger_of(shift)
    smash(ledger, 1)
    ledger.unlink()
    async with shift.station() as running:
        assert "ends at custody event 0" in (await running.doubts())[doubts.ROLLED_BACK]
        assert f"{len(shift.truth(camera))} objects in the spool are unknown" in running.agent.found[0]
        camera.dock(shift.bay(1))
        await running.until_kept("1", {doubts.ROLLED_BACK: len(shift.aboard(camera))})
        assert shift.truth(camera) == shift.depot.held().keys()
        await running.ask("accept-ledger")
        await running.until_advice("1", "take", CLEARED)
    shift.nothing_lost()


@pytest.mark.parametrize("table", ["clips_to_wipe", "doubts", "receipts"])
async def test_a_smashed_page_never_leads_to_a_wipe(shift: Shift, table: str) -> None:
    camera = shift.camera("CAM1")
    await life_until_spooled(shift, camera)
    smash(ledger_of(shift), page_of(ledger_of(shift), table))
    before = shift.aboard(camera)
    try:
        async with shift.station() as running:
            camera.dock(shift.bay(1))
            await running.until(lambda: "1" in running.bays() and running.slot("1").advice().advice.value != "wait")
    except LedgerDamaged:
        pass
    assert shift.aboard(camera) == before
    shift.nothing_lost()


async def test_the_witness_never_runs_ahead_of_the_ledger(shift: Shift) -> None:
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take", CLEARED)
        witness = json.loads(ledger_of(shift).with_suffix(".witness").read_text())
        lines = await running.agent.kit.database.run(
            lambda tx: tx.conn.execute("SELECT seq, digest FROM events").fetchall()
        )
        assert (witness["seq"], witness["digest"]) in lines
        (intent, *_) = await running.events("copy.wipe_intended")
        assert witness["seq"] >= intent["seq"]
