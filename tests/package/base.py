"""A bare Debian in a folder, made once: what a station has before the package comes, and what that needs of it.

Made by mmdebstrap from this machine's own apt sources. Whoever installs the package in it has no network.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.lab.cache import digest, made
from tests.lab.image import SOURCES, SUITE

SUITES = {12: SUITE, 13: "trixie"}
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "udev", "mount", "apt", "procps"),
    *("python3", "libgcc-s1", "libudev1", "zlib1g"),  # Debian's part of what the packages depend on
)
FOREIGN = ("base-files", "python3", "libgcc-s1", "libudev1", "zlib1g")
LATER = ("unattended-upgrades", "apt-listchanges")
"""Lie in LATER_FOLDER with all that they need, for tests that install them: no station has them just so."""
LATER_FOLDER = "/opt/later"
NOT_UNPACKED = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*")
UNPACKED_ALL_THE_SAME = "/usr/share/doc/dock-agent*"


class BaseError(Exception):
    """The base cannot be had on this machine; the text says why and what to do."""


def base(debian: int = 12) -> Path:
    """Its folder; who uses it makes a copy. Raises BaseError."""
    suite = SUITES[debian]
    key = digest("3", suite, *PACKAGES, *LATER, *NOT_UNPACKED)
    return made("package-base", key, lambda folder: _build(folder, suite), keep=len(SUITES)) / "root"


def foreign(debian: int, arch: str) -> Path:
    """The same for another processor, unpacked and not set up: nothing of it can run by itself. Raises BaseError."""
    suite = SUITES[debian]
    key = digest("1", suite, arch, *FOREIGN)
    words = ("--variant=extract", f"--architectures={arch}", f"--include={','.join(FOREIGN)}")
    return made("package-foreign", key, lambda folder: _bootstrap(folder, suite, *words), keep=len(SUITES)) / "root"


def _build(folder: Path, suite: str) -> None:
    _bootstrap(
        folder,
        suite,
        "--variant=minbase",
        f"--include={','.join(PACKAGES)}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in NOT_UNPACKED),
        f"--dpkgopt=path-include={UNPACKED_ALL_THE_SAME}",
        f"--customize-hook=chroot $1 apt-get -qq -y --no-install-recommends --download-only install {' '.join(LATER)}",
        f"--customize-hook=mkdir -p $1{LATER_FOLDER} && mv $1/var/cache/apt/archives/*.deb $1{LATER_FOLDER}",
        # What apt would fetch lies nowhere: from here on it is offline.
        "--customize-hook=rm -rf $1/var/lib/apt/lists/* $1/var/cache/apt/*",
    )
    (folder / "root/etc/machine-id").write_text("")
    (folder / "root/etc/hostname").write_text("hub7\n")
    (folder / "root/etc/hosts").write_text("127.0.0.1 localhost hub7\n")


def _bootstrap(folder: Path, suite: str, *options: str) -> None:
    if os.geteuid() != 0:
        raise BaseError("the package is tried in a container, which is made and started by root; run it with sudo")
    found = next((path for path in SOURCES if path.exists()), None)
    if found is None:
        raise BaseError(f"a bare Debian is made from this machine's apt sources, and none of {SOURCES} is there")
    sources = folder / found.name
    sources.write_text(re.sub(rf"\b{SUITE}\b", suite, found.read_text("utf-8")), "utf-8")
    words = ("mmdebstrap", "-q", "--mode=root", "--format=directory", *options, suite)
    done = subprocess.run(  # noqa: S603 - our own words
        [*words, folder / "root", sources], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BaseError(f"mmdebstrap failed with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}")
    (folder / "root").chmod(0o755)


if __name__ == "__main__":  # made before the tests, so that none of them pays for it
    try:
        base()
    except BaseError as error:
        sys.exit(f"package: {error}")
