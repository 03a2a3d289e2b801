"""The mounts of this process, as the kernel tells them.

Source: proc(5), /proc/pid/mountinfo. Shared by the reader (names its file system) and the bay watch.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

MOUNTINFO = "/proc/self/mountinfo"

_OCTAL_DIGITS = 3


class Mount(NamedTuple):
    """One line of mountinfo; `device` is "major:minor", `root` what of its file system is seen at `point`."""

    id: int
    device: str
    point: bytes
    file_system: str
    parent: int = 0
    root: bytes = b"/"

    def repeats(self, above: "Mount") -> bool:
        """Whether it only shows again what `above`, on which it lies, shows at its point without it.

        systemd makes such mounts of the folders of ReadWritePaths=; nobody has put a card there.
        """
        way = self.point.removeprefix(above.point).strip(b"/")
        return self.device == above.device and self.root.strip(b"/") == b"/".join(
            filter(None, (above.root.strip(b"/"), way))
        )


def _unescaped(text: bytes) -> bytes:
    r"""Undo the kernel's `\040` for space, tab, newline and backslash."""
    first, *rest = text.split(b"\\")
    return first + b"".join(
        bytes([int(each[:_OCTAL_DIGITS], 8) & 0xFF]) + each[_OCTAL_DIGITS:] for each in rest if each
    )


def parse_mounts(text: bytes) -> Iterator[Mount]:
    """Read mountinfo's lines in their order: of two mounts on one point the later one is seen."""
    for line in text.split(b"\n"):  # nothing else ends a line: users may mount at names with any other character
        fields = line.split(b" ")
        if b"-" not in fields:
            continue
        kind = fields[fields.index(b"-") + 1]
        file_system = kind.decode("ascii", "replace")
        device, root, point = fields[2].decode("ascii"), _unescaped(fields[3]), _unescaped(fields[4])
        yield Mount(int(fields[0]), device, point, file_system, int(fields[1]), root)


def mounted_at(point: bytes, mounts: Sequence[Mount]) -> Mount | None:
    """The mount that brings something of its own to this point; None where nothing does."""
    by_id = {mount.id: mount for mount in mounts}
    found = look = next((mount for mount in reversed(mounts) if mount.point == point), None)
    while look is not None and (above := by_id.get(look.parent)) is not None and look.repeats(above):
        if above.point != point:
            return None
        look = above
    return found


def read_mounts(path: str = MOUNTINFO) -> tuple[Mount, ...]:
    """Read all mounts. Raises OSError."""
    with open(path, "rb") as file:  # noqa: PTH123 - no pathlib in the reader
        return tuple(parse_mounts(file.read()))
