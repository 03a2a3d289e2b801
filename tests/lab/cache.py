"""Keeps what is dear to make: images, saved states and card images, each in a folder of its own, made once.

Below `DOCK_LAB_DIR`, or `dock-agent-lab` in the user's cache folder. A folder is complete when it has its name: it is
made under another one and then renamed. Who comes while it is being made waits. Old ones are removed.
"""

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

YOUNG_S = 3600
"""Nothing that was used this lately is removed: a machine may stand on it."""


def say(text: str) -> None:
    """One line of progress, so that nobody wonders."""
    sys.stderr.write(f"lab: {text}\n")
    sys.stderr.flush()


def root() -> Path:
    """Where everything is kept."""
    named = os.environ.get("DOCK_LAB_DIR")
    if named:
        return Path(named).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dock-agent-lab"


def digest(*parts: str | bytes) -> str:
    """A short name for these parts, in this order."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()[:16]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, after whoever holds it now."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process that is making {path.stem}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def made(kind: str, key: str, make: Callable[[Path], None], keep: int) -> Path:
    """The folder of this kind and key, made by `make(empty folder)` where it is not there yet.

    Of its kind, the `keep` that were used last stay.
    """
    folder = root() / kind / key
    if not folder.is_dir():
        with locked(root() / kind / f"{key}.lock"):
            if not folder.is_dir():
                begun = time.monotonic()
                # Never one that is there: what was killed may have left mounts below it, which nobody can remove.
                unfinished = Path(tempfile.mkdtemp(prefix=f"{key}.", suffix=".part", dir=folder.parent))
                unfinished.chmod(0o755)
                make(unfinished)
                unfinished.rename(folder)
                if kind != "cards":
                    say(f"made {kind}/{key} in {time.monotonic() - begun:.1f} s")
    os.utime(folder)
    _remove_old(folder.parent, keep)
    return folder


def _remove_old(kind: Path, keep: int) -> None:
    used = {entry: entry.stat().st_mtime for entry in kind.iterdir() if entry.is_dir()}
    finished = sorted((entry for entry in used if entry.suffix != ".part"), key=used.__getitem__, reverse=True)
    broken_off = [entry for entry in used if entry.suffix == ".part"]
    for entry in finished[keep:] + broken_off:
        if time.time() - used[entry] > YOUNG_S:
            shutil.rmtree(entry, ignore_errors=True)
            entry.with_suffix(".lock").unlink(missing_ok=True)
