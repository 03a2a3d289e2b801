"""Schema versions: numbered SQL files, forward only, each in one transaction with its number.

A ledger from a newer agent is refused untouched.
"""

import sqlite3
from collections.abc import Iterator
from importlib.resources import files

from sqlite_utils import Database as Connection

from agent.core.errors import LedgerError, LedgerNewer


def schema_files() -> list[tuple[int, str]]:
    """All known schema steps as (number, SQL text), in order."""
    found = [
        (int(entry.name.removesuffix(".sql")), entry.read_text("utf-8"))
        for entry in files("agent.ledger").joinpath("schema").iterdir()
        if entry.name.endswith(".sql")
    ]
    return sorted(found)


def newest_schema() -> int:
    """The newest schema that this agent knows."""
    return schema_files()[-1][0]


def statements(text: str) -> Iterator[str]:
    """Split SQL text into statements; triggers with inner semicolons stay whole."""
    gathered = ""
    for line in text.splitlines(keepends=True):
        gathered += line
        if sqlite3.complete_statement(gathered):
            yield gathered
            gathered = ""
    if gathered.strip():
        raise LedgerError("A schema file ends in the middle of a statement.")


def schema_of(connection: Connection) -> int:
    """The schema that a ledger has; 0 for one that is just made. Raises LedgerNewer when this agent is too old."""
    version, newest = int(connection.conn.execute("PRAGMA user_version").fetchone()[0]), newest_schema()
    if version > newest:
        raise LedgerNewer(f"The ledger has schema {version}, this agent knows only {newest}.")
    return version


def migrate(connection: Connection) -> None:
    """Bring the ledger to the newest schema. Raises LedgerNewer."""
    version = schema_of(connection)
    for number, text in schema_files():
        if number <= version:
            continue
        with connection.atomic():
            for statement in statements(text):
                connection.conn.execute(statement)
            connection.conn.execute(f"PRAGMA user_version = {number}")
