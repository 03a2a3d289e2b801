"""The lab's station as a test sees it: cameras are docked, and its own words are waited for.

def test_...(station):
    camera = station.camera("BWC1", {"DCIM/100/A.MP4": footage(1, 5)})
    station.dock(camera, "3")
    station.until_advice("3", "take")
    station.nothing_lost()
"""

import hashlib
import json
import random
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx

from tests.lab.camera.camera import ScriptedCamera
from tests.lab.camera.identity import Identity
from tests.lab.depot import LabDepot
from tests.lab.machine import Machine
from tests.lab.media import FileSystem, card
from tests.lab.recipe import API_PORT, STATE_DIR, bays, configure

PATIENCE_S = 60.0
MOST_NAP_S = 0.6
_LOOK = """
for i in $(seq 50); do [ -e /sys/bus/usb/devices/2-8 ] && break; sleep 0.1; done
echo 1 > /sys/bus/usb/devices/2-8/authorized  # the dock's controller admits nothing by itself
for i in $(seq 100); do
    d=$(ls /dev/disk/by-id/*CHECK*-part1 2>/dev/null || ls /dev/disk/by-id/*CHECK* 2>/dev/null)
    fs=$(blkid -p -o value -s TYPE "$d" 2>/dev/null) && [ -n "$fs" ] && break
    sleep 0.1
done
options=ro
[ "$fs" = ext4 ] && options=ro,noload
[ "$fs" = vfat ] && options=ro,utf8
mkdir -p /run/check && mount -o $options "$d" /run/check
cd /run/check && find . -type f -not -path './lost+found/*' -exec {command} {{}} +
cd / && umount /run/check
"""
JsonObject = dict[str, Any]


def footage(seed: int, megabytes: float) -> bytes:
    """Bytes that nothing else has."""
    return random.Random(seed).randbytes(int(megabytes * (1 << 20)))  # noqa: S311 - footage, not a secret


@dataclass(slots=True)
class Docked:
    """A camera and what is recorded on it."""

    serial: str
    image: Path
    files: Mapping[str, bytes]
    scripted: ScriptedCamera | None = None
    kind: Literal["usb-storage", "usb-uas"] = "usb-storage"

    @property
    def digests(self) -> set[str]:
        """Of all its clips."""
        return {hashlib.sha256(data).hexdigest() for name, data in self.files.items() if name.endswith(".MP4")}


class Station:
    """A running station in a machine, its store, and the cameras that were made for it."""

    def __init__(self, machine: Machine, depot: LabDepot, folder: Path) -> None:
        """`folder` takes the cards."""
        self.machine = machine
        self.depot = depot
        self.folder = folder
        self.ports = bays()
        self.cameras: list[Docked] = []
        self._api: httpx.Client | None = None
        self._events: list[JsonObject] = []
        self.attach()

    def attach(self) -> None:
        """Reach the service's API: after a restore, or when another machine has taken over."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        forward = f"hostfwd_add net tcp:127.0.0.1:{port}-10.0.2.15:{API_PORT}"
        self.machine.monitor("human-monitor-command", **{"command-line": forward})
        self._hang_up()
        self._events.clear()  # what was not synced before a power cut never happened
        self._api = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=20, headers={"host": "localhost"})

    def _hang_up(self) -> None:
        if self._api is not None:
            self._api.close()
            self._api = None

    @property
    def api(self) -> httpx.Client:
        """The connection to the service's API."""
        assert self._api is not None, "the station is closed"
        return self._api

    # ---- cameras

    def camera(
        self,
        serial: str,
        files: Mapping[str, bytes] | None = None,
        fs: FileSystem = "vfat",
        *,
        scripted: bool = True,
        partitioned: bool = True,
        megabytes: int = 128,
        identity: Identity | None = None,
        **options: Any,
    ) -> Docked:
        """A camera with its card, not docked yet; by default with two clips of its own."""
        number = len(self.cameras) + 1
        content = files or {f"DCIM/100BWC/{serial[:8]}_{n}.MP4": footage(number * 100 + n, 1.5) for n in (1, 2)}
        image = card(self.folder / f"card{number}.img", content, fs, partitioned=partitioned, megabytes=megabytes)
        made = Docked(serial, image, content)
        if scripted:
            made.scripted = ScriptedCamera(image, identity or Identity(serial=serial), **options)
        self.cameras.append(made)
        return made

    def dock(self, camera: Docked, bay: str) -> None:
        """Plug it into the port of this bay."""
        if camera.scripted is not None:
            camera.scripted.plug(self.machine, self.ports[bay])
        else:
            self.machine.plug_disk(camera.serial, camera.image, self.ports[bay], camera.serial, kind=camera.kind)

    def undock(self, camera: Docked) -> None:
        """Take it out."""
        if camera.scripted is not None:
            camera.scripted.pull()
        else:
            self.machine.unplug(camera.serial)

    def configure(self, **options: Any) -> None:
        """Change the configuration and wait until the service has taken it over."""
        before = len(self.events("agent.reconfigured"))
        configure(self.machine, **options)
        self.until(lambda: len(self.events("agent.reconfigured")) > before, "the configuration is taken over")

    # ---- what the station says

    def get(self, what: str, **query: Any) -> Any:
        """Ask its API."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self.api.get(f"/{what}", params=query).raise_for_status().json()
            except httpx.TransportError:  # the service may just be starting
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.5)

    def act(self, action: str, **body: Any) -> JsonObject:
        """Decide something as a person."""
        answer = self.api.post(f"/actions/{action}", json={"actor": "sergeant", "reason": "test", **body})
        assert answer.status_code == httpx.codes.OK, answer.text
        return dict(answer.json())

    def bay(self, name: str) -> JsonObject:
        """What one bay says; one that is empty and unknown says nothing."""
        return next((view for view in self.get("bays") if view["bay"] == name), {"occupied": False, "advice": None})

    def clips(self, camera: str | None = None) -> list[JsonObject]:
        """All clips, or those of one camera."""
        query = {"camera": camera} if camera else {}
        return list(self.get("clips", limit=10000, **query))

    def events(self, name: str | None = None) -> list[JsonObject]:
        """Custody events: each is asked for once, since none ever changes."""
        while page := self.get("events", after=self._events[-1]["seq"] if self._events else 0, limit=1000):
            self._events += page
        return [event for event in self._events if name in (None, event["event"])]

    def log(self, event: str, unit: str = "dock-agent") -> list[JsonObject]:
        """Lines of the service's log with this event."""
        text = self.machine.sh(f"journalctl --no-pager -o cat -u {unit}")
        lines = []
        for line in text.splitlines():
            with suppress(ValueError):
                lines.append(json.loads(line))
        return [line for line in lines if isinstance(line, dict) and line.get("event") == event]

    def until(self, true: Callable[[], Any], what: str, within_s: float = PATIENCE_S) -> Any:
        """Wait for something to come true; returns what it gave."""
        deadline = time.monotonic() + within_s
        while True:
            begun = time.monotonic()
            found = true()
            if found:
                return found
            assert time.monotonic() < deadline, f"not reached in {within_s:g} s: {what}\n{self.told()}"
            # The guest is slow: whoever keeps asking keeps it from what is waited for.
            time.sleep(min(max(0.15, 3 * (time.monotonic() - begun)), MOST_NAP_S))

    def told(self) -> str:
        """Everything the bays say, for a failure."""
        return "\n".join(str(view) for view in self.get("bays") if view.get("occupied"))

    def until_advice(self, bay: str, advice: str | None, reason: str = "", within_s: float = PATIENCE_S) -> JsonObject:
        """Wait until the bay gives this advice, with these words in its reason."""

        def says() -> JsonObject | None:
            view = self.bay(bay)
            return view if view.get("advice") == advice and reason in str(view.get("reason")) else None

        return dict(self.until(says, f"bay {bay} says {advice!r} ({reason})", within_s))

    def until_done(self, camera: Docked, within_s: float = PATIENCE_S) -> None:
        """Wait until each of its clips is confirmed."""

        def done() -> bool:
            states = {c["sha256"]: c["state"] for c in self.clips() if c["role"] == "clip"}
            return all(states.get(digest) == "confirmed" for digest in camera.digests)

        self.until(done, f"the clips of {camera.serial} are confirmed", within_s)

    # ---- the outside check

    def read_card(self, image: Path) -> set[str]:
        """Digests of all files on a card's image, as a fresh mount by the guest's kernel shows them."""
        return {line.split()[0] for line in self._look_at(image, "sha256sum")}

    def names_on(self, camera: Docked) -> set[str]:
        """What lies on the card, by a fresh mount. Take the camera out before."""
        return {line.removeprefix("./") for line in self._look_at(camera.image, "ls -1")}

    def read_after_pull(self, camera: Docked) -> set[str]:
        """Take it out and look."""
        self.undock(camera)
        return self.read_card(camera.image)

    def _look_at(self, image: Path, command: str) -> list[str]:
        self.machine.plug_disk("reader", image, "8", "CHECK", read_only=True)
        text = self.machine.sh(_LOOK.format(command=command), timeout=60)
        self.machine.unplug("reader")
        return [line for line in text.splitlines() if line]

    def until_confirmed(self, shown: str) -> JsonObject:
        """Wait until a store has proved this clip; returns it."""

        def proved() -> JsonObject | None:
            return next((c for c in self.clips() if c["shown"] == shown and c["state"] == "confirmed"), None)

        return dict(self.until(proved, f"{shown} is confirmed"))

    def gone(self, shown: str) -> bool:
        """Whether the camera's copy of a clip is wiped."""
        return {c["shown"]: c["camera_copy"] for c in self.clips()}.get(shown) == "gone"

    def spool_is_clean(self) -> bool:
        """Whether no half of a file lies in the spool."""
        parts = self.machine.sh(f"find {STATE_DIR}/spool -name '*.part' | wc -l")
        return parts.strip() == "0"

    def nothing_lost(self) -> None:
        """Each clip of each camera is in the store under its digest, or still on its card. Take cameras out before."""
        held = self.depot.held()
        for camera in self.cameras:
            missing = camera.digests - held
            if missing:
                assert missing <= self.read_card(camera.image), camera.serial

    def close(self) -> None:
        """Pull every scripted camera and hang up."""
        for camera in self.cameras:
            if camera.scripted is not None:
                camera.scripted.close()
        self._hang_up()
