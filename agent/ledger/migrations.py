"""Schema versions: numbered SQL files, forward only, each in one transaction with its number.

A ledger from a newer agent is refused untouched.
"""

import sqlite3
from collections.abc import Iterator
from importlib.resources import files

from sqlite_utils import Database as Connection

from agent.core.errors import LedgerError


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


def migrate(connection: Connection) -> None:
    """Bring the ledger to the newest schema. Raises LedgerError when it is newer than this agent."""
    version = int(connection.conn.execute("PRAGMA user_version").fetchone()[0])
    steps = schema_files()
    newest = steps[-1][0]
    if version > newest:
        raise LedgerError(
            f"The ledger has schema {version}, this agent knows only {newest}.",
            hint="Install the newer dock-agent again; the ledger was not touched.",
        )
    for number, text in steps:
        if number <= version:
            continue
        with connection.atomic():
            for statement in statements(text):
                connection.conn.execute(statement)
            connection.conn.execute(f"PRAGMA user_version = {number}")
