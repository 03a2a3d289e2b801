"""Metadata first, and stores asked again: a station, cameras and a depot process, as they run."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from agent.core.clip import Copy
from agent.depot.command import list_uploads
from agent.services import announcer, patrol
from agent.services.disposal import purge_spool
from tests.scenarios.shift import Running, Shift


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcer, "PACE_S", 0.05)


def awaited(shift: Shift) -> set[str]:
    rows = (row["announced"] for row in list_uploads(shift.depot.directory))
    return {str(row["sha256"]) for row in rows if isinstance(row, dict)}


async def rows(running: Running) -> list[dict[str, Any]]:
    return [dict(row) for row in await running.agent.desk.queue()]


def in_spool(shift: Shift) -> set[str]:
    return {path.name for path in (shift.root / "state/spool/objects").rglob("?" * 64)}


async def test_the_depot_knows_what_is_coming_before_its_bytes_and_awaits_it_no_longer_than_that(
    shift: Shift, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = shift.camera("CAM1", clips=4)
    async with shift.station() as running:
        await running.ask("pause", store="central")
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard")
        assert awaited(shift) == set(), "a store that is paused is told nothing"
        # Uploads rest while announcements go on, as when every worker is busy with other clips.
        monkeypatch.setattr(running.agent.uploader, "_take", _nothing)
        running.agent.kit.ring()
        await asyncio.sleep(0.2)
        await running.ask("resume", store="central")

        async def all_told() -> bool:
            return awaited(shift) == shift.truth(camera)

        await running.until(all_told, "everything is announced")
        assert shift.depot.held() == {}

        async def shown() -> bool:
            waiting = await rows(running)
            return len(waiting) == len(shift.truth(camera)) and all(row["announced"] for row in waiting)

        await running.until(shown, "the queue says so")
        monkeypatch.undo()
        running.agent.kit.ring()
        await running.until_advice("1", "take")
    assert awaited(shift) == set()
    assert set(shift.depot.held()) == shift.truth(camera)
    shift.nothing_lost()


async def _nothing(*, only_urgent: bool = False) -> None:  # noqa: ARG001 - the uploader's own signature
    return None


async def test_what_the_depot_has_lost_is_sent_again_from_the_spool_and_a_person_is_told(shift: Shift) -> None:
    shift.write_config(keep_hours=0.0)
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take")
        victim = min(shift.truth(camera))
        (shift.depot.directory / "objects" / victim).unlink()
        assert await purge_spool(running.agent.kit) == len(shift.truth(camera)) - 1
        assert in_spool(shift) == {victim}
        health = await running.agent.desk.health()
        assert any("lost an object" in str(problem) for problem in list(health["problems"]))  # type: ignore[arg-type]
        await running.until(lambda: victim in shift.depot.held(), "it was sent again")

        async def proved() -> bool:
            return len(await running.events("object.proved")) == len(shift.truth(camera)) + 1

        await running.until(proved, "it was proved again")
        assert len(await running.events("object.lost_by_store")) == 1
        assert await purge_spool(running.agent.kit) == 1
        await running.chain_holds()
    shift.nothing_lost()
    async with shift.station():
        pass  # and the audit of the next start finds nothing wrong


async def test_a_depot_that_is_away_keeps_the_spool_until_room_is_wanted(shift: Shift) -> None:
    shift.write_config(keep_hours=0.0)
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take")
        await shift.depot.stop()
        assert await purge_spool(running.agent.kit) == 0
        assert in_spool(shift) == shift.truth(camera)
        station = await running.agent.desk.station()
        assert any("past their hold time" in str(notice) for notice in list(station["notices"]))  # type: ignore[arg-type]
        assert await purge_spool(running.agent.kit, room_wanted=True) == len(shift.truth(camera))
    shift.nothing_lost()


async def test_a_camera_is_not_cleared_by_old_receipts_of_a_store_that_lost_the_footage_or_does_not_answer(
    shift: Shift, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patrol, "OLD", timedelta(seconds=-1))
    shift.write_config(wiping=False)
    camera = shift.camera("CAM1", clips=3)
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "all footage is in the evidence store")
        camera.undock()
        await running.until_advice("1", None)
    shift.write_config(wiping=True)
    await shift.depot.stop()
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_kept("1", {"stores_not_asked": len(shift.truth(camera))})
        camera.undock()
        await running.until_advice("1", None)
        await shift.depot.start()
        victim = min(shift.truth(camera))
        (shift.depot.directory / "objects" / victim).unlink()
        camera.dock(shift.bay(1))

        async def cleared() -> bool:
            return all(clip.copy is Copy.GONE for clip in await running.clips(camera))

        await running.until(cleared, "all is cleared, what was lost once it was proved again")
        assert len(await running.events("object.lost_by_store")) == 1
        assert set(shift.depot.held()) == shift.truth(camera)
        await running.chain_holds()
    shift.nothing_lost()


async def test_what_only_the_camera_still_has_is_copied_again_before_it_is_cleared(
    shift: Shift, monkeypatch: pytest.MonkeyPatch
) -> None:
    shift.write_config(wiping=False, keep_hours=0.0)
    camera = shift.camera("CAM1", clips=3)
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take, footage still aboard", "all footage is in the evidence store")
        assert await purge_spool(running.agent.kit) == len(shift.truth(camera))
        camera.undock()
        await running.until_advice("1", None)
    victim = min(shift.truth(camera))
    (shift.depot.directory / "objects" / victim).unlink()
    shift.write_config(wiping=True)
    monkeypatch.setattr(patrol, "OLD", timedelta(seconds=-1))
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take")
        assert set(shift.depot.held()) == shift.truth(camera)
        assert shift.aboard(camera) == set()
        assert len(await running.events("object.lost_by_store")) == 1
        await running.chain_holds()
    async with shift.station() as running:
        assert not await running.doubts(), "the audit finds nothing wrong"
    shift.nothing_lost()
