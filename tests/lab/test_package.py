"""The package in a machine: put on a bare Debian by dpkg, with real udev, its own units, users and rules."""

import re
from pathlib import Path

import pytest

from tests.lab.depot import LabDepot
from tests.lab.machine import Machine, State
from tests.lab.packaged import begin, installed
from tests.lab.station import Docked, Station, footage
from tests.package.packages import deb
from tests.package.test_rights import MOST

pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.timeout(1800)]

MIB = 1 << 20
CAP_SYS_ADMIN = 21
ANALYZE_S = 120


@pytest.fixture(scope="module")
def state() -> State:
    return installed(deb())


def may_administer(machine: Machine, unit: str) -> bool:
    """Whether the unit's main process has, or could ever get, what mounting takes."""
    pid = machine.sh(f"systemctl show -p MainPID --value {unit}").strip()
    assert pid != "0", f"{unit} does not run"
    sets = re.findall(r"(?m)^Cap(?:Inh|Prm|Eff|Bnd|Amb):\s*(\w+)$", machine.sh(f"cat /proc/{pid}/status"))
    assert len(sets) == 5
    return any(int(each, 16) >> CAP_SYS_ADMIN & 1 for each in sets)


def exposure(machine: Machine, unit: str) -> float:
    """How much systemd finds open in a unit as it is loaded; 10 is everything."""
    told = machine.sh(f"systemd-analyze security --no-pager {unit}", timeout=ANALYZE_S)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told)
    assert found is not None, told
    return float(found[1])


def is_cleared(station: Station, camera: Docked, bay: str) -> None:
    station.until_advice(bay, "take", "the camera is clear", within_s=180)
    assert camera.digests <= station.depot.held()
    station.undock(camera)
    assert station.names_on(camera) == set()


def test_a_packaged_station_does_its_work_and_goes_on_after_a_reboot_with_a_camera_in_its_bay(
    state: State, depot: LabDepot, tmp_path: Path
) -> None:
    with Machine.boot(state, tmp_path / "first", depot.port) as machine:
        begin(machine)
        station = Station(machine, depot, tmp_path)
        try:
            is_shut_in_while_it_reads(station)
            hangs_and_is_freed_by_its_port(station)
            machine.shut_down()

            waiting = station.camera("BWC3", {"DCIM/C.MP4": footage(73, 3)})
            scripted = waiting.scripted
            assert scripted is not None
            with Machine.boot(
                machine.left(state),
                tmp_path / "second",
                depot.port,
                lambda again: scripted.plug(again, station.ports["3"]),
            ) as again:
                begin(again)
                station.machine = again
                station.attach()
                is_cleared(station, waiting, "3")
                assert {clip["state"] for clip in station.clips()} == {"confirmed"}
                assert {clip["camera"] for clip in station.clips()} == {"BWC1", "BWC2", "BWC3"}
                assert "holds" in again.sh("dock-agent custody verify", timeout=90).lower()
                assert again.sh("systemctl list-units --no-legend --state=failed 'dock-*'") == ""
        finally:
            station.close()


def is_shut_in_while_it_reads(station: Station) -> None:
    """A camera that is read slowly, so that its reader can be looked at."""
    machine = station.machine
    camera = station.camera("BWC1", {"DCIM/A.MP4": footage(71, 4)})
    assert camera.scripted is not None
    camera.scripted.slow(MIB // 8)
    station.dock(camera, "12")
    camera.scripted.wait(lambda: camera.scripted is not None and camera.scripted.bytes_read > MIB, 120)
    units = ("dock-agent.service", "dock-helper.service", "dock-reader@12.service")
    rights = {unit: may_administer(machine, unit) for unit in units}
    assert rights == {"dock-agent.service": False, "dock-helper.service": True, "dock-reader@12.service": False}
    for unit in units:
        assert exposure(machine, unit) <= MOST[unit.replace("@12.", "@.")], unit
    camera.scripted.slow(None)
    is_cleared(station, camera, "12")


def hangs_and_is_freed_by_its_port(station: Station) -> None:
    camera = station.camera("BWC2", {"DCIM/B.MP4": footage(72, 6)})
    assert camera.scripted is not None
    camera.scripted.hang_at(3 * MIB)
    station.dock(camera, "3")
    is_cleared(station, camera, "3")
    assert camera.scripted.power_cycles == 1
    assert [event["bay"] for event in station.events("camera.power_cut")] == ["3"]
