"""Many clips, a store that is silent: what keeps some of them aboard keeps no others, and nobody waits for nothing."""

import time
from datetime import timedelta

import pytest

from agent.core.clip import Copy
from agent.ledger import fleet
from agent.ledger.database import Tx
from agent.services import clearance, patrol, session
from agent.simulate.rack import SimulatedCamera
from tests.scenarios.shift import Running, Shift

CLIPS = 4


@pytest.fixture(autouse=True)
def small_batches_of_old_receipts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clearance, "BATCH_CLIPS", 2)
    monkeypatch.setattr(clearance, "PAGE_CLIPS", 3)
    monkeypatch.setattr(patrol, "OLD", timedelta(seconds=-1))


async def confirmed(shift: Shift) -> SimulatedCamera:
    """All footage of a camera is in the depot, still aboard, and the depot is away."""
    shift.write_config(wiping=False)
    camera = shift.camera("CAM1", clips=CLIPS)
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "all footage is in the evidence store")
        camera.undock()
        await running.until_advice("1", None)
    shift.write_config(wiping=True)
    await shift.depot.stop()
    return camera


async def gone(running: Running) -> set[str]:
    return {str(clip.sha256) for clip in await running.clips() if clip.copy is Copy.GONE}


async def test_more_clips_than_a_batch_that_all_must_stay_are_no_reason_to_wait(shift: Shift) -> None:
    camera = await confirmed(shift)
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        assert len(shift.truth(camera)) > clearance.BATCH_CLIPS + clearance.PAGE_CLIPS
        await running.until_kept("1", {"stores_not_asked": len(shift.truth(camera))})
        await running.until_advice("1", "take, footage still aboard", "did not answer whether they still hold it")
        assert not running.slot("1").session.wipe_pending
    assert len(shift.aboard(camera)) == len(shift.truth(camera))


async def test_clips_behind_more_than_a_batch_that_must_stay_are_cleared(shift: Shift) -> None:
    camera = await confirmed(shift)
    async with shift.station() as running:
        wanted = [clip for role in ("clip", "sidecar") for clip in await running.clips() if clip.role == role]
        last = {str(clip.sha256) for clip in wanted[-3:]}
        kit = running.agent.kit
        kit.asked = {(clip.sha256, "central"): time.monotonic() for clip in wanted[-3:] if clip.sha256 is not None}
        camera.dock(shift.bay(1))

        async def cleared() -> bool:
            return await gone(running) == last

        await running.until(cleared, "the last three are gone, and no others")
        await running.until_kept("1", {"stores_not_asked": len(wanted) - 3})
        await running.until_advice("1", "take, footage still aboard", "did not answer whether they still hold it")
    shift.nothing_lost()


async def test_a_store_that_was_silent_is_asked_again_without_anything_else_happening(
    shift: Shift, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "ASK_AGAIN_S", 0.3)
    monkeypatch.setattr(clearance, "ASK_AGAIN_S", 0.2)
    camera = await confirmed(shift)
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_kept("1", {"stores_not_asked": len(shift.truth(camera))})
        await shift.depot.start()
        await running.until_advice("1", "take")
        assert await gone(running) == shift.truth(camera)
    shift.nothing_lost()


async def test_a_decision_that_comes_between_two_pages_stops_the_whole_round(
    shift: Shift, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = await confirmed(shift)
    await shift.depot.start()
    monkeypatch.setattr(patrol, "OLD", timedelta(days=7))
    monkeypatch.setattr(clearance, "BATCH_CLIPS", 100)
    real = clearance.Clearance._turn_page
    pages: list[int] = []

    def seize_after_the_first(self: clearance.Clearance, tx: Tx, made: clearance._Round) -> None:
        real(self, tx, made)
        pages.append(len(made.found))
        if len(pages) == 1:
            fleet.seize(tx, running.agent.kit.recorder, self._identified.camera, "sergeant", "case 4")

    monkeypatch.setattr(clearance.Clearance, "_turn_page", seize_after_the_first)
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_kept("1", {"camera_seized": len(shift.truth(camera))})
        assert pages[:2] == [3, 0]
        assert await running.events("copy.wipe_intended") == []
    assert len(shift.aboard(camera)) == len(shift.truth(camera))
