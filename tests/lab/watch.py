"""What the guest's udev tells, as it happens: the way for a test to learn that a camera has arrived or left."""

import json
import time
from collections.abc import Callable, Iterable
from typing import Any

from tests.lab.machine import Machine
from tests.lab.qemu import path_of

Event = dict[str, Any]

_COMMAND = "exec python3 -I /usr/lib/lab/events.py"


class Watch:
    """Udev's events of USB and block devices since this was made; each wait goes on after the event it found last."""

    def __init__(self, machine: Machine) -> None:
        """Returns once nothing can be missed any more."""
        self._job = machine.spawn(_COMMAND)
        self._job.wait_line(lambda line: "ready" in line)

    def wait(self, fits: Callable[[Event], bool], timeout: float = 30.0) -> Event:
        """The next event that fits: udev's properties with `action`, `subsystem` and `path`. Raises TimeoutError."""
        return dict(json.loads(self._job.wait_line(lambda line: fits(json.loads(line)), timeout)))

    def wait_device(self, port: str, action: str = "add", timeout: float = 30.0) -> Event:
        """The arrival ("add") or departure ("remove") of the USB device in this port."""
        return self.wait(
            lambda event: (
                event["action"] == action
                and event.get("DEVTYPE") == "usb_device"
                and event["path"].endswith(f"-{port}")
            ),
            timeout,
        )

    def wait_volume(self, port: str, timeout: float = 30.0) -> str:
        """The block device of the file system in this port, such as "sda1", once udev knows what it is."""
        return self.wait_volumes([port], timeout)[port]

    def wait_volumes(self, ports: Iterable[str], timeout: float = 60.0) -> dict[str, str]:
        """The same for several ports, in whatever order they come."""
        left = {path_of(port): port for port in ports}
        until = time.monotonic() + timeout
        found: dict[str, str] = {}
        while left:
            event = self.wait(
                lambda event: (
                    event["subsystem"] == "block"
                    and event["action"] in ("add", "change")
                    and "ID_FS_TYPE" in event
                    and event.get("ID_PATH", "").rpartition(":1.0-")[0] in left
                ),
                until - time.monotonic(),
            )
            found[left.pop(event["ID_PATH"].rpartition(":1.0-")[0])] = event["DEVNAME"].removeprefix("/dev/")
        return found

    def so_far(self) -> list[Event]:
        """Every event until now."""
        return [json.loads(line) for line in self._job.lines if "ready" not in line]
