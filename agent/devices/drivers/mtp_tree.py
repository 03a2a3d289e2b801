"""What a camera shows: its storages, their folders, and the way from a clip's path to a name the library knows.

A path begins below the camera's storage (`DCIM/100BWC/CLIP.MP4`), so that it is the same as on a mounted card. Only a
camera with several storages has theirs in front (`store_00020001/DCIM/...`), by the numbers that it gives them.
"""

from agent.devices.drivers.driver import DriverError
from agent.devices.drivers.mtp_names import Child, State, children, os_bytes, own_state
from agent.devices.drivers.mtp_session import Session

_STORAGE = "store_"


class Tree:
    """The folders of a session, each listed at most once in it."""

    def __init__(self, session: Session) -> None:
        """Nothing is asked before it is needed."""
        self.session = session
        self._known: dict[str, list[Child]] = {}

    def renew(self) -> None:
        """Forget everything. Raises DriverError."""
        self._known.clear()
        self.session.renew()

    def storages(self) -> list[str]:
        """The names of the storages. Raises DriverError when there are none: that is no empty camera."""
        folders, _ = self.session.names("/")
        found = sorted(name for name in folders if name.startswith(_STORAGE))
        if not found:
            raise DriverError("failed", "the camera shows no storage; it may be locked or still starting")
        return found

    def roots(self) -> list[tuple[bytes, str]]:
        """Where walks begin: (what paths begin with, folder)."""
        storages = self.storages()
        if len(storages) == 1:
            return [(b"", f"/{storages[0]}")]
        return [(os_bytes(name) + b"/", f"/{name}") for name in storages]

    def children(self, folder: str) -> list[Child]:
        """What is in a folder, sorted. Raises DriverError.

        The library leaves out what it could not ask for, so that a camera that has gone silent has empty folders:
        whether it still answers is asked afterwards.
        """
        if folder not in self._known:
            folders, files = self.session.names(folder)
            self.session.storages()
            self._known[folder] = children(folders, files)
        return self._known[folder]

    def locate(self, path: bytes) -> tuple[str, Child]:
        """The folder and the child that a path leads to. Raises DriverError("missing"), or "refused" on the way."""
        parts = path.split(b"/")
        if b"\0" in path or any(part in (b"", b".", b"..") for part in parts):
            raise DriverError("refused", "bad_path")
        folder, names = self._root_of([part.decode("utf-8", "surrogateescape") for part in parts])
        for name in names[:-1]:
            child = self._child(folder, name)
            if not child.is_folder:
                raise DriverError("missing", "no such file")
            if child.reason is not None:
                raise DriverError("refused", child.reason)
            folder = f"{folder}/{name}"
        return folder, self._child(folder, names[-1])

    def _root_of(self, names: list[str]) -> tuple[str, list[str]]:
        storages = self.storages()
        if len(storages) == 1:
            return f"/{storages[0]}", names
        if names[0] not in storages or len(names) == 1:
            raise DriverError("missing", "no such file")
        return f"/{names[0]}", names[1:]

    def _child(self, folder: str, name: str) -> Child:
        for child in self.children(folder):
            if child.name == name:
                return child
        raise DriverError("missing", "no such file")

    def state(self, folder: str, child: Child) -> State:
        """A file's size and mtime, once it is sure that they are its own. Raises DriverError."""
        if child.is_folder:
            raise DriverError("refused", "directory")
        return own_state(child, lambda name: self.session.state(folder, name))

    def look(self, path: bytes) -> tuple[str, Child, State]:
        """Ask the camera, in a new session, for a file's folder, name, size and mtime. Raises DriverError."""

        def once() -> tuple[str, Child, State]:
            self.renew()
            folder, child = self.locate(path)
            return folder, child, self.state(folder, child)

        return self.session.insist(once)
