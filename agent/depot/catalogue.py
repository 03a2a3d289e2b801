"""The catalogue: which uploads there are, whose they are, and which receipts were issued.

SQLite, one connection on one thread. The journal is a rollback journal, not a write-ahead log: `depot ls` and
`depot verify` read from other processes, and with several connections some released SQLite versions can lose a
commit when the log is reset. `synchronous = EXTRA` also syncs the directory after the journal's removal, without
which a power cut could undo a commit that was already answered for. Readers wait out a writer, and the other way round.
"""

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from agent.core.object import Digest
from agent.depot.refusal import DepotError
from agent.depot.upload import Upload, UploadId
from agent.files.durable import sync_directory

T = TypeVar("T")

FILE = "catalogue.sqlite"
STEPS = ("schema.sql", "schema_2.sql", "schema_3.sql")
"""What brings a catalogue from one version to the next; how many there are is today's version."""
_BUSY_S = 10.0
_ANSWER_S = 60.0
"""Longest wait for the catalogue's thread before a request is given up."""


class Catalogue:
    """The one writing connection. Methods block and may be called from any thread; each is one transaction.

    All raise sqlite3.Error when the disk or the file does not do its part.
    """

    def __init__(self, depot: Path) -> None:
        """Open or create the catalogue in `depot`. Raises DepotError when it is of another version."""
        self._thread = ThreadPoolExecutor(1, "depot-catalogue")
        try:
            self._db = self._thread.submit(_open, depot / FILE).result(_ANSWER_S)
        except (sqlite3.Error, OSError, DepotError):
            self._thread.shutdown(wait=False)
            raise

    def close(self) -> None:
        """Close the connection and end the thread."""
        self._thread.submit(self._db.close).result(_ANSWER_S)
        self._thread.shutdown()

    def add(self, upload: Upload) -> None:
        """Record a new upload."""
        values = (upload.id, upload.station, upload.length_bytes, json.dumps(dict(upload.label)), upload.created_us)
        self._change("INSERT INTO uploads (id, station, length, metadata, created_us) VALUES (?, ?, ?, ?, ?)", values)

    def remove(self, upload: UploadId) -> None:
        """Forget an unfinished upload."""
        self._change("DELETE FROM uploads WHERE id = ? AND finished_us IS NULL", (upload,))

    def intend(self, upload: UploadId, digest: Digest) -> None:
        """Record which object an upload is about to become."""
        self._change("UPDATE uploads SET sha256 = ? WHERE id = ? AND finished_us IS NULL", (digest, upload))

    def finish(self, upload: UploadId, digest: Digest, now_us: int) -> None:
        """Record that the object is durable under its name."""
        self._change(
            "UPDATE uploads SET finished_us = ? WHERE id = ? AND sha256 = ? AND finished_us IS NULL",
            (now_us, upload, digest),
        )

    def add_receipt(self, upload: UploadId, issued_us: int, statement: str, signature: str) -> None:
        """Record an issued receipt."""
        self._change(
            "INSERT INTO receipts (upload, issued_us, statement, signature) VALUES (?, ?, ?, ?)",
            (upload, issued_us, statement, signature),
        )

    def find(self, station: str, upload: UploadId) -> Upload | None:
        """The station's upload of this id, or None."""
        rows = self._rows("SELECT * FROM uploads WHERE id = ? AND station = ?", (upload, station))
        return rows[0] if rows else None

    def find_by_digest(self, station: str, digest: Digest) -> Upload | None:
        """The station's first finished upload with this digest, or None."""
        rows = self._rows(
            "SELECT * FROM uploads WHERE station = ? AND sha256 = ? AND finished_us IS NOT NULL"
            " ORDER BY finished_us, id LIMIT 1",
            (station, digest),
        )
        return rows[0] if rows else None

    def unfinished(self) -> list[Upload]:
        """All uploads that are not finished."""
        return self._rows("SELECT * FROM uploads WHERE finished_us IS NULL ORDER BY id", ())

    def finished(self) -> list[Upload]:
        """All finished uploads."""
        return self._rows("SELECT * FROM uploads WHERE finished_us IS NOT NULL ORDER BY id", ())

    def change(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Let `work` change something in one transaction."""

        def within() -> None:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                work(self._db)

        self._call(within)

    def _rows(self, statement: str, values: tuple[str | int, ...]) -> list[Upload]:
        return self._call(lambda: [upload_of(row) for row in self._db.execute(statement, values)])

    def _change(self, statement: str, values: tuple[str | int, ...]) -> None:
        def change() -> None:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                if self._db.execute(statement, values).rowcount != 1:
                    raise sqlite3.IntegrityError("the upload is no longer as it was when this change was decided")

        self._call(change)

    def _call(self, work: Callable[[], T]) -> T:
        return self._thread.submit(work).result(_ANSWER_S)


def upload_of(row: tuple[str, str, int, str, int, str | None, int | None]) -> Upload:
    """Turn a row, in the order of the table's columns, into an upload."""
    upload, station, length, metadata, created_us, sha256, finished_us = row
    digest = None if sha256 is None else Digest(sha256)
    return Upload(UploadId(upload), station, length, json.loads(metadata), created_us, digest, finished_us)


def read_catalogue(depot: Path) -> list[tuple[Upload, int]]:
    """All uploads with the number of receipts issued for each, oldest first. Raises DepotError as `reading`."""
    with reading(depot) as db:
        return counted(db)


def counted(db: sqlite3.Connection) -> list[tuple[Upload, int]]:
    """All uploads with the number of receipts issued for each, oldest first."""
    rows = db.execute(
        "SELECT u.*, count(r.number) FROM uploads u LEFT JOIN receipts r ON r.upload = u.id"
        " GROUP BY u.id ORDER BY u.rowid"
    )
    return [(upload_of(row[:-1]), row[-1]) for row in rows]


@contextmanager
def reading(depot: Path) -> Iterator[sqlite3.Connection]:
    """Read the catalogue as it stands at one moment, from outside, also while a depot runs.

    Opened for writing where that is allowed, because only so can a journal that a killed depot left behind be
    rolled back; nothing else is written. Raises DepotError when there is no catalogue or it cannot be read.
    """
    path = depot / FILE
    if not path.is_file():
        raise DepotError(f"there is no depot in {depot}", hint="Give the directory that the depot was started with.")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=_BUSY_S)) as db:
            db.execute("PRAGMA query_only = ON")
            db.execute("BEGIN")
            yield db
    except sqlite3.Error as error:
        hint = "Start the depot once: it puts its catalogue right. If that fails, restore it from a copy."
        raise DepotError(f"the catalogue {path} cannot be read: {error}", hint=hint) from error


def _open(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # SQLite would let everybody read it
    db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
    db.execute("PRAGMA journal_mode = DELETE")
    db.execute("PRAGMA synchronous = EXTRA")
    db.execute("PRAGMA foreign_keys = ON")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > len(STEPS):
        db.close()
        hint = "Run the version of the agent that wrote it, or a newer one."
        raise DepotError(f"the catalogue {path} has version {version}, this agent knows {len(STEPS)}", hint=hint)
    for step in STEPS[version:]:
        schema = Path(__file__).with_name(step).read_text("utf-8")
        # One transaction, so that a kill in the middle leaves the version before and not half a schema.
        db.executescript(f"BEGIN IMMEDIATE;\n{schema}\nCOMMIT;")
        sync_directory(path.parent)
    return db
