"""Disks in trouble under a running agent: no room for the ledger, and a spool that does not keep what it is given."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.core.clip import Copy, Custody
from agent.core.errors import LedgerFull
from agent.core.profile import Role
from agent.ledger.spool import SpoolPart, Stored
from tests.scenarios.shift import Running, Shift

CLEARED = "all footage is in the evidence store; the camera is clear"
ROOM = 1_000_000
"""More pages than any of these ledgers has."""


async def leave_room(running: Running, pages: int | None) -> None:
    """Let the ledger's file grow to so many pages; None: no further. SQLite says "disk full" beyond."""
    database = running.agent.kit.database
    wanted = pages or (await database.run(lambda tx: tx.conn.execute("PRAGMA page_count").fetchone()[0]))
    await database.run(lambda tx: tx.conn.execute(f"PRAGMA max_page_count = {wanted}").fetchone())


async def fill(running: Running) -> None:
    """Record until not even one event fits."""
    for _ in range(10_000):
        await running.agent.kit.ledger(lambda tx, rec: rec.record(tx, "agent.reconfigured", {"config": "x" * 99}))


async def test_a_full_disk_stops_nothing_for_longer_than_it_is_full(
    shift: Shift, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.services.station.STRIKE_PAUSE_S", 0.05)
    monkeypatch.setattr("agent.services.uploader.LEDGER_PAUSE_S", 0.05)
    camera = shift.camera("CAM1", clips=40)
    async with shift.station() as running:
        await leave_room(running, None)
        camera.dock(shift.bay(1))

        def refused() -> bool:
            return "1" in running.bays() and "goes on by itself" in (running.slot("1").problem or "")

        await running.until(refused, "the ledger is full")
        for _ in range(5):  # more often than a bay may fail for reasons of its own
            running.slot("1").problem = None
            await running.until(refused, "the ledger is still full")
        assert not running.slot("1").faulted
        await leave_room(running, ROOM)
        await running.until_advice("1", "take", CLEARED)
        await running.chain_holds()
    shift.nothing_lost()


async def test_an_upload_that_cannot_be_recorded_is_recorded_when_there_is_room(
    shift: Shift, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.services.uploader.LEDGER_PAUSE_S", 0.05)
    camera = shift.camera("CAM1", clips=40)
    shift.write_config(wiping=False)
    await shift.depot.stop()
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "on the way to the evidence store")
        await leave_room(running, None)
        with capture_logs() as told:
            await shift.depot.start()
            await running.until(lambda: any(t["event"] == "upload.not_recorded" for t in told), "the ledger is full")
        assert shift.depot.held().keys() != shift.truth(camera)
        await leave_room(running, ROOM)

        async def confirmed() -> bool:
            return {c.custody for c in await running.clips(camera)} == {Custody.CONFIRMED}

        await running.until(confirmed, "everything is confirmed")
        await running.chain_holds()
    shift.nothing_lost()


async def test_a_camera_taken_out_while_the_ledger_is_full_leaves_its_bay(shift: Shift) -> None:
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take", CLEARED)
        await leave_room(running, None)
        with pytest.raises(LedgerFull):
            await fill(running)
        with capture_logs() as told:
            camera.undock()
            await running.until(lambda: "1" not in running.bays(), "the bay is empty")
        assert {"session.not_ended"} == {t["event"] for t in told if str(t["event"]).startswith("session.")}
        await leave_room(running, ROOM)
        camera.dock(shift.bay(2))
        await running.until_advice("2", "take", CLEARED)
        outcomes = [event["outcome"] for event in await running.events("camera.undocked")]
        assert outcomes == ["superseded"]


async def test_a_camera_that_lost_more_files_than_one_batch_is_settled_whole(
    shift: Shift, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.ledger.unlisted.SETTLE_BATCH", 2)
    camera = shift.camera("CAM1")
    shift.write_config(wiping=False)
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "all footage is in the evidence store")
        camera.undock()
        await running.until_advice("1", None)
        for path in shift.aboard(camera):
            (Path(str(camera.card)) / path.decode()).unlink()
        camera.dock(shift.bay(2))
        await running.until_advice("2", "take", "the camera is clear")
        assert {c.copy for c in await running.clips(camera)} == {Copy.MISSING}
        assert len(await running.clips(camera)) > 2


async def test_a_disk_that_alters_what_it_stores_is_named_after_three_copies(
    shift: Shift, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = shift.camera("CAM1")
    victim = next(f for f in camera.truth.files if f.sha256 in shift.truth(camera) and f.role is Role.CLIP)
    honest = SpoolPart.finish

    def finish(part: SpoolPart) -> Stored:
        stored = honest(part)
        if stored.sha256 == victim.sha256:
            path = part._spool.path(stored.sha256)
            path.chmod(0o600)
            with path.open("r+b") as file:  # one bit, after it was synced and recorded as kept
                file.seek(500)
                file.write(bytes([file.read(1)[0] ^ 1]))
        return stored

    monkeypatch.setattr(SpoolPart, "finish", finish)
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "1 clip could not be read")
        (bad,) = [c for c in await running.clips(camera) if c.custody is Custody.QUARANTINED]
        assert bad.sha256 == victim.sha256
        assert bad.problem is not None
        assert bad.problem.startswith(f"The disk of {shift.root}/state/spool (device ")
        assert "did not keep 3 copies" in bad.problem
        assert len(await running.events("clip.spool_copy_failed")) == 3
        assert len(list((shift.root / "state/spool/rejected").iterdir())) == 3
        rest = shift.truth(camera) - {victim.sha256}
        await running.until(lambda: shift.depot.held().keys() == rest, "the others go on")
        await running.chain_holds()
    shift.nothing_lost()


async def test_a_camera_whose_only_copy_was_lost_is_called_back_by_name(shift: Shift) -> None:
    camera = shift.camera("CAM1", clips=1)
    await shift.depot.stop()
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "on the way to the evidence store")
        camera.undock()
        await running.until(lambda: "1" not in running.bays(), "the bay is empty")
        for file in (shift.root / "state" / "spool" / "objects").glob("*/*"):
            file.unlink()
        await shift.depot.start()

        async def called_back() -> bool:
            found = await running.agent.desk.health()
            return found["ok"] is False and any("Dock camera CAM1 again" in str(p) for p in found["problems"])  # type: ignore[union-attr]

        await running.until(called_back, "health names the camera")
        camera.dock(shift.bay(2))
        await running.until_advice("2", "take", CLEARED)
        assert (await running.agent.desk.health())["ok"] is True
    shift.nothing_lost()


async def test_what_is_left_on_a_camera_is_named_in_the_log_and_told_by_the_bay(shift: Shift) -> None:
    camera = shift.camera("CAM1", clips=1)
    for number in range(30):
        (camera.card / f"link{number:02}").symlink_to("/etc/hostname")
    with capture_logs() as told:
        async with shift.station() as running:
            camera.dock(shift.bay(1))
            await running.until_advice("1", "take, footage still aboard", "30 things on the camera could not be copied")
    named = [t["path"] for t in told if t["event"] == "camera.refused"]
    assert len(named) == 20 * len([t for t in told if t["event"] == "camera.refused" and t["path"] == "link00"])
    assert set(named) == {f"link{n:02}" for n in range(20)}
