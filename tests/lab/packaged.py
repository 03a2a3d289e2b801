"""A station as it is in the field: a bare Debian on a disk of its own, and on it the package, put there by dpkg.

Other than in the saved states nothing of the project lies in the image, and what is written to the root stays: these
machines boot, are switched off and boot again. Whoever uses one builds the package before (`scripts/build-deb`).
"""

import io
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path

from tests.lab import recipe
from tests.lab.cache import digest, made, say
from tests.lab.image import HERE, INSTALLED, MODULES, SOURCES, SUITE, LabError, configure, image, run
from tests.lab.machine import Machine, State
from tests.lab.qemu import GUEST_ADDRESS, PAYLOAD, SPOOL
from tests.package.base import NOT_UNPACKED, PACKAGES

ROOT_MB = 2048
AGENT = tuple(each for each in INSTALLED if each[0] in {"agent.py", "events.py", "lab-agent.service"})
UNPACKED = "/opt/packages"
"""Where the guest has the packages."""
PAYLOAD_UNIT = 1 << 20
DPKG_S = 900.0
"""A minute or two: most of it is compiling Python, in a guest without KVM. Several times that on a busy machine."""
_FSTAB = f"/dev/vda / ext4 errors=remount-ro 0 1\n{SPOOL} {recipe.STATE_DIR} ext4 defaults 0 2\n"


def bare() -> Path:
    """The folder of a disk with Debian alone (`root.raw`). Raises LabError."""
    key = digest(image().name, SUITE, *PACKAGES, *NOT_UNPACKED, Path(__file__).read_bytes())
    return made("bare", key, _build, keep=2)


def _build(folder: Path) -> None:
    say("a bare Debian, for the package (about a minute)")
    root = folder / "root"
    sources = next((path for path in SOURCES if path.exists()), None)
    if sources is None:
        raise LabError(f"the disk is made from this machine's apt sources, and none of {SOURCES} is there")
    run(
        *("mmdebstrap", "-q", "--mode=root", "--variant=minbase", "--format=directory"),
        f"--include={','.join((*PACKAGES, 'kmod', 'iproute2'))}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in NOT_UNPACKED),
        *(SUITE, root, sources),
    )
    root.chmod(0o755)
    configure(root, AGENT)
    shutil.copytree(image() / MODULES, root / "usr", dirs_exist_ok=True)
    (root / "etc/fstab").write_text(_FSTAB)
    (root / recipe.STATE_DIR.lstrip("/")).mkdir()
    run("mke2fs", "-q", "-t", "ext4", "-m", "0", "-d", root, folder / "root.raw", f"{ROOT_MB}M")
    shutil.rmtree(root)


def _payload(packages: Iterable[Path], target: Path) -> None:
    """The packages as a tar, which the guest has as a disk."""
    with tarfile.open(target, "w") as tar:
        for package in packages:
            data = package.read_bytes()
            entry = tarfile.TarInfo(package.name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    size = target.stat().st_size
    with target.open("r+b") as file:
        file.truncate(-(-size // PAYLOAD_UNIT) * PAYLOAD_UNIT)


def installed(package: Path) -> State:
    """A station with this package, that was configured, has run and was shut down. Nothing was ever docked at it."""
    base, told = bare(), Path(recipe.__file__).read_bytes()
    packages = (package,)

    def make(folder: Path) -> None:
        say(f"a station with {package.name} (about a minute)")
        _payload(packages, folder / "payload.tar")
        fresh = State(image(), folder / "payload.tar", image() / "spool.raw", None, base / "root.raw")
        with Machine.boot(fresh, folder / "making") as machine:
            machine.sh(f"rm -rf {recipe.STATE_DIR}/lost+found; mkdir {UNPACKED}; tar -xf {PAYLOAD} -C {UNPACKED}")
            machine.sh(f"dpkg -i {UNPACKED}/{package.name}", timeout=DPKG_S)
            machine.sh("systemctl is-active dock-agent dock-helper.socket")  # of itself
            recipe.install(machine)
            begin(machine)
            machine.shut_down()
        for disk in ("root", "spool"):
            (folder / f"making/{disk}.qcow2").rename(folder / f"{disk}.qcow2")
        shutil.rmtree(folder / "making")

    key = digest(base.name, *(each.name for each in packages), *(each.read_bytes() for each in packages), told)
    folder = made("installed", key, make, keep=2)
    return State(image(), folder / "payload.tar", folder / "spool.qcow2", None, folder / "root.qcow2")


def begin(machine: Machine) -> None:
    """Wait until a machine that has booted serves, and connect it: the network is the lab's, the service its own."""
    machine.sh(f"ip address replace {GUEST_ADDRESS} dev eth0; ip link set eth0 up")
    machine.put("/run/lab-bridge.py", (HERE / "guest/bridge.py").read_bytes())
    recipe.start(machine)
