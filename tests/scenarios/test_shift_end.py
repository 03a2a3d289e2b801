"""The main job, with everything going well: real reader processes, a real depot, real files."""

from pathlib import Path

import pytest

from agent.core.clip import Copy, Custody
from agent.depot.command import list_uploads
from agent.services.disposal import purge_spool
from tests.scenarios.shift import Running, Shift

KINDS = ["plain-dcim", "dahua-dsj", "novatek-ro", "blackvue-record", "motorola-export"]


async def test_four_cameras_are_offloaded_confirmed_and_cleared(shift: Shift) -> None:
    cameras = [shift.camera(f"CAM{n}", kind) for n, kind in enumerate(KINDS[:4])]
    async with shift.station() as running:
        for number, camera in enumerate(cameras, start=1):
            camera.dock(shift.bay(number))
        for number in range(1, 5):
            await running.until_advice(str(number), "take")
        for camera in cameras:
            assert {c.custody for c in await running.clips(camera)} == {Custody.CONFIRMED}
            assert {c.copy for c in await running.clips(camera)} == {Copy.GONE}
            assert shift.aboard(camera) == set()
        assert set(shift.depot.held()) == set.union(*map(shift.truth, cameras))
        await running.chain_holds()
    shift.nothing_lost()


@pytest.mark.parametrize("kind", [*KINDS, "axon-export", "odd"])
async def test_every_layout_reaches_the_store_whole(shift: Shift, kind: str) -> None:
    camera = shift.camera("CAM1", kind, clips=2)
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        wanted = shift.truth(camera)
        await running.until(lambda: wanted <= set(shift.depot.held()), "all in the depot")
        await running.until(lambda: _all_confirmed(running), "all confirmed")
    shift.nothing_lost()


async def _all_confirmed(running: Running) -> bool:
    return all(c.custody is Custody.CONFIRMED for c in await running.clips())


async def test_wiping_is_off_unless_it_was_turned_on(shift: Shift) -> None:
    camera = shift.camera("CAM1")
    shift.config.write_text(shift.config.read_text().replace("[wipe]\nenabled = true\n", ""))
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "was not cleared")
        assert {c.copy for c in await running.clips()} == {Copy.PRESENT}
    assert len(shift.aboard(camera)) == len(shift.truth(camera))


async def test_event_marked_clips_are_copied_before_all_others(shift: Shift) -> None:
    camera = shift.camera("CAM1", "novatek-ro", clips=6)
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take")
        order = [e["clip"] for e in await running.events("clip.spooled")]
        marked = [c.id for c in await running.clips() if c.event]
        names = {c.id: c.event for c in await running.clips()}
    assert marked
    filed = {u["clip"]: u["event"] for u in list_uploads(shift.depot.directory)}
    assert filed == names, "the store files the marks as the camera set them"
    assert set(order[: len(marked)]) == set(marked)


async def test_the_same_bytes_on_two_cameras_are_one_object_and_two_clips(shift: Shift) -> None:
    first = shift.camera("CAM1")
    async with shift.station() as running:
        first.dock(shift.bay(1))
        await running.until_advice("1", "take")
        second = shift.camera("CAM2")
        source = next(iter(sorted((shift.root / "state/spool/objects").rglob("?" * 64))))
        copy = Path(str(second.card)) / "DCIM" / "20250101_000000.mp4"
        copy.write_bytes(source.read_bytes())
        second.dock(shift.bay(2))
        await running.until_advice("2", "take")
        twice = [c for c in await running.clips() if c.sha256 == source.name]
    assert {c.camera for c in twice} == {"CAM1", "CAM2"}
    assert {c.custody for c in twice} == {Custody.CONFIRMED}


async def test_a_camera_docked_again_with_wiping_off_is_read_again_but_not_sent_again(shift: Shift) -> None:
    shift.write_config(wiping=False)
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "all footage is in the evidence store")
        before = [c.id for c in await running.clips()]
        camera.undock()
        await running.until_advice("1", None)
        camera.dock(shift.bay(2))
        await running.until_advice("2", "take, footage still aboard", "all footage is in the evidence store")
        assert [c.id for c in await running.clips()] == before
        assert len(await running.events("clip.read_again")) == len(before)
        assert len(await running.events("object.proved")) == len(shift.truth(camera))


async def test_the_spool_is_purged_only_after_its_hold_time(shift: Shift) -> None:
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take")
        assert await purge_spool(running.agent.kit) == 0
    shift.write_config(keep_hours=0.0)
    async with shift.station() as running:
        held = (await running.clips())[0]
        await running.ask("hold", clip=held.id)
        purged = await purge_spool(running.agent.kit)
        assert purged == len(shift.truth(camera)) - 1
        assert await purge_spool(running.agent.kit) == 0
        left = [p.name for p in (shift.root / "state/spool/objects").rglob("?" * 64)]
        assert left == [held.sha256]
        await running.ask("unhold", clip=held.id)
        assert await purge_spool(running.agent.kit) == 1


@pytest.mark.parametrize("kind", ["plain-dcim", "novatek-ro", "motorola-export"])
async def test_a_cleared_camera_docked_again_may_be_taken(shift: Shift, kind: str) -> None:
    camera = shift.camera("CAM1", kind)
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take")
        camera.undock()
        await running.until_advice("1", None)
        camera.dock(shift.bay(2))
        await running.until_advice("2", "take", "clear")
    async with shift.station() as running:
        await running.until_advice("2", "take", "clear")


async def test_a_clip_confirmed_while_it_is_read_again_troubles_nobody(shift: Shift) -> None:
    await shift.depot.stop()
    camera = shift.camera("CAM1", "novatek-ro", clips=3)
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "on the way")
        camera.undock()
        await running.until_advice("1", None)
        camera.script(rate_bytes_s=300_000)
        await shift.depot.start()
        camera.dock(shift.bay(2))
        await running.until(
            lambda: running.slot("2").session.listed_whole if "2" in running.bays() else False, "listed"
        )
        await running.ask("retry")
        await running.until_advice("2", "take")
        assert running.slot("2").strikes == 1
