"""What may still go wrong between the proof and the wipe: the footage stays."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.clip import CameraId, Clip, Copy, Custody
from agent.ledger import clips, fleet, objects
from agent.services import clearance
from agent.services.disposal import purge_spool
from agent.services.interlock import Interlock
from tests.scenarios.shift import Running, Shift


def place_of(shift: Shift, clip: Clip) -> Path:
    return shift.bay(1) / "card" / clip.entry.path.decode()


async def offloaded(running: Running, shift: Shift) -> list[Clip]:
    """Dock with wiping off, and wait until all is confirmed."""
    shift.cameras[0].dock(shift.bay(1))
    await running.until_advice("1", "take, footage still aboard", "was not cleared")
    return [c for c in await running.clips() if c.role == "clip"]


async def turn_wiping_on(running: Running) -> None:
    kit = running.agent.kit
    await kit.apply(replace(kit.settings, wiping=True))


async def copies(running: Running) -> dict[str, Copy]:
    return {c.id: c.copy for c in await running.clips()}


async def test_a_camera_that_cannot_be_cleared_says_so_and_keeps_all(shift: Shift) -> None:
    camera = shift.camera("CAM1", can_wipe=False)
    camera.dock(shift.bay(1))
    async with shift.station() as running:
        await running.until_kept("1", {"cannot_wipe": len(shift.truth(camera))})
        await running.until_advice("1", "take, footage still aboard", "cannot be cleared by the station")
    assert len(shift.aboard(camera)) == len(shift.truth(camera))


async def test_a_write_protected_card_is_offloaded_and_the_refusal_told(shift: Shift) -> None:
    camera = shift.camera("CAM1", write_protected=True)
    camera.dock(shift.bay(1))
    async with shift.station() as running:
        await running.until_kept("1", {"read_only": len(shift.truth(camera))})
        assert {c.custody for c in await running.clips()} == {Custody.CONFIRMED}
        assert set((await copies(running)).values()) == {Copy.PRESENT}
        await running.until_advice("1", "take, footage still aboard", "cannot be written to")
        assert await running.events("copy.still_there") + await running.events("copy.missing")


@pytest.mark.parametrize(("kind", "number"), [("plain-dcim", 3), ("novatek-ro", 1)])
async def test_a_clip_that_cannot_be_read_again_is_not_wiped_and_the_others_are(
    shift: Shift, kind: str, number: int
) -> None:
    shift.write_config(wiping=False)
    shift.camera("CAM1", kind, clips=number)
    async with shift.station() as running:
        victim = (await offloaded(running, shift))[0]
        place_of(shift, victim).write_bytes(b"grown" * 100_000)
        await turn_wiping_on(running)

        async def settled() -> bool:
            found = await running.clips()
            gone = sum(c.copy is Copy.GONE for c in found)
            return 0 < gone == len(found) - 1

        await running.until(settled, "all but the grown one are gone, and that as a new clip as well")
        kept = next(c for c in await running.clips() if c.copy is not Copy.GONE)
        assert kept.id == victim.id
        assert kept.copy is Copy.MISSING
    assert victim.sha256 in shift.depot.held()


async def test_a_file_that_somebody_opens_for_writing_after_the_look_stays(shift: Shift) -> None:
    shift.write_config(wiping=False)
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        victim = (await offloaded(running, shift))[0]
        with place_of(shift, victim).open("r+b"):
            await turn_wiping_on(running)

            async def others_gone() -> bool:
                return sum(c is Copy.GONE for c in (await copies(running)).values()) == len(shift.truth(camera)) - 1

            await running.until(others_gone, "the others are gone")
            await running.until_advice("1", "take, footage still aboard")
            assert place_of(shift, victim).exists()
        assert (await copies(running))[victim.id] is Copy.PRESENT


async def test_a_long_wipe_goes_in_several_short_windows(shift: Shift, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clearance, "BATCH_BYTES", 1)
    camera = shift.camera("CAM1", "novatek-ro", clips=4)
    camera.dock(shift.bay(1))
    async with shift.station() as running:
        await running.until_advice("1", "take")
        assert len(await running.events("camera.listing")) >= 1 + len(shift.truth(camera))


@pytest.mark.parametrize("decision", ["seize", "hold"])
async def test_a_decision_between_the_intent_and_the_window_stops_the_wipe(
    shift: Shift, monkeypatch: pytest.MonkeyPatch, decision: str
) -> None:
    real = Interlock.window
    camera = shift.camera("CAM1", "novatek-ro", clips=2)
    async with shift.station() as running:

        @asynccontextmanager
        async def late(lock: Interlock) -> AsyncIterator[None]:
            if decision == "seize":
                await running.agent.kit.ledger(
                    lambda tx, rec: fleet.seize(tx, rec, CameraId("CAM1"), "sergeant", "case")
                )
            else:
                for clip in await running.clips():
                    await running.agent.kit.ledger(lambda tx, rec, c=clip: clips.hold(tx, rec, c.id, "case"))  # type: ignore[misc]
            async with real(lock):
                yield

        monkeypatch.setattr(Interlock, "window", late)
        camera.dock(shift.bay(1))
        reason = "camera_seized" if decision == "seize" else "on_hold"
        await running.until_kept("1", {reason: len(shift.truth(camera))})
        assert await running.events("copy.wipe_intended")
        assert set((await copies(running)).values()) == {Copy.PRESENT}
    assert len(shift.aboard(camera)) == len(shift.truth(camera))


async def test_demands_that_rise_after_the_confirmation_stop_the_wipe(shift: Shift) -> None:
    shift.write_config(wiping=False)
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        await offloaded(running, shift)
        kit = running.agent.kit
        await kit.apply(replace(kit.settings, wiping=True, copies=2))
        await running.until_kept("1", {"receipts_not_enough": len(shift.truth(camera))})
    assert len(shift.aboard(camera)) == len(shift.truth(camera))


async def test_bytes_changed_behind_an_equal_size_and_time_are_seen_by_the_last_look(shift: Shift) -> None:
    shift.write_config(wiping=False)
    shift.camera("CAM1")
    async with shift.station() as running:
        victim = (await offloaded(running, shift))[0]
        place = place_of(shift, victim)
        changed = bytes(reversed(place.read_bytes()))
        place.write_bytes(changed)
        os.utime(place, ns=(victim.entry.mtime_ns, victim.entry.mtime_ns))
        await turn_wiping_on(running)
        await running.until_advice("1", "take")
        assert [e["expected"] for e in await running.events("copy.replaced")] == [victim.sha256]
        again = [c for c in await running.clips() if c.entry == victim.entry]
        assert {c.copy for c in again} == {Copy.MISSING, Copy.GONE}
        assert {c.sha256 for c in again} <= set(shift.depot.held())


async def test_a_purge_that_a_stop_left_is_finished_after_the_next_start(shift: Shift) -> None:
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take")
        sha256 = next(c.sha256 for c in await running.clips() if c.sha256)
        await running.agent.kit.ledger(lambda tx, rec: objects.purged(tx, rec, sha256))
    async with shift.station() as running:
        file = running.agent.kit.spool.path(sha256)
        assert file.exists(), "a start destroys nothing"
        assert await purge_spool(running.agent.kit) == 1
        assert not file.exists()
