"""What a simulated camera does wrong, by its script.

The keys of `faults` in the script; byte counts are over everything read in this docking and hit exactly:
`vanish_after_bytes`, `stall_after_bytes` (hangs for ever, deaf to SIGTERM), `garbage_after_bytes` (talks nonsense on
the control socket), `die_after_bytes`, `change_after_bytes` with `change` = "append" (default), "truncate" or
"rewrite" (other bytes, same size and time), `medium_error_at` = {"glob", "offset"}, `lie_about_size` (bytes added to
every claim), `endless_listing`, `long_listing` (so many names before the true ones), `unreadable_folders` = [glob,
...]. Beside them `rate_bytes_s` slows the camera down.
"""

import errno
import os
import signal
import sys
import time
from collections.abc import Callable
from fnmatch import fnmatchcase

from agent.devices.drivers.driver import DriverError

Script = dict[str, object]

_GARBAGE = b"\x00\xff this is {no answer\n"
_EXIT = 70
_LEAST_STEP = 4096
_STEPS_PER_S = 20
_AHEAD_S = 0.01


def whole_number(script: Script, key: str) -> int | None:
    """A number of the script, None when it is not there or no number."""
    value = script.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _hang() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        signal.pause()


def _talk_nonsense() -> None:
    # The control socket is the process's only argument; no driver that is not a simulation knows of it.
    os.write(int(sys.argv[-1]), _GARBAGE)


def _die() -> None:
    os._exit(_EXIT)


class Faults:
    """Counts what was read in this docking and lets each fault happen at its byte."""

    def __init__(self, script: Script, change: Callable[[str], None]) -> None:
        """`change` alters the file being read; its argument says how."""
        faults = script.get("faults")
        self._script: Script = faults if isinstance(faults, dict) else {}
        self._rate = whole_number(script, "rate_bytes_s")
        self._due = 0.0  # of the monotonic clock: when the last byte that was sent would have come off the medium
        self._read_bytes = 0
        self.vanished = False
        how = str(self._script.get("change", "append"))
        actions: dict[str, Callable[[], None]] = {
            "vanish_after_bytes": self._vanish,
            "stall_after_bytes": _hang,
            "garbage_after_bytes": _talk_nonsense,
            "die_after_bytes": _die,
            "change_after_bytes": lambda: change(how),
        }
        wanted = ((whole_number(self._script, key), action) for key, action in actions.items())
        self._pending = [(at, action) for at, action in wanted if at is not None]

    @property
    def lie_bytes(self) -> int:
        """What is added to every size."""
        return whole_number(self._script, "lie_about_size") or 0

    @property
    def endless(self) -> bool:
        """Whether the listing never ends."""
        return self._script.get("endless_listing") is True

    @property
    def long_listing(self) -> int:
        """How many names the listing shows that lead nowhere."""
        return whole_number(self._script, "long_listing") or 0

    def is_unreadable(self, folder: bytes) -> bool:
        """Whether what lies in this folder cannot be listed."""
        globs = self._script.get("unreadable_folders")
        return isinstance(globs, list) and any(fnmatchcase(os.fsdecode(folder), str(glob)) for glob in globs)

    def _vanish(self) -> None:
        self.vanished = True

    def before_block(self, path: bytes, offset: int, limit: int) -> int:
        """Let due faults happen; return how much may be read before the next. Raises DriverError."""
        for pending in [each for each in self._pending if self._read_bytes >= each[0]]:
            self._pending.remove(pending)
            pending[1]()
        if self.vanished:
            raise DriverError("gone", os.strerror(errno.ENODEV), errno.ENODEV)
        for at, _action in self._pending:
            limit = min(limit, at - self._read_bytes)
        if self._rate:
            limit = min(limit, max(_LEAST_STEP, self._rate // _STEPS_PER_S))
        return min(limit, self._before_bad_spot(path, offset))

    def _before_bad_spot(self, path: bytes, offset: int) -> int:
        spot = self._script.get("medium_error_at")
        if not isinstance(spot, dict) or not fnmatchcase(os.fsdecode(path), str(spot.get("glob", "*"))):
            return sys.maxsize
        rest = (whole_number(spot, "offset") or 0) - offset
        if rest <= 0:
            raise DriverError("unreadable", os.strerror(errno.EIO), errno.EIO)
        return rest

    def after_block(self, count: int) -> None:
        """Count what was read, and take the time that the script's rate demands."""
        self._read_bytes += count
        if self._rate:
            now = time.monotonic()
            # A camera reads a little ahead of what is asked; what was not asked for in time is lost.
            self._due = max(self._due, now - _AHEAD_S) + count / self._rate
            time.sleep(max(0.0, self._due - now))
