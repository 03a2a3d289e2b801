"""Where a restoration looks at a backup before anything is put in place."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.core.errors import AgentError, Remedy

_PREFIX = ".restore-"


class RestoreRefused(AgentError):
    """Nothing was restored, and nothing was changed."""

    code, remedy = "cli.restore_refused", Remedy.HALT


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A private folder in `folder`, gone when the block ends; makes `folder`, and clears up after one that was killed.

    Raises RestoreRefused while another command writes there, OSError.
    """
    from agent.files.durable import make_directory

    make_directory(folder, 0o755)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            hint = "Wait until it has ended, then run this again. Nothing was changed."
            raise RestoreRefused(f"Another command writes in {folder}.", hint=hint) from error
        for stale in folder.glob(f"{_PREFIX}*"):  # they hold secrets
            shutil.rmtree(stale)
        stage = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
        try:
            yield stage
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    finally:
        os.close(fd)
