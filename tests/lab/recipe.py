"""How the lab's station is set up: sixteen bays at two hubs, the installed service under its own users, one store.

`serving` leaves it running, and that is the state that most tests begin with. What a test wants otherwise it says
with `configure`: the service takes that over by itself. `resting` is the same station after its power came back, at the
moment before its disk is mounted and its service starts.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from agent.depot.command import enrol
from tests.lab.cache import digest, made
from tests.lab.depot import LabDepot
from tests.lab.machine import Machine
from tests.lab.qemu import HUB_PORTS, ROOT_PORTS, SPOOL, path_of

STATION = "lab"
STATE_DIR = "/var/lib/dock-agent"
API_PORT = 8421
STORE_URL = "tus+http://10.0.2.100:8443/files/"
HERE = Path(__file__).parent
UAS_BAY = "17"
"""A bay at a port of the controller itself: QEMU's hub is too slow for UAS."""

_BRIDGE = f"systemd-run -q --unit=lab-bridge /usr/bin/python3 -I /run/lab-bridge.py {API_PORT} {STATE_DIR}/api.sock"


# Reading programs from the disk is what a start in the lab would spend most of its time with.
_READ_PROGRAMS = (
    "find /usr/lib/dock-agent /opt/dock-agent /usr/lib/python3* /usr/bin/python3* -name '*.pyc' -o -name '*.so*'"
    " -o -name 'python3*' -type f | xargs cat > /dev/null 2>&1 || true"
)


# The ports are guarded, and the bridge listens.
_UNTIL_CALM = f"""
until journalctl -b -q -u dock-helper | grep -q 'guard: ok'; do sleep 0.2; done
until ss -Hltn | grep -q :{API_PORT}; do sleep 0.2; done
until journalctl -b -q -u dock-agent | grep -q ledger.audited; do sleep 0.2; done
"""


def depot_template() -> Path:
    """A depot that was never started, with this station's credential beside it; the keys are made on this machine."""

    def make(folder: Path) -> None:
        depot = folder / "depot"
        (folder / "credential").write_text(enrol(depot, STATION, new=True))
        with LabDepot(depot) as first:  # which makes the receipt key
            shutil.copyfile(first.receipt_key, folder / "receipt.pub")

    return made("depots", digest("depot", Path(__file__).read_bytes()), make, keep=2)


def bays() -> dict[str, str]:
    """The name of each bay, and its port."""
    return {str(number): port for number, port in enumerate(HUB_PORTS, 1)} | {UAS_BAY: ROOT_PORTS[0]}


def bays_table(ports: dict[str, str]) -> bytes:
    """The bays, as `dock-agent bays learn` writes them."""
    rows = (f'[[bays]]\nname = "{name}"\npaths = ["{path_of(port)}"]\n' for name, port in ports.items())
    return "".join(rows).encode()


def configuration(*, wiping: bool = True, enrolled: tuple[str, ...] = ("BWC*",), keep_hours: float = 24.0) -> str:
    """What differs between tests."""
    return f"""
[wipe]
enabled = {json.dumps(wiping)}
[cameras]
enrolled = {json.dumps(list(enrolled))}
[station]
keep_hours = {keep_hours}
"""


def configure(machine: Machine, **options: Any) -> None:
    """Write this test's part of the configuration; a running service takes it over by itself."""
    machine.put("/etc/dock-agent/conf.d/test.toml", configuration(**options).encode())


def mount_spool(machine: Machine) -> None:
    """Mount the spool disk; it may have been used before."""
    machine.sh(f"mkdir -p {STATE_DIR} && mount {SPOOL} {STATE_DIR} && chown dock-agent:dock-agent {STATE_DIR}")
    machine.sh(f"chmod 750 {STATE_DIR}; rm -rf {STATE_DIR}/lost+found")


def install(machine: Machine) -> None:
    """Write everything that the service needs but for its disk."""
    template = depot_template()
    machine.sh("mkdir -p /etc/dock-agent/conf.d")
    machine.put(
        "/etc/dock-agent/agent.toml",
        f"""
[station]
id = "{STATION}"
state_dir = "{STATE_DIR}"
allow_plain_spool = true
[profiles]
directory = "profiles"
[[stores]]
name = "central"
url = "{STORE_URL}"
require = "signed"
receipt_key = "receipt.pub"
credential = "/etc/dock-agent/credential"
connect_s = 3
stall_s = 20
insecure = true
""".encode(),
    )
    machine.put("/etc/dock-agent/conf.d/bays.toml", bays_table(bays()))
    configure(machine)
    for profile in sorted((HERE / "profiles").glob("*.toml")):
        machine.put(f"/etc/dock-agent/profiles/{profile.name}", profile.read_bytes())
    machine.put("/etc/dock-agent/receipt.pub", (template / "receipt.pub").read_bytes())
    machine.put("/etc/dock-agent/credential", (template / "credential").read_bytes(), 0o600)
    machine.sh("chown dock-agent:dock-agent /etc/dock-agent/credential")
    machine.put("/run/lab-bridge.py", (HERE / "guest/bridge.py").read_bytes())


def start(machine: Machine) -> None:
    """Start the service and wait until it says that it is ready."""
    machine.sh(f"systemctl start dock-helper.socket dock-agent.service && {_BRIDGE}", timeout=90)
    machine.sh(_UNTIL_CALM, timeout=90)


def serving(machine: Machine) -> None:
    """The whole station, running, with nothing docked."""
    resting(machine)
    mount_spool(machine)
    start(machine)


def resting(machine: Machine) -> None:
    """The whole station, before it starts."""
    install(machine)
    machine.sh(_READ_PROGRAMS, timeout=120)
