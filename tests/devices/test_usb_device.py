"""What is seen of recorded devices in a dock's ports, by real pyudev on a sysfs of its own."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
import pyudev

from agent.core.profile import UsbId
from agent.devices.topology import Topology
from agent.devices.usb_descriptor import interfaces_of
from agent.devices.usb_device import UsbDevice, UsbSight, Volume, look
from agent.devices.usb_policy import clean_serial
from agent.devices.usb_texts import read_texts
from tests.devices.recorded.bed import INSIDE, OUTSIDE_S, DockBed, path_of, run_inside, second_card

BAYS = Topology({str(number): [path_of(number)] for number in (1, 2, 3, 4)})

HANDS = """
import os, sys, select
place = sys.argv[1]
while not select.select([0], [], [], 0)[0]:
    os.rename(place, place + "~")
    os.rename(place + "~", place)
"""


@pytest.mark.timeout(OUTSIDE_S)
def test_what_is_seen_of_recorded_devices() -> None:
    run_inside(__file__)


test_what_is_seen_of_recorded_devices.__test__ = not INSIDE  # type: ignore[attr-defined]


def seen(topology: Topology = BAYS) -> UsbSight:
    return look(pyudev.Context(), topology)


def in_bay(name: str) -> UsbDevice:
    return seen().devices[name]


class TestLook:
    __test__ = INSIDE

    @pytest.fixture
    def bed(self) -> Iterator[DockBed]:
        bed = DockBed()
        yield bed
        bed.close()

    def test_an_empty_dock_is_empty_and_its_hub_is_no_camera(self, bed: DockBed) -> None:
        assert bed.place("1-1").exists()
        assert seen() == UsbSight({}, ())

    def test_a_camera_shows_who_it_is_and_its_one_volume(self, bed: DockBed) -> None:
        bed.plug("fat32", 3)
        device = in_bay("3")
        assert (device.name, device.path, device.node) == ("1-1.3", path_of(3), (1, 13))
        assert (device.usb, device.serial) == (UsbId(0x1209, 0xBC01), "BWC1")
        assert (device.product, device.revision) == ("BodyCam 3", "3.10")
        assert device.authorised
        assert not device.hub
        assert interfaces_of(device.descriptors) == {"08:06:50"}
        assert (device.disks, device.settled, device.volumes) == (1, True, (Volume("sda1", "vfat", "CAMERA"),))

    def test_a_card_without_a_partition_table_is_one_volume(self, bed: DockBed) -> None:
        bed.plug("bare", 3)
        device = in_bay("3")
        assert (device.disks, device.settled, device.volumes) == (1, True, (Volume("sda", "vfat", "CAMERA"),))

    def test_a_camera_without_a_disk_has_nothing_to_settle(self, bed: DockBed) -> None:
        bed.plug("mtp", 4)
        device = in_bay("4")
        assert interfaces_of(device.descriptors) == {"06:01:01"}
        assert (device.disks, device.settled, device.volumes) == (0, False, ())

    def test_a_device_that_nobody_let_in_shows_its_interfaces_all_the_same(self, bed: DockBed) -> None:
        bed.plug("keyboard", 2)
        device = in_bay("2")
        assert not device.authorised
        assert interfaces_of(device.descriptors) == {"08:06:50", "03:01:01"}

    def test_nothing_is_settled_before_udev_has_looked_at_disk_and_partition(self, bed: DockBed) -> None:
        device, interface, disk, part = bed.plug("fat32", 3)
        bed.pull([disk, part])
        states = [in_bay("3")]
        bed.insert(disk, seen=False)
        states.append(in_bay("3"))
        bed.learn(disk)
        states.append(in_bay("3"))  # a table is known, its partitions have not come yet
        bed.insert(part, seen=False)
        states.append(in_bay("3"))
        bed.learn(part)
        assert [(each.disks, each.settled) for each in states] == [(0, False), (1, False), (1, False), (1, False)]
        assert in_bay("3").settled
        assert in_bay("3").volumes == (Volume("sda1", "vfat", "CAMERA"),)
        assert {each.token for each in states} == {in_bay("3").token}
        bed.pull([device, interface, disk, part])

    def test_a_disk_on_which_udev_knows_nothing_has_a_volume_that_cannot_be_used(self, bed: DockBed) -> None:
        devices = bed.plug("bare", 3)
        bed.pull([devices[-1]])
        devices[-1]["udev"] = [line for line in devices[-1]["udev"] if not line.startswith("E:ID_FS")]
        bed.insert(devices[-1])
        device = in_bay("3")
        assert (device.settled, device.volumes) == (True, (Volume("sda", ""),))
        assert not device.volumes[0].is_usable

    def test_a_slot_without_a_card_counts_as_no_disk(self, bed: DockBed) -> None:
        devices = bed.plug("bare", 3)
        bed.set(devices[-1], {"size": "0"})
        device = in_bay("3")
        assert (device.slots, device.disks, device.settled) == (1, 0, False)

    def test_two_cards_in_one_camera_are_two_volumes(self, bed: DockBed) -> None:
        devices = bed.plug("bare", 3)
        one = in_bay("3")
        bed.insert(second_card(devices[-1]))
        assert [volume.block for volume in in_bay("3").volumes] == ["sda", "sdh"]
        assert (in_bay("3").slots, in_bay("3").disks) == (2, 2)
        assert in_bay("3").token != one.token  # nobody goes on with the first as if it were alone

    @pytest.mark.parametrize("fs", ["ntfs", None])
    def test_a_second_volume_that_cannot_be_read_leaves_the_docking_what_it_is(
        self, bed: DockBed, fs: str | None
    ) -> None:
        devices = bed.plug("bare", 3)
        one = in_bay("3")
        second = second_card(devices[-1])
        kept = [line for line in second["udev"] if not line.startswith("E:ID_FS")]
        second["udev"] = [*kept, f"E:ID_FS_TYPE={fs}"] if fs else kept
        bed.insert(second)
        assert [volume.fs for volume in in_bay("3").volumes] == ["vfat", fs or ""]
        assert in_bay("3").token == one.token

    def test_each_bay_has_its_own_disk(self, bed: DockBed) -> None:
        bed.plug("fat32", 3)
        bed.plug("bare", 4, "sdb")
        devices = seen().devices
        assert {bay: devices[bay].volumes[0].block for bay in devices} == {"3": "sda1", "4": "sdb"}

    def test_a_port_that_is_no_docks_is_not_looked_at(self, bed: DockBed) -> None:
        for device in bed.plug("fat32", 3):
            moved = {**device, "path": device["path"].replace("1-1/1-1.3", "1-7").replace("1-1.3", "1-7")}
            moved["udev"] = [line.replace("usb-0:1.3", "usb-0:7") for line in device["udev"]]
            bed.pull([device])
            if device["subsystem"] == "usb":
                bed.insert(moved)
        assert bed.place("1-7").exists()
        assert seen().devices == {}

    def test_a_port_of_the_dock_that_no_bay_names_is_served_under_its_own(self, bed: DockBed) -> None:
        bed.plug("fat32", 5)
        assert set(seen().devices) == {"port-1-1.5"}

    def test_both_halves_of_a_usb_3_port_are_one_bay(self, bed: DockBed) -> None:
        both = Topology({"3": [path_of(3), "pci-0000:00:07.0-usb-0:9.3"]})
        for device in bed.plug("fat32", 3):
            bed.pull([device])
            if device["subsystem"] == "usb":
                device["path"] = device["path"].replace("usb1/1-1/1-1.3", "usb2/2-9/2-9.3").replace("1-1.3", "2-9.3")
                device["udev"] = [line.replace("usb-0:1.3", "usb-0:9.3") for line in device["udev"]]
                bed.insert(device)
        assert {bay: device.name for bay, device in seen(both).devices.items()} == {"3": "2-9.3"}

    def test_a_hub_on_the_way_that_nobody_let_in_is_told(self, bed: DockBed) -> None:
        (bed.place("1-1") / "authorized").write_text("0\n")
        assert seen().closed_hubs == ("1-1",)
        assert seen(Topology({})) == UsbSight({}, ())

    def test_a_hub_on_the_way_that_is_also_something_else_is_not_to_be_let_in(self, bed: DockBed) -> None:
        (bed.place("1-1") / "authorized").write_text("0\n")
        descriptors = bed.place("1-1") / "descriptors"
        keyboard, *_ = bed.plug("keyboard", 2)
        for shown in ((bed.place("1-1.2") / "descriptors").read_bytes(), b"noise"):
            assert seen().closed_hubs == ("1-1",)
            whole = descriptors.read_bytes()
            descriptors.write_bytes(shown)
            assert seen().closed_hubs == ()
            descriptors.write_bytes(whole)
        bed.pull([keyboard])

    def test_a_device_is_asked_for_its_texts_by_a_token_that_lasts_as_long_as_it_is_there(self, bed: DockBed) -> None:
        devices = bed.plug("bare", 3)
        before = seen()
        bed.insert(second_card(devices[-1]))  # which makes it another docking, of the same device
        assert in_bay("3").token != before.devices["3"].token
        assert seen().tokens == before.tokens == {before.devices["3"].token}
        bed.pull(devices)
        bed.plug("bare", 3)
        assert not seen().tokens & before.tokens

    def test_a_device_that_has_not_said_who_it_is_is_not_there_yet(self, bed: DockBed) -> None:
        bed.plug("fat32", 3)
        bed.plug("mtp", 4)
        sight = look(pyudev.Context(), BAYS, lambda token, place: None if "1-1.3" in token else read_texts("", place))
        assert set(sight.devices) == {"4"}
        assert sight.silent == {"3": in_bay("3").token}
        assert sight.tokens == seen().tokens

    def test_a_hub_in_a_bay_is_a_device_of_that_bay(self, bed: DockBed) -> None:
        (device, *_) = bed.plug("mtp", 2)
        bed.set(device, {"bDeviceClass": "09"})
        assert in_bay("2").hub

    def test_over_currents_are_counted_by_the_port(self, bed: DockBed) -> None:
        bed.plug("fat32", 3)
        assert in_bay("3").over_currents == 0
        (bed.place("1-1:1.0") / "1-1-port3" / "over_current_count").write_text("4\n")
        assert in_bay("3").over_currents == 4

    def test_a_camera_that_is_plugged_in_again_is_another_docking(self, bed: DockBed) -> None:
        devices = bed.plug("fat32", 3)
        token = in_bay("3").token
        bed.pull(devices)
        assert seen().devices == {}
        bed.plug("fat32", 3)
        assert in_bay("3").token != token

    @pytest.mark.parametrize("serial", ["", " ", "a\nb\x1b[31m", "\udcff\udcfe", "x" * 4000, "../../1", "\u202e1CWB"])
    def test_a_hostile_serial_is_a_text_and_nothing_more(self, bed: DockBed, serial: str) -> None:
        bed.plug("fat32", 3, serial=serial)
        device = in_bay("3")
        assert "\udcff" not in (device.serial or "")
        serial = clean_serial(device.serial) or ""
        assert serial.isprintable()
        assert device.settled

    def test_a_device_that_has_half_gone_is_left_out_and_the_others_are_seen(self, bed: DockBed) -> None:
        bed.plug("fat32", 3)
        bed.plug("mtp", 4)
        (bed.place("1-1.3") / "devnum").unlink()
        assert set(seen().devices) == {"4"}

    def test_devices_that_come_and_go_while_they_are_looked_at_disturb_nothing(self, bed: DockBed) -> None:
        bed.plug("mtp", 4)
        bed.plug("fat32", 3)
        # A process of its own takes the device away and puts it back, until it is told to stop.
        hands = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-Ic", HANDS, str(bed.place("1-1.3").resolve())], stdin=subprocess.PIPE, env={}
        )
        with hands:
            counts = [len(seen().devices) for _ in range(60)]
        assert set(counts) == {1, 2}
        assert set(seen().devices) == {"3", "4"}
