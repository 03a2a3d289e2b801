"""What may be touched: devices that are no cameras, cameras that nobody knows, and those that nobody may change."""

import hashlib

import pytest

from tests.lab.camera.identity import Identity
from tests.lab.recipe import bays_table
from tests.lab.station import Station

pytestmark = pytest.mark.lab


def never_mounted(station: Station, bay: str) -> bool:
    return f"/run/dock-media/{bay}" not in station.machine.sh("cat /proc/mounts")


def keyboards(station: Station) -> str:
    """What the kernel takes input from."""
    return station.machine.sh("ls /sys/class/input")


def test_storage_that_is_also_a_keyboard_never_gets_a_driver(station: Station) -> None:
    bad = station.camera("BWC1", identity=Identity(serial="BWC1", keyboard=True))
    good, before = station.camera("BWC2"), keyboards(station)
    station.dock(bad, "3")
    station.dock(good, "4")
    station.until_advice("3", "take, footage still aboard", "a keyboard")
    assert station.machine.sh("cat /sys/bus/usb/devices/1-1.3/authorized").strip() == "0"
    assert keyboards(station) == before
    assert never_mounted(station, "3")
    assert bad.scripted is not None
    assert bad.scripted.bytes_read == 0  # no driver has seen its disk
    assert len([line for line in station.log("bay.faulted") if line["bay"] == "3"]) == 1
    station.until_advice("4", "take", "the camera is clear")


def test_a_device_that_no_profile_names_is_never_let_in(station: Station) -> None:
    unknown = station.camera("BWC1", identity=Identity(vendor=0x1209, product=0x7777, serial="BWC1"))
    before = keyboards(station)
    station.dock(unknown, "3")
    station.machine.plug_keyboard(station.ports["5"])
    station.until_advice("3", "take, footage still aboard", "no profile names this device")
    station.until_advice("5", "take, footage still aboard", "no profile names this device")
    assert never_mounted(station, "3")
    assert keyboards(station) == before
    assert unknown.scripted is not None
    assert unknown.scripted.bytes_read == 0
    assert station.clips() == []


@pytest.mark.soak
def test_cameras_with_unknown_serials_are_copied_and_not_changed(station: Station) -> None:
    """Whatever a serial holds; the first of them is then claimed by a person, and cleared."""
    serials = {"3": "STRANGER", "4": "", "5": "x" * 120, "6": "a\nb\x1b[31m", "7": "../../etc/passwd"}
    cameras = {bay: station.camera(f"UNKNOWN{bay}", identity=Identity(serial=text)) for bay, text in serials.items()}
    before = {bay: hashlib.sha256(camera.image.read_bytes()).hexdigest() for bay, camera in cameras.items()}
    for bay, camera in cameras.items():
        station.dock(camera, bay)
    for bay, camera in cameras.items():
        view = station.until_advice(bay, "take, footage still aboard", "nobody has claimed this camera", within_s=120)
        assert view["claimed_by"] is None
        assert camera.digests <= station.depot.held()
        assert camera.scripted is not None
        assert list(camera.scripted.writes) == []
    assert len({station.bay(bay)["camera"] for bay in cameras}) == len(cameras)
    station.act("claim", camera="STRANGER")
    station.until_advice("3", "take", "the camera is clear")
    for bay in ("4", "5", "6", "7"):
        station.undock(cameras[bay])
        assert hashlib.sha256(cameras[bay].image.read_bytes()).hexdigest() == before[bay]


@pytest.mark.soak
def test_two_cameras_with_one_serial_are_both_copied_and_neither_is_cleared(station: Station) -> None:
    first, second = station.camera("BWC1"), station.camera("BWC1")
    station.dock(first, "3")
    station.dock(second, "12")
    for bay in ("3", "12"):
        station.until_advice(bay, "take, footage still aboard", within_s=90)
    station.until(lambda: first.digests | second.digests <= station.depot.held(), "both are in the store")
    names = {station.bay(bay)["camera"] for bay in ("3", "12")}
    assert len(names) == 2
    for camera in (first, second):
        assert camera.scripted is not None
        assert camera.scripted.bytes_written == 0


def test_a_seized_camera_is_copied_and_never_written(station: Station) -> None:
    camera = station.camera("BWC1")
    before = hashlib.sha256(camera.image.read_bytes()).hexdigest()
    station.act("seize", camera="BWC1")
    station.dock(camera, "3")
    station.until_advice("3", "take, footage still aboard", "seized")
    assert camera.digests <= station.depot.held()
    assert camera.scripted is not None
    assert list(camera.scripted.writes) == []
    station.undock(camera)
    assert hashlib.sha256(camera.image.read_bytes()).hexdigest() == before


@pytest.mark.soak
def test_a_port_that_no_bay_names_is_served_and_told(station: Station) -> None:
    without_3 = {name: port for name, port in station.ports.items() if name != "3"}
    station.machine.put("/etc/dock-agent/conf.d/bays.toml", bays_table(without_3))
    station.until(lambda: station.bay("3").get("bay") is None, "bay 3 is gone from the configuration")
    camera = station.camera("BWC1")
    station.dock(camera, "3")
    station.until_advice("port-1-1.3", "take", "the camera is clear")
    assert any("port-1-1.3" in problem for problem in station.get("health")["problems"])
