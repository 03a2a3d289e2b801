"""A station comes back from a backup: nothing is destroyed by the word of the past."""

import shutil

from agent.cli.main import carry_out
from agent.ledger import doubts
from agent.services.disposal import purge_spool
from tests.scenarios.shift import Shift


async def test_after_a_restoration_the_stores_are_asked_before_a_camera_is_cleared(shift: Shift) -> None:
    """The disk died after the backup, and meanwhile the store lost a clip that only the camera still has."""
    shift.write_config(wiping=False)
    camera = shift.camera("CAM1")
    wanted = shift.truth(camera)
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "was not cleared")
        camera.undock()
        await running.until_advice("1", None)
    archive = shift.root / "hub7.tar"
    assert carry_out(["backup", str(archive), "--config", str(shift.config)]) == 0
    shutil.rmtree(shift.root / "state")
    assert carry_out(["restore", str(archive), "--config", str(shift.config)]) == 0
    victim = min(wanted)
    (shift.depot.directory / "objects" / victim).unlink()
    shift.write_config(wiping=True, keep_hours=0.0)
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_kept("1", {doubts.ROLLED_BACK: len(wanted)})
        assert await purge_spool(running.agent.kit) == 0
        assert "restored from a backup" in str((await running.agent.desk.station())["notices"])
        assert shift.aboard(camera) == {clip.entry.path for clip in await running.clips()}
        await running.ask("accept-ledger")
        await running.until_advice("1", "take")
        (lost,) = await running.events("object.lost_by_store")
        assert lost["sha256"] == victim
        assert set(shift.depot.held()) == wanted, "it was copied and sent again before it was cleared"
        await running.chain_holds()
    shift.nothing_lost()


async def test_what_came_after_the_backup_is_taken_from_the_cameras_again(shift: Shift) -> None:
    await shift.depot.stop()
    before, after = shift.camera("CAM1"), shift.camera("CAM2")
    async with shift.station() as running:
        before.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "on the way")
    archive = shift.root / "hub7.tar"
    assert carry_out(["backup", str(archive), "--config", str(shift.config)]) == 0
    async with shift.station() as running:
        after.dock(shift.bay(2))
        await running.until_advice("2", "take, footage still aboard", "on the way")
    shutil.rmtree(shift.root / "state")
    assert carry_out(["restore", str(archive), "--config", str(shift.config)]) == 0
    await shift.depot.start()
    async with shift.station() as running:
        await running.ask("accept-ledger")
        for bay in ("1", "2"):
            await running.until_advice(bay, "take")
        assert set(shift.depot.held()) == shift.truth(before) | shift.truth(after)
        await running.chain_holds()
    shift.nothing_lost()
