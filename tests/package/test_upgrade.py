"""A later version over this one, and what stays when the package goes."""

from pathlib import Path

import pytest

from tests.package.container import Container, until
from tests.package.packages import NEXT, deb, next_version
from tests.package.station import (
    AGENT,
    STATE,
    clips,
    dock_folder,
    dock_simulated,
    events,
    footage,
    install,
    status,
    until_confirmed,
)

pytestmark = [pytest.mark.package, pytest.mark.timeout(600)]

LIB = "/usr/lib/dock-agent"
CONFFILE = "/etc/default/dock-depot"
FILES = {"A.MP4": footage(3, 200_000)}
LONG = {"LONG.MP4": footage(4, 8_000_000)}
RATE_BYTES_S = 400_000
"""A camera so slow that an upgrade falls into the middle of its clip: twenty seconds for it."""


def test_an_upgrade_in_mid_offload_keeps_what_was_edited_and_every_clip(station: Container, tmp_path: Path) -> None:
    edited = station.sh(f"cat {CONFFILE}") + "\n# Edited here.\n"
    station.put(CONFFILE, edited)
    configuration = station.sh("cat /etc/dock-agent/agent.toml")
    dock_simulated(station, LONG, serial="SLOW1", model="slow", rate_bytes_s=RATE_BYTES_S)
    until(lambda: station.run(f"find {STATE}/spool -size +100k | grep -q .").returncode == 0, "no copy began")
    before = station.show(AGENT, "MainPID")
    depot = station.show("dock-depot", "MainPID")

    install(station, next_version(deb(), tmp_path))

    assert station.sh("dock-agent --version") == f"dock-agent {NEXT}"
    assert station.sh(f"cat {CONFFILE}") == edited.strip()
    assert station.run(f"test -e {CONFFILE}.dpkg-dist").returncode == 0
    assert station.sh("cat /etc/dock-agent/agent.toml") == configuration
    until(lambda: status(station).startswith("Serving"), "the new version did not begin to serve")
    assert station.show(AGENT, "MainPID") != before
    assert station.show("dock-depot", "MainPID") not in {"0", depot}, (
        "the depot still runs the old version, or not at all"
    )
    until_confirmed(station, LONG, seconds=150)
    told = events(station)
    assert told.index("agent.stopped") < told.index("clip.spooled"), "the upgrade came too late to fall into the copy"
    assert station.sh("systemctl is-enabled dock-agent") == "enabled"
    assert station.sh(f"find /usr/lib/dock-agent -name '*.pyc' -newer {CONFFILE} | head -1") != ""


def test_files_that_may_be_of_two_versions_do_not_run_until_the_package_is_whole_again(station: Container) -> None:
    station.sh("systemctl enable dock-depot")
    # As a power cut leaves it that falls between preinst and postinst.
    station.sh(f"systemctl stop dock-agent && touch {LIB}/unfinished")
    station.reboot()
    until(lambda: station.show("dock-depot", "ActiveState") == "failed", "the depot was let start")
    until(lambda: station.show(AGENT, "ActiveState") == "failed", "the agent was let start")
    assert station.show(AGENT, "ExecMainStatus") == "78"
    assert "the installation is not finished" in station.run("dock-agent custody verify").stderr
    assert station.run(f"{LIB}/python agent.helper").returncode == 78
    whole = station.sh(f"find {LIB} -name '*.pyc' -size +16k | head -n 1")
    station.sh(f"truncate -s 4096 {whole}")

    station.sh(f"dpkg -i /opt/{deb().name}", seconds=180)

    assert station.run(f"test -e {LIB}/unfinished").returncode != 0
    assert station.run(f"find {whole} -size +16k").stdout != "", "byte code that cannot be loaded was left"
    until(lambda: status(station).startswith("Serving"), "the agent did not start again")
    assert station.sh("systemctl is-active dock-depot") == "active"
    dock_folder(station, FILES)
    until_confirmed(station, FILES)


def test_removing_and_purging_keep_footage_log_and_keys(station: Container) -> None:
    station.sh("systemctl kill --kill-whom=main -s STOP dock-depot")  # so that what is docked stays unconfirmed
    dock_folder(station, FILES)
    until(lambda: [clip["state"] for clip in clips(station)] == ["spooled"], "the clip was not spooled")

    station.sh("apt-get remove -y dock-agent")
    assert station.run(f"systemctl is-active {AGENT} dock-helper.socket").stdout.split() == ["inactive", "inactive"]
    assert station.run("pgrep -u dock-agent,dock-reader,dock-depot").stdout == ""
    assert station.run("pgrep -f '[a]gent.helper'").stdout == ""
    assert station.sh("find /usr/lib/dock-agent 2>/dev/null || true") == "", "byte code was left behind"
    assert station.run("test -s /etc/dock-agent/agent.toml").returncode == 0

    kept = station.sh(f"cd {STATE} && find . -type f ! -name '*.lock' -exec sha256sum {{}} + | sort")
    said = station.sh("apt-get purge -y dock-agent 2>&1")
    assert f"kept {STATE}: 1 files of footage" in said
    assert station.sh(f"cd {STATE} && find . -type f ! -name '*.lock' -exec sha256sum {{}} + | sort") == kept
    assert "spool/" in kept
    assert "ledger.sqlite" in kept
    assert station.run("test -e /etc/dock-agent").returncode != 0
    assert station.sh("systemctl list-unit-files --no-legend 'dock-*' || true") == ""
    assert station.run("test -s /var/lib/dock-depot/receipt.pub").returncode == 0, "the depot's key is gone"

    install(station, deb())
    assert status(station).startswith("Not configured yet")
    assert station.sh(f"cd {STATE} && find . -type f ! -name '*.lock' -exec sha256sum {{}} + | sort") == kept


def test_purging_what_was_never_used_leaves_nothing(machine: Container) -> None:
    install(machine, deb())
    machine.sh("apt-get purge -y dock-agent")
    assert machine.sh("ls -d /etc/dock-* /var/lib/dock-* /usr/lib/dock-agent 2>/dev/null || true") == ""
