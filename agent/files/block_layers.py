"""The block devices beneath a directory, down to the disks.

Source: /sys/dev/block of Linux: a partition lies in its disk's directory; LUKS, LVM and md devices name what they
lie on under `slaves`, and those of the device mapper say under `dm/uuid` who made them.
"""

import os
from pathlib import Path

from agent.core.encryption import Layer
from agent.files.kernel import file_system_of

SYSFS = Path("/sys/dev/block")
_MAX_DEPTH = 8
_MAX_UUID_CHARS = 256


def layers_of(device: int, sysfs: Path = SYSFS) -> Layer | None:
    """What lies beneath the device number of a file system; None for network, memory and many-disk file systems."""
    entry = sysfs / f"{os.major(device)}:{os.minor(device)}"
    return layer_of(entry) if entry.exists() else None


def layer_of(entry: Path) -> Layer:
    """What lies beneath a block device, by its folder in /sys or a link to it. Raises OSError."""
    return _layer(entry.resolve(), _MAX_DEPTH)


def why_plain(directory: Path, sysfs: Path = SYSFS) -> str | None:
    """Why whoever takes the disks could read what lies in `directory`, or will lie there; None: it is encrypted.

    What cannot be told counts as not encrypted. Blocks; raises nothing.
    """
    try:
        place = _nearest(directory)
        layer = layers_of(place.stat().st_dev, sysfs)
        if layer is None:
            return f"it lies on {file_system_of(place)}, of which nobody can tell that it is encrypted"
    except OSError as error:
        return f"{directory} cannot be looked at: {error.strerror}"
    return why_bare(layer)


def why_bare(layer: Layer) -> str | None:
    """Why plain text may reach a disk; None: it cannot, as far as anybody but root is told."""
    if not layer.bare:
        return None
    disks = ", ".join(sorted(layer.bare))
    if layer.doubts:
        return f"what goes to {disks} is not surely encrypted: {'; '.join(dict.fromkeys(layer.doubts))}"
    return f"nothing encrypts what goes to {disks}"


def _nearest(directory: Path) -> Path:
    """The directory itself, or the nearest above it that is there already. Raises OSError."""
    place = directory
    while True:
        try:
            place.stat()
        except FileNotFoundError:
            place = place.parent
        else:
            return place


def _layer(entry: Path, depth: int) -> Layer:
    if (entry / "partition").exists():
        entry = entry.parent
    beneath = sorted((entry / "slaves").glob("*")) if depth else []
    return Layer(entry.name, _uuid(entry), tuple(_layer(each.resolve(), depth - 1) for each in beneath))


def _uuid(entry: Path) -> str:
    try:
        with (entry / "dm" / "uuid").open("r", encoding="ascii", errors="replace") as file:
            return file.read(_MAX_UUID_CHARS).strip()
    except OSError:
        return ""
