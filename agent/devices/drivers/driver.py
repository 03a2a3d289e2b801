"""What the reader process asks of a driver.

Rules: this runs in the reader, which starts once per camera, so nothing heavier than `typing` is imported.
Paths are raw bytes relative to the camera's root. Everything a driver cannot do ends in `DriverError`, whose
`code` the agent turns into one of its own errors.
"""

import errno
from collections.abc import Iterator
from typing import Protocol

BLOCK_BYTES = 1 << 20
"""How much a source sends at once; also the size of the pipe."""

PATH_BYTES = 4096
"""The longest path that is offloaded: PATH_MAX, beyond which no other program could name the file either."""

GONE = frozenset({errno.ENODEV, errno.ENXIO, errno.ENOMEDIUM, errno.ESHUTDOWN})
"""What the kernel says when the device itself has left."""

Found = tuple[bytes, int, int] | tuple[bytes, str] | None
"""One step of a walk: (path, size in bytes, mtime in ns), (path, why it is refused), or None: nothing to tell."""

Facts = dict[str, str | int | None]
"""What a driver knows of the camera, by the field names of `ports.CameraFacts`."""


class DriverError(Exception):
    """Something could not be done.

    Codes: gone (the camera left), missing (no such file), unreadable (this file only), changed (not the file
    that was listed), refused (not a regular file; the text is the reason), too_large, read_only (the medium
    takes no changes), window (no wipe window is open, or the medium was left), failed (anything else).
    """

    def __init__(self, code: str, text: str, number: int = 0) -> None:
        """`text` never holds a file name; `number` is the errno, 0 when there is none."""
        super().__init__(text)
        self.code = code
        self.text = text
        self.number = number


class Source(Protocol):
    """One file opened for reading."""

    def state(self) -> tuple[int, int]:
        """Look at the file again: size in bytes and mtime in ns. Raises DriverError."""
        ...

    def mark(self) -> str:
        """Tell the open file, as it is now, from any other and from itself once touched. Raises DriverError.

        At most 200 printable ASCII characters; equal marks mean that nobody wrote in between.
        """
        ...

    def send(self, pipe: int, limit: int) -> int:
        """Send at most `limit` next bytes into `pipe`; 0 at the end. Raises BrokenPipeError, DriverError."""
        ...

    def close(self) -> None:
        """Forget the file; idempotent."""
        ...


class Driver(Protocol):
    """One kind of camera, opened."""

    can_wipe: bool

    def facts(self) -> Facts:
        """What the camera says about itself."""
        ...

    def require_present(self) -> None:
        """Raise DriverError("gone") when the camera is no longer there."""
        ...

    def exists(self, path: bytes) -> bool:
        """Whether this is a file or a directory on the camera."""
        ...

    def walk(self) -> Iterator[Found]:
        """Walk everything afresh. Raises DriverError, also at the end when the camera left meanwhile."""
        ...

    def open_source(self, path: bytes, *, fresh: bool) -> Source:
        """Open a file; `fresh` asks for the medium's bytes instead of cached ones."""
        ...

    def wipe(self, path: bytes, size_bytes: int, mtime_ns: int, mark: str) -> None:
        """Unlink exactly this file, and only if it still has this size, mtime and mark."""
        ...

    def leave(self) -> None:
        """Write out what a window changed and let go of the medium, so that it can be unmounted. Ends a window."""
        ...

    def enter(self, address: bytes, *, writable: bool) -> None:
        """Open the medium anew where it is now; `writable` allows `wipe` until the next `leave`.

        Raises DriverError, "gone" when it is another medium, "read_only" when it cannot be written to.
        """
        ...

    def close(self) -> None:
        """Let go of the camera; idempotent."""
        ...
