"""How long a station takes to be there, and how much memory it needs then; docs/benchmarks.md has the figures."""

import sys
import time

import pytest

from tests.package.container import Container, until
from tests.package.packages import deb
from tests.package.station import AGENT, configure, install, status

pytestmark = [pytest.mark.package, pytest.mark.timeout(600)]

INSTALL_S, BOOT_S, RSS_MB = 30, 3, 100
BESIDE_OTHER_WORK = 3
"""Tests share the machine: a figure that is so many times too large fails them, and no smaller one."""
IDLE_S = 10


def test_a_station_is_installed_booted_and_idle_within_its_bars(
    machine: Container, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = time.monotonic()
    install(machine, deb())
    install_s = time.monotonic() - begun
    configure(machine)

    machine.reboot()
    until(lambda: status(machine).startswith("Serving"), "the service did not begin to serve")
    # READY=1 comes once bays are looked at, and systemd then calls the service active.
    kernel_us = int(machine.sh("systemctl show --value -p UserspaceTimestampMonotonic"))
    started_us = int(machine.show(AGENT, "ExecMainStartTimestampMonotonic"))
    ready_us = int(machine.show(AGENT, "ActiveEnterTimestampMonotonic"))
    boot_s, own_s = (ready_us - kernel_us) / 1e6, (ready_us - started_us) / 1e6

    time.sleep(IDLE_S)
    rss_mb = int(machine.sh(f"ps -o rss= -p {machine.show(AGENT, 'MainPID')}")) / 1024
    with capsys.disabled():
        sys.stdout.write(
            f"\npackage: install {install_s:.1f} s (bar {INSTALL_S}), systemd to ready {boot_s:.2f} s (bar {BOOT_S}), "
            f"of them the service {own_s:.2f} s, idle {rss_mb:.0f} MB (bar {RSS_MB})\n"
        )
    assert install_s < INSTALL_S * BESIDE_OTHER_WORK
    assert 0 < own_s < boot_s < BOOT_S * BESIDE_OTHER_WORK
    assert rss_mb < RSS_MB
