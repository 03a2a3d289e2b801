"""Who may do what: the processes as they run, not as their units promise."""

import pytest

from tests.lab.station import Station, footage

pytestmark = pytest.mark.lab

SYS_ADMIN = 1 << 21
DAC_OVERRIDE, FOWNER = 1 << 1, 1 << 3


def capabilities(station: Station, pid: str) -> dict[str, int]:
    status = station.machine.sh(f"cat /proc/{pid}/status")
    return {
        line.split(":")[0]: int(line.split()[1], 16)
        for line in status.splitlines()
        if line.startswith(("CapPrm", "CapEff", "CapBnd", "CapAmb"))
    }


def main_pid(station: Station, unit: str) -> str:
    return station.machine.sh(f"systemctl show -p MainPID --value {unit}").strip()


def test_neither_agent_nor_reader_can_mount_or_open_a_disk(station: Station) -> None:
    plain, ext4 = station.camera("BWC1"), station.camera("BWC2", {"DCIM/A.MP4": footage(71, 1)}, "ext4")
    station.configure(wiping=False)
    station.dock(plain, "3")
    station.dock(ext4, "4")
    for bay in ("3", "4"):
        station.until_advice(bay, "take, footage still aboard", "was not cleared")
    pids = {
        "agent": main_pid(station, "dock-agent"),
        "reader": main_pid(station, "dock-reader@3"),
        "ext4 reader": main_pid(station, "dock-reader-ext4@4"),
    }
    allowed = {"agent": 0, "reader": 0, "ext4 reader": DAC_OVERRIDE | FOWNER}
    for name, pid in pids.items():
        for kind, bits in capabilities(station, pid).items():
            assert bits & ~allowed[name] == 0, (name, kind)
            assert bits & SYS_ADMIN == 0, (name, kind)
        assert "NoNewPrivs:\t1" in station.machine.sh(f"cat /proc/{pid}/status"), name
        opened = station.machine.sh(f"ls -l /proc/{pid}/fd | awk '{{print $NF}}'")
        assert "/dev/sd" not in opened, name
        assert "/dev/bus/usb" not in opened, name
        # Not even with the rights of root would its namespace show it a disk.
        seen = station.machine.sh(f"ls /proc/{pid}/root/dev")
        assert "sda" not in seen.split(), name
    assert "/run/dock-media/3" not in station.machine.sh(f"cat /proc/{pids['ext4 reader']}/mounts")
    assert station.machine.sh(f"ls /proc/{pids['reader']}/root/var/lib 2>/dev/null | wc -l").strip() == "0"
    # A reader has no network but its own empty one.
    assert station.machine.sh(f"nsenter -t {pids['reader']} -n ip -o link").strip().startswith("1: lo")
    assert len(station.machine.sh(f"nsenter -t {pids['reader']} -n ip -o link").strip().splitlines()) == 1


def test_the_helper_serves_nobody_but_the_agent(station: Station) -> None:
    ask = (
        "import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET);"
        ' s.connect(\'/run/dock-helper.sock\'); s.send(b\'{"id":1,"verb":"guard"}\'); print(s.recv(4096))'
    )
    refused = station.machine.sh(f'setpriv --reuid=dock-reader --clear-groups python3 -c "{ask}" 2>&1', check=False)
    assert "PermissionError" in refused
    # In the group, so that the socket lets it come near: then its user is looked at.
    refused = station.machine.sh(
        f'setpriv --reuid=dock-reader --regid=dock-agent --clear-groups python3 -c "{ask}" 2>&1', check=False
    )
    assert '"ok"' not in refused  # a broken pipe is a refusal as well


def test_a_camera_is_mounted_so_that_nothing_on_it_can_act(station: Station) -> None:
    station.configure(wiping=False)
    camera = station.camera("BWC1")
    station.dock(camera, "3")
    station.until_advice("3", "take, footage still aboard", "was not cleared")
    line = next(m for m in station.machine.sh("cat /proc/mounts").splitlines() if "/run/dock-media/3/" in m)
    options = set(line.split()[3].split(","))
    assert {"ro", "nosuid", "nodev", "noexec", "nosymfollow"} <= options
    block = line.split()[0].removeprefix("/dev/")
    assert station.machine.sh(f"cat /sys/class/block/{block}/ro /sys/class/block/{block[:3]}/ro").split() == ["1", "1"]
