"""The command that makes a locked camera show its files."""

import errno
import fcntl
import json
import os
import struct
from pathlib import Path

import pytest

from agent.core.clip import BayName
from agent.core.errors import CameraError, CameraGone
from agent.devices.drivers import switch
from agent.devices.drivers.driver import DriverError
from agent.devices.drivers.registry import open_driver
from agent.devices.drivers.switch import SwitchDriver, Transfer
from agent.devices.reader.camera import open_camera
from agent.ports import Docked


def address(node: str = "/dev/null", **changed: object) -> bytes:
    told = {"node": node, "request_type": 64, "request": 81, "value": 1, "index": 2, "data": "a1b2"} | changed
    return json.dumps(told).encode()


class Device:
    """What the kernel says to the transfer. USB devices cannot be had on every machine, so its door is replaced."""

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self.heard: list[tuple[int, bytes]] = []

    def __call__(self, fd: int, request: int, argument: bytes) -> int:
        assert fd >= 0
        self.heard.append((request, argument))
        if self.number:
            raise OSError(self.number, os.strerror(self.number))
        return 0


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    device = Device()
    monkeypatch.setattr(fcntl, "ioctl", device)
    return device


def test_the_transfer_is_what_the_kernel_expects(device: Device) -> None:
    driver = open_driver("switch", address(timeout_ms=700))
    ((request, argument),) = device.heard
    assert request == 0xC0185500  # _IOWR('U', 0, struct usbdevfs_ctrltransfer) where pointers have 8 bytes
    kind, number, value, index, length, timeout_ms, place = struct.unpack("<BBHHHI4xQ", argument)
    assert (kind, number, value, index, length, timeout_ms) == (64, 81, 1, 2, 2, 700)
    assert place
    assert driver.facts() == {}
    assert not driver.can_wipe


@pytest.mark.parametrize("number", [errno.ENODEV, errno.ESHUTDOWN, errno.ENOENT])
def test_a_camera_that_leaves_at_once_has_understood(device: Device, number: int) -> None:
    device.number = number
    SwitchDriver(address()).close()
    assert len(device.heard) == 1


@pytest.mark.parametrize("number", [errno.EPROTO, errno.ETIMEDOUT])
def test_a_transfer_that_breaks_off_is_good_if_the_camera_leaves(
    device: Device, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    device.number = number
    looks = iter([True, True, False])
    monkeypatch.setattr(switch, "_is_there", lambda _node, _opened: next(looks))
    SwitchDriver(address())
    monkeypatch.setattr(switch, "_LEAVING_S", 0.1)
    monkeypatch.setattr(switch, "_is_there", lambda _node, _opened: True)
    with pytest.raises(DriverError, match="did not get through"):
        SwitchDriver(address())


def test_a_camera_that_refuses_points_to_its_profile(device: Device) -> None:
    device.number = errno.EPIPE
    with pytest.raises(DriverError, match=r"refuses the unlock command; see \[usb.unlock\]"):
        SwitchDriver(address())


def test_what_is_no_usb_device_says_so() -> None:
    with pytest.raises(DriverError, match="did not get through"):
        SwitchDriver(address())


def test_a_node_that_is_no_device_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "node").write_bytes(b"")
    (tmp_path / "link").symlink_to("/dev/null")
    for name, words in (("node", "no device"), ("link", "does not open")):
        with pytest.raises(DriverError, match=words):
            SwitchDriver(address(str(tmp_path / name)))
    with pytest.raises(DriverError) as caught:
        SwitchDriver(address(str(tmp_path / "none")))
    assert caught.value.code == "gone"


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (b"usb:001,002", "not JSON"),
        (b"[]", "no node"),
        (b"{}", "no node"),
        (address(request_type=256), "request_type is no number from 0 to 255"),
        (address(value="1"), "value is no number"),
        (address(index=True), "index is no number"),
        (address(request=None), "request is no number"),
        (address(data="xyz"), "not in hex"),
        (address(data=5), "not in hex"),
        (address(data="00" * 5000), "longer than 4096"),
    ],
)
def test_a_command_that_is_none_is_refused_in_words(told: bytes, words: str) -> None:
    with pytest.raises(DriverError, match=words):
        Transfer.parse(told)


def test_nothing_can_be_read_from_it(device: Device) -> None:
    driver = SwitchDriver(address())
    driver.require_present()
    driver.leave()
    for use in (
        driver.walk,
        lambda: driver.exists(b"a"),
        lambda: driver.open_source(b"a", fresh=True),
        lambda: driver.wipe(b"a", 1, 1, ""),
        lambda: driver.enter(b"", writable=False),
    ):
        with pytest.raises(DriverError, match="comes back as another device"):
            use()
    assert len(device.heard) == 1


async def test_its_reader_reports_what_went_wrong(tmp_path: Path) -> None:
    for node, kind in (("/dev/null", CameraError), (str(tmp_path / "none"), CameraGone)):
        with pytest.raises(kind):
            await open_camera(Docked(BayName("1"), "switch", address(node).decode(), "token"), stall_s=5)
