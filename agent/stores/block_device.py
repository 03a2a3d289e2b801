"""Which physical disks lie beneath a directory, so that "two copies" are not two places on one disk.

Source: /sys/dev/block of Linux: a partition lies in its disk's directory; LUKS, LVM and md devices name what they
lie on under `slaves`.
"""

import os
from pathlib import Path

_SYSFS = Path("/sys/dev/block")
_MAX_DEPTH = 8


def disks_beneath(device: int, sysfs: Path = _SYSFS) -> frozenset[str]:
    """Name the disks beneath the device number of a file system; empty for network and memory file systems."""
    entry = sysfs / f"{os.major(device)}:{os.minor(device)}"
    return _disks(entry.resolve(), _MAX_DEPTH) if entry.exists() else frozenset()


def shares_disk(one: Path, other: Path) -> bool:
    """Tell whether two directories lie on the same file system or on a common disk. Blocks. Raises OSError."""
    first, second = one.stat().st_dev, other.stat().st_dev
    return first == second or not disks_beneath(first).isdisjoint(disks_beneath(second))


def _disks(entry: Path, depth: int) -> frozenset[str]:
    if (entry / "partition").exists():
        entry = entry.parent
    slaves = list((entry / "slaves").glob("*")) if depth else []
    if not slaves:
        return frozenset({entry.name})
    return frozenset().union(*(_disks(slave.resolve(), depth - 1) for slave in slaves))
