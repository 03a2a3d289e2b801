"""The power goes while dpkg puts a later version on: nothing is lost, and nothing runs of which only half is there."""

import hashlib
from pathlib import Path

import pytest

from tests.lab.depot import LabDepot
from tests.lab.machine import NO_STORE, Machine
from tests.lab.packaged import DPKG_S, begin, installed
from tests.lab.recipe import STATE_DIR
from tests.lab.station import Station, footage
from tests.package.packages import NEXT, contents, deb, next_version

pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.timeout(1800)]

LIB = "/usr/lib/dock-agent"
LATER = "/opt/later.deb"
UNSENT = footage(81, 3)
OLD_ONE_STOPS = "while systemctl is-active -q dock-agent; do sleep 0.05; done"
IT_IS_COMPILED = "until pgrep -x py3compile; do sleep 0.1; done; sleep 2"


def files_change(package: Path) -> str:
    """Until dpkg, which has unpacked everything beside the old files, has renamed about half of the agent's.

    Renaming takes a fraction of a second, so dpkg is held there. Then what was renamed is brought to the disk, as it is
    when the journal is written in this moment, which happens every five seconds.
    """
    files = [path for path, mode in contents(package).items() if mode.startswith("-")]
    ours = [path for path in files if path.startswith(f"{LIB}/agent/")]
    unpacked, half = f"{files[-1]}.dpkg-new", f"{ours[len(ours) // 2]}.dpkg-new"
    return (
        f"until [ -e {unpacked} ]; do sleep 0.05; done; dpkg=$(pgrep -ox dpkg)"
        f"; while [ -e {half} ]; do :; done; kill -STOP $dpkg; sync"
    )


def cut_in_mid_upgrade(machine: Machine, moment: str) -> None:
    """Begin to put the later version on; the guest's power goes at this moment."""
    machine.spawn(f"{moment}; echo b > /proc/sysrq-trigger")
    machine.spawn(f"dpkg -i {LATER} > /var/log/upgrade.log 2>&1")
    machine.wait_end(DPKG_S)
    machine.close()


def modules(machine: Machine) -> tuple[int, int]:
    """How many of the agent's modules are of the later version, and how many are not."""
    every = int(machine.sh(f"find {LIB}/agent -name '*.py' | wc -l"))
    later = int(machine.sh(f"grep -rl --include='*.py' '^# {NEXT}' {LIB}/agent | wc -l"))
    return later, every - later


def spooled(machine: Machine) -> set[str]:
    """The digests of everything in the spool, of its bytes as they lie there."""
    told = machine.sh(f"find {STATE_DIR}/spool -type f -size +1M -exec sha256sum {{}} +")
    return {line.split()[0] for line in told.splitlines()}


def property_of(machine: Machine, name: str) -> str:
    """What systemd says of the agent."""
    return machine.sh(f"systemctl show --value -p {name} dock-agent").strip()


def test_an_upgrade_that_three_power_cuts_stop_ends_well_and_nothing_was_lost(depot: LabDepot, tmp_path: Path) -> None:
    state, digest = installed(deb()), hashlib.sha256(UNSENT).hexdigest()
    package = next_version(deb(), tmp_path)

    with Machine.boot(state, tmp_path / "first", NO_STORE) as machine:
        begin(machine)
        station = Station(machine, depot, tmp_path)
        try:
            camera = station.camera("BWC1", {"DCIM/A.MP4": UNSENT})
            station.dock(camera, "12")
            station.until(lambda: [c["state"] for c in station.clips()] == ["spooled"], "the clip is spooled", 120)
        finally:
            station.close()
        machine.put(LATER, package.read_bytes())
        machine.sh("sync")
        cut_in_mid_upgrade(machine, OLD_ONE_STOPS)

    left = machine.left(state)
    with Machine.boot(left, tmp_path / "second", NO_STORE) as machine:
        begin(machine)  # the old version, of which nothing was touched
        later, earlier = modules(machine)
        assert (later, earlier > 0) == (0, True)
        assert spooled(machine) == {digest}
        cut_in_mid_upgrade(machine, files_change(package))

    left = machine.left(left)
    with Machine.boot(left, tmp_path / "third", NO_STORE) as machine:
        machine.sh("until systemctl is-failed dock-agent; do sleep 0.2; done")
        assert property_of(machine, "ExecMainStatus") == "78"
        assert machine.sh("pgrep -fa '[a]gent.helper' || true") == ""
        later, earlier = modules(machine)
        assert later > 0 < earlier, "no mixture of two versions: the cut came at another moment"
        assert spooled(machine) == {digest}
        cut_in_mid_upgrade(machine, IT_IS_COMPILED)

    with Machine.boot(machine.left(left), tmp_path / "fourth", depot.port) as machine:
        later, earlier = modules(machine)
        assert (later > 0, earlier) == (True, 0)
        assert "dock-agent" in machine.sh("dpkg --audit"), "the cut came too late"
        assert spooled(machine) == {digest}
        machine.sh("dpkg --configure -a", timeout=DPKG_S)
        assert machine.sh("dpkg --audit") == ""
        begin(machine)
        station = Station(machine, depot, tmp_path)
        try:
            station.until(lambda: digest in depot.held(), "the clip is in the store", 120)
        finally:
            station.close()
        assert machine.sh("dock-agent --version").strip() == f"dock-agent {NEXT}"
        assert "holds" in machine.sh("dock-agent custody verify", timeout=90).lower()
