"""The lab tests itself: machines, ports, cards, and that each fault of a scripted camera does what it says."""

import hashlib
import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.camera import Identity, ScriptedCamera
from tests.lab.guest_side import CommandFailed
from tests.lab.machine import Machine
from tests.lab.media import FileSystem, card
from tests.lab.qemu import HUB_PORTS, SPOOL
from tests.lab.states import idle, serving
from tests.lab.usb import DiskKind
from tests.lab.watch import Watch

pytestmark = [pytest.mark.lab, pytest.mark.soak]

MIB = 1 << 20
CLIP = "DCIM/100BWC/CLIP0001.MP4"
BYTES = bytes(range(256)) * 4096 * 8
FILES = {CLIP: BYTES, "DCIM/100BWC/CLIP0002.MP4": b"short", "DCIM/100BWC/empty": b""}


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with Machine.restore(idle(), tmp_path / "machine") as machine:
        yield machine


@pytest.fixture
def watch(machine: Machine) -> Watch:
    return Watch(machine)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return card(tmp_path / "card.img", FILES)


def mounted(machine: Machine, block: str, options: str = "ro") -> str:
    machine.sh(f"mkdir -p /mnt/{block} && mount -o {options} /dev/{block} /mnt/{block}")
    return f"/mnt/{block}"


def digest_in(machine: Machine, path: str) -> str:
    return machine.run("sha256sum", "-z", path).split()[0]


def errors_of_reading(machine: Machine, path: str) -> str:
    return machine.sh(f"dd if={path} of=/dev/null bs=64k 2>&1 >/dev/null", timeout=120, check=False)


# Machines and states.


def test_a_restored_machine_answers_at_once_is_healthy_and_knows_the_time(tmp_path: Path) -> None:
    state = idle()
    begun = time.monotonic()
    with Machine.restore(state, tmp_path / "machine") as machine:
        now = float(machine.sh("date +%s"))
        assert time.monotonic() - begun < 8
        assert abs(now - time.time()) < 3
        assert machine.sh("systemctl is-system-running").strip() == "running"
        assert "dock-reader" not in machine.sh("id dock-agent")


def test_the_installed_agent_runs(machine: Machine) -> None:
    assert machine.sh("dock-agent --version").startswith("dock-agent ")
    assert "ok" in machine.sh("cd / && /usr/lib/dock-agent/python json.tool --help >/dev/null && echo ok")


def test_a_command_that_fails_says_all_that_it_printed(machine: Machine) -> None:
    with pytest.raises(CommandFailed, match="ended with 3:\nout\nerr"):
        machine.sh("echo out; echo err >&2; exit 3")


def test_files_go_in_and_come_out(machine: Machine) -> None:
    machine.put("/run/some/where", BYTES[:MIB], 0o600)
    assert machine.get("/run/some/where") == BYTES[:MIB]
    assert machine.sh("stat -c %a /run/some/where").strip() == "600"


class Store(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"a store")

    def log_message(self, *_: object) -> None:
        pass


def test_the_guest_reaches_its_store_and_nothing_else(tmp_path: Path) -> None:
    fetch = "python3 -c 'import urllib.request as r; print(r.urlopen(\"http://{}/\", timeout=5).read().decode())'"
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Store) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with Machine.restore(idle(), tmp_path / "machine", store_port=server.server_port) as machine:
                assert machine.sh(fetch.format("10.0.2.100:8443")) == "a store\n"
                with pytest.raises(CommandFailed):
                    machine.sh(fetch.format(f"10.0.2.2:{server.server_port}"))
        finally:
            server.shutdown()
            thread.join()


def test_after_a_power_cut_the_disk_has_what_was_synced(tmp_path: Path) -> None:
    with Machine.restore(idle(), tmp_path / "first") as machine:
        machine.sh(f"mount {SPOOL} /mnt && echo safe >/mnt/synced && sync && echo lost >/mnt/late")
        machine.power_off()
    with Machine.restore(idle(), tmp_path / "second", disk=machine.disk) as other:
        other.sh(f"mount {SPOOL} /mnt")
        assert other.sh("cat /mnt/synced") == "safe\n"
        assert "lost" not in other.sh("cat /mnt/late", check=False)


def recipe(machine: Machine) -> None:
    machine.sh(f"mount {SPOOL} /mnt && echo kept >/mnt/made && sleep 1000 >/dev/null 2>&1 &")


def test_a_serving_state_keeps_what_runs_and_what_is_on_its_disk(tmp_path: Path) -> None:
    with Machine.restore(serving(recipe), tmp_path / "machine") as machine:
        assert machine.sh("cat /mnt/made; pgrep -c sleep") == "kept\n1\n"
        machine.sh("echo changed >/mnt/made; sync")
    with Machine.restore(serving(recipe), tmp_path / "again") as machine:
        assert machine.sh("cat /mnt/made") == "kept\n"


def test_two_machines_run_side_by_side(machine: Machine, tmp_path: Path) -> None:
    with Machine.restore(idle(), tmp_path / "other") as other:
        machine.sh("echo one >/run/name")
        other.sh("echo two >/run/name")
        assert (machine.sh("cat /run/name"), other.sh("cat /run/name")) == ("one\n", "two\n")


# QEMU's own devices.


@pytest.mark.parametrize(("kind", "port"), [("usb-storage", "1.3"), ("usb-uas", "3")])
def test_a_disk_is_seen_where_it_is_and_gone_when_pulled(
    machine: Machine, watch: Watch, image: Path, kind: DiskKind, port: str
) -> None:
    machine.plug_disk("disk", image, port, "DISK7", kind)
    root = mounted(machine, watch.wait_volume(port))
    assert machine.sh(f"cat {root}/DCIM/100BWC/CLIP0002.MP4") == "short"
    machine.unplug("disk")
    watch.wait_device(port, "remove")
    machine.plug_disk("disk", image, port, "DISK7", kind)
    watch.wait_volume(port)


def test_a_disk_may_be_slow_and_have_a_bad_sector(machine: Machine, watch: Watch, image: Path) -> None:
    machine.plug_disk("disk", image, "2.8", "DISK7", bytes_per_s=8 * MIB, bad_sector=20_000)
    root = mounted(machine, watch.wait_volume("2.8"))
    begun = time.monotonic()
    assert "Input/output error" in errors_of_reading(machine, f"{root}/{CLIP}")
    assert time.monotonic() - begun > 0.5


def test_an_mtp_device_and_a_keyboard_are_what_they_are(machine: Machine, watch: Watch, tmp_path: Path) -> None:
    machine.plug_mtp("mtp", tmp_path, "1.5", "MTP1")
    assert watch.wait_device("1.5")["ID_USB_INTERFACES"] == ":060101:"
    machine.plug_keyboard("1.6")
    assert watch.wait_device("1.6")["ID_USB_INTERFACES"] == ":030101:"


# Cards.


@pytest.mark.parametrize("partitioned", [True, False])
@pytest.mark.parametrize("fs", ["vfat", "exfat", "ext4"])
def test_a_card_of_each_kind_is_read_byte_for_byte(
    machine: Machine, watch: Watch, tmp_path: Path, fs: FileSystem, partitioned: bool
) -> None:
    files = {**FILES, "MISC/a name with ü that is longer than fifteen letters.txt": b"text"}
    image = card(tmp_path / "other.img", files, fs, partitioned=partitioned)
    with ScriptedCamera(image) as camera:
        camera.plug(machine, "1.1")
        root = mounted(machine, watch.wait_volume("1.1"))
        for path, data in files.items():
            assert digest_in(machine, f"{root}/{path}") == hashlib.sha256(data).hexdigest()
        assert machine.sh(f"stat -c %Y {root}/{CLIP}").strip() == "1760000000"
        assert camera.writes == []


# Scripted cameras.


@pytest.mark.parametrize(
    ("serial", "seen"),
    [("BWC77", "BWC77"), (None, None), ("", None), ("S" * 120, "S" * 120), ("a\x01\nb", None), (b"\x00\xd8", None)],
)
def test_any_serial_number_can_be_shown(
    machine: Machine, watch: Watch, image: Path, serial: str | bytes | None, seen: str | None
) -> None:
    with ScriptedCamera(image, Identity(vendor=0x1234, product=0xABCD, serial=serial, firmware=0x0207)) as camera:
        camera.plug(machine, "2.1")
        event = watch.wait_device("2.1")
        assert (event["ID_VENDOR_ID"], event["ID_MODEL_ID"], event["ID_REVISION"]) == ("1234", "abcd", "0207")
        if seen is not None:
            assert event["ID_SERIAL_SHORT"] == seen
        watch.wait_volume("2.1")


def test_a_camera_that_claims_to_be_a_keyboard_too_is_seen_as_both(machine: Machine, watch: Watch, image: Path) -> None:
    with ScriptedCamera(image, Identity(keyboard=True, vendor_interface=True)) as camera:
        camera.plug(machine, "1.2")
        assert watch.wait_device("1.2")["ID_USB_INTERFACES"] == ":080650:ffbc01:030101:"
        watch.wait_volume("1.2")
        machine.sh("until grep -q 'BodyCam 3' /proc/bus/input/devices; do sleep 0.1; done", timeout=20)


def test_a_camera_pulled_while_it_is_read_gives_an_error_and_leaves(
    machine: Machine, watch: Watch, image: Path
) -> None:
    with ScriptedCamera(image) as camera:
        camera.plug(machine, "1.3")
        root = mounted(machine, watch.wait_volume("1.3"))
        camera.pull_at(3 * MIB)
        assert "Input/output error" in errors_of_reading(machine, f"{root}/{CLIP}")
        assert not camera.plugged
        watch.wait_device("1.3", "remove")
        camera.plug()
        watch.wait_volume("1.3")


def hung_reader(machine: Machine, watch: Watch, camera: ScriptedCamera, port: str) -> None:
    """A camera in this port that hangs while a program reads from it."""
    camera.plug(machine, port)
    root = mounted(machine, watch.wait_volume(port))
    camera.hang_at(2 * MIB)
    machine.spawn(f"exec cat {root}/{CLIP} >/dev/null")
    camera.wait(lambda: camera.hung)


def power(machine: Machine, port: str, *, on: bool) -> None:
    hub, number = port.split(".")
    machine.sh(f"echo {int(not on)} >/sys/bus/usb/devices/1-{hub}:1.0/1-{hub}-port{number}/disable")


def test_a_hung_camera_is_freed_by_cutting_its_power(machine: Machine, watch: Watch, image: Path) -> None:
    with ScriptedCamera(image) as camera:
        hung_reader(machine, watch, camera, "1.4")
        assert machine.sh("pkill -KILL -x cat; sleep 1; pgrep -x cat").strip()  # not even a kill ends it
        power(machine, "1.4", on=False)
        watch.wait_device("1.4", "remove")
        machine.sh("while pgrep -x cat; do sleep 0.1; done", timeout=20)
        power(machine, "1.4", on=True)
        watch.wait_volume("1.4")
        assert (camera.hung, camera.power_cycles) == (False, 1)


def test_a_hung_camera_may_come_back_as_hung_as_before(machine: Machine, watch: Watch, image: Path) -> None:
    with ScriptedCamera(image, recovers_on_power_cycle=False) as camera:
        hung_reader(machine, watch, camera, "1.4")
        power(machine, "1.4", on=False)
        watch.wait_device("1.4", "remove")
        power(machine, "1.4", on=True)
        watch.wait_device("1.4")
        assert camera.hung
        camera.unhang()
        watch.wait_volume("1.4")


def test_a_camera_may_never_come_back_from_a_power_cut(machine: Machine, watch: Watch, image: Path) -> None:
    with ScriptedCamera(image, vanishes_after_power_off=True) as camera:
        camera.plug(machine, "1.4")
        watch.wait_volume("1.4")
        power(machine, "1.4", on=False)
        watch.wait_device("1.4", "remove")
        seen = len(watch.so_far())
        power(machine, "1.4", on=True)
        camera.wait(lambda: not camera.plugged)
        machine.sh("sleep 1; udevadm settle")
        assert [event for event in watch.so_far()[seen:] if event["action"] == "add"] == []


def test_a_camera_that_hangs_for_a_moment_goes_on_where_it_was(machine: Machine, watch: Watch, image: Path) -> None:
    with ScriptedCamera(image) as camera:
        hung_reader(machine, watch, camera, "1.4")
        camera.unhang()
        machine.sh("while pgrep -x cat; do sleep 0.1; done", timeout=20)
        assert camera.bytes_read > len(BYTES)


def test_a_block_with_a_medium_error_cannot_be_read_and_the_next_can(
    machine: Machine, watch: Watch, image: Path
) -> None:
    with ScriptedCamera(image) as camera:
        camera.plug(machine, "1.4")
        block = watch.wait_volume("1.4").rstrip("1")
        camera.medium_error(40_000, 8)
        read = f"dd if=/dev/{block} iflag=direct bs=512 count=1 of=/dev/null skip="
        machine.sh(f"{read}39999 && {read}40008")
        with pytest.raises(CommandFailed, match="error"):
            machine.sh(f"{read}40003")
        assert "Medium Error" in machine.sh("dmesg")


def test_a_stall_is_got_over(machine: Machine, watch: Watch, image: Path) -> None:
    with ScriptedCamera(image) as camera:
        camera.plug(machine, "1.4")
        root = mounted(machine, watch.wait_volume("1.4"))
        camera.stall_next()
        assert digest_in(machine, f"{root}/{CLIP}") == hashlib.sha256(BYTES).hexdigest()
        assert not camera.medium.stall


def test_a_slow_camera_is_slow(machine: Machine, watch: Watch, image: Path) -> None:
    with ScriptedCamera(image) as camera:
        camera.plug(machine, "1.4")
        block = watch.wait_volume("1.4")
        camera.slow(MIB)
        begun = time.monotonic()
        machine.sh(f"dd if=/dev/{block} iflag=direct bs=64k count=48 of=/dev/null")
        assert time.monotonic() - begun > 2.9


def test_a_write_protected_camera_takes_no_changes(machine: Machine, watch: Watch, image: Path) -> None:
    with ScriptedCamera(image, write_protected=True) as camera:
        camera.plug(machine, "1.4")
        block = watch.wait_volume("1.4")
        assert machine.sh(f"cat /sys/class/block/{block.rstrip('1')}/ro").strip() == "1"
        root = mounted(machine, block, "rw")  # mount says a warning and mounts it read-only
        with pytest.raises(CommandFailed, match="Read-only file system"):
            machine.sh(f"touch {root}/NEW.TXT")
        assert camera.writes == []


def test_what_is_written_is_counted_and_lands_on_the_card(machine: Machine, watch: Watch, image: Path) -> None:
    with ScriptedCamera(image) as camera:
        camera.plug(machine, "1.4")
        root = mounted(machine, watch.wait_volume("1.4"), "rw")
        machine.sh(f"echo new >{root}/NEW.TXT && umount {root}")
        assert camera.writes
        assert camera.bytes_written >= 512
        assert b"new\n" in image.read_bytes()


def test_a_lie_about_its_size_is_believed_until_it_is_read(machine: Machine, watch: Watch, image: Path) -> None:
    with ScriptedCamera(image) as camera:
        camera.lie_about_capacity(1 << 33)
        camera.plug(machine, "1.4")
        block = watch.wait_volume("1.4").rstrip("1")
        assert machine.sh(f"cat /sys/class/block/{block}/size").strip() == str(1 << 33)
        with pytest.raises(CommandFailed, match="error"):
            machine.sh(f"dd if=/dev/{block} bs=512 count=1 skip={1 << 32} of=/dev/null iflag=direct")


def test_a_camera_comes_back_as_another_device(machine: Machine, watch: Watch, image: Path) -> None:
    with ScriptedCamera(image) as camera:
        camera.plug(machine, "1.4")
        watch.wait_volume("1.4")
        camera.re_enumerate(product=0xBEEF, firmware=0x0320)
        watch.wait_device("1.4", "remove")
        event = watch.wait_device("1.4")
        assert (event["ID_MODEL_ID"], event["ID_REVISION"]) == ("beef", "0320")


UNLOCK = """
import fcntl, os, struct, sys
device = os.open(sys.argv[1], os.O_RDWR)
fcntl.ioctl(device, 0xC0185500, struct.pack("<BBHHHIQ", 0x40, 0x51, 0, 0, 0, 2000, 0))
"""
"""One control transfer, by usbfs (USBDEVFS_CONTROL)."""


def test_a_locked_camera_shows_its_storage_once_asked(machine: Machine, watch: Watch, image: Path) -> None:
    with ScriptedCamera(image, locked=True) as camera:
        camera.plug(machine, "1.4")
        event = watch.wait_device("1.4")
        assert (event["ID_MODEL_ID"], event["ID_USB_INTERFACES"]) == ("bc00", ":ffbc01:")
        machine.put("/run/unlock.py", UNLOCK.encode())
        machine.run("python3", "/run/unlock.py", event["DEVNAME"])
        watch.wait_volume("1.4")
        assert camera.vendor_requests == [(0x40, 0x51, 0, 0, b"")]
        assert watch.so_far()[-1]["ID_MODEL_ID"] == "bc01"


def test_a_loose_contact_leaves_a_working_port(machine: Machine, watch: Watch, image: Path) -> None:
    with ScriptedCamera(image) as camera:
        camera.plug(machine, "1.4")
        watch.wait_volume("1.4")
        camera.pull()
        begun = time.monotonic()
        camera.flap(200, 0.05)
        assert time.monotonic() - begun < 20
        camera.plug()
        watch.wait_volume("1.4")


def test_sixteen_cameras_at_once_are_all_there_and_whole(machine: Machine, tmp_path: Path) -> None:
    watch = Watch(machine)
    cameras = []
    try:
        for number in range(len(HUB_PORTS)):
            image = card(tmp_path / f"{number}.img", {CLIP: bytes([number]) * 300_000}, megabytes=64)
            cameras.append(ScriptedCamera(image, Identity(serial=f"CAM{number}")))
        for camera, port in zip(cameras, HUB_PORTS, strict=True):
            camera.plug(machine, port)
        blocks = watch.wait_volumes(HUB_PORTS, 120)
        for number, port in enumerate(HUB_PORTS):
            root = mounted(machine, blocks[port])
            assert machine.sh(f"head -c 1 {root}/{CLIP} | od -An -tu1").strip() == str(number)
    finally:
        for camera in cameras:
            camera.close()
