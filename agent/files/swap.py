"""Where the kernel may write memory to, and whether whoever takes the disks could read it there.

Source: /proc/swaps of Linux, whose names are escaped as those of /proc/self/mountinfo; /sys/class/block; the
`backing_dev` of zram, which holds memory in memory without one. All of them may be read by anybody.
"""

import re
from pathlib import Path

from agent.files.block_layers import SYSFS, layer_of, layers_of, why_bare

SWAPS, CLASS = Path("/proc/swaps"), Path("/sys/class/block")
_ESCAPED = re.compile(r"\\([0-7]{3})")
_UNKNOWN = "of which nobody can tell that it is encrypted"


def plain_swaps(swaps: Path = SWAPS, blocks: Path = CLASS, sysfs: Path = SYSFS) -> list[str]:
    """Each swap that is not known to be encrypted, with why; empty where memory stays in memory. Raises nothing."""
    try:
        lines = swaps.read_text("utf-8", "surrogateescape").splitlines()[1:]
    except OSError:
        return []  # a kernel without swap
    found = [(_unescaped(line.split()[0]), line.split()[1]) for line in lines if len(line.split()) > 1]
    reasons = {name: _why(name, kind, blocks, sysfs) for name, kind in found}
    return [f"{name}: {why}" for name, why in reasons.items() if why is not None]


def _why(name: str, kind: str, blocks: Path, sysfs: Path) -> str | None:
    try:
        if kind == "file":
            layer = layers_of(Path(name).stat().st_dev, sysfs)
            return _UNKNOWN if layer is None else why_bare(layer)
        entry = blocks / Path(name).name
        if entry.name.startswith("zram"):
            backing = _backing(entry)
            if backing is None:
                return None
            entry = blocks / Path(backing).name
        return why_bare(layer_of(entry)) if entry.exists() else _UNKNOWN
    except OSError as error:
        return f"it cannot be looked at: {error.strerror}"


def _backing(entry: Path) -> str | None:
    """What a memory disk writes to as well; None where it has nothing of the kind. Raises OSError."""
    try:
        told = (entry / "backing_dev").read_text("utf-8", "surrogateescape").strip()
    except FileNotFoundError:
        return None
    return None if told in ("", "none") else told


def _unescaped(name: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), name)
