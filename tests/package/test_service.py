"""The installed package under a running systemd, on a machine that has no network."""

import re
import time
from functools import partial

import pytest

from tests.package.container import Container, until
from tests.package.packages import UPSTREAM, deb
from tests.package.station import AGENT, configure, dock_folder, footage, install, status, until_confirmed

pytestmark = [pytest.mark.package, pytest.mark.timeout(600)]

HELPER = "dock-helper.socket"
INSTALL_S = 30
RSS_BYTES = 100 << 20
FILES = {"A.MP4": footage(1, 3_000_000), "B.MP4": footage(2, 70_000)}


def has_restarted(station: Container, times: int) -> bool:
    return station.show(AGENT, "NRestarts") == str(times)


def test_a_fresh_install_says_how_to_go_on_and_then_takes_a_camera_in(machine: Container) -> None:
    begun = time.monotonic()
    said = install(machine, deb())
    took_s = time.monotonic() - begun
    assert "not configured yet" in said
    assert took_s < INSTALL_S * 2, "longer than it may take, even beside other work"
    assert machine.show(AGENT, "ActiveState") == "active"
    assert status(machine).startswith("Not configured yet: run dock-agent setup.")
    assert machine.sh(f"systemctl is-enabled {AGENT} {HELPER}").split() == ["enabled", "enabled"]
    assert machine.show(HELPER, "ActiveState") == "active"
    assert machine.run("systemctl is-enabled dock-depot").stdout.strip() == "disabled"
    assert machine.show("dock-depot", "ActiveState") == "inactive"
    assert machine.sh("dock-agent --version") == f"dock-agent {UPSTREAM}"

    configure(machine)
    dock_folder(machine, FILES)
    until_confirmed(machine, FILES)
    machine.sh("dock-agent custody verify")
    assert machine.sh("systemctl list-units --state=failed --no-legend 'dock-*'") == ""
    rss_kb = int(machine.sh(f"ps -o rss= -p {machine.show(AGENT, 'MainPID')}"))
    assert rss_kb * 1024 <= RSS_BYTES
    assert machine.sh("stat -c '%U %a' /var/lib/dock-agent /var/lib/dock-depot").splitlines() == [
        "dock-agent 750",
        "dock-depot 750",
    ]


def test_a_service_that_stands_still_or_is_killed_comes_back(station: Container) -> None:
    station.put(f"/etc/systemd/system/{AGENT}.d/quick.conf", "[Service]\nWatchdogSec=6\nRestartSec=1\n")
    station.sh(f"systemctl daemon-reload && systemctl restart {AGENT}")
    until(lambda: status(station).startswith("Serving"), "the service did not begin to serve")
    time.sleep(8)
    assert station.show(AGENT, "NRestarts") == "0", "a service that is well was taken for dead"

    pid = station.show(AGENT, "MainPID")
    station.sh(f"kill -STOP {pid}")
    until(lambda: station.show(AGENT, "NRestarts") == "1", "nobody noticed that the service stood still")
    assert "watchdog" in station.sh(f"journalctl -q -u {AGENT}").lower()
    for number in (2, 3, 4):
        until(lambda: status(station).startswith("Serving"), "the service did not come back")
        station.sh(f"systemctl kill --kill-whom=main -s KILL {AGENT}")
        until(partial(has_restarted, station, number), "it was not started again")
    until(lambda: status(station).startswith("Serving"), "the service did not come back")
    dock_folder(station, FILES)
    until_confirmed(station, FILES)
    limits = station.sh(f"cat /proc/{station.show(AGENT, 'MainPID')}/limits")
    assert re.search(r"(?m)^Max core file size +0 +0 ", limits), "a core would hold footage or keys"


def test_a_configuration_that_is_wrong_stops_the_service_with_words(station: Container) -> None:
    station.put("/etc/dock-agent/conf.d/wrong.toml", "[confirm]\ncopies = 0\n")
    station.run(f"systemctl restart {AGENT}")
    until(lambda: station.show(AGENT, "ActiveState") == "failed", "it goes on with a configuration that is wrong")
    assert station.show(AGENT, "ExecMainStatus") == "78"
    assert "confirm.copies" in station.sh(f"journalctl -q -u {AGENT}")
    station.sh(f"rm /etc/dock-agent/conf.d/wrong.toml && systemctl restart {AGENT}")
    until(lambda: status(station).startswith("Serving"), "the service did not begin to serve")
