"""The system calls that Python lacks: mounting, and marking a disk as read-only.

Source: mount(2), umount2(2), linux/mount.h, linux/fs.h.
"""

import ctypes
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_RDONLY, _NOSUID, _NODEV, _NOEXEC, _NOSYMFOLLOW, _NOATIME = 1, 2, 4, 8, 256, 1024
_ALWAYS = _NOSUID | _NODEV | _NOEXEC | _NOSYMFOLLOW | _NOATIME
_DETACH, _NOFOLLOW = 2, 8
_BLKROSET, _BLKFLSBUF = 0x125D, 0x1261
_INT_BYTES = 4


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]
    libc.umount2.argtypes = [ctypes.c_char_p, ctypes.c_int]
    return libc


def _checked(result: int, about: Path) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(about))


def mount(device: Path, place: Path, file_system: str, options: str, *, writable: bool) -> None:
    """Mount one file system, and as this one only. Nothing on it can be run, be a device or lead elsewhere.

    Raises OSError.
    """
    flags = _ALWAYS if writable else _ALWAYS | _RDONLY
    _checked(
        _libc().mount(os.fsencode(device), os.fsencode(place), file_system.encode(), flags, options.encode()), device
    )


def unmount(place: Path, *, lazily: bool) -> None:
    """Take a mount away: now, or lazily out of sight now and in fact once nobody uses it any more. Raises OSError."""
    flags = _NOFOLLOW | _DETACH if lazily else _NOFOLLOW
    _checked(_libc().umount2(os.fsencode(place), flags), place)


def set_read_only(device: Path, *, on: bool) -> None:
    """Have the kernel refuse every write to a disk or partition, or allow them again. Raises OSError."""
    with _opened(device) as disk:
        fcntl.ioctl(disk, _BLKROSET, int(on).to_bytes(_INT_BYTES, "little"))


def forget_cached(device: Path) -> None:
    """Write out and drop what memory holds of a disk or partition. Raises OSError."""
    with _opened(device) as disk:
        fcntl.ioctl(disk, _BLKFLSBUF, 0)


def claim(device: Path) -> None:
    """See that nobody uses a disk: no mount of it or of a partition is left anywhere. Raises OSError (EBUSY)."""
    with _opened(device, os.O_EXCL):
        pass


@contextmanager
def _opened(device: Path, how: int = 0) -> Iterator[int]:
    disk = os.open(device, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | how)
    try:
        yield disk
    finally:
        os.close(disk)
