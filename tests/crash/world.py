"""What lies on disk after a kill, read from outside: cameras, spool, ledger, depot. No code of the agent takes part.

The databases are copied with their journals and opened as copies: opening one in place would repair it, and the agent
forbids a second connection to its ledger. Nobody may be writing meanwhile; see `life.py`, which stops all processes.
"""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Row = dict[str, Any]

_LEDGER = {
    "events": "seq, event, clip, camera, line, digest",
    "clips": "id, camera, path, size_bytes, mtime_ns, custody, copy, sha256, unlinked_in, last_event",
    "objects": "sha256, size_bytes, spool, fault",
    "receipts": "sha256, store, size_bytes, proof, event",
    "uploads": "sha256, store, hint",
    "sessions": "id, ended_us",
}
"""The columns that are read, by name, so that others may come and go."""
_CATALOGUE = {
    "uploads": "id, station, length, sha256, finished_us",
    "receipts": "upload, statement, signature",
}


@dataclass(frozen=True, slots=True)
class Recorded:
    """A file that a camera has recorded; the test keeps this truth, the agent never sees it. `card` is its medium."""

    camera: str
    card: Path
    path: bytes
    size_bytes: int
    mtime_ns: int
    sha256: str

    @property
    def place(self) -> Path:
        """Where the file lies as long as nobody has wiped it."""
        return self.card / self.path.decode(errors="surrogateescape")


@dataclass(frozen=True, slots=True)
class Found:
    """A file as it lies on a disk; `mode` holds the permission bits."""

    path: Path
    size_bytes: int
    sha256: str
    mode: int


@dataclass(slots=True)
class World:
    """Everything that was found. `aboard` holds the digest on the camera of each recorded file, None where it is gone.

    `ledger` and `catalogue` map tables to rows; both are empty when the kill came before the tables were made.
    """

    recorded: Sequence[Recorded]
    aboard: list[str | None]
    spooled: list[Found]
    parts: list[Found]
    rejected: list[Found]
    ledger: dict[str, list[Row]]
    objects: list[Found]
    incoming: list[Found]
    damaged: list[Found]
    catalogue: dict[str, list[Row]]
    journal_left: bool
    receipt_key: bytes
    station: str
    _events: list[tuple[int, Row]] = field(init=False, default_factory=list)

    def events(self) -> list[tuple[int, Row]]:
        """The bodies of all custody events with their numbers; lines that are no JSON object are left out."""
        if not self._events:
            for row in self.ledger["events"]:
                try:
                    body = json.loads(row["line"])
                except ValueError:
                    continue
                if isinstance(body, dict):
                    self._events.append((row["seq"], body))
        return self._events


def read_world(
    recorded: Sequence[Recorded], *, state: Path, depot: Path, receipt_key: Path, scratch: Path, station: str
) -> World:
    """Walk everything. `state` is the agent's state directory; `scratch` is made and removed again."""
    scratch.mkdir()
    try:
        ledger = _tables(state / "ledger.sqlite", ("-wal",), scratch, _LEDGER)
        catalogue = _tables(depot / "catalogue.sqlite", ("-journal",), scratch, _CATALOGUE)
    finally:
        shutil.rmtree(scratch)
    return World(
        recorded=recorded,
        aboard=[hashlib.sha256(r.place.read_bytes()).hexdigest() if r.place.exists() else None for r in recorded],
        spooled=_files(state / "spool" / "objects"),
        parts=_files(state / "spool" / "incoming"),
        rejected=_files(state / "spool" / "rejected"),
        ledger=ledger,
        objects=_files(depot / "objects"),
        incoming=_files(depot / "incoming"),
        damaged=_files(depot / "damaged"),
        catalogue=catalogue,
        journal_left=(depot / "catalogue.sqlite-journal").exists(),
        receipt_key=receipt_key.read_bytes(),
        station=station,
    )


def _files(folder: Path) -> list[Found]:
    found = []
    for path in sorted(folder.rglob("*")):
        if not path.is_dir():
            facts = path.lstat()
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found.append(Found(path, facts.st_size, digest, facts.st_mode & 0o7777))
    return found


def _tables(path: Path, journals: Sequence[str], scratch: Path, wanted: dict[str, str]) -> dict[str, list[Row]]:
    empty: dict[str, list[Row]] = {table: [] for table in wanted}
    if not path.exists():
        return empty
    copy = scratch / path.name
    for suffix in ("", *journals):
        source = Path(f"{path}{suffix}")
        if source.exists():
            Path(f"{copy}{suffix}").write_bytes(source.read_bytes())
    with closing(sqlite3.connect(copy)) as connection:
        connection.row_factory = sqlite3.Row
        there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not there & wanted.keys():
            return empty
        return {
            table: [dict(row) for row in connection.execute(f"SELECT {columns} FROM {table} ORDER BY 1")]  # noqa: S608
            for table, columns in wanted.items()
        }
