"""Cameras that stop answering."""

import pytest

from tests.lab.station import Station, footage

pytestmark = pytest.mark.lab

MIB = 1 << 20
CLIP = {"DCIM/A.MP4": footage(51, 6)}


def test_a_camera_that_hangs_is_freed_by_its_port_and_read_again(station: Station) -> None:
    camera, other = station.camera("BWC1", CLIP), station.camera("BWC2", {"DCIM/B.MP4": footage(52, 4)})
    assert camera.scripted is not None
    camera.scripted.hang_at(3 * MIB)
    station.dock(camera, "3")
    station.dock(other, "12")
    station.until_advice("12", "take", "the camera is clear")
    station.until_advice("3", "take", "the camera is clear", within_s=120)
    assert camera.scripted.power_cycles == 1
    assert [event["bay"] for event in station.events("camera.power_cut")] == ["3"]
    assert camera.digests <= station.depot.held()


@pytest.mark.soak
def test_a_camera_that_does_not_come_back_is_told(station: Station) -> None:
    camera = station.camera("BWC1", CLIP, vanishes_after_power_off=True)
    assert camera.scripted is not None
    camera.scripted.hang_at(2 * MIB)
    station.dock(camera, "3")
    station.until(lambda: station.log("camera.not_returned"), "it is said that the camera did not come back", 120)
    station.until_advice("3", None)
    assert station.read_card(camera.image) == camera.digests


@pytest.mark.soak
def test_a_camera_that_hangs_again_and_again_faults_its_bay(station: Station) -> None:
    camera, other = station.camera("BWC1", CLIP, recovers_on_power_cycle=False), station.camera("BWC2")
    assert camera.scripted is not None
    camera.scripted.hang_at(3 * MIB)
    station.dock(camera, "3")
    station.until(lambda: station.log("bay.faulted") or camera_is_out(station), "the bay gives up", 220)
    station.dock(other, "4")
    station.until_advice("4", "take", "the camera is clear")
    assert station.read_after_pull(camera) == camera.digests


def camera_is_out(station: Station) -> bool:
    return bool(station.log("camera.not_returned"))


def test_a_seized_camera_that_hangs_keeps_its_power(station: Station) -> None:
    station.act("seize", camera="BWC1")
    camera = station.camera("BWC1", CLIP)
    assert camera.scripted is not None
    camera.scripted.hang_at(3 * MIB)
    station.dock(camera, "3")
    station.until_advice("3", "take, footage still aboard", "Take it out and put it back", within_s=90)
    assert "seized" in station.bay("3")["reason"]
    assert camera.scripted.power_cycles == 0
    assert not station.events("camera.power_cut")
