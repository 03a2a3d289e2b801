"""unattended-upgrades with the examples that come with the package: in a window, at rest, and serving again."""

import re
from pathlib import Path

import pytest

from tests.package.base import LATER_FOLDER
from tests.package.container import Container, until
from tests.package.packages import NEXT, UPSTREAM, deb, next_version
from tests.package.repository import Key, Repository, source
from tests.package.station import AGENT, dock_simulated, events, footage, install, status, until_confirmed

pytestmark = [pytest.mark.package, pytest.mark.timeout(900)]

EXAMPLES = "/usr/share/doc/dock-agent/examples/patching"
UPGRADE = "apt-daily-upgrade"
FILES = {"A.MP4": footage(7, 8_000_000)}
RATE_BYTES_S = 400_000


def place(station: Container) -> list[str]:
    """Each example where its first line says that it belongs; those places."""
    places = []
    for path in (station.root / EXAMPLES.lstrip("/")).iterdir():
        text = path.read_text("utf-8")
        found = re.match(r"(?:#|//) (/etc/\S+):", text)
        assert found, path.name
        station.put(found[1], source(text, "stable"))
        places.append(found[1])
    station.sh("systemctl daemon-reload")
    return places


def test_a_station_is_patched_at_rest_and_serves_again(station: Container, tmp_path: Path) -> None:
    station.sh(f"apt-get install -y --no-install-recommends {LATER_FOLDER}/*.deb", seconds=240)
    with Key() as key:
        repository = Repository(tmp_path / "published", key)
        repository.do("add", next_version(deb(), tmp_path), "--suite", "stable")
        repository.bring_to(station)
    places = place(station)
    assert len(places) == 5

    for path in places:
        if "apt.conf.d" in path:
            assert '"origin=dock-agent"' in station.sh(f"apt-config dump -c {path}")
    window = station.show(f"{UPGRADE}.timer", "TimersCalendar")
    assert window.count("OnCalendar=") == 1
    assert "OnCalendar=Tue..Thu *-*-* 10:00:00" in window
    said = station.sh("apt-get update && unattended-upgrade --dry-run --debug 2>&1", seconds=240)
    assert re.search(r"(?m)^Packages that will be upgraded: .*\bdock-agent\b", said), said
    assert station.sh("dock-agent --version") == f"dock-agent {UPSTREAM}"

    # A station that cannot say that it is at rest is not patched.
    pid = station.show(AGENT, "MainPID")
    station.sh(f"kill -STOP {pid}")
    assert station.run(f"systemctl start {UPGRADE}.service", seconds=300).returncode != 0
    station.run(f"kill -CONT {pid}")
    assert station.sh("dock-agent --version") == f"dock-agent {UPSTREAM}"
    until(lambda: status(station).startswith("Serving"), "the service does not serve", seconds=120)

    dock_simulated(station, FILES, serial="SLOW1", model="slow", rate_bytes_s=RATE_BYTES_S)
    until(
        lambda: station.run("find /var/lib/dock-agent/spool -size +100k | grep -q .").returncode == 0, "no copy began"
    )
    station.sh(f"systemctl start {UPGRADE}.service", seconds=300)
    assert station.sh("dock-agent --version") == f"dock-agent {NEXT}", station.sh(
        "cat /var/log/unattended-upgrades/*.log"
    )
    until(lambda: status(station).startswith("Serving"), "the new version does not serve")
    until_confirmed(station, FILES, seconds=150)
    told = events(station)
    drained = told.index("station.drained")
    assert told.index("station.drain_asked") < drained < len(told) - told[::-1].index("agent.stopped")
    assert told.index("clip.spooled") > drained, "the upgrade came too late to fall into the copy"


def test_a_station_that_needs_no_patch_serves_on_afterwards(station: Container) -> None:
    place(station)
    station.sh("rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*")
    station.sh(f"systemctl start {UPGRADE}.service", seconds=300)
    told = events(station)
    assert told.index("station.drain_asked") < told.index("station.drained") < told.index("station.drain_ended")
    until(lambda: status(station).startswith("Serving"), "the service does not serve")


def test_a_station_without_a_configuration_is_patched_too(machine: Container) -> None:
    install(machine, deb())
    place(machine)
    machine.sh(f"systemctl start {UPGRADE}.service", seconds=300)
