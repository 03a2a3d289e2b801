"""Opening what is in a USB port: recorded devices, real readers, and a helper that needs no privileges."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agent.core.clip import BayName, Entry
from agent.core.errors import (
    CameraError,
    CameraGone,
    DeviceRefused,
    HelperUnreachable,
    MediumReadOnly,
    ReaderStalled,
)
from agent.core.profile import UsbId
from agent.devices import usb_camera
from agent.devices.helper import Helper, HelperRefused
from agent.devices.profiles import load_profiles
from agent.devices.reader.camera import ReaderCamera
from agent.devices.udev import UsbWatch
from agent.devices.usb_camera import HelperPower, UsbOpener
from agent.helper.request import Request
from agent.ports import Docked, Mark
from tests.devices.recorded.bed import INSIDE, OUTSIDE_S, ROOT, run_inside, second_card
from tests.devices.recorded.rig import BAYS, Rig
from tests.fakes.helper import real_reader

LIMIT_S = 20.0
STALL_S = 20.0
PROFILES = load_profiles(ROOT / "tests/lab/profiles", station_zone=ZoneInfo("UTC")).profiles

SWITCH = """
import fcntl, os, sys
from agent.devices.drivers import switch
really = os.open
os.open = lambda name, flags, *more, **named: really(
    "/dev/null" if str(name).startswith("/dev/bus/usb/") else name, flags, *more, **named
)
fcntl.ioctl = lambda fd, number, transfer: open({log!r}, "wb").write(transfer[:8])
from agent.devices.reader.__main__ import main
main()
"""
MTP = """
import sys, types
from agent.devices.drivers import folder, registry
class Stand(folder.FolderDriver):
    def __init__(self, address):
        open({log!r}, "wb").write(address)
        super().__init__({card!r})
sys.modules["stand"] = module = types.ModuleType("stand")
module.Stand = Stand
registry.DRIVERS["mtp"] = ("stand", "Stand")
from agent.devices.reader.__main__ import main
main()
"""
"""Readers whose device is not on this machine: its door is replaced, everything else is real."""


@pytest.mark.timeout(OUTSIDE_S)
def test_opening_recorded_devices() -> None:
    run_inside(__file__)


test_opening_recorded_devices.__test__ = not INSIDE  # type: ignore[attr-defined]


@dataclass
class Dock:
    rig: Rig
    client: Helper
    watch: UsbWatch
    opener: UsbOpener
    snapshots: "asyncio.Queue[dict[BayName, Docked]]"

    async def docked(self, bay: str = "3") -> Docked:
        """The camera in this bay, once it is shown."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                snapshot = await self.snapshots.get()
                if BayName(bay) in snapshot:
                    return snapshot[BayName(bay)]

    async def open(self, bay: str = "3", *, stall_s: float = STALL_S) -> ReaderCamera:
        return await self.opener(await self.docked(bay), stall_s=stall_s)

    async def until_nothing_is_left(self, bay: str = "3") -> None:
        """Neither a mount nor a reader."""
        await self.client.ask("end_reader", bay="9")  # a round trip: what was told before has been taken
        assert self.rig.helper.mounts(bay) == []
        if bay in self.rig.helper._processes:
            async with asyncio.timeout(LIMIT_S):
                await asyncio.to_thread(self.rig.helper.reader(bay).wait)


async def content(camera: ReaderCamera, path: bytes) -> bytes:
    got = bytearray()
    await camera.read(await entry(camera, path), got.extend)
    return bytes(got)


async def entry(camera: ReaderCamera, path: bytes) -> Entry:
    rows = [row async for batch in camera.list() for row in batch]
    return next(row for row in rows if isinstance(row, Entry) and row.path == path)


class TestUsbOpener:
    __test__ = INSIDE

    @pytest.fixture
    async def dock(self, tmp_path: Path) -> AsyncIterator[Dock]:
        with Rig(tmp_path) as rig:
            client = Helper(rig.helper.path)
            watch = UsbWatch(BAYS, client, reconcile_s=60)
            opener = UsbOpener(watch, client, lambda: PROFILES, rig.helper.readers)
            dock = Dock(rig, client, watch, opener, asyncio.Queue())

            async def follow() -> None:
                async with aclosing(watch.snapshots()) as snapshots:
                    async for snapshot in snapshots:
                        dock.snapshots.put_nowait(dict(snapshot))

            async with asyncio.TaskGroup() as group:
                following = group.create_task(follow())
                yield dock
                following.cancel()
            client.close()

    # ---- let in

    async def test_a_known_camera_is_mounted_and_read(self, dock: Dock) -> None:
        dock.rig.plug("fat32", 3)
        camera = await dock.open()
        assert await content(camera, b"DCIM/100BWC/A.MP4") == b"first clip"
        facts = camera.facts
        assert facts.profiles == frozenset({"lab-camera"})  # none but those that let it in
        told = (facts.usb, facts.usb_serial, facts.model, facts.firmware, facts.serial)
        assert told == (UsbId(0x1209, 0xBC01), "BWC1", "BodyCam 3", "3.10", None)
        mount = next(each for each in dock.rig.helper.asked if each.verb == "mount")
        assert (mount.bay, mount.block, mount.fs) == ("3", "sdd1", "vfat")
        assert "authorise" not in dock.rig.helper.verbs()
        await camera.close()
        await dock.until_nothing_is_left()

    async def test_a_card_without_a_partition_table_and_one_with_ext4_are_read(self, dock: Dock) -> None:
        dock.rig.plug("bare", 2, fs="ext4")
        camera = await dock.open("2")
        assert await content(camera, b"DCIM/100BWC/B.MP4") == b"second"
        asked = {each.verb: each for each in dock.rig.helper.asked}
        assert (asked["mount"].block, asked["mount"].fs, asked["reader"].kind) == ("sdc", "ext4", "ext4")
        await camera.close()
        await dock.until_nothing_is_left("2")

    async def test_a_camera_that_nobody_let_in_yet_is_let_in_and_waited_for(self, dock: Dock) -> None:
        dock.rig.plug("fat32", 3, authorised=False)
        camera = await dock.open()
        assert await content(camera, b"DCIM/100BWC/A.MP4") == b"first clip"
        verbs = dock.rig.helper.verbs("3")
        assert verbs[0] == "authorise"
        assert set(verbs[1:]) == {"mount", "reader"}
        await camera.close()

    async def test_what_came_into_the_port_after_the_look_is_not_let_in(self, dock: Dock) -> None:
        dock.rig.plug("fat32", 3, authorised=False)
        docked = await dock.docked()
        dock.rig.helper.script.numbers["1-1.3"] = "14"  # a swap of which udev has not told yet
        with pytest.raises(CameraGone, match="another device is in the port of bay 3 now"):
            await dock.opener(docked, stall_s=STALL_S)
        (asked,) = dock.rig.helper.asked[2:]
        assert (asked.verb, asked.device, asked.number, asked.on) == ("authorise", "1-1.3", "13", True)
        assert (dock.rig.bed.place("1-1.3") / "authorized").read_text() == "0\n"

    async def test_disk_and_reader_are_made_ready_together(self, dock: Dock) -> None:
        dock.rig.plug("fat32", 3)
        docked = await dock.docked()
        dock.rig.helper.hang("mount")
        dock.rig.helper.hang("reader")
        async with asyncio.TaskGroup() as group:
            opening = group.create_task(dock.opener(docked, stall_s=STALL_S))
            for verb in ("mount", "reader"):
                await asyncio.to_thread(dock.rig.helper.wait_asked, verb)
            dock.rig.helper.go_on()
        await opening.result().close()

    async def test_a_reader_starts_while_the_kernel_looks_for_the_disk(self, dock: Dock) -> None:
        plugged = dock.rig.plug("bare", 3)
        disk = plugged.devices[-1:]
        dock.rig.bed.pull(disk)
        docked = await dock.docked()
        async with asyncio.TaskGroup() as group:
            opening = group.create_task(dock.opener(docked, stall_s=STALL_S))
            await asyncio.to_thread(dock.rig.helper.wait_asked, "reader")
            assert "mount" not in dock.rig.helper.verbs()
            dock.rig.bed.insert(disk[0])
        assert await content(opening.result(), b"DCIM/100BWC/A.MP4") == b"first clip"
        await opening.result().close()

    async def test_a_clip_is_wiped_in_a_window_and_each_mount_is_a_fresh_one(self, dock: Dock) -> None:
        plugged = dock.rig.plug("fat32", 3)
        camera = await dock.open()
        first = await entry(camera, b"DCIM/100BWC/A.MP4")
        mark = await camera.read(first, lambda _block, /: None)
        roots = [dock.rig.helper.mounts("3")]
        assert camera.wiper is not None
        await camera.wiper.open_window()
        roots.append(dock.rig.helper.mounts("3"))
        await camera.wiper.wipe(first, mark)
        await camera.wiper.close_window()
        roots.append(dock.rig.helper.mounts("3"))
        assert len({str(root) for root in roots}) == 3
        assert [path.name for path in sorted(plugged.card.rglob("*.MP4"))] == ["B.MP4"]
        await camera.close()
        assert dock.rig.helper.verbs("3")[2:] == ["window", "renew", "unmount"]

    async def test_a_card_with_a_write_protect_switch_stays_readable(self, dock: Dock) -> None:
        dock.rig.plug("fat32", 3)
        dock.rig.helper.script.read_only.add("sdd1")
        camera = await dock.open()
        assert camera.wiper is not None
        with pytest.raises(MediumReadOnly):
            await camera.wiper.open_window()
        assert await content(camera, b"DCIM/100BWC/A.MP4") == b"first clip"
        with pytest.raises(CameraError, match="no wipe window"):
            await camera.wiper.wipe(await entry(camera, b"DCIM/100BWC/A.MP4"), Mark("0:0:0"))
        await camera.close()

    async def test_a_camera_that_is_pulled_is_gone_and_leaves_nothing(self, dock: Dock) -> None:
        plugged = dock.rig.plug("fat32", 3)
        camera = await dock.open()
        dock.rig.pull(plugged)
        with pytest.raises(CameraGone):
            await content(camera, b"DCIM/100BWC/A.MP4")
        with pytest.raises(CameraGone):
            await camera.renew()
        await camera.close()
        await dock.until_nothing_is_left()

    # ---- kept out

    @pytest.mark.parametrize("let_in", [False, True])
    async def test_storage_that_is_also_a_keyboard_is_kept_out(self, dock: Dock, let_in: bool) -> None:
        dock.rig.plug("keyboard", 3, authorised=let_in)
        with pytest.raises(DeviceRefused, match=r"bay 3 \(1209:bc01\) is kept out: .*a keyboard \(03:01:01\)"):
            await dock.open()
        orders = [(each.device, each.on) for each in dock.rig.helper.asked if each.verb == "authorise"]
        assert orders == ([("1-1.3", False)] if let_in else [])
        assert not {"mount", "reader"} & set(dock.rig.helper.verbs())

    async def test_a_device_that_cannot_even_be_shut_out_is_refused_all_the_same(self, dock: Dock) -> None:
        dock.rig.plug("fat32", 3, attributes={"idProduct": "7777"})
        dock.rig.helper.refuse("authorise", "failed")
        with pytest.raises(DeviceRefused, match="no profile names this device"):
            await dock.open()

    async def test_a_device_whose_descriptors_cannot_be_read_is_kept_out(self, dock: Dock) -> None:
        dock.rig.plug("fat32", 3, attributes={"descriptors": "noise"})
        with pytest.raises(DeviceRefused, match="cannot be read: it is never let in"):
            await dock.open()

    async def test_a_card_of_another_file_system_is_refused(self, dock: Dock) -> None:
        dock.rig.plug("bare", 3, fs="ntfs")
        with pytest.raises(DeviceRefused, match=r"no file system that can be read here \(it has: ntfs\)") as caught:
            await dock.open()
        assert "FAT32, exFAT and ext4" in caught.value.told()
        assert not {"mount", "reader"} & set(dock.rig.helper.verbs())

    async def test_of_two_volumes_none_is_chosen(self, dock: Dock) -> None:
        plugged = dock.rig.plug("bare", 3)
        dock.rig.bed.insert(second_card(plugged.devices[-1]))
        with pytest.raises(DeviceRefused, match=r"shows 2 volumes, sdd \(vfat\), sdk \(vfat\)") as caught:
            await dock.open()
        assert "dock-agent offload PATH" in caught.value.told()

    # ---- what goes wrong leaves nothing behind

    async def test_a_mount_that_fails_leaves_no_reader_and_no_mount(self, dock: Dock) -> None:
        dock.rig.plug("fat32", 3)
        dock.rig.helper.refuse("mount", "not_mountable", "sdd1: wrong fs type")
        with pytest.raises(HelperRefused, match="mount 3: sdd1: wrong fs type"):
            await dock.open()
        await dock.until_nothing_is_left()

    async def test_a_reader_that_does_not_start_leaves_no_mount(self, dock: Dock) -> None:
        dock.rig.plug("fat32", 3)
        dock.rig.helper.refuse("reader", "failed", "no unit")
        with pytest.raises(HelperRefused, match="reader 3: no unit"):
            await dock.open()
        assert dock.rig.helper.verbs("3")[-1] == "unmount"
        await dock.until_nothing_is_left()

    async def test_a_reader_that_cannot_open_the_card_leaves_neither(self, dock: Dock) -> None:
        plugged = dock.rig.plug("fat32", 3)
        plugged.card.rename(plugged.card.with_suffix(".away"))
        with pytest.raises(CameraGone):
            await dock.open()
        await dock.until_nothing_is_left()

    @pytest.mark.parametrize("hanging", ["mount", "reader", "authorise"])
    async def test_an_opening_that_is_given_up_leaves_neither_mount_nor_reader(
        self, dock: Dock, hanging: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(usb_camera, "RELEASE_S", 0.1)
        dock.rig.plug("fat32", 3, authorised=hanging != "authorise")
        docked = await dock.docked()
        dock.rig.helper.hang(hanging)
        async with asyncio.TaskGroup() as group:
            opening = group.create_task(dock.opener(docked, stall_s=STALL_S))
            await asyncio.to_thread(dock.rig.helper.wait_asked, hanging)
            opening.cancel()
        dock.rig.helper.go_on()
        await dock.client.ask("unmount", bay="3")  # after all that was asked before
        await dock.until_nothing_is_left()

    async def test_a_mount_that_gets_no_answer_is_a_hung_camera(
        self, dock: Dock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(usb_camera, "RELEASE_S", 0.1)
        dock.rig.plug("fat32", 3)
        docked = await dock.docked()
        dock.rig.helper.hang("mount")
        with pytest.raises(ReaderStalled, match=r"no answer while it was mounted, for 0.5 s"):
            await dock.opener(docked, stall_s=0.5)
        dock.rig.helper.go_on()
        await dock.client.ask("unmount", bay="3")
        await dock.until_nothing_is_left()

    async def test_without_the_helper_it_is_said_where_to_look(self, dock: Dock) -> None:
        dock.rig.plug("fat32", 3)
        docked = await dock.docked()
        dock.rig.helper.stop()
        with pytest.raises(HelperUnreachable) as caught:
            await dock.opener(docked, stall_s=STALL_S)
        assert "systemctl status dock-helper.socket" in caught.value.told()
        dock.rig.helper.start()
        camera = await dock.opener(docked, stall_s=STALL_S)  # it was restarted
        assert await content(camera, b"DCIM/100BWC/A.MP4") == b"first clip"
        await camera.close()

    async def test_a_disk_that_never_settles_is_a_camera_that_hangs(
        self, dock: Dock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(usb_camera, "PROBE_S", 0.1)
        plugged = dock.rig.plug("fat32", 3)
        dock.rig.bed.pull(plugged.shown[-1:])  # a table is known, and what it names does not come
        with pytest.raises(ReaderStalled, match=r"the camera in bay 3 was not ready within 0.1 s"):
            await dock.open()

    async def test_a_camera_whose_disk_does_not_come_hangs(self, dock: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(usb_camera, "PROBE_S", 0.1)
        plugged = dock.rig.plug("bare", 3)
        dock.rig.bed.pull(plugged.shown[-1:])
        with pytest.raises(ReaderStalled, match=r"the camera in bay 3 was not ready within 0.1 s"):
            await dock.open()
        await dock.until_nothing_is_left()  # of a reader that was about to start

    async def test_an_empty_slot_is_no_camera_that_hangs(self, dock: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(usb_camera, "PROBE_S", 0.1)
        plugged = dock.rig.plug("bare", 3)
        dock.rig.bed.set(plugged.devices[-1], {"size": "0"})
        with pytest.raises(CameraError, match=r"the camera in bay 3 has no card in it, or none that works") as caught:
            await dock.open()
        assert not isinstance(caught.value, ReaderStalled)  # which would cost it its power

    async def test_of_two_slots_the_one_with_a_card_is_read(self, dock: Dock) -> None:
        plugged = dock.rig.plug("bare", 3)
        second = second_card(plugged.devices[-1])
        second["attributes"] |= {"size": {"text": "0\n"}}
        dock.rig.bed.insert(second)
        camera = await dock.open()
        assert await content(camera, b"DCIM/100BWC/A.MP4") == b"first clip"
        await camera.close()

    async def test_a_camera_that_left_before_it_was_opened_is_gone(self, dock: Dock) -> None:
        plugged = dock.rig.plug("fat32", 3)
        docked = await dock.docked()
        dock.rig.pull(plugged)
        await dock.snapshots.get()
        with pytest.raises(CameraGone):
            await dock.opener(docked, stall_s=STALL_S)
        assert dock.rig.helper.verbs("3") == []

    # ---- other ways in

    async def test_a_locked_camera_gets_its_command_and_comes_back_as_another_device(
        self, dock: Dock, tmp_path: Path
    ) -> None:
        log = tmp_path / "transfer"

        def program(request: Request) -> list[str]:
            return (
                [sys.executable, "-Ic", SWITCH.format(log=str(log))] if request.kind == "usb" else real_reader(request)
            )

        dock.rig.helper.script.program = program
        locked = dock.rig.plug("fat32", 3, attributes={"idProduct": "bc00"})
        docked = await dock.docked()
        async with asyncio.TaskGroup() as group:
            opening = group.create_task(_gone(dock, docked))
            await asyncio.to_thread(dock.rig.helper.wait_asked, "reader")
            async with asyncio.timeout(LIMIT_S):
                assert await asyncio.to_thread(dock.rig.helper.reader("3").wait) == 0  # it has had its say
            assert not opening.done()
            card = locked.card.rename(locked.card.with_suffix(".switched"))
            dock.rig.pull(locked)
            dock.rig.plug("fat32", 3, card=card)
        assert log.read_bytes() == bytes([0x40, 0x51, 0, 0, 0, 0, 0, 0])
        asked = dock.rig.helper.asked[-1]
        assert (asked.verb, asked.kind, asked.device) == ("reader", "usb", "1-1.3")
        camera = await dock.open()
        assert await content(camera, b"DCIM/100BWC/A.MP4") == b"first clip"
        await camera.close()

    async def test_a_locked_camera_that_does_not_come_back_is_told(
        self, dock: Dock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        code = SWITCH.format(log=str(tmp_path / "transfer"))
        dock.rig.helper.script.program = lambda _: [sys.executable, "-Ic", code]
        dock.rig.plug("fat32", 3, attributes={"idProduct": "bc00"})
        monkeypatch.setattr(usb_camera, "SWITCH_S", 2)
        with pytest.raises(ReaderStalled, match=r"the camera in bay 3 was not ready within 2 s"):
            await dock.open()
        await dock.until_nothing_is_left()

    async def test_an_mtp_camera_is_reached_at_its_node_and_nothing_is_mounted(
        self, dock: Dock, tmp_path: Path
    ) -> None:
        log, card = tmp_path / "address", dock.rig.card()
        code = MTP.format(log=str(log), card=bytes(card))
        dock.rig.helper.script.program = lambda _: [sys.executable, "-Ic", code]
        dock.rig.plug("mtp", 4, serial="BWC-MTP", card=card)
        camera = await dock.open("4")
        assert log.read_bytes() == b"usb:001,014"
        assert await content(camera, b"DCIM/100BWC/A.MP4") == b"first clip"
        assert (camera.facts.usb_serial, camera.facts.model) == ("BWC-MTP", "QEMU filesharing")
        await camera.close()
        assert dock.rig.helper.verbs("4") == ["reader"]
        assert json.dumps(dock.rig.helper.asked[-1].device) == '"1-1.4"'

    # ---- power

    async def test_power_is_cycled_or_it_is_said_that_it_cannot_be(self, dock: Dock) -> None:
        await dock.snapshots.get()
        power = HelperPower(dock.client)
        assert await power.cycle("3") is True
        asked = dock.rig.helper.asked[-1]
        assert (asked.verb, asked.bay, asked.to) == ("power", "3", "cycle")
        dock.rig.helper.refuse("power", "no_switch")
        assert await power.cycle("3") is False
        dock.rig.helper.stop()
        assert await power.cycle("3") is False


async def _gone(dock: Dock, docked: Docked) -> None:
    with pytest.raises(CameraGone):
        await dock.opener(docked, stall_s=STALL_S)
