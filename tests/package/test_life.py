"""A station comes to rest and goes on, and what happens when somebody puts an older version back."""

import time

import pytest

from tests.package.container import Container, until
from tests.package.station import AGENT, STATE, dock_folder, footage, status, until_confirmed

pytestmark = [pytest.mark.package, pytest.mark.timeout(600)]

FILES = {"A.MP4": footage(31, 300_000)}
LEDGER = f"{STATE}/ledger.sqlite"
RESTARTS_S = 5
_NEWER = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('PRAGMA user_version = 9999'); c.commit()"


def test_a_station_rests_goes_on_and_refuses_the_ledger_of_a_newer_version_once(station: Container) -> None:
    assert station.sh("stat -c '%U %a' /etc/dock-agent/depot.credential") == "dock-agent 600"
    assert "Ready for reboot." in station.sh("dock-agent drain --reason patching")
    dock_folder(station, FILES)
    time.sleep(2)
    assert station.sh("dock-agent clips --json") == "[]", "a drained station began something new"
    station.sh("dock-agent drain --undo")
    until_confirmed(station, FILES)

    station.sh(f'systemctl stop {AGENT} && runuser -u dock-agent -- python3 -c "{_NEWER}" {LEDGER}')
    before = station.sh(f"sha256sum {LEDGER}")
    station.run(f"systemctl start {AGENT}")
    until(lambda: station.show(AGENT, "ActiveState") == "failed", "an older version works with a newer ledger")
    assert station.show(AGENT, "ExecMainStatus") == "78"
    time.sleep(2 * RESTARTS_S)
    assert (station.show(AGENT, "ActiveState"), station.show(AGENT, "NRestarts")) == ("failed", "0")
    assert "Install the newer dock-agent again" in station.sh(f"journalctl -q -u {AGENT}")
    assert station.sh(f"sha256sum {LEDGER}") == before
    assert not status(station).startswith("Serving")
