"""The watch over USB bays: real pyudev and real events on a sysfs of its own, and a helper without privileges."""

import asyncio
import os
import select
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.core.clip import BayName
from agent.core.errors import CameraError, CameraGone, ReaderStalled
from agent.core.profile import UsbId
from agent.devices import udev
from agent.devices.helper import Helper
from agent.devices.topology import Topology
from agent.devices.udev import UsbWatch
from agent.ports import Docked
from tests.devices.recorded.bed import INSIDE, OUTSIDE_S, DockBed, path_of, run_inside, second_card
from tests.fakes.helper import FakeHelper

BAYS = Topology({str(number): [path_of(number)] for number in (1, 2, 3, 4)})
LIMIT_S = 20.0
NEVER_S = 60.0
"""A look by itself that no test waits for."""
BURST = 200
"""So many events of one device that mean nothing new."""

Snapshot = Mapping[BayName, Docked]


@pytest.mark.timeout(OUTSIDE_S)
def test_the_watch_over_recorded_devices() -> None:
    run_inside(__file__)


test_the_watch_over_recorded_devices.__test__ = not INSIDE  # type: ignore[attr-defined]


def close_when_taken(pipe: int) -> None:
    """Close a pipe once somebody has read what is in it: else it would be lost."""
    end = time.monotonic() + LIMIT_S
    while select.select([pipe], [], [], 0)[0]:
        assert time.monotonic() < end, "nobody reads"
        time.sleep(0.01)
    os.close(pipe)


@asynccontextmanager
async def shown(watch: UsbWatch) -> AsyncIterator[Callable[[], Awaitable[Snapshot]]]:
    """Runs the watch; the next snapshot, and the next ..."""
    snapshots: asyncio.Queue[Snapshot] = asyncio.Queue()

    async def follow() -> None:
        async with aclosing(watch.snapshots()) as found:
            async for snapshot in found:
                snapshots.put_nowait(snapshot)

    async def following() -> Snapshot:
        async with asyncio.timeout(LIMIT_S):
            return await snapshots.get()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(follow())
        yield following
        assert snapshots.empty(), "a snapshot that no test expected"
        task.cancel()


class TestWatch:
    __test__ = INSIDE

    @pytest.fixture
    def bed(self) -> Iterator[DockBed]:
        bed = DockBed()
        yield bed
        bed.close()

    @pytest.fixture
    async def helper(self, bed: DockBed, tmp_path: Path) -> AsyncIterator[FakeHelper]:
        """What it lets in is let in, and udev says so."""
        loop = asyncio.get_running_loop()

        def authorise(device: str, on: bool) -> None:
            (bed.place(device) / "authorized").write_text(f"{int(on)}\n")
            loop.call_soon_threadsafe(bed.say_of, device)

        with FakeHelper(tmp_path, ("1", "2", "3", "4")) as fake:
            fake.script.hubs = {"1-1"}
            fake.script.authorised = authorise
            yield fake

    @pytest.fixture
    async def client(self, helper: FakeHelper) -> AsyncIterator[Helper]:
        client = Helper(helper.path)
        yield client
        client.close()

    async def test_each_change_is_a_whole_snapshot(self, bed: DockBed, client: Helper) -> None:
        first = bed.plug("fat32", 3)
        async with shown(UsbWatch(BAYS, client, reconcile_s=NEVER_S)) as following:
            snapshot = await following()
            token = snapshot[BayName("3")].token
            assert snapshot == {"3": Docked(BayName("3"), "usb", "1-1.3", token, "BWC1", UsbId(0x1209, 0xBC01))}
            bed.plug("mtp", 4)
            assert set(await following()) == {"3", "4"}
            bed.pull(first)
            assert set(await following()) == {"4"}
            bed.plug("fat32", 3)
            again = await following()
            assert again[BayName("3")].token != token

    async def test_the_dock_is_cleared_and_closed_before_the_first_look(
        self, bed: DockBed, client: Helper, helper: FakeHelper
    ) -> None:
        assert bed.place("1-1").exists()
        async with shown(UsbWatch(BAYS, client, reconcile_s=NEVER_S)) as following:
            assert await following() == {}
        assert helper.verbs() == ["blank", "guard"]

    async def test_a_dock_that_is_not_to_be_guarded_is_only_cleared(
        self, bed: DockBed, client: Helper, helper: FakeHelper
    ) -> None:
        assert bed.place("1-1").exists()
        async with shown(UsbWatch(BAYS, client, guard=False, reconcile_s=NEVER_S)) as following:
            assert await following() == {}
        assert helper.verbs() == ["blank"]

    async def test_root_hubs_that_cannot_be_closed_are_told(
        self, bed: DockBed, client: Helper, helper: FakeHelper
    ) -> None:
        assert bed.place("1-1").exists()
        helper.script.open_root_hubs = ["usb2"]
        with capture_logs() as logs:
            async with shown(UsbWatch(BAYS, client, reconcile_s=NEVER_S)) as following:
                await following()
        assert [line["problem"] for line in logs if line["event"] == "dock.not_guarded"] == [
            "the kernel does not close ['usb2']"
        ]

    async def test_without_the_helper_bays_are_shown_all_the_same(self, bed: DockBed, tmp_path: Path) -> None:
        bed.plug("fat32", 3)
        lonely = Helper(tmp_path / "none.sock")
        with capture_logs() as logs:
            async with shown(UsbWatch(BAYS, lonely, reconcile_s=NEVER_S)) as following:
                assert set(await following()) == {"3"}
        assert [line["event"] for line in logs] == ["dock.not_blank", "dock.not_guarded"]
        assert all("none.sock cannot be asked" in line["problem"] for line in logs)

    async def test_a_reload_that_leaves_the_bays_as_they_are_asks_nothing_and_ends_no_docking(
        self, bed: DockBed, client: Helper, helper: FakeHelper
    ) -> None:
        bed.plug("fat32", 3)
        watch = UsbWatch(BAYS, client, reconcile_s=NEVER_S)
        async with shown(watch) as following:
            docked = (await following())[BayName("3")]
            watch.set_topology(Topology({str(number): [path_of(number)] for number in (4, 3, 2, 1)}), guard=True)
            bed.plug("mtp", 4)
            assert (await following())[BayName("3")] == docked
        assert helper.verbs() == ["blank", "guard"]

    async def test_bays_that_changed_are_closed_anew_and_what_runs_in_the_others_stays(
        self, bed: DockBed, client: Helper, helper: FakeHelper
    ) -> None:
        bed.plug("fat32", 3)
        watch = UsbWatch(Topology({"3": [path_of(3)]}), client, reconcile_s=NEVER_S)
        async with shown(watch) as following:
            docked = (await following())[BayName("3")]
            watch.set_topology(BAYS, guard=True)
            await asyncio.to_thread(helper.wait_asked, "guard", 2)
            bed.plug("mtp", 4)
            assert (await following())[BayName("3")] == docked
        assert helper.verbs() == ["blank", "guard", "guard"]

    async def test_ports_that_could_not_be_closed_are_tried_again_until_they_are(
        self, bed: DockBed, client: Helper, helper: FakeHelper
    ) -> None:
        bed.plug("fat32", 3)
        helper.refuse("guard", "failed", "not now")
        watch = UsbWatch(BAYS, client, reconcile_s=0.1)
        async with shown(watch) as following:
            assert set(await following()) == {"3"}
            await asyncio.to_thread(helper.wait_asked, "guard", 2)
            assert "not now" in watch.problems["dock"]
            helper.go_on()
            async with asyncio.timeout(LIMIT_S), watch._looked:
                await watch._looked.wait_for(lambda: not watch.problems)
                asked = helper.verbs().count("guard")
                await watch._looked.wait()
            assert helper.verbs().count("guard") == asked
        assert helper.verbs().count("blank") == 1

    async def test_a_helper_that_hangs_over_what_was_left_keeps_no_bay_waiting_for_long(
        self, bed: DockBed, client: Helper, helper: FakeHelper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(udev, "BLANK_S", 0.1)
        bed.plug("fat32", 3)
        helper.hang("blank")
        with capture_logs() as logs:
            async with shown(UsbWatch(BAYS, client, reconcile_s=NEVER_S)) as following:
                assert set(await following()) == {"3"}
        assert [line["event"] for line in logs] == ["dock.not_blank"]

    async def test_a_devices_texts_are_asked_for_once(self, bed: DockBed, client: Helper) -> None:
        """For them the kernel waits until whoever resets the device has let go of it: nobody may read them again."""
        device, *_ = bed.plug("fat32", 3)
        watch = UsbWatch(BAYS, client, reconcile_s=NEVER_S)
        async with shown(watch) as following:
            docked = (await following())[BayName("3")]
            for name in ("serial", "product"):
                text = bed.place("1-1.3") / name
                text.unlink()
                os.mkfifo(text)  # who opens it waits for ever
            bed.say(device)
            async with asyncio.timeout(LIMIT_S), watch._looked:
                await watch._looked.wait()
            seen = await watch.until(docked, lambda _: True, within_s=LIMIT_S)
            assert (seen.serial, seen.product) == ("BWC1", "BodyCam 3")

    async def test_a_device_that_does_not_say_who_it_is_holds_up_no_other_bay(
        self, bed: DockBed, client: Helper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(udev, "TEXTS_S", 0.1)
        bed.plug("fat32", 3)
        serial = bed.place("1-1.3") / "serial"
        serial.unlink()
        os.mkfifo(serial)
        kernel = os.open(serial, os.O_RDWR)  # who reads waits for what the kernel has to say
        watch = UsbWatch(BAYS, client, reconcile_s=NEVER_S)
        with capture_logs() as logs:
            async with shown(watch) as following:
                assert await following() == {}
                assert "does not say who it is" in watch.problems["3"]
                bed.plug("mtp", 4)
                assert set(await following()) == {"4"}
                os.write(kernel, b"BWC9\n")
                await asyncio.to_thread(close_when_taken, kernel)
                assert (await following())[BayName("3")].serial == "BWC9"
                assert "3" not in watch.problems
        assert [line["bay"] for line in logs if line["event"] == "bay.silent"] == ["3"]

    async def test_a_hub_that_nobody_let_in_is_opened(self, bed: DockBed, client: Helper, helper: FakeHelper) -> None:
        (bed.place("1-1") / "authorized").write_text("0\n")
        async with shown(UsbWatch(BAYS, client, reconcile_s=NEVER_S)) as following:
            assert await following() == {}
            await asyncio.to_thread(helper.wait_asked, "authorise_hub")
            bed.plug("fat32", 3)
            assert set(await following()) == {"3"}
        assert [each.device for each in helper.asked if each.verb == "authorise_hub"] == ["1-1"]
        assert (bed.place("1-1") / "authorized").read_text() == "1\n"

    async def test_a_hub_that_is_kept_out_keeps_no_other_port_waiting(
        self, bed: DockBed, client: Helper, helper: FakeHelper
    ) -> None:
        (bed.place("1-1") / "authorized").write_text("0\n")
        helper.refuse("authorise_hub", "not_a_dock_port", "it is no hub")
        both = Topology({"1": [path_of(1)], "9": ["pci-0000:00:07.0-usb-0:2.1"]})
        with capture_logs() as logs:
            async with shown(UsbWatch(both, client, reconcile_s=NEVER_S)) as following:
                assert await following() == {}
        assert [(line["hub"], line["problem"]) for line in logs if line["event"] == "dock.hub_closed"] == [
            ("1-1", "authorise_hub: it is no hub")
        ]

    async def test_a_burst_of_events_makes_few_looks(self, bed: DockBed, client: Helper, helper: FakeHelper) -> None:
        (bed.place("1-1") / "authorized").write_text("0\n")
        helper.refuse("authorise_hub", "failed")  # so that each look asks once more
        device, *_ = bed.plug("fat32", 3)
        async with shown(UsbWatch(BAYS, client, reconcile_s=NEVER_S)) as following:
            await following()
            for _ in range(BURST):
                bed.say(device)
                await asyncio.sleep(0)  # the testbed holds ten that nobody has taken
            mark = bed.plug("mtp", 4)
            assert set(await following()) == {"3", "4"}
            assert helper.verbs().count("authorise_hub") <= BURST // 10  # more, the longer the burst takes
            bed.pull(mark)
            await following()

    async def test_what_udev_lost_is_found_by_the_next_look(self, bed: DockBed, client: Helper) -> None:
        devices = bed.plug("fat32", 3)
        async with shown(UsbWatch(BAYS, client, reconcile_s=0.1)) as following:
            assert set(await following()) == {"3"}
            bed.pull(devices, quietly=True)
            assert await following() == {}

    async def test_too_much_current_is_told_once_for_each_time(
        self, bed: DockBed, client: Helper, helper: FakeHelper
    ) -> None:
        device, *_ = bed.plug("fat32", 3)
        count = bed.place("1-1:1.0") / "1-1-port3" / "over_current_count"
        with capture_logs() as logs:
            watch = UsbWatch(BAYS, client, reconcile_s=NEVER_S)
            async with shown(watch) as following:
                docked = (await following())[BayName("3")]
                for told in (1, 1, 3):
                    count.write_text(f"{told}\n")
                    bed.say(device)
                    now = await watch.until(docked, lambda d, told=told: d.over_currents == told, within_s=LIMIT_S)  # type: ignore[misc]
                    assert now.over_currents == told
        assert [line["count"] for line in logs if line["event"] == "bay.over_current"] == [1, 3]
        assert helper.verbs() == ["blank", "guard"]

    async def test_what_a_port_counted_before_we_looked_is_no_news(self, bed: DockBed, client: Helper) -> None:
        device, *_ = bed.plug("fat32", 3)
        count = bed.place("1-1:1.0") / "1-1-port3" / "over_current_count"
        count.write_text("4\n")
        watch = UsbWatch(BAYS, client, reconcile_s=NEVER_S)
        with capture_logs() as logs:
            async with shown(watch) as following:
                docked = (await following())[BayName("3")]
                await watch.until(docked, lambda d: d.over_currents == 4, within_s=LIMIT_S)
                assert logs == []
                count.write_text("5\n")
                bed.say(device)
                await watch.until(docked, lambda d: d.over_currents == 5, within_s=LIMIT_S)
        assert [(line["event"], line["count"]) for line in logs] == [("bay.over_current", 5)]

    async def test_a_second_volume_that_comes_later_is_another_docking(self, bed: DockBed, client: Helper) -> None:
        *_, first = bed.plug("bare", 3)
        async with shown(UsbWatch(BAYS, client, reconcile_s=NEVER_S)) as following:
            token = (await following())[BayName("3")].token
            second = second_card(first)
            bed.insert(second)
            assert (await following())[BayName("3")].token != token
            bed.pull([second])
            assert (await following())[BayName("3")].token == token

    async def test_a_port_that_flaps_is_empty_until_it_stands_still(self, bed: DockBed, client: Helper) -> None:
        async with shown(UsbWatch(BAYS, client, reconcile_s=NEVER_S)) as following:
            assert await following() == {}
            for _ in range(2):
                devices = bed.plug("mtp", 4)
                assert set(await following()) == {"4"}
                bed.pull(devices)
                assert await following() == {}
            bed.plug("mtp", 4)  # the fifth change
            assert set(await following()) == {"4"}  # and the next thing that is shown is that it stands still

    async def test_a_port_that_no_bay_names_is_shown_and_a_serial_that_is_none_is_not(
        self, bed: DockBed, client: Helper
    ) -> None:
        bed.plug("fat32", 5, serial="a\nb\x1b[31m")
        async with shown(UsbWatch(BAYS, client, reconcile_s=NEVER_S)) as following:
            ((bay, docked),) = (await following()).items()
            assert (bay, docked.bay, docked.address, docked.serial) == ("port-1-1.5", "port-1-1.5", "1-1.5", None)

    async def test_a_station_without_usb_bays_asks_nobody_until_it_gets_one(
        self, bed: DockBed, client: Helper, helper: FakeHelper
    ) -> None:
        bed.plug("fat32", 3)
        watch = UsbWatch(Topology({}), client, reconcile_s=NEVER_S)
        async with shown(watch) as following:
            assert await following() == {}
            assert helper.verbs() == []
            watch.set_topology(BAYS, guard=True)
            assert set(await following()) == {"3"}
            watch.set_topology(Topology({"other": [path_of(3)]}), guard=False)
            assert set(await following()) == {"other"}
        assert helper.verbs() == ["blank", "guard"]

    async def test_what_a_person_should_know_of_the_dock_is_told(
        self, bed: DockBed, client: Helper, helper: FakeHelper
    ) -> None:
        helper.script.open_root_hubs = ["usb2"]
        watch = UsbWatch(BAYS, client, reconcile_s=NEVER_S)
        assert watch.problems == {}
        (bed.place("1-1:1.0") / "1-1-port3" / "over_current_count").write_text("2\n")
        bed.plug("fat32", 3)
        async with shown(watch) as following:
            await following()
            assert set(watch.problems) == {"dock", "3"}
            assert "usb2" in watch.problems["dock"]
            devices = bed.plug("mtp", 5)
            await following()
            assert "dock-agent bays learn" in watch.problems["port-1-1.5"]
            bed.pull(devices)
            await following()
            assert set(watch.problems) == {"dock", "3"}

    # ---- waiting for a device

    async def test_who_waits_for_a_disk_gets_it_once_udev_has_looked_at_all_of_it(
        self, bed: DockBed, client: Helper
    ) -> None:
        *_, disk, part = bed.plug("fat32", 3)
        bed.pull([disk, part])
        watch = UsbWatch(BAYS, client, reconcile_s=NEVER_S)
        async with shown(watch) as following, asyncio.TaskGroup() as group:
            docked = (await following())[BayName("3")]
            waiting = group.create_task(watch.until(docked, lambda device: device.settled, within_s=LIMIT_S))
            bed.insert(disk)
            await watch.until(docked, lambda device: device.disks == 1, within_s=LIMIT_S)
            assert not waiting.done()
            bed.insert(part)
            assert [volume.block for volume in (await waiting).volumes] == ["sda1"]

    async def test_who_waits_for_a_device_that_leaves_is_told_so(self, bed: DockBed, client: Helper) -> None:
        devices = bed.plug("mtp", 4)
        watch = UsbWatch(BAYS, client, reconcile_s=NEVER_S)
        async with shown(watch) as following, asyncio.TaskGroup() as group:
            docked = (await following())[BayName("4")]
            waiting = group.create_task(_error_of(watch.until(docked, lambda _: False, within_s=LIMIT_S)))
            bed.pull(devices)
            assert await following() == {}
            assert isinstance(await waiting, CameraGone)
            bed.plug("mtp", 4)  # another docking is not the one that was waited for
            await following()
            with pytest.raises(CameraGone, match="the camera in bay 4 was taken out"):
                await watch.until(docked, lambda _: True, within_s=LIMIT_S)

    async def test_who_waits_too_long_is_told_that_it_hangs(self, bed: DockBed, client: Helper) -> None:
        bed.plug("mtp", 4)
        watch = UsbWatch(BAYS, client, reconcile_s=NEVER_S)
        async with shown(watch) as following:
            docked = (await following())[BayName("4")]
            with pytest.raises(ReaderStalled, match=r"the camera in bay 4 was not ready within 0.05 s"):
                await watch.until(docked, lambda device: device.settled, within_s=0.05)


async def _error_of(waiting: Awaitable[object]) -> CameraError:
    with pytest.raises(CameraError) as caught:
        await waiting
    return caught.value
