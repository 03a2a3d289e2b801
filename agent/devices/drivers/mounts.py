"""The mounts of this process, as the kernel tells them.

Source: proc(5), /proc/pid/mountinfo. Shared by the reader (names its file system) and the bay watch.
"""

from collections.abc import Iterator
from typing import NamedTuple

MOUNTINFO = "/proc/self/mountinfo"

_OCTAL_DIGITS = 3


class Mount(NamedTuple):
    """One line of mountinfo; `device` is "major:minor"."""

    id: int
    device: str
    point: bytes
    file_system: str


def _unescaped(text: bytes) -> bytes:
    r"""Undo the kernel's `\040` for space, tab, newline and backslash."""
    first, *rest = text.split(b"\\")
    return first + b"".join(
        bytes([int(each[:_OCTAL_DIGITS], 8) & 0xFF]) + each[_OCTAL_DIGITS:] for each in rest if each
    )


def parse_mounts(text: bytes) -> Iterator[Mount]:
    """Read mountinfo's lines in their order: of two mounts on one point the later one is seen."""
    for line in text.splitlines():
        fields = line.split(b" ")
        kind = fields[fields.index(b"-") + 1]
        yield Mount(int(fields[0]), fields[2].decode("ascii"), _unescaped(fields[4]), kind.decode("ascii", "replace"))


def read_mounts(path: str = MOUNTINFO) -> tuple[Mount, ...]:
    """Read all mounts. Raises OSError."""
    with open(path, "rb") as file:  # noqa: PTH123 - no pathlib in the reader
        return tuple(parse_mounts(file.read()))
