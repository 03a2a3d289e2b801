"""The packages under test, as `scripts/build-deb` leaves them, and a next version made from them."""

import hashlib
import re
import subprocess
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
BUILT = PROJECT / "build/package"
UPSTREAM: str = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
NEXT = "99.0.0"


def command(*words: str | Path, seconds: float = 300) -> str:
    """Run a command of this machine that must succeed; what it printed."""
    done = subprocess.run(  # noqa: S603 - our own words
        words, capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, f"{' '.join(map(str, words))}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def deb(name: str = "dock-agent", *, debian: int = 12, arch: str = "amd64", built: Path = BUILT) -> Path:
    """One package's file."""
    path = built / f"debian{debian}-{arch}" / f"{name}_{UPSTREAM}+deb{debian}_{arch}.deb"
    assert path.is_file(), f"there is no {path}; run scripts/build-deb --debian {debian} --arch {arch}"
    return path


def contents(package: Path) -> dict[str, str]:
    """Each path in a package, with its mode and owner as `dpkg-deb` shows them."""
    rows = [line.split(maxsplit=5) for line in command("dpkg-deb", "--contents", package).splitlines()]
    return {row[5].removeprefix("."): f"{row[0]} {row[1]}" for row in rows}


def field(package: Path, name: str) -> str:
    """One field of its control file."""
    return command("dpkg-deb", "--field", package, name).strip()


def next_version(package: Path, into: Path) -> Path:
    """The same package as a later version: another default for the depot, and each of the agent's modules differs."""
    tree = into / "next"
    command("dpkg-deb", "--raw-extract", package, tree)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: .*$", f"Version: {NEXT}+deb12", control.read_text("utf-8")), "utf-8")
    default = tree / "etc/default/dock-depot"
    default.write_text(default.read_text("utf-8") + "# Something new.\n", "utf-8")
    for module in (tree / "usr/lib/dock-agent/agent").rglob("*.py"):
        module.write_text(f"{module.read_text('utf-8')}# {NEXT}\n", "utf-8")
    site = tree / "usr/lib/dock-agent/site"
    metadata = site / f"bwv_dock_agent-{UPSTREAM}.dist-info/METADATA"
    metadata.write_text(metadata.read_text("utf-8").replace(f"Version: {UPSTREAM}", f"Version: {NEXT}"), "utf-8")
    sums = tree / "DEBIAN/md5sums"
    paths = [line.split(maxsplit=1)[1] for line in sums.read_text("utf-8").splitlines()]
    digests = [hashlib.md5((tree / path).read_bytes(), usedforsecurity=False).hexdigest() for path in paths]
    sums.write_text("".join(f"{digest}  {path}\n" for digest, path in zip(digests, paths, strict=True)), "utf-8")
    result = into / f"dock-agent_{NEXT}+deb12_amd64.deb"
    command("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", tree, result)
    return result
