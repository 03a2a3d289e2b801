"""What no part of the agent does to a ledger: other hands, failing disks, programs that know no rules."""

import os
import sqlite3
from pathlib import Path
from typing import Any


def behind_its_back(path: Path, *statements: str) -> None:
    """Run SQL on a ledger that nobody has open, past every trigger; the triggers are there again afterwards."""
    raw = sqlite3.connect(path)
    triggers = raw.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        raw.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        raw.execute(statement)
    for _, text in triggers:
        raw.execute(text)
    raw.commit()
    raw.close()


def without_index(path: Path, index: str, statement: str) -> None:
    """Run a change that one index misses, as after a lost write."""
    kept = _schema(path, "SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema WHERE name = ?", index)[0]
    _schema(path, "DELETE FROM sqlite_schema WHERE name = ?", index)
    behind_its_back(path, statement)
    _schema(path, "INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", *kept)


def _schema(path: Path, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA writable_schema = ON")
    rows = raw.execute(statement, values).fetchall()
    raw.commit()
    raw.close()
    return rows


def page_of(path: Path, name: str) -> int:
    """The root page of a table or index; in a small ledger it is its only one."""
    raw = sqlite3.connect(path)
    (page,) = raw.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).fetchone()
    raw.close()
    return int(page)


def smash(path: Path, page: int, *, length: int = 4096, skip: int = 0) -> None:
    """Overwrite a page with noise; pages count from one."""
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096 + skip)
        file.write(os.urandom(length))
