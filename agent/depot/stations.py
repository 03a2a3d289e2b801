"""Stations: who may speak to the depot.

A credential is the bearer token `<station>.<43 characters>`: the name finds the file, the rest is 256 random bits. Only
the token's SHA-256 is kept, in `stations/<station>.json`. The file is read for every request, so that enrolling and
revoking take effect at once, from any process.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from agent.depot.refusal import DepotError
from agent.files.durable import DurablePart, make_directory, sync_directory

FOLDER = "stations"
_STATION = re.compile(r"[A-Za-z0-9._-]{1,64}")
_FILE_BYTES = 4096
_NOBODY = "0" * 64
"""Compared against when there is no such station, so that the answer takes as long."""


def enrol_station(depot: Path, station: str, now: datetime) -> str:
    """Give `station` a new credential and return it; an earlier one stops working. Works while the depot runs.

    Raises DepotError when the name is not 1 to 64 of A-Z a-z 0-9 . _ - or the file cannot be written.
    """
    path = _file_of(depot, station)
    token = f"{station}.{secrets.token_urlsafe(32)}"
    facts = {"station": station, "token_sha256": _hash(token), "enrolled_at": now.isoformat(timespec="seconds")}
    try:
        make_directory(path.parent)
        fresh = path.with_name(f"~{secrets.token_hex(8)}.new")  # no station's file is named so
        spare = path.with_name(f"~{secrets.token_hex(8)}.spare")
        with DurablePart(spare) as part:
            part.write(json.dumps(facts).encode("ascii") + b"\n")
            part.publish(fresh, mode=0o600)
        fresh.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        hint = "Run it as the user that owns the depot's directory, and check the disk."
        raise DepotError(f"the credential of {station} could not be written to {path}: {error}", hint=hint) from error
    return token


def revoke_station(depot: Path, station: str) -> bool:
    """Take the station's credential away; its uploads and receipts stay. False when it had none."""
    path = _file_of(depot, station)
    try:
        path.unlink()
        sync_directory(path.parent)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise DepotError(
            f"the credential of {station} could not be removed: {error}", hint=f"Remove {path}."
        ) from error
    return True


def station_of(depot: Path, authorization: str) -> str | None:
    """The station that an Authorization header proves to be, or None."""
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    station = token.rpartition(".")[0]
    known = _known_hash(depot, station) if scheme.lower() == "bearer" and _STATION.fullmatch(station) else None
    fits = hmac.compare_digest(_hash(token), known or _NOBODY)
    return station if fits and known is not None else None


def _known_hash(depot: Path, station: str) -> str | None:
    with suppress(OSError, ValueError, KeyError, TypeError):
        fd = os.open(_file_of(depot, station), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            facts = json.loads(os.read(fd, _FILE_BYTES))
        finally:
            os.close(fd)
        known = facts["token_sha256"]
        if facts["station"] == station and isinstance(known, str) and known.isascii():
            return known
    return None


def _file_of(depot: Path, station: str) -> Path:
    if not _STATION.fullmatch(station):
        hint = "Use 1 to 64 of A-Z a-z 0-9 . _ - as in [station] id."
        raise DepotError(f"not a station id: {station!r}", hint=hint)
    return depot / FOLDER / f"{station}.json"


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
