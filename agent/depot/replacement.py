"""A station that is gone and the one that takes its place: keys, and what the lost one never brought.

Rules: the new station has a name that no station had. A custody log, its signing key and its receipts belong to one
machine; two of one name could not be told apart later. What can be refused is refused before anything is revoked. Each
step is durable before the next begins, and what is meant is written down before the first: so the same command goes on
where one was killed, even for a station that brought nothing and whose own file is gone. A credential that was written
whole is kept by that; it may be at its station by then.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from agent.depot.listing import JsonValue, list_uploads
from agent.depot.refusal import DepotError
from agent.depot.stations import (
    enrol_station,
    has_credential,
    note_successor,
    revoke_station,
    station_of,
    successor_of,
)
from agent.files.durable import sync_directory

_TOKEN_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Replacement:
    """What was done. `revoked` is False where the old station had no credential any more.

    `missing` are rows of `list_uploads`: what the old station had begun or announced and no station has brought.
    """

    old: str
    new: str
    revoked: bool
    credential: Path
    missing: tuple[dict[str, JsonValue], ...]


def replace_station(
    depot: Path,
    old: str,
    new: str,
    credential: Path,
    now: datetime,
    *,
    within: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Replacement:
    """Revoke `old`, enrol `new`, and put its credential into the new file `credential`. Works while the depot runs.

    Once more with the same words it goes on where a run was cut off, and changes nothing where that had come to its
    end. What is changed in the depot is changed `within`, for one who has other rights there than elsewhere. Raises
    DepotError; then nothing was revoked, unless the message says so.
    """
    begun = _begun(depot, old, new)
    fd = _reserved(depot, old, new, credential, begun=begun)
    revoked = whole = False
    try:
        whole = begun and _is_credential(depot, fd, new)
        sync_directory(credential.parent)
        with within():
            if not begun:
                note_successor(depot, old, new, now)
            revoked = revoke_station(depot, old)
            token = None if whole else enrol_station(depot, new, now, replace=begun)
        if token is not None:
            _write(fd, token)
        os.fsync(fd)
    except BaseException as error:
        noted = successor_of(depot, old) == new
        if not whole:
            _undo(fd, credential, noted=noted)
        if noted and isinstance(error, OSError | DepotError) and not has_credential(depot, old):
            what = f"{old} is revoked, but {new} has no credential in {credential} yet: {error}"
            raise DepotError(what, hint="Mend that, and say the same once more: it goes on from there.") from error
        raise
    finally:
        os.close(fd)
    return Replacement(old, new, revoked, credential, tuple(list_uploads(depot, old, missing=True)))


def _begun(depot: Path, old: str, new: str) -> bool:
    """Whether an earlier run began with just this. Raises DepotError for names that do not fit. Nothing is changed."""
    if old == new:
        hint = (
            "Give the new one another name, such as the old one with a letter. To go on under the old name, restore a"
            " backup on the new machine: dock-agent restore."
        )
        raise DepotError(f"the new station cannot be called {new} as well; nothing was changed", hint=hint)
    successor = successor_of(depot, old)
    if successor is None and not has_credential(depot, old) and not list_uploads(depot, old):
        hint = "Look for a mistake in its name: `dock-agent depot ls` shows the stations that brought something."
        raise DepotError(f"nothing is known here of a station {old}; nothing was changed", hint=hint)
    if successor != new and _was_there(depot, new):
        hint = "Give the new station a name that no station had."
        raise DepotError(f"there was a station {new} already; nothing was changed", hint=hint)
    return successor == new


def _was_there(depot: Path, station: str) -> bool:
    return has_credential(depot, station) or bool(list_uploads(depot, station))


def _reserved(depot: Path, old: str, new: str, credential: Path, *, begun: bool) -> int:
    """A file that only we can read, there before anything is revoked: a new one, or what a run left that was cut off.

    That is an empty one, or one with the credential of `new`. Raises DepotError.
    """
    made = begun and _was_there(depot, new)
    try:
        fd = _opened(credential, make=not made)
    except OSError as error:
        raise (_elsewhere(old, new, credential) if made else _unwritable(credential, error)) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # another run may be at it
        facts = os.fstat(fd)
        ours = stat.S_ISREG(facts.st_mode) and facts.st_uid == os.geteuid() and not facts.st_mode & 0o077
        if not ours or (facts.st_size > 0 and not (made and _is_credential(depot, fd, new))):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    except OSError as error:
        os.close(fd)
        raise (_elsewhere(old, new, credential) if made else _unwritable(credential, error)) from error
    return fd


def _opened(credential: Path, *, make: bool) -> int:
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    if make:
        with suppress(FileExistsError):
            return os.open(credential, flags | os.O_CREAT | os.O_EXCL, 0o600)
    return os.open(credential, flags)


def _is_credential(depot: Path, fd: int, new: str) -> bool:
    """Whether the file holds a credential with which `new` may speak to the depot."""
    token = os.pread(fd, _TOKEN_BYTES, 0).decode("ascii", "replace").strip()
    return station_of(depot, f"Bearer {token}") == new


def _write(fd: int, token: str) -> None:
    with open(fd, "wb", closefd=False) as file:
        file.write(token.encode("ascii") + b"\n")


def _undo(fd: int, credential: Path, *, noted: bool) -> None:
    """Leave no half of a credential; an empty file says to the next run that there was none."""
    with suppress(OSError):
        if noted:
            os.ftruncate(fd, 0)
        else:
            credential.unlink()


def _unwritable(credential: Path, error: OSError) -> DepotError:
    hint = "Name a file that is not there yet, in a folder that is. Nothing was changed."
    return DepotError(f"the credential cannot be written to {credential}: {error.strerror}", hint=hint)


def _elsewhere(old: str, new: str, credential: Path) -> DepotError:
    hint = (
        f"Name the file of the run before this one. Where it is lost: --enrol {new} --replace makes another one. What"
        f" {old} never brought: `dock-agent depot ls --station {old} --missing`. Nothing was changed."
    )
    return DepotError(f"{old} was replaced by {new} already, and its credential is not in {credential}", hint=hint)
