"""The few Linux calls that Python lacks, and file-system identification.

Source: sync_file_range(2), renameat2(2), syncfs(2), mallopt(3), statfs(2) and linux/magic.h.
"""

import ctypes
import os
from functools import cache

_SYNC_FILE_RANGE_WRITE = 2
_SYNC_FILE_RANGE_AND_WAIT = 1 | 2 | 4
_RENAME_NOREPLACE = 1
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.sync_file_range.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    libc.renameat2.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    return libc


def start_writeback(fd: int, offset: int, length_bytes: int) -> None:
    """Ask the kernel to begin writing a range now, so that the final fsync is short. Best effort."""
    _libc().sync_file_range(fd, offset, length_bytes, _SYNC_FILE_RANGE_WRITE)


def write_out(fd: int, offset: int, length_bytes: int) -> None:
    """Hand a range's bytes to the disk and wait until it has taken them, which does not make them durable yet.

    Only `fsync` does. Raises OSError.
    """
    if _libc().sync_file_range(fd, offset, length_bytes, _SYNC_FILE_RANGE_AND_WAIT) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def rename_new(source: str, target: str, *, source_dir_fd: int, target_dir_fd: int) -> None:
    """Rename without ever replacing. Raises FileExistsError when `target` exists, OSError otherwise."""
    result = _libc().renameat2(
        source_dir_fd, os.fsencode(source), target_dir_fd, os.fsencode(target), _RENAME_NOREPLACE
    )
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def keep_freed_memory(kept_bytes: int, *, blocks_up_to: int) -> None:
    """Let this process keep up to `kept_bytes` of freed memory for blocks of up to `blocks_up_to` bytes. Best effort.

    Otherwise each block of a stream is given back to the kernel and zeroed again, page by page: for a server that
    does nothing else this was half of its time.
    """
    _libc().mallopt(_M_MMAP_THRESHOLD, blocks_up_to)
    _libc().mallopt(_M_TRIM_THRESHOLD, kept_bytes)


def sync_file_system(fd: int) -> None:
    """Write everything of the file system that `fd` lies on. Raises OSError."""
    if _libc().syncfs(fd) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


_MAGIC = {
    0xEF53: "ext4",
    0x58465342: "xfs",
    0x9123683E: "btrfs",
    0xF2F52010: "f2fs",
    0x01021994: "tmpfs",
    0x858458F6: "ramfs",
    0x794C7630: "overlay",
    0x6969: "nfs",
    0xFF534D42: "cifs",
    0xFE534D42: "smb2",
    0x517B: "smb",
    0x65735546: "fuse",
    0x4D44: "vfat",
    0x2011BAB0: "exfat",
    0x5346544E: "ntfs",
    0x01021997: "9p",
    0x2FC12FC1: "zfs",
}


def file_system_of(path: str | os.PathLike[str]) -> str:
    """Name the file system that `path` lies on, such as "ext4"; "unknown:0x..." for others. Raises OSError."""
    buffer = ctypes.create_string_buffer(256)  # struct statfs is 120 bytes on 64-bit Linux
    if _libc().statfs(os.fsencode(path), buffer) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.fspath(path))
    magic = int.from_bytes(buffer.raw[:8], "little") & 0xFFFFFFFF
    return _MAGIC.get(magic, f"unknown:{magic:#x}")


DURABLE_FILE_SYSTEMS = frozenset({"ext4", "xfs"})
"""Where fsync of file and directory was seen to keep both name and bytes over a power cut."""
