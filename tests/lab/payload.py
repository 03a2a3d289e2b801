"""The project as a tar, to be laid onto the guest's second disk; the same bytes for the same files."""

import io
import tarfile
import tomllib
from pathlib import Path

from tests.lab.cache import digest
from tests.lab.image import PROJECT, LabError

ROOMS = ("agent", "config")
LEFT_OUT = {"__pycache__", "locks"}
PAYLOAD_BYTES = 8 << 20
"""The length of the disk: always the same, because a saved guest remembers it."""


def _files() -> list[Path]:
    return sorted(
        path
        for room in ROOMS
        for path in (PROJECT / room).rglob("*")
        if path.is_file() and not LEFT_OUT & set(path.relative_to(PROJECT).parts)
    )


def _installed() -> tuple[str, bytes]:
    """What tells Python of an installed project, so that the agent knows its own version."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    name, version = project["name"], project["version"]
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    return f"{name.replace('-', '_')}-{version}.dist-info/METADATA", text.encode()


def _contents() -> list[tuple[str, bytes]]:
    return [_installed(), *((path.relative_to(PROJECT).as_posix(), path.read_bytes()) for path in _files())]


def payload() -> bytes:
    """The tar, as long as the disk. Raises LabError when it does not fit."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in _contents():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(data), 0o644, 1_600_000_000
            tar.addfile(entry, io.BytesIO(data))
    if target.tell() > PAYLOAD_BYTES:
        raise LabError(f"the project takes {target.tell()} bytes, and its disk is {PAYLOAD_BYTES}; raise PAYLOAD_BYTES")
    return target.getvalue().ljust(PAYLOAD_BYTES, b"\0")


def payload_digest() -> str:
    """Names this payload: other files, another digest."""
    return digest(*(part for name, data in _contents() for part in (name, data)))
