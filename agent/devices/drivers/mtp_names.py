"""A folder of a camera, and which of its names lead to one object and no other.

Objects have numbers, but libgphoto2 asks by name, and takes the first object whose name merely *begins* with what was
asked for (2.5.32 to 2.5.34 at least): `CLIP.MP4` may give `CLIP.MP4.sha`. So a name is used only where it can be
proved to lead to its own object; everything else is refused.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agent.devices.drivers.driver import DriverError

AMBIGUOUS, UNUSABLE = "ambiguous_name", "unusable_name"
_COMPARED = 16
"""Longer names that are compared with one they begin with; beyond that it is refused unseen."""

State = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Child:
    """Something in a folder; `reason` says why it cannot be reached, None when it can."""

    name: str
    is_folder: bool
    longer: tuple["Child", ...] = ()
    reason: str | None = None

    @property
    def raw(self) -> bytes:
        """The name's bytes, made harmless where they could not stand in a path."""
        shown = self.name.replace("/", "?").replace("\0", "?")
        return os_bytes(shown if shown not in ("", ".", "..") else "?")


def os_bytes(name: str) -> bytes:
    """The bytes of a name as the library gave it."""
    return name.encode("utf-8", "surrogateescape")


def children(folders: list[str], files: list[str]) -> list[Child]:
    """Sort a folder's names as bytes, and find those that are no good."""
    every = [Child(name, is_folder=True) for name in folders] + [Child(name, is_folder=False) for name in files]
    every.sort(key=lambda child: os_bytes(child.name))
    return [Child(each.name, each.is_folder, longer, _reason(each, longer)) for each, longer in _with_longer(every)]


def _with_longer(every: list[Child]) -> Iterator[tuple[Child, tuple[Child, ...]]]:
    """Each with those whose names begin with its own: in sorted order they follow it at once."""
    for index, child in enumerate(every):
        end = index + 1
        while end < len(every) and end - index <= _COMPARED + 1 and every[end].name.startswith(child.name):
            end += 1
        same_before = every[index - 1 : index] if index and every[index - 1].name == child.name else []
        yield child, tuple(same_before + every[index + 1 : end])


def _reason(child: Child, longer: tuple[Child, ...]) -> str | None:
    unusable = "/" in child.name or "\0" in child.name or child.name in ("", ".", "..")
    if unusable or any("\ud800" <= character <= "\udfff" for character in child.name):
        return UNUSABLE
    if not longer:
        return None
    settles = child.is_folder or len(longer) > _COMPARED
    twins = any(other.name == child.name or other.is_folder for other in longer)
    return AMBIGUOUS if settles or twins else None


def own_state(child: Child, state: Callable[[str], State]) -> State:
    """A file's size and mtime; `state` asks for those under a name.

    Where other names begin with this one the library gives its own object or one of theirs. It is its own if it is
    like none of theirs. Raises DriverError("refused") when that cannot be told.
    """
    if child.reason is not None:
        raise DriverError("refused", child.reason)
    mine = state(child.name)
    if any(state(other.name) == mine for other in child.longer):
        raise DriverError("refused", AMBIGUOUS)
    return mine
