"""What is wrong with bays as a whole: names that mean something else, ports and folders that two bays claim."""

import os
from pathlib import Path

from agent.config.merge import Key
from agent.config.model import Config
from agent.devices.topology import UNMAPPED, PortPath


def check_bays(config: Config) -> list[tuple[Key, str]]:
    """List the mistakes, each with its key."""
    found: list[tuple[Key, str]] = []
    names = [b.name for b in config.bays] + [i.name for i in config.imports]
    found += [
        (("bays",), f"two bays or imports are named {n!r}") for n in sorted({n for n in names if names.count(n) > 1})
    ]
    if "hand" in names:
        found.append((("bays",), "the name 'hand' belongs to folders that a person hands over"))
    keys: list[Key] = [("bays", number, "name") for number in range(len(config.bays))]
    keys += [("imports", number, "name") for number in range(len(config.imports))]
    found += [
        (key, f"names that begin with {UNMAPPED!r} belong to ports that no bay names")
        for key, name in zip(keys, names, strict=True)
        if name.startswith(UNMAPPED)
    ]
    return found + _check_folders(config) + _check_ports(config)


def _check_folders(config: Config) -> list[tuple[Key, str]]:
    """Two bays in one folder would both take the same footage."""
    places: list[tuple[Key, str, Path | None]] = [
        (("bays", n, "simulated" if b.folder is None else "folder"), f"bay {b.name}", b.folder or b.simulated)
        for n, b in enumerate(config.bays)
    ]
    places += [(("imports", n, "folder"), f"import {i.name}", i.folder) for n, i in enumerate(config.imports)]
    found: list[tuple[Key, str]] = []
    first: dict[str, str] = {}
    for key, name, folder in places:
        if folder is None:
            continue
        other = first.setdefault(_whereabouts(folder), name)
        if other != name:
            found.append((key, f"{other} is at this folder already"))
    return found


def _whereabouts(folder: Path) -> str:
    """One spelling of a folder. Of itself nothing is resolved: it may be the medium of a camera that hangs."""
    plain = Path(os.path.normpath(folder))
    return f"{os.path.realpath(plain.parent)}/{plain.name}"


def _check_ports(config: Config) -> list[tuple[Key, str]]:
    found: list[tuple[Key, str]] = []
    ports: dict[PortPath, str] = {}
    keys: dict[PortPath, Key] = {}
    for number, bay in enumerate(config.bays):
        for place, text in enumerate(bay.paths):
            key = ("bays", number, "paths", place)
            try:
                port = PortPath.parse(text)
            except ValueError as error:
                found.append((key, str(error)))
                continue
            other = ports.setdefault(port, bay.name)
            keys.setdefault(port, key)
            if other != bay.name:
                found.append((key, f"bay {other} is at this port already"))
    for port, name in ports.items():
        below = next((other for other in ports if port.is_above(other) and ports[other] != name), None)
        if below is not None:
            found.append((keys[port], f"bay {ports[below]} hangs below this port, so it leads to a hub and is no bay"))
    return found
