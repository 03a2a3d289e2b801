"""The audit: goes through a whole ledger that stands still and says the first thing that cannot be.

It reads the ledger's main file through a connection of its own, opened as immutable: that takes no lock, never looks
at the write-ahead log, and so cannot meet the fault that makes a second connection to a live ledger dangerous. What
it reads is complete up to the moment from which `Database.standing_still` keeps the main file unchanged.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import quote

from agent.core.custody import GENESIS, line_digest, line_head
from agent.core.errors import LedgerDamaged
from agent.ledger import audit_questions as questions
from agent.ledger.database import ledger_error
from agent.ledger.migrations import schema_files, statements

CACHE_KIB = 16_384
STEPS_BETWEEN_LOOKS = 1000
"""Steps of SQLite's machine between two looks whether to stop."""
PAGE = 500
"""Rows between two rests."""
_BEFORE_ALL = -1 << 63
_STATISTICS = ("sqlite_stat1", "sqlite_stat4")
"""What an ANALYZE by hand leaves; it changes no answer."""


@dataclass(frozen=True, slots=True)
class AuditReport:
    """How many events were walked, the digest at their end, and the first fault in words (None: all is well)."""

    events: int
    head: str
    fault: str | None


class AuditStopped(Exception):
    """Somebody asked it to stop; nothing was found so far."""


class _Fault(Exception):
    """Something that cannot be."""


def audit(path: Path, stop: Event) -> AuditReport:
    """Go through the ledger at `path`; blocks for seconds where there are many clips.

    It rests as long as it works, so that half a processor stays free for others. Raises AuditStopped, and LedgerError
    when it could not be made (no memory, no room for temporary files, a read that failed): that says nothing about
    the ledger, and it is to be tried again.
    """
    address = f"file:{quote(str(path))}?mode=ro&immutable=1"
    walk = _Audit(stop)
    try:
        with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as connection:
            walk.go(connection)
    except _Fault as found:
        return AuditReport(walk.events, walk.head, str(found))
    except (sqlite3.Error, MemoryError) as error:
        if stop.is_set():
            raise AuditStopped from error
        trouble = ledger_error(error, f"The ledger at {path} could not be audited")
        if not isinstance(trouble, LedgerDamaged):
            raise trouble from error
        return AuditReport(walk.events, walk.head, f"The file cannot be read as a ledger: {error}.")
    return AuditReport(walk.events, walk.head, None)


class _Audit:
    _connection: sqlite3.Connection

    def __init__(self, stop: Event) -> None:
        self._stop = stop
        self._since = time.monotonic()
        self.events = 0
        self.head = GENESIS

    def go(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        connection.set_progress_handler(self._stop.is_set, STEPS_BETWEEN_LOOKS)
        connection.text_factory = lambda raw: raw.decode("utf-8", "backslashreplace")  # altered text fails its digest
        self._structure()
        self._chain()
        connection.execute(questions.DECISIONS)
        connection.execute(questions.DECIDED)
        self._rest()
        self._rows("clips", "Clip", questions.CLIPS)
        self._rows("receipts", "Receipt", questions.RECEIPTS)
        self._rows("losses", "Loss", questions.LOSSES)
        self._rows("cameras", "Camera", questions.CAMERAS)
        self._rows("objects", "Object", questions.OBJECTS)
        for question, told in questions.DERIVED:
            row = connection.execute(question).fetchone()
            if row is not None:
                raise _Fault(f"{told} {row[0]}.")
            self._rest()

    def _rest(self) -> None:
        if self._stop.wait(time.monotonic() - self._since):
            raise AuditStopped
        self._since = time.monotonic()

    def _structure(self) -> None:
        """The schema is what this agent made, and each index names exactly the rows of its table."""
        wanted, found = _shape_wanted(), _shape(self._connection)
        if missing := wanted - found:
            raise _Fault(f"The ledger's {' '.join(min(missing)[:2])} was removed or changed.")
        if extra := found - wanted:
            raise _Fault(f"The ledger's {' '.join(min(extra)[:2])} was added by something else.")
        tables = self._connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
        ).fetchall()
        for (table,) in tables:
            damage = self._connection.execute(f"PRAGMA integrity_check('{table}')").fetchone()[0]
            if damage != "ok":
                raise _Fault(f"Table {table} is damaged: {damage.splitlines()[-1]}.")
            self._rest()

    def _chain(self) -> None:
        """Every event follows from the one before, and its columns say what its line says."""
        told = {"clip.listed": 0, "object.proved": 0, "object.lost_by_store": 0}
        for seq, event, clip, line, digest, valid in self._pages(questions.EVENTS):
            if seq != self.events + 1:
                raise _Fault(f"Custody event {self.events + 1} is missing.")
            as_written = line.startswith(line_head(seq, self.head, event)) and line_digest(line) == digest
            other_clip = '"clip":' in line if clip is None else f'"clip":"{clip}"' not in line
            if other_clip or not as_written or not valid:
                raise _Fault(f"Custody event {seq} was altered, or does not follow from the one before.")
            self.events, self.head = seq, digest
            if event in told:
                told[event] += 1
        tables = ("clips", "receipts", "losses")
        for event, table in zip(told, tables, strict=True):
            rows = self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - our own names
            if rows != told[event]:
                raise _Fault(f"The custody log tells of {told[event]} {table}, the ledger has {rows}.")

    def _rows(self, table: str, noun: str, question: str) -> None:
        """Each row says what its events say."""
        page = f"SELECT max(rowid) FROM (SELECT rowid FROM {table} WHERE rowid > ? ORDER BY rowid LIMIT ?)"  # noqa: S608
        after = _BEFORE_ALL
        while (last := self._connection.execute(page, (after, PAGE)).fetchone()[0]) is not None:
            row = self._connection.execute(question, (after, last)).fetchone()
            if row is not None:
                raise _Fault(f"{noun} {row[0]} was altered: its {row[1]} is not what the custody log says.")
            after = last
            self._rest()

    def _pages(self, question: str) -> Iterator[tuple[Any, ...]]:
        after = _BEFORE_ALL
        while rows := self._connection.execute(question, (after, PAGE)).fetchall():
            yield from rows
            after = rows[-1][0]
            self._rest()


Shape = set[tuple[str, str, str]]


def _shape(connection: sqlite3.Connection) -> Shape:
    rows = connection.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    return {(kind, name, " ".join(sql.split())) for kind, name, sql in rows if name not in _STATISTICS}


def _shape_wanted() -> Shape:
    model = sqlite3.connect(":memory:")
    try:
        for _, text in schema_files():
            for statement in statements(text):
                model.execute(statement)
        return _shape(model)
    finally:
        model.close()
