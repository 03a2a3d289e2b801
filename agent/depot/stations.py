"""Stations: who may speak to the depot.

A credential is the bearer token `<station>.<43 characters>`: the name finds the file, the rest is 256 random bits. Only
the token's SHA-256 is kept, in `stations/<station>.json`. The file is read for every request, so that enrolling and
revoking take effect at once, from any process.

A renewed credential lies beside it as `stations/~<station>.next`, which no station's own file can be named. Both hold
until the new one is used for the first time: then it takes the old one's place, by one rename. Which station takes the
place of one that is lost is said by `stations/~<station>.successor`, before anything of it is done.
"""

import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from agent.depot.refusal import DepotError
from agent.files.durable import DurablePart, make_directory, sync_directory

FOLDER = "stations"
_STATION = re.compile(r"[A-Za-z0-9._-]{1,64}")
_FILE_BYTES = 4096
_NOBODY = "0" * 64
"""Compared against when there is no such station, so that the answer takes as long."""


def enrol_station(depot: Path, station: str, now: datetime, *, replace: bool = False) -> str:
    """Give `station` a new credential and return it. Works while the depot runs.

    An earlier one stops working, so there must be none, unless it is said to `replace` it. Raises DepotError for that,
    when the name is not 1 to 64 of A-Z a-z 0-9 . _ -, and when the file cannot be written.
    """
    path = _file_of(depot, station)
    with _saying(station, path):
        make_directory(path.parent)
        with _alone(path.parent):
            if replace or not path.exists():  # one that was left behind would end the new one at its first use
                _next_of(path).unlink(missing_ok=True)
            return _write(path, station, now, over=replace)


def renew_station(depot: Path, station: str, now: datetime) -> str:
    """Give `station` its next credential and return it; the one that it has holds until the next one is used.

    A next one that was never used ends. Works while the depot runs. Raises DepotError, also where it has none yet.
    """
    path = _file_of(depot, station)
    if path.is_file():
        with _saying(station, path), _alone(path.parent):
            if path.is_file():  # nobody has revoked it meanwhile
                return _write(_next_of(path), station, now, over=True)
    hint = "Give it its first one with --enrol alone."
    raise DepotError(f"{station} has no credential for this depot that could be renewed", hint=hint)


@contextmanager
def _saying(station: str, path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        hint = (
            "It goes on to work. Where it is only old, --renew makes the one that follows it. Where it is lost (a file"
            " that this was to go to is empty now), --replace makes a new one and ends it."
        )
        raise DepotError(f"{station} has a credential for this depot already; none was made", hint=hint) from error
    except OSError as error:
        hint = "Run it as the user that owns the depot's directory, and check the disk."
        raise DepotError(f"the credential of {station} could not be written to {path}: {error}", hint=hint) from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep others who change credentials waiting: what was decided by a file must not be done to a newer one."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _write(path: Path, station: str, now: datetime, *, over: bool) -> str:
    """Make a token and put its digest there durably, `over` whatever lies there. Raises OSError."""
    token = f"{station}.{secrets.token_urlsafe(32)}"
    facts = {"station": station, "token_sha256": _hash(token), "enrolled_at": now.isoformat(timespec="seconds")}
    _put(path, facts, over=over)
    return token


def _put(path: Path, facts: Mapping[str, str], *, over: bool) -> None:
    """Write it durably, `over` whatever lies there. Raises OSError."""
    fresh = path.with_name(f"~{secrets.token_hex(8)}.new")  # no station's file is named so
    spare = path.with_name(f"~{secrets.token_hex(8)}.spare")
    with DurablePart(spare) as part:
        part.write(json.dumps(facts).encode("ascii") + b"\n")
        part.publish(fresh if over else path, mode=0o600)
    if over:
        fresh.replace(path)
        sync_directory(path.parent)


def revoke_station(depot: Path, station: str) -> bool:
    """Take the station's credentials away; its uploads and receipts stay. False when it had none."""
    path = _file_of(depot, station)
    try:
        with _alone(path.parent):
            _next_of(path).unlink(missing_ok=True)
            path.unlink()
            sync_directory(path.parent)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise DepotError(
            f"the credential of {station} could not be removed: {error}", hint=f"Remove {path}."
        ) from error
    return True


def has_credential(depot: Path, station: str) -> bool:
    """Whether the station may speak to the depot. Raises DepotError for what cannot be a station."""
    return _file_of(depot, station).is_file()


def note_successor(depot: Path, station: str, successor: str, now: datetime) -> None:
    """Write down durably that `successor` takes the place of `station`. Raises DepotError."""
    path = _file_of(depot, station)
    facts = {"station": station, "successor": successor, "since": now.isoformat(timespec="seconds")}
    try:
        make_directory(path.parent)
        _put(_successor_of(path), facts, over=True)
    except OSError as error:
        hint = "Run it as the user that owns the depot's directory, and check the disk. Nothing was changed."
        raise DepotError(f"what replaces {station} could not be written down: {error}", hint=hint) from error


def successor_of(depot: Path, station: str) -> str | None:
    """Which station was last said to take the place of this one. Raises DepotError for what cannot be a station."""
    path = _file_of(depot, station)
    return _fact(_successor_of(path), station, "successor")


def station_of(depot: Path, authorization: str) -> str | None:
    """The station that an Authorization header proves to be, or None.

    The first use of a next credential ends the one before it. Blocks, then for two syncs of the disk.
    """
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    station = token.rpartition(".")[0]
    asked = scheme.lower() == "bearer" and _STATION.fullmatch(station) is not None
    path = _file_of(depot, station) if asked else None
    known = None if path is None else _known_hash(path, station)
    coming = None if path is None else _known_hash(_next_of(path), station)
    shown = _hash(token)
    by_known = hmac.compare_digest(shown, known or _NOBODY) and known is not None
    by_next = hmac.compare_digest(shown, coming or _NOBODY) and coming is not None
    if path is None or known is None:
        return None  # one that was revoked has no next one either
    if by_next and not by_known:
        _promote(path, station, shown)
    return station if by_known or by_next else None


def _promote(path: Path, station: str, shown: str) -> None:
    """Let the next credential take the place of the one before; what fails is tried again at its next use."""
    with suppress(OSError), _alone(path.parent):
        if path.is_file() and _known_hash(_next_of(path), station) == shown:
            _next_of(path).rename(path)
            sync_directory(path.parent)


def _known_hash(path: Path, station: str) -> str | None:
    return _fact(path, station, "token_sha256")


def _fact(path: Path, station: str, key: str) -> str | None:
    """What a file about that station says, or None where it cannot be read."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            facts = json.loads(os.read(fd, _FILE_BYTES))
        finally:
            os.close(fd)
        known = facts[key]
        if facts["station"] == station and isinstance(known, str) and known.isascii():
            return known
    return None


def _file_of(depot: Path, station: str) -> Path:
    if not _STATION.fullmatch(station):
        hint = "Use 1 to 64 of A-Z a-z 0-9 . _ - as in [station] id."
        raise DepotError(f"not a station id: {station!r}", hint=hint)
    return depot / FOLDER / f"{station}.json"


def _next_of(path: Path) -> Path:
    return path.with_name(f"~{path.stem}.next")


def _successor_of(path: Path) -> Path:
    return path.with_name(f"~{path.stem}.successor")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
