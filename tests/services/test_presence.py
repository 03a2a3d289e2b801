"""Who is where, when cameras move quickly."""

import asyncio

import pytest

from agent.core.clip import BayName, CameraId
from agent.services import presence as module
from agent.services.presence import Presence

CAMERA = CameraId("CAM1")


async def test_a_camera_that_moves_keeps_its_name_although_others_come_and_go() -> None:
    presence = Presence()
    await presence.arrive(CAMERA, BayName("1"))
    await presence.arrive(CameraId("CAM2"), BayName("3"))
    async with asyncio.TaskGroup() as group:
        moved = group.create_task(presence.arrive(CAMERA, BayName("2")))
        await asyncio.sleep(0)
        presence.leave(CameraId("CAM2"), BayName("3"))
        await asyncio.sleep(0)
        presence.leave(CAMERA, BayName("1"))
    assert moved.result() == CAMERA
    assert not presence.is_double(CAMERA)


async def test_a_second_camera_with_the_same_serial_gets_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE_S", 0.01)
    presence = Presence()
    await presence.arrive(CAMERA, BayName("1"))
    assert await presence.arrive(CAMERA, BayName("2")) == "CAM1~2"
    assert presence.is_double(CAMERA)
    presence.leave(CAMERA, BayName("2"))
    assert not presence.is_double(CAMERA)
