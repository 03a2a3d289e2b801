"""Prints what udev tells of USB and block devices: JSON lines of {"action", "subsystem", "path", ...properties}."""

import json
import sys

sys.path.append("/usr/lib/dock-agent/site")

import pyudev


def say(told: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


context = pyudev.Context()
monitor = pyudev.Monitor.from_netlink(context)
for subsystem in ("usb", "block"):
    monitor.filter_by(subsystem)
monitor.start()
say({"ready": True})
for device in iter(monitor.poll, None):
    told = {"action": device.action, "subsystem": device.subsystem, "path": device.device_path}
    say(told | dict(device.properties))
sys.exit(1)
