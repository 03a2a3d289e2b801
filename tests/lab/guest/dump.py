"""Prints what sysfs and udev say of the USB devices and disks in these folders and below them: JSON."""

import json
import os
import stat
import sys
from pathlib import Path

LONGEST = 65536
SUBSYSTEMS = ("usb", "block")
LEFT_OUT = ("uevent", "power", "trace", "queue", "mq", "integrity", "stat")


def content(path: Path) -> "dict[str, str] | None":
    """The value of one attribute; None when it has none that can be read."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode) or not path.stat().st_mode & 0o444:
            return None
        data = path.read_bytes()
    except OSError:
        return None
    if len(data) > LONGEST:
        return None
    text = data.decode("utf-8", "replace")
    if text.encode() == data and "\0" not in text:
        return {"text": text}
    return {"hex": data.hex()}


def attributes(place: Path, prefix: str = "") -> "dict[str, dict[str, str]]":
    """All attributes of a device, those in folders of its own included, but not those of other devices."""
    found: dict[str, dict[str, str]] = {}
    for each in sorted(place.iterdir()):
        name = f"{prefix}{each.name}"
        if each.name in LEFT_OUT:
            continue
        if each.is_symlink():
            if each.name in ("port", "peer", "device"):
                found[name] = {"link": str(each.readlink())}
        elif each.is_dir():
            if not (each / "subsystem").exists():
                found |= attributes(each, f"{name}/")
        elif (value := content(each)) is not None:
            found[name] = value
    return found


def udev_name(place: Path, subsystem: str, uevent: "dict[str, str]") -> str:
    """Under which name udev keeps what it knows of a device."""
    if "MAJOR" in uevent:
        return f"{'b' if subsystem == 'block' else 'c'}{uevent['MAJOR']}:{uevent['MINOR']}"
    return f"+{subsystem}:{place.name}"


def told(place: Path) -> "dict[str, object]":
    """One device."""
    subsystem = (place / "subsystem").resolve().name
    uevent = dict(line.split("=", 1) for line in (place / "uevent").read_text().splitlines() if "=" in line)
    kept = Path("/run/udev/data") / udev_name(place, subsystem, uevent)
    return {
        "path": str(place),
        "subsystem": subsystem,
        "uevent": uevent,
        "attributes": attributes(place),
        "udev": kept.read_text().splitlines() if kept.exists() else None,
        "udev_name": kept.name,
    }


found = []
for word in sys.argv[1:]:
    top = Path(word).resolve(strict=True)
    for folder, folders, _ in os.walk(top):
        folders.sort()
        if (Path(folder) / "subsystem").resolve().name in SUBSYSTEMS:
            found.append(told(Path(folder)))
json.dump(found, sys.stdout, indent=1)
