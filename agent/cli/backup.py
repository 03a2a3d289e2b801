"""`dock-agent backup`: everything that a new machine needs to be this station again, but for the footage."""

import errno
import fcntl
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.backup_archive import measure, write_archive
from agent.cli.options import DEFAULT_CONFIG, Actor, AsJson, ConfigFile, load
from agent.cli.terminal import print_json, say_error
from agent.cli.wording import count, safe, size
from agent.core.backup import CONFIG, LEDGER, LOG, STATE, STORES, Kept, Manifest, may_keep
from agent.core.errors import AgentError, Remedy

if TYPE_CHECKING:
    from agent.config import Config

_OTHERS = 0o077
Output = Annotated[Path, typer.Argument(metavar="FILE", help="The backup; a file that does not exist yet.")]


class BackupRefused(AgentError):
    """No backup was written."""

    code, remedy = "cli.backup_refused", Remedy.HALT


def backup(output: Output, actor: Actor, config: ConfigFile = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Write ledger, custody log, keys and configuration into one file, also while the service runs.

    It holds this station's secrets unencrypted, mode 0600: keep it like a key. It holds no footage.
    """
    output = output.absolute()
    if output.exists():
        raise BackupRefused(f"{output} is there already.", hint="Give the name of a file that does not exist yet.")
    if not output.parent.is_dir():
        hint = f"Make it first (mkdir -p {shlex.quote(str(output.parent))}), or give another place."
        raise BackupRefused(f"There is no folder {output.parent}, so no backup was written.", hint=hint)
    settings = load(config)
    state = settings.station.state_dir.resolve()
    sources, left_out = _config_files(settings)
    with ExitStack() as opened:
        if state.is_dir():
            opened.enter_context(_only_backup(state))
        sources |= _store_files(state, opened)
        copy = opened.enter_context(_ledger_copy(settings, state, actor))
        manifest = _write(output, settings, copy, sources)
    if as_json:
        told = {"file": str(output), "station": manifest.station, "events": manifest.events, "head": manifest.head}
        print_json({**told, "files": len(manifest.files), "left_out": [str(path) for path in left_out]})
        return
    bytes_in_all = sum(kept.size for kept in manifest.files)
    print(f"Wrote {count(len(manifest.files), 'file')} ({size(bytes_in_all)}) to {safe(str(output))}.")
    print(f"Custody log: {count(manifest.events, 'event')}, head {manifest.head}.")
    print("It holds this station's keys and credentials: keep it like a key.")
    for path in left_out:
        hidden = path.is_relative_to(settings.source.parent) and ".." not in path.parts
        why = "a part of its name begins with a dot" if hidden else "it lies elsewhere than the configuration"
        say_error(f"Not in the backup, because {why}: {path}. Keep a copy of it.")


def _write(output: Path, settings: "Config", copy: Path, sources: dict[str, Path]) -> Manifest:
    from threading import Event

    from agent.app import VERSION
    from agent.ledger.audit import audit
    from agent.ledger.snapshot import inspect, lines_of, reading

    found = inspect(copy)
    fault = audit(copy, Event()).fault  # as a restoration does: a backup that nobody can use is none
    if fault is not None:
        hint = "Keep the state directory as it is, and the backups of before; tell the evidence manager."
        raise BackupRefused(f"The ledger is damaged, so no backup was written: {fault}", hint=hint)
    log = output.with_name(f".{output.name}.log")  # the state directory is the service's, and we may be root
    log.unlink(missing_ok=True)
    try:
        log.touch(0o600, exist_ok=False)
        with reading(copy) as connection, log.open("wb") as stream:
            stream.writelines(f"{line}\n".encode("utf-8", "surrogateescape") for line in lines_of(connection))
        sources = {LEDGER: copy, LOG: log, **sources}
        files = tuple(_kept(name, file) for name, file in sources.items())
        made_at = datetime.now(UTC).isoformat(timespec="seconds")
        station = settings.station.id
        manifest = Manifest(station, VERSION, made_at, found.schema, found.events, found.head, files)
        write_archive(output, manifest, sources)
    finally:
        log.unlink(missing_ok=True)
    return manifest


def _kept(name: str, file: Path) -> Kept:
    return measure(name, file, secret=not file.stat().st_mode & _OTHERS)


@contextmanager
def _only_backup(state: Path) -> Iterator[None]:
    """Keep other backups out: each makes a copy of the ledger under the same name. Raises BackupRefused, OSError."""
    fd = os.open(state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BackupRefused("Another backup is being written.", hint="Wait until it has ended.") from error
        yield
    finally:
        os.close(fd)


@contextmanager
def _ledger_copy(settings: "Config", state: Path, actor: str) -> Iterator[Path]:
    """A copy of the ledger as it is now, from the running service or from a stopped station's file."""
    from agent.cli.service import find_service

    copy = state / "ledger.snapshot"
    service = find_service(settings.api.socket)
    try:
        if service is None:
            from agent.cli.stopped_station import ledger_of
            from agent.ledger.snapshot import copy_ledger

            with ledger_of(settings) as database:
                copy_ledger(database, copy)
        else:
            with service:
                service.act("snapshot", {"actor": actor, "reason": "backup"})
        with ExitStack() as opened:
            yield _opened(state, copy.name, opened)
    finally:
        copy.unlink(missing_ok=True)


def _config_files(settings: "Config") -> tuple[dict[str, Path], list[Path]]:
    """The configuration by its name there, and what the configuration names elsewhere."""
    from agent.config.load import config_files, named_files

    base = settings.source.parent
    found = {f"{CONFIG}/agent.toml": settings.source}
    left_out = []
    profiles = sorted(settings.profiles_directory.glob("*.toml"))
    ours = profiles if settings.profiles_directory.is_relative_to(base) else []
    for file in [*config_files(settings.source)[1:], *named_files(settings), *ours]:
        name = f"{CONFIG}/{file.relative_to(base).as_posix()}" if file.is_relative_to(base) else None
        if may_keep(name):
            found[str(name)] = file
        elif file not in left_out:
            left_out.append(file)
    return found, left_out


def _store_files(state: Path, opened: ExitStack) -> dict[str, Path]:
    """What is known of the stores, each file open. Raises BackupRefused, OSError."""
    folder = state / STORES
    try:
        names = sorted(file.name for file in folder.iterdir() if stat.S_ISREG(file.lstat().st_mode))
    except FileNotFoundError:
        return {}
    named = {f"{STATE}/{STORES}/{name}": name for name in names}
    return {kept: _opened(folder, name, opened) for kept, name in named.items() if may_keep(kept)}


def _opened(folder: Path, name: str, opened: ExitStack) -> Path:
    """A way to the very file that has this name now: links, which the service's user may have made, are not followed.

    Raises BackupRefused, OSError.
    """
    try:
        above = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        opened.callback(os.close, above)
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=above)
        opened.callback(os.close, fd)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
        text = f"{folder / name} is a link, or lies behind one."
        raise BackupRefused(text, hint="Look at who made it; the agent makes none there.") from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise BackupRefused(f"{folder / name} is no file.", hint="Look at who made it, and move it away.")
    return Path(f"/proc/self/fd/{fd}")
