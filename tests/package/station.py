"""A station in a container: the package installed offline, a folder bay, and the depot that came with the package."""

import hashlib
import json
import random
from pathlib import Path
from typing import Any

from tests.package.container import Container, until

AGENT = "dock-agent.service"
STATE = "/var/lib/dock-agent"
SIMULATED = """
[[bays]]
name = "2"
simulated = "/srv/bay2"
"""
SET_UP = (
    "dock-agent setup --station hub7 --store-name depot --store tus+http://127.0.0.1:8430/files/"
    " --receipt-key /etc/dock-agent/depot.pub --credential-from /run/hub7.token --bay 1=/srv/bay1 --plain-folders"
    " --trial --allow-unsafe-spool --allow-plain-spool"
)
"""Its store is on this machine, and its spool on whatever the tests run on."""


def install(machine: Container, *packages: Path) -> str:
    """What a person does with the files: `apt install ./dock-agent_*.deb`; what it printed."""
    for package in packages:
        (machine.root / "opt" / package.name).write_bytes(package.read_bytes())
    files = " ".join(f"/opt/{package.name}" for package in packages)
    # Told apart from a configuration that asks: what was edited stays.
    options = "-y --no-install-recommends -o Dpkg::Options::=--force-confold"
    return machine.sh(f"apt-get install {options} {files} 2>&1", seconds=180)


def status(machine: Container) -> str:
    """The line that `systemctl status` shows."""
    return machine.show(AGENT, "StatusText")


def configure(machine: Container) -> None:
    """Start the depot, enrol the station, and set it up last: the waiting service takes the configuration."""
    machine.sh("install -d /srv")
    machine.sh(
        "umask 077; cd /; runuser -u dock-depot -- dock-agent depot --dir /var/lib/dock-depot --enrol hub7 --new"
        " > /run/hub7.token"
    )
    machine.sh("systemctl start dock-depot")
    until(lambda: machine.run("test -s /var/lib/dock-depot/receipt.pub").returncode == 0, "the depot made no key")
    machine.sh("install -Dm 0644 /var/lib/dock-depot/receipt.pub /etc/dock-agent/depot.pub")
    machine.put("/etc/dock-agent/conf.d/simulated.toml", SIMULATED)
    machine.sh(SET_UP)
    until(lambda: status(machine).startswith("Serving"), "the service did not begin to serve")


def footage(seed: int, size_bytes: int) -> bytes:
    """Bytes that are the same for the same seed."""
    return random.Random(seed).randbytes(size_bytes)  # noqa: S311 - no secret


def dock_folder(machine: Container, files: dict[str, bytes]) -> None:
    """A card with these files in bay 1."""
    shelf = machine.root / "srv/shelf"
    for name, data in files.items():
        path = shelf / "DCIM" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    machine.sh("mv /srv/shelf /srv/bay1")


def dock_simulated(machine: Container, files: dict[str, bytes], **script: Any) -> None:
    """A scripted camera with these files in bay 2."""
    shelf = machine.root / "srv/shelf2"
    (shelf / "card/DCIM").mkdir(parents=True)
    for name, data in files.items():
        (shelf / "card/DCIM" / name).write_bytes(data)
    (shelf / ".camera.json").write_text(json.dumps(script))
    machine.sh("mv /srv/shelf2 /srv/bay2")


def clips(machine: Container) -> list[dict[str, Any]]:
    """What the station knows of clips."""
    found: list[dict[str, Any]] = json.loads(machine.sh("dock-agent clips --json"))
    return found


def until_confirmed(machine: Container, files: dict[str, bytes], *, seconds: float = 90) -> None:
    """Wait until each of these is confirmed, then compare the depot's own bytes with what was on the camera."""

    def confirmed() -> bool:
        states = [clip["state"] for clip in clips(machine)]
        return len(states) >= len(files) and set(states) == {"confirmed"}

    until(confirmed, "not every clip was confirmed", seconds=seconds)
    wanted = {hashlib.sha256(data).hexdigest() for data in files.values()}
    objects = machine.sh("cd /var/lib/dock-depot/objects && sha256sum *").splitlines()
    held = {name: digest for digest, name in map(str.split, objects)}
    assert all(name == digest for name, digest in held.items())
    assert wanted <= set(held)


def events(machine: Container) -> list[str]:
    """The names of all custody events so far, oldest first."""
    lines = machine.sh("dock-agent custody export").splitlines()
    return [json.loads(line)["event"] for line in lines if line]
