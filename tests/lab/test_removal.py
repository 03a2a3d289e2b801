"""Cameras that are pulled out, moved, or come back: nothing is lost, and no other bay is concerned."""

from contextlib import suppress

import pytest

from tests.lab.station import Docked, Station, footage

pytestmark = pytest.mark.lab

MIB = 1 << 20
SWALLOWED_S = 20.0
MOST_SWALLOWED = 3
TWO_CLIPS = {"DCIM/100/A.MP4": footage(11, 4), "DCIM/100/B.MP4": footage(12, 4)}


@pytest.mark.soak
def test_cameras_pulled_at_five_points_of_their_copy_lose_nothing(station: Station) -> None:
    """The kernel reads some 3 MB before the first clip, to find out what is on the card."""
    points = {"3": 4 * MIB, "4": 6 * MIB, "5": 8 * MIB, "6": 11 * MIB, "7": 14 * MIB}
    pulled = {}
    for bay, read_bytes in points.items():
        clips = {f"DCIM/100/{name}.MP4": footage(int(bay) * 10 + n, 7) for n, name in enumerate("AB")}
        camera = pulled[bay] = station.camera(f"BWC{bay}", clips)
        assert camera.scripted is not None
        camera.scripted.slow(4 * MIB)
        camera.scripted.pull_at(read_bytes)
    other = station.camera("BWC99")
    for bay, camera in (*pulled.items(), ("12", other)):
        station.dock(camera, bay)
    for bay, camera in pulled.items():
        wait_until_out(camera)
        station.until_advice(bay, None)
        assert station.read_card(camera.image) == camera.digests
    station.until_advice("12", "take", "the camera is clear")
    assert not station.events("clip.lost")
    assert not station.events("copy.missing")
    for bay, camera in pulled.items():
        assert camera.scripted is not None
        camera.scripted.slow(None)
        station.dock(camera, bay)
    for bay, camera in pulled.items():
        station.until_advice(bay, "take", "the camera is clear", within_s=150)
        assert {c["state"] for c in station.clips(f"BWC{bay}")} == {"confirmed"}
        assert camera.digests <= station.depot.held()
    assert station.spool_is_clean()


def wait_until_out(camera: Docked) -> None:
    scripted = camera.scripted
    assert scripted is not None
    scripted.wait(lambda: not scripted.plugged, 90)


@pytest.mark.soak
def test_a_camera_pulled_in_its_wipe_window_is_settled_at_the_next_docking(station: Station) -> None:
    camera = station.camera("BWC1", TWO_CLIPS)
    assert camera.scripted is not None
    station.dock(camera, "3")
    camera.scripted.wait(lambda: camera.scripted is not None and camera.scripted.bytes_written > 0, 90)
    camera.scripted.pull()
    station.until_advice("3", None)
    assert camera.digests <= station.depot.held()
    assert not station.events("copy.gone")  # nobody has seen the medium since
    station.dock(camera, "4")
    station.until_advice("4", "take", "the camera is clear")
    station.undock(camera)
    assert station.names_on(camera) == set()


@pytest.mark.soak
def test_a_camera_moved_to_another_bay_is_copied_once(station: Station) -> None:
    camera = station.camera("BWC1", TWO_CLIPS)
    assert camera.scripted is not None
    camera.scripted.slow(3 * MIB)
    camera.scripted.pull_at(5 * MIB)
    station.dock(camera, "3")
    wait_until_out(camera)
    camera.scripted.slow(None)
    station.dock(camera, "10")
    station.until_advice("10", "take", "the camera is clear")
    assert station.bay("3")["advice"] is None
    assert len(station.clips("BWC1")) == 2
    assert {e["bay"] for e in station.events("camera.docked")} == {"3", "10"}


def test_a_camera_that_lists_empty_because_it_was_pulled_is_not_called_clear(station: Station) -> None:
    """A dead mount lists as empty: that is no proof of anything."""
    camera = station.camera("BWC1", {f"DCIM/{n:03}/{n}.MP4": footage(n, 0.01) for n in range(300)})
    assert camera.scripted is not None
    camera.scripted.slow(60_000)
    camera.scripted.pull_at(400_000)
    station.dock(camera, "3")
    wait_until_out(camera)
    station.until_advice("3", None)
    assert not station.events("copy.missing")
    assert not station.events("clip.lost")
    assert not [c for c in station.clips() if c["camera_copy"] != "present"]
    assert station.read_card(camera.image) == camera.digests


@pytest.mark.soak
def test_all_bays_that_vanish_at_once_return_at_once(station: Station) -> None:
    """A hub gives up: its cameras leave together and come back together. QEMU's root ports cannot cut its power."""
    cameras = {str(n): station.camera(f"BWC{n}", scripted=False) for n in range(1, 5)}
    bystander = station.camera("BWC9")
    station.configure(wiping=False)
    for bay, camera in cameras.items():
        station.dock(camera, bay)
    station.dock(bystander, "12")
    for bay in (*cameras, "12"):
        station.until_advice(bay, "take, footage still aboard", "was not cleared", within_s=90)
    station.machine.sh("echo 1-1:1.0 > /sys/bus/usb/drivers/hub/unbind")
    for bay in cameras:
        station.until_advice(bay, None)
    assert station.bay("12")["occupied"]
    station.machine.sh("echo 1-1:1.0 > /sys/bus/usb/drivers/hub/bind")
    for bay in cameras:
        station.until_advice(bay, "take, footage still aboard", "was not cleared", within_s=90)
    assert len(station.events("camera.docked")) == 9


def reaches_the_kernel(station: Station, bay: str) -> bool:
    """Whether the guest's kernel lists a device in this port within a while.

    On a busy machine QEMU or the kernel's own debouncing may swallow the last of many contacts: then there is no line
    of the kernel's about this port at all, and nothing that the agent could see.
    """
    device = f"/sys/bus/usb/devices/1-{station.ports[bay]}"
    with suppress(AssertionError):
        return bool(station.until(lambda: station.machine.sh(f"ls -d {device} || true").strip(), device, SWALLOWED_S))
    return False


@pytest.mark.soak
def test_a_loose_contact_ends_in_one_calm_session(station: Station) -> None:
    """Two hundred contacts in ten seconds make few sessions, and the camera that stays is served."""
    camera, other = station.camera("BWC1"), station.camera("BWC2")
    assert camera.scripted is not None
    camera.scripted.plug(station.machine, station.ports["3"])
    camera.scripted.pull()
    station.dock(other, "12")
    camera.scripted.flap(200, 0.05)
    station.dock(camera, "3")
    for _ in range(MOST_SWALLOWED):
        if reaches_the_kernel(station, "3"):
            break
        station.undock(camera)
        station.dock(camera, "3")
    station.until_advice("3", "take", "the camera is clear", within_s=90)
    station.until_advice("12", "take", "the camera is clear")
    assert len(station.log("bay.occupied")) <= 8
    assert len(station.clips("BWC1")) == 2
