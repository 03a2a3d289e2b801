"""How amounts of bytes are written for people: in decimal units, as disks and cameras are labelled."""

_UNITS = ("kB", "MB", "GB")
_STEP = 1000


def shown_bytes(size_bytes: float) -> str:
    """Such as "937 B" or "20.0 MB"."""
    if size_bytes < _STEP:
        return f"{size_bytes:.0f} B"
    for unit in _UNITS:
        size_bytes /= _STEP
        if size_bytes < _STEP:
            return f"{size_bytes:.1f} {unit}"
    return f"{size_bytes / _STEP:.1f} TB"
