"""Where measurements put their files: in memory, or on the disk that the checkout lies on."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_BUILD = Path(__file__).parents[2] / "build"


@dataclass(frozen=True, slots=True)
class Places:
    """Two empty directories, gone afterwards."""

    memory: Path
    disk: Path


@contextmanager
def places() -> Iterator[Places]:
    """Make them. The one on disk is below `build/`, which is never part of the project."""
    _BUILD.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm", prefix="bench-") as memory,
        tempfile.TemporaryDirectory(dir=_BUILD, prefix="bench-") as disk,
    ):
        yield Places(Path(memory), Path(disk))
