"""Sizes that a spool can never hold, or not now, and folders that cannot be listed: the other clips go on."""

import hashlib
import os
from pathlib import Path

from agent.core.clip import Copy, Custody
from tests.scenarios.shift import Shift


def claim(path: Path, size_bytes: int) -> None:
    path.touch()
    os.truncate(path, size_bytes)


async def test_clips_that_the_spool_can_never_hold_are_kept_aside_before_a_byte_is_read(shift: Shift) -> None:
    liar, honest = shift.camera("CAM1", faults={"lie_about_size": 1 << 52}), shift.camera("CAM2")
    async with shift.station() as running:
        liar.dock(shift.bay(1))
        honest.dock(shift.bay(2))
        await running.until_advice("1", "take, footage still aboard", "could not be read")
        await running.until_advice("2", "take")
        aside = await running.clips(liar)
        assert {c.custody for c in aside} == {Custody.QUARANTINED}
        assert all("whole disk" in str(c.problem) for c in aside)
        assert running.agent.kit.spool._expected == 0
        assert running.slot("1").session.progress.done_bytes == 0
    shift.nothing_lost()


async def test_a_clip_that_does_not_fit_now_keeps_no_smaller_one_back(shift: Shift) -> None:
    camera = shift.camera("CAM1")
    space = os.statvfs(shift.root)
    claim(camera.card / "DCIM" / "00000000.MP4", (space.f_bavail + space.f_blocks) // 2 * space.f_frsize)
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until(lambda: shift.truth(camera) <= set(shift.depot.held()), "the others are in the depot")
        await running.until_advice("1", "take, footage still aboard", "waiting for the spool: the spool has room for ")
        problems = (await running.agent.desk.health())["problems"]
        assert isinstance(problems, list)
        assert [str(each).partition(" has room")[0] for each in problems if "waiting for" in str(each)] == [
            "bay 1: waiting for the spool: the spool"
        ]
        (left,) = [c for c in await running.clips() if c.custody is Custody.LISTED]
        assert left.entry.path == b"DCIM/00000000.MP4"
        os.truncate(camera.card / "DCIM" / "00000000.MP4", 10)
        camera.undock()
        await running.until_advice("1", None)
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take")
        assert hashlib.sha256(bytes(10)).hexdigest() in shift.depot.held()


async def test_what_lies_in_a_folder_that_cannot_be_listed_is_neither_gone_nor_missing(shift: Shift) -> None:
    await shift.depot.stop()
    camera = shift.camera("CAM1")
    outside = camera.card / "DCIM" / "200BWC" / "a.MP4"
    outside.parent.mkdir()
    outside.write_bytes(b"vanishes for good")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "on the way")
        camera.undock()
        await running.until_advice("1", None)
        (camera.card / "DCIM" / "200BWC" / "a.MP4").unlink()
        camera.script(faults={"unreadable_folders": ["DCIM/100BWC"]})
        camera.dock(shift.bay(1))
        await running.until(lambda: "1" in running.bays() and running.slot("1").session.listed_whole, "listed")
        copies = {c.entry.path: c.copy for c in await running.clips()}
        assert copies.pop(b"DCIM/200BWC/a.MP4") is Copy.MISSING
        assert set(copies.values()) == {Copy.PRESENT}
        await running.until_advice("1", "take, footage still aboard")
        camera.undock()
        await running.until_advice("1", None)
        camera.script(faults=None)
        await shift.depot.start()
        camera.dock(shift.bay(1))
        await running.ask("retry")
        await running.until_advice("1", "take")
    assert shift.aboard(camera) == set()
