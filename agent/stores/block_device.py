"""Which physical disks lie beneath a directory, so that "two copies" are not two places on one disk."""

from pathlib import Path

from agent.files.block_layers import SYSFS, layers_of


def disks_beneath(device: int, sysfs: Path = SYSFS) -> frozenset[str]:
    """Name the disks beneath the device number of a file system; empty for network and memory file systems."""
    layer = layers_of(device, sysfs)
    return frozenset() if layer is None else layer.disks


def shares_disk(one: Path, other: Path) -> bool:
    """Tell whether two directories lie on the same file system or on a common disk. Blocks. Raises OSError."""
    first, second = one.stat().st_dev, other.stat().st_dev
    return first == second or not disks_beneath(first).isdisjoint(disks_beneath(second))
