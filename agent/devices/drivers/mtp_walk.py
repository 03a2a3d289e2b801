"""A walk over everything that a camera shows, bounded in depth and number; names come sorted within a folder."""

from collections.abc import Iterator

from agent.devices.drivers.driver import PATH_BYTES, DriverError, Found
from agent.devices.drivers.mtp_names import Child, State
from agent.devices.drivers.mtp_tree import Tree
from agent.devices.drivers.walk import DEPTH_CAP, DIRECTORY_CAP, ENTRY_CAP

CUT_SIZE = 0xFFFF_FFFF
"""What a camera says of a file whose size does not fit 32 bits. The library then asks some for the real size (not those
with Android's MTP); where this is what comes out, it got none. A camera that cuts sizes without saying so is found out
by `mtp_length.py` at best."""

_Level = tuple[str, bytes, Iterator[Child]]


def refusal(size_bytes: int, capacity_bytes: int | None) -> str | None:
    """Why a file of this size is not offloaded."""
    if size_bytes == CUT_SIZE:
        return "size_untrusted"
    return "larger_than_medium" if capacity_bytes is not None and size_bytes > capacity_bytes else None


class MtpWalk:
    """One fresh walk over all storages."""

    def __init__(self, tree: Tree, capacity_bytes: int | None) -> None:
        """Nothing is asked before the first step."""
        self._tree = tree
        self._capacity = capacity_bytes
        self._levels: list[_Level] = []
        self._entries = 0
        self._folders = 0

    def steps(self) -> Iterator[Found]:
        """Yield what is found; None for a folder. Raises DriverError when the camera leaves."""
        self._tree.renew()
        for prefix, folder in self._tree.roots():
            try:
                self._enter(folder, prefix)
            except DriverError as error:
                if error.code == "gone":
                    raise
                raise DriverError("failed", f"a storage cannot be listed: {error.text}", error.number) from error
            while self._levels:
                yield from self._step(*self._levels[-1])
        self._tree.session.insist(self._tree.session.storages)

    def _step(self, folder: str, prefix: bytes, names: Iterator[Child]) -> Iterator[Found]:
        child = next(names, None)
        if child is None:
            self._levels.pop()
            return
        self._entries += 1
        path = prefix + child.raw
        if self._entries > ENTRY_CAP:
            self._levels.clear()
            yield path, "too_many_entries"
            return
        yield self._look(folder, path, child)

    def _look(self, folder: str, path: bytes, child: Child) -> Found:
        reason = child.reason or ("path_too_long" if len(path) > PATH_BYTES else None)
        try:
            if child.is_folder:
                reason = reason or self._why_not_enter()
                if reason is None:
                    self._enter(f"{folder}/{child.name}", path + b"/")
                    return None
            elif reason is None:
                size_bytes, mtime_ns = self._state(folder, child)
                reason = refusal(size_bytes, self._capacity)
                if reason is None:
                    return path, size_bytes, mtime_ns
        except DriverError as error:
            if error.code in ("gone", "failed"):
                raise
            reason = error.text if error.code == "refused" else "unreadable"
        return path, reason or "unreadable"

    def _state(self, folder: str, child: Child) -> State:
        return self._tree.session.insist(lambda: self._tree.state(folder, child))

    def _enter(self, folder: str, prefix: bytes) -> None:
        self._folders += 1
        names = self._tree.session.insist(lambda: self._tree.children(folder))
        self._levels.append((folder, prefix, iter(names)))

    def _why_not_enter(self) -> str | None:
        if len(self._levels) > DEPTH_CAP:
            return "too_deep"
        return "too_many_directories" if self._folders >= DIRECTORY_CAP else None
