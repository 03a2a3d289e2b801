"""Fills an exFAT volume, fresh from mkfs.exfat, with files: nothing on a build machine writes one without a mount.

Each file and each folder takes clusters that follow each other, which exFAT can say without a chain in its table. So
all there is to write are contents, folder entries and the bitmap of clusters in use.
"""

import struct
import time
from dataclasses import dataclass
from pathlib import Path

_ENTRY = 32
_BITMAP, _UPCASE, _FILE, _STREAM, _NAME = 0x81, 0x82, 0x85, 0xC0, 0xC1
_FOLDER_ATTRIBUTE, _ARCHIVE_ATTRIBUTE = 0x10, 0x20
_NAME_UNITS = 15
_NO_CHAIN = 0x03  # has clusters, and they follow each other
_UTC = 0x80
_FIRST = 2  # the number of the first cluster


@dataclass(slots=True)
class _Volume:
    """The places of an open volume."""

    data: bytearray
    heap: int  # bytes to the first cluster
    cluster: int  # bytes
    bitmap: int  # bytes to the bitmap
    next: int  # the first cluster that is free, as are all after it
    root: int  # bytes to the root folder

    def place(self, data: bytes) -> int:
        """Write something to fresh clusters and return the number of its first; 0 when it is empty."""
        if not data:
            return 0
        count = -(-len(data) // self.cluster)
        first, self.next = self.next, self.next + count
        at = self.heap + (first - _FIRST) * self.cluster
        if at + len(data) > len(self.data):
            raise ValueError("the card is too small for these files; give it more megabytes")
        self.data[at : at + len(data)] = data
        for number in range(first - _FIRST, self.next - _FIRST):
            self.data[self.bitmap + number // 8] |= 1 << number % 8
        return first


def fill(path: Path, tree: Path) -> None:
    """Copy everything below `tree` into the volume. Times of folders are not kept."""
    volume = _open(bytearray(path.read_bytes()))
    entries = _entries(volume, tree)
    old_end = volume.root
    while volume.data[old_end]:
        old_end += _ENTRY
    if old_end + len(entries) > volume.root + volume.cluster:
        raise ValueError("too many files in the topmost folder; put them into one below")
    volume.data[old_end : old_end + len(entries)] = entries
    path.write_bytes(volume.data)


def _open(data: bytearray) -> _Volume:
    heap_sector, _, root_cluster = struct.unpack_from("<III", data, 88)
    sector, cluster = 1 << data[108], 1 << data[108] + data[109]
    heap = heap_sector * sector
    root = heap + (root_cluster - _FIRST) * cluster
    last = root_cluster
    bitmap = 0
    for at in range(root, root + cluster, _ENTRY):
        if data[at] in (_BITMAP, _UPCASE):
            first, length = struct.unpack_from("<IQ", data, at + 20)
            last = max(last, first + -(-length // cluster) - 1)
            if data[at] == _BITMAP:
                bitmap = heap + (first - _FIRST) * cluster
    return _Volume(data, heap, cluster, bitmap, last + 1, root)


def _entries(volume: _Volume, folder: Path) -> bytes:
    """The entries of a folder's contents, all of which are written first."""
    found = b""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            inside = _entries(volume, path)
            # A folder's length is whole clusters; what follows its entries is zero.
            data = inside.ljust(max(1, -(-len(inside) // volume.cluster)) * volume.cluster, b"\0")
        else:
            data = path.read_bytes()
        attribute = _FOLDER_ATTRIBUTE if path.is_dir() else _ARCHIVE_ATTRIBUTE
        found += _entry_set(path.name, attribute, volume.place(data), len(data), path.stat().st_mtime)
    return found


def _entry_set(name: str, attribute: int, first: int, length: int, changed: float) -> bytes:
    units = name.encode("utf-16-le")
    count = len(units) // 2
    names = -(-count // _NAME_UNITS)
    moment = time.gmtime(changed)
    stamp = (moment.tm_year - 1980) << 25 | moment.tm_mon << 21 | moment.tm_mday << 16
    stamp |= moment.tm_hour << 11 | moment.tm_min << 5 | moment.tm_sec // 2
    tenths = moment.tm_sec % 2 * 100
    head = struct.pack("<BBHHHIII", _FILE, names + 1, 0, attribute, 0, stamp, stamp, stamp)
    head += struct.pack("<BBBBB7x", tenths, tenths, _UTC, _UTC, _UTC)
    flags = _NO_CHAIN if first else 0x01
    stream = struct.pack("<BBBBHHQIIQ", _STREAM, flags, 0, count, _hash(name), 0, length, 0, first, length)
    rest = b""
    for number in range(names):
        part = units[number * 2 * _NAME_UNITS : (number + 1) * 2 * _NAME_UNITS]
        rest += struct.pack("<BB", _NAME, 0) + part.ljust(2 * _NAME_UNITS, b"\0")
    entries = bytearray(head + stream + rest)
    struct.pack_into("<H", entries, 2, _checksum(entries))
    return bytes(entries)


def _rotated(value: int, byte: int) -> int:
    return ((value << 15 | value >> 1) + byte) & 0xFFFF


def _hash(name: str) -> int:
    value = 0
    for byte in name.upper().encode("utf-16-le"):
        value = _rotated(value, byte)
    return value


def _checksum(entries: bytearray) -> int:
    value = 0
    for at, byte in enumerate(entries):
        if at not in (2, 3):
            value = _rotated(value, byte)
    return value
