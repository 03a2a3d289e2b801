"""Learning with real udev events, as far as the kernel can be left out: pyudev on a made-up sysfs."""

import json
import subprocess
import sys
from pathlib import Path

from tests.cli.command import ROOT, environment


def test_udevs_events_teach_bays_with_both_halves_of_their_ports(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text('[station]\nid = "hub7"\nstate_dir = "state"\n')
    words = ["bays", "learn", "--count", "2", "--timeout", "20", "--json", "--config", str(config)]
    ended = subprocess.run(  # noqa: S603 - our own program
        ["/usr/bin/umockdev-wrapper", sys.executable, "-m", "tests.devices.learn_script", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=environment(),
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.splitlines()[0] == "[('pci-0000:00:14.0-usb-0', [1, 2])]"
    assert json.loads(ended.stdout)["bays"] == [
        {"name": "1", "paths": ["pci-0000:00:14.0-usb-0:1.3", "pci-0000:00:14.0-usb-0:5.3"]},
        {"name": "2", "paths": ["pci-0000:00:14.0-usb-0:1.4"]},
    ]
    assert (tmp_path / "conf.d" / "bays.toml").exists()
