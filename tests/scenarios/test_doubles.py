"""Two cameras that show one serial: whatever was decided about it holds for both, whatever their names are here."""

import asyncio

import pytest

from agent.core.clip import CameraId
from agent.core.errors import ActionRefused
from agent.services import actions, presence
from agent.simulate.rack import SimulatedCamera
from tests.scenarios.shift import Running, Shift


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "GRACE_S", 0.2)


def second_camera(shift: Shift) -> SimulatedCamera:
    made = shift.camera("CAM1B")
    made.script(serial="CAM1")
    return made


async def doubled(running: Running, shift: Shift) -> tuple[SimulatedCamera, SimulatedCamera]:
    """Dock CAM1 in bay 1 and another that shows the same serial in bay 2; a person vouches for both."""
    first, second = shift.camera("CAM1"), second_camera(shift)
    first.dock(shift.bay(1))
    await running.until(lambda: "1" in running.bays() and running.slot("1").session.listed_whole, "the first is listed")
    second.dock(shift.bay(2))
    await running.until_advice("2", "take, footage still aboard", "was not cleared")
    assert running.slot("2").session.standing.camera == "CAM1~2"
    await running.ask("claim", camera="CAM1~2")
    return first, second


async def test_a_seized_camera_is_not_cleared_under_the_name_of_a_double(shift: Shift) -> None:
    async with shift.station() as running:
        await running.ask("seize", camera="CAM1")
        first, second = await doubled(running, shift)
        first.undock()
        await running.until_advice("1", None)
        await running.until_kept("2", {"camera_seized": len(shift.truth(second))})
        await running.until_advice("2", "take, footage still aboard", "was not cleared")
        assert not running.slot("2").session.wipe_pending
        assert await running.events("copy.wipe_intended") == []
        second.undock()
        await running.until_advice("2", None)
        second.dock(shift.bay(3))  # alone it has its own name again
        await running.until_kept("3", {"camera_seized": len(shift.truth(second))})
    assert len(shift.aboard(second)) == len(shift.truth(second))
    shift.nothing_lost()


async def test_a_double_that_is_seized_by_its_other_name_stays_seized_when_it_is_alone(shift: Shift) -> None:
    async with shift.station() as running:
        first, second = await doubled(running, shift)
        await running.ask("seize", camera="CAM1~2")
        first.undock()
        second.undock()
        await running.until(lambda: not running.bays(), "both are out")
        second.dock(shift.bay(3))
        await running.until_kept("3", {"camera_seized": len(shift.truth(second))})
        assert running.slot("3").session.standing.camera == "CAM1"
        await running.ask("release", camera="CAM1~2")
        await running.until_advice("3", "take")
    assert shift.aboard(second) == set()
    shift.nothing_lost()


async def test_a_double_is_cleared_only_once_it_was_docked_by_itself(shift: Shift) -> None:
    async with shift.station() as running:
        first, second = await doubled(running, shift)
        first.undock()
        await running.until_advice("1", None)
        running.agent.kit.ring()
        await running.until_kept("2", {"serial_on_two_bays": len(shift.truth(second))})
        await running.until_advice("2", "take, footage still aboard", "dock each by itself")
        assert len(shift.aboard(second)) == len(shift.truth(second))
        second.undock()
        await running.until_advice("2", None)
        second.dock(shift.bay(2))
        await running.until_advice("2", "take")
    assert shift.aboard(second) == set()
    shift.nothing_lost()


async def test_a_seizure_waits_for_the_window_of_every_camera_that_shows_the_serial(
    shift: Shift, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "WINDOW_GRACE_S", 0.05)
    shift.write_config(wiping=False)
    async with shift.station() as running:
        await doubled(running, shift)
        async with running.slot("2").session.interlock.window():
            with pytest.raises(ActionRefused, match="has not come back yet"):
                await running.ask("seize", camera="CAM1")
        await asyncio.wait_for(running.ask("seize", camera="CAM1"), 20)
        assert {slot.docked.bay for slot in running.agent.station.docked_as(CameraId("CAM1"))} == {"1", "2"}
        assert {slot.docked.bay for slot in running.agent.station.docked_as(CameraId("CAM1~2"))} == {"1", "2"}
        assert running.agent.station.docked_as(CameraId("CAM")) == []
