"""The agent is killed, or the whole station loses its power, at its worst moments; what comes after repairs it all."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.depot import LabDepot
from tests.lab.machine import Machine
from tests.lab.recipe import mount_spool, resting, start
from tests.lab.states import serving as state_of
from tests.lab.station import Docked, Station, footage

pytestmark = [pytest.mark.lab, pytest.mark.soak]

MIB = 1 << 20
CLIPS = {"DCIM/A.MP4": footage(61, 5), "DCIM/B.MP4": footage(62, 5)}
Strike = Callable[[Station], None]


def kill_agent(station: Station) -> None:
    pid = station.machine.sh("systemctl show -p MainPID --value dock-agent").strip()
    station.machine.sh(f"kill -{signal.SIGKILL.value} {pid}")


@pytest.fixture
def lost_power(depot: LabDepot, tmp_path: Path) -> Iterator[Strike]:
    """Cut the station's power, and go on in a machine that starts anew with the same disk."""
    machines: list[Machine] = []

    def cut(station: Station) -> None:
        station.machine.power_off()
        again = Machine.restore(state_of(resting), tmp_path / "again", depot.port, disk=station.machine.disk)
        machines.append(again)
        mount_spool(again)
        start(again)
        station.machine = again
        station.attach()

    yield cut
    for machine in machines:
        machine.close()


def in_mid_copy(station: Station, camera: Docked) -> None:
    assert camera.scripted is not None
    camera.scripted.slow(2 * MIB)
    station.dock(camera, "3")
    camera.scripted.wait(lambda: camera.scripted is not None and camera.scripted.bytes_read > 3 * MIB, 60)


def in_mid_upload(station: Station, camera: Docked) -> None:
    station.depot.stop()
    station.dock(camera, "3")
    station.until(lambda: {c["state"] for c in station.clips("BWC1")} == {"spooled"}, "all is in the spool")
    station.depot.start()
    station.act("retry")
    station.until(lambda: len(list((station.depot.directory / "objects").glob("*"))) >= 1, "something has arrived")


def in_mid_wipe(station: Station, camera: Docked) -> None:
    assert camera.scripted is not None
    station.dock(camera, "3")
    camera.scripted.wait(lambda: camera.scripted is not None and camera.scripted.bytes_written > 0, 90)


MOMENTS = {"copy": in_mid_copy, "upload": in_mid_upload, "wipe": in_mid_wipe}


def recovers(station: Station, camera: Docked) -> None:
    station.until_advice("3", "take", "the camera is clear", within_s=120)
    assert camera.digests <= station.depot.held()
    assert {c["state"] for c in station.clips("BWC1")} == {"confirmed"}
    station.until(lambda: station.get("health")["ok"], "nothing is left that a person should look at")
    station.undock(camera)
    assert station.names_on(camera) == set()
    assert station.spool_is_clean()
    assert "holds" in station.machine.sh("dock-agent custody verify", timeout=90, check=False).lower()


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_agent_killed_at_its_worst_moment_goes_on(station: Station, moment: str) -> None:
    camera = station.camera("BWC1", CLIPS)
    MOMENTS[moment](station, camera)
    kill_agent(station)
    assert camera.scripted is not None
    camera.scripted.slow(None)
    recovers(station, camera)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_station_without_power_at_its_worst_moment_goes_on(station: Station, lost_power: Strike, moment: str) -> None:
    camera = station.camera("BWC1", CLIPS)
    MOMENTS[moment](station, camera)
    assert camera.scripted is not None
    camera.scripted.pull()
    camera.scripted.slow(None)
    lost_power(station)
    assert station.read_card(camera.image) | station.depot.held() >= camera.digests
    station.dock(camera, "3")
    recovers(station, camera)
