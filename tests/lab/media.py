"""Images of cards: what a camera has recorded, in a file system of its own. No root, no mounts.

Made once for each content and kept; every call copies, so that a test may write to its own.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from tests.lab import exfat
from tests.lab.cache import digest, made

FileSystem = Literal["vfat", "exfat", "ext4"]

MIB = 1 << 20
PARTITION_AT = MIB
KEPT = 60
RECORDED_AT = 1_760_000_000
"""The time of every file that is given none: a whole even number of seconds, as FAT keeps them."""
_PARTITION_KINDS = {"vfat": "c", "exfat": "7", "ext4": "83"}


def card(
    target: Path,
    files: Mapping[str, bytes],
    fs: FileSystem = "vfat",
    *,
    megabytes: int = 128,
    partitioned: bool = True,
    label: str = "CAMERA",
    times: Mapping[str, float] | None = None,
) -> Path:
    """Write an image to `target` and return it; it is sparse. `files`: contents by path, folders are made as needed.

    `partitioned`: with a partition table, as cards are sold, else the file system begins with the first byte.
    `times`: seconds since 1970, by path. FAT32 needs at least 64 megabytes.
    """
    when = {path: (times or {}).get(path, RECORDED_AT) for path in files}
    contents = (part for path in sorted(files) for part in (path, files[path], str(when[path])))
    own = Path(__file__).read_bytes() + Path(exfat.__file__).read_bytes()
    key = digest(own, fs, str(megabytes), str(partitioned), label, *contents)

    def make(folder: Path) -> None:
        image = folder / "card.img"
        with image.open("wb") as file:
            file.truncate(megabytes * MIB)
        if partitioned:
            _run("sfdisk", "-q", image, said=f"label: dos\nstart=2048, type={_PARTITION_KINDS[fs]}\n")
        with tempfile.TemporaryDirectory(dir=folder) as name:
            tree = Path(name, "files")
            _lay_out(tree, files, when)
            begin = PARTITION_AT if partitioned else 0
            _FILLERS[fs](image, begin, megabytes * MIB - begin, label, tree)

    made_card = made("cards", key, make, keep=KEPT) / "card.img"
    _run("cp", "--sparse=always", made_card, target)
    return target


def _run(*words: str | Path, said: str = "", **environment: str) -> None:
    done = subprocess.run(  # noqa: S603 - our own words
        words, input=said, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    if done.returncode:
        raise RuntimeError(f"{words[0]} could not make the card's image: {done.stdout}{done.stderr}")


def _lay_out(tree: Path, files: Mapping[str, bytes], when: Mapping[str, float]) -> None:
    tree.mkdir()
    for name, data in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (when[name], when[name]))
    for folder in (tree, *filter(Path.is_dir, tree.rglob("*"))):
        os.utime(folder, (RECORDED_AT, RECORDED_AT))


def _fill_vfat(image: Path, begin: int, length: int, label: str, tree: Path) -> None:
    sectors, blocks = str(begin // 512), str(length // 1024)
    _run("mkfs.vfat", "-F", "32", "-n", label, "-i", digest(label)[:8], "--offset", sectors, image, blocks)
    if inside := sorted(tree.iterdir()):
        # In UTC, because the guest's clock is.
        _run("mcopy", "-s", "-Q", "-m", "-i", f"{image}@@{begin}", *inside, "::/", MTOOLS_SKIP_CHECK="1", TZ="UTC")


def _fill_exfat(image: Path, begin: int, length: int, label: str, tree: Path) -> None:
    volume = image.with_suffix(".volume")
    with volume.open("wb") as file:
        file.truncate(length)
    _run("mkfs.exfat", "-L", label, volume)
    exfat.fill(volume, tree)
    _run("dd", f"if={volume}", f"of={image}", "bs=1M", f"seek={begin // MIB}", "conv=notrunc,sparse", "status=none")
    volume.unlink()


def _fill_ext4(image: Path, begin: int, length: int, label: str, tree: Path) -> None:
    for path in (tree, *tree.rglob("*")):
        # A camera's files belong to the camera's users, not to the station's.
        if os.geteuid() == 0:
            shutil.chown(path, 1000, 1000)
    options = f"offset={begin},lazy_itable_init=0,lazy_journal_init=0"
    _run("mke2fs", "-q", "-t", "ext4", "-L", label, "-E", options, "-d", tree, image, f"{length // 1024}k")


_FILLERS = {"vfat": _fill_vfat, "exfat": _fill_exfat, "ext4": _fill_ext4}
