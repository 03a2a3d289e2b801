"""Which disk a directory lies on, for people who have to replace it."""

import os
from pathlib import Path


def disk_name(path: Path) -> str:
    """Name the disk under `path` as `lsblk` does, by its device number; without it when `path` cannot be asked."""
    try:
        device = path.stat().st_dev
    except OSError:
        return f"The disk of {path}"
    return f"The disk of {path} (device {os.major(device)}:{os.minor(device)})"
