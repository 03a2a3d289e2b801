"""The packages that this machine does not run: for Debian 13, and for arm64 in an emulated processor."""

import shutil
from pathlib import Path

import pytest

from tests.package.base import base, foreign
from tests.package.container import Container
from tests.package.declared import declared, run
from tests.package.packages import BUILT, PROJECT, UPSTREAM, command, deb, field
from tests.package.station import install

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

PROCESSOR = "cortex-a72"
"""Of small arm machines. Signing pointers, which newer ones do, would take QEMU most of its time."""
IMPORTS = """
import importlib, os, pathlib, sys
sys.path[:0] = ["/usr/lib/dock-agent", "/usr/lib/dock-agent/site"]
for path in sorted(pathlib.Path("/usr/lib/dock-agent/agent").rglob("*.py")):
    if path.name not in {"__init__.py", "__main__.py"}:
        importlib.import_module(".".join(path.relative_to("/usr/lib/dock-agent").with_suffix("").parts))
import gphoto2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
key = Ed25519PrivateKey.generate()
key.public_key().verify(key.sign(b"x"), b"x")
compiled = {module.__file__ for module in sys.modules.values() if str(getattr(module, "__file__", "")).endswith(".so")}
print(os.uname().machine, sum(name.startswith("/usr/lib/dock-agent/site/") for name in compiled))
"""


def build(debian: int, arch: str) -> None:
    """Both packages, where the others are."""
    command(PROJECT / "scripts/build-deb", "--tests", "--debian", str(debian), "--arch", arch, seconds=900)


def test_the_package_for_debian_13_serves_there() -> None:
    build(13, "amd64")
    (changes,) = (BUILT / "debian13-amd64").glob("*.changes")
    command("lintian", "--allow-root", "--fail-on=error", changes)
    with Container(13) as machine:
        install(machine, deb(debian=13), deb("dock-agent-mtp", debian=13))
        assert machine.sh("dock-agent --version") == f"dock-agent {UPSTREAM}"
        for name in declared():
            done = run(machine, name)
            assert done == 0, name
        assert machine.sh("systemctl list-units --state=failed --no-legend 'dock-*'") == ""
        machine.sh("apt-get purge -y dock-agent dock-agent-mtp")


def compile_natively(debian: int, root: Path) -> None:
    """Byte code is the same for all processors; an emulated one would take minutes to make it."""
    options = ("--quiet", "--register=no", "--keep-unit", "--pipe", "--private-network", "--read-only")
    place = ("-D", base(debian), f"--bind={root}/usr/lib:/mnt")
    command(
        "systemd-nspawn", *options, *place, "/usr/bin/python3", "-IS", "-m", "compileall", "-q", "/mnt", seconds=300
    )


@pytest.mark.parametrize("debian", [12, 13])
def test_everything_in_the_package_for_arm64_can_be_loaded_there(debian: int, tmp_path: Path) -> None:
    build(debian, "arm64")
    root = tmp_path / "root"
    command("cp", "-a", foreign(debian, "arm64"), root)
    for name in ("dock-agent", "dock-agent-mtp"):
        package = deb(name, debian=debian, arch="arm64")
        assert field(package, "Architecture") == "arm64"
        command("dpkg-deb", "--extract", package, root)
    compile_natively(debian, root)
    emulator = shutil.which("qemu-aarch64-static")
    assert emulator is not None, "scripts/tools --soak installs it"
    shutil.copy(emulator, root / "qemu")
    # Called by its name, so that the kernel need not know of it; what would start another program fails.
    inside = ("chroot", root, "/qemu", "-cpu", PROCESSOR, "/usr/bin/python3", "-IS")
    assert command(*inside, "/usr/bin/dock-agent", "--version").strip() == f"dock-agent {UPSTREAM}"
    machine, compiled = command(*inside, "-c", IMPORTS).split()
    assert machine == "aarch64"
    assert int(compiled) >= 5, "hardly any library with compiled parts was loaded"
