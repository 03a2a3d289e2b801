"""Whom a station believes and as whom it shows itself to one store, kept up with the files that say so.

Rules: a renewed certificate, key or CA holds from the next connection on, without a restart, and what is no longer in
the CA's file is no longer believed. Files that do not fit together, as in the middle of a renewal, change nothing: the
old ones hold until the new ones are whole.
"""

import ssl
from pathlib import Path

from agent.core.errors import ConfigError
from agent.stores.tls import client_context

_State = tuple[tuple[int, int, int] | None, ...]


class Trust:
    """The TLS context of one store. Blocks on small local files; use it from one thread."""

    def __init__(self, ca: Path | None, client_cert: Path | None, client_key: Path | None) -> None:
        """Read all files. Raises ConfigError."""
        self._files = ca, client_cert, client_key
        self._state = self._look()
        self._context = client_context(*self._files)

    @property
    def context(self) -> ssl.SSLContext:
        """The context for a new connection: another object once a file has changed."""
        state = self._look()
        if state != self._state:
            try:
                self._context = client_context(*self._files)
            except ConfigError:
                return self._context  # and look again next time
            self._state = state
        return self._context

    def _look(self) -> _State:
        return tuple(None if path is None else _marks(path) for path in self._files)


def _marks(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written or replaced; None while it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
