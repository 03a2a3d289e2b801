"""Keeps one dump of each released schema, so that every later agent is tested against it.

`python -m tests.ledger.schema_dumps` writes the dumps that are missing; with `--again` it rewrites the newest, which
is right only as long as no agent with that schema was released.
"""

import sqlite3
import sys
import tempfile
from pathlib import Path

from agent.core.clip import CameraId
from agent.ledger.migrations import schema_files
from tests.ledger.stage import Stage

DUMPS = Path(__file__).resolve().parent / "schemas"
NEWEST = schema_files()[-1][0]


def dump_of(number: int) -> Path:
    return DUMPS / f"{number:04}.sql"


def shape(raw: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """Every table, index, trigger and view, without regard to how its text is laid out."""
    rows = raw.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_schema ORDER BY type, name")
    return [(kind, name, " ".join(sql.split())) for kind, name, sql in rows]


def write_newest() -> None:
    """A ledger with one clip on its way, as text."""
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder) / "ledger.db")
        stage.gate()
        stage.listing(stage.dock(CameraId("CAM-1")), "kept", "copied")
        stage.spooled("copied")
        stage.proved("copied")
        stage.close()
        raw = sqlite3.connect(Path(folder) / "ledger.db")
        # The counter of AUTOINCREMENT can only be restored once its table exists; SQLite makes it by itself.
        lines = [line for line in raw.iterdump() if "sqlite_sequence" not in line]
        raw.close()
    text = "\n".join([f"PRAGMA user_version = {NEWEST};", *lines])
    dump_of(NEWEST).write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    if "--again" in sys.argv or not dump_of(NEWEST).exists():
        write_newest()
