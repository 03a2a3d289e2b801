"""Files in `conf.d` that verbs write: replaced whole and durably, so that the service never reads half of one."""

import fcntl
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_MODE = 0o644  # nothing secret stands in it, and the privileged helper reads nothing that others could write


def conf_d(config: Path) -> Path:
    """The folder beside a configuration."""
    return config.absolute().parent / "conf.d"


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Keep others who write here waiting; makes the folder. Raises OSError."""
    from agent.files.durable import make_directory

    make_directory(folder, 0o755)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def give_to(file: Path, user: str) -> None:
    """Let the service's user own a file, where root writes it and there is such a user. Raises OSError."""
    if os.geteuid() == 0:
        with suppress(KeyError):  # no such user: a station that runs by hand
            account = pwd.getpwnam(user)
            os.chown(file, account.pw_uid, account.pw_gid, follow_symlinks=False)


def replace_file(file: Path, text: str) -> None:
    """Put `text` there durably: the old file or the new one is there at any time. Raises OSError."""
    from agent.files.durable import sync_directory

    fresh = file.with_name(f".{file.name}.new")  # read by nobody: it does not end with .toml
    try:
        with suppress(FileNotFoundError):
            fresh.unlink()  # left by a run that was killed, or put there by somebody else
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
        with open(fd, "w", encoding="utf-8") as stream:  # noqa: PTH123 - a descriptor, not a path
            os.fchmod(fd, _MODE)
            stream.write(text)
            stream.flush()
            os.fsync(fd)
        fresh.replace(file)
        sync_directory(file.parent)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
        raise
