"""Every ledger that was ever released can be opened by this agent."""

import errno
import os
import sqlite3
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from agent.core.clip import Copy, Custody
from agent.core.errors import LedgerError
from agent.files.durable import DurablePart
from agent.ledger import custody
from agent.ledger.database import Database
from agent.ledger.migrations import schema_files, statements
from tests.ledger.schema_dumps import DUMPS, NEWEST, dump_of, shape
from tests.ledger.stage import Stage

NUMBERS = [number for number, _ in schema_files()]


def restored(number: int, path: Path) -> None:
    """A ledger as an agent with that schema left it. Triggers come last: rows are facts already."""
    raw = sqlite3.connect(path)
    rest: list[str] = []
    triggers: list[str] = []
    for statement in statements(dump_of(number).read_text("utf-8")):
        (triggers if statement.lstrip().startswith("CREATE TRIGGER") else rest).append(statement)
    for statement in rest + triggers:
        if statement.strip() not in ("BEGIN TRANSACTION;", "COMMIT;"):
            raw.execute(statement)
    raw.commit()
    raw.close()


def test_schema_numbers_run_from_one_without_a_gap() -> None:
    assert list(range(1, len(NUMBERS) + 1)) == NUMBERS


@pytest.mark.parametrize("number", NUMBERS)
def test_each_released_schema_has_its_dump(number: int) -> None:
    assert dump_of(number).is_file(), "run python -m tests.ledger.schema_dumps"


def test_no_dump_is_of_an_unknown_schema() -> None:
    assert sorted(path.name for path in DUMPS.iterdir()) == [dump_of(number).name for number in NUMBERS]


def test_a_new_ledger_gets_the_newest_schema(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "ledger.db")
    assert stage.one("PRAGMA user_version") == NEWEST
    stage.close()


@pytest.mark.parametrize("number", NUMBERS)
def test_a_ledger_of_each_schema_opens_with_all_its_evidence_and_todays_rules(tmp_path: Path, number: int) -> None:
    fresh, old = tmp_path / "fresh.db", tmp_path / "old" / "ledger.db"
    Database.open(fresh).close()
    old.parent.mkdir()
    restored(number, old)
    stage = Stage(old)
    assert stage.one("PRAGMA user_version") == NEWEST
    assert stage.do(custody.verify).fault is None
    assert (stage.clip("kept").custody, stage.clip("kept").copy) == (Custody.LISTED, Copy.PRESENT)
    assert stage.clip("copied").custody is Custody.CONFIRMED
    assert stage.sql("PRAGMA foreign_key_check") == []
    migrated = stage.do(lambda tx: shape(tx.conn))
    stage.close()
    again = Stage(fresh)
    assert migrated == again.do(lambda tx: shape(tx.conn))
    again.close()


def kept_beside(path: Path) -> list[Path]:
    return sorted(path.parent.glob("*.schema-*"))


@pytest.mark.parametrize("number", NUMBERS[:-1])
def test_an_older_ledger_is_kept_as_it_was_before_it_is_moved(tmp_path: Path, number: int) -> None:
    path, earlier = tmp_path / "ledger.sqlite", tmp_path / "ledger.schema-0.sqlite"
    restored(number, path)
    earlier.write_bytes(b"of an earlier move")
    (tmp_path / f"ledger.schema-{number}.sqlite").write_bytes(b"of a move that was cut off")
    before = sqlite3.connect(path)
    told = list(before.iterdump())
    before.close()
    Database.open(path).close()
    kept = tmp_path / f"ledger.schema-{number}.sqlite"
    assert kept_beside(path) == [earlier, kept]
    assert earlier.read_bytes() == b"of an earlier move"
    assert kept.stat().st_mode & 0o777 == 0o600
    copy = sqlite3.connect(kept)
    assert copy.execute("PRAGMA user_version").fetchone() == (number,)
    assert list(copy.iterdump()) == told
    copy.close()


def test_a_ledger_that_is_new_or_of_today_is_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    Database.open(path).close()
    Database.open(path).close()
    assert kept_beside(path) == []


def test_without_room_for_the_copy_the_ledger_is_moved_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.sqlite"
    restored(NUMBERS[0], path)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(DurablePart, "publish", full)
    with structlog.testing.capture_logs() as said:
        Database.open(path).close()
    assert [(line["event"], line["log_level"]) for line in said] == [("ledger.not_kept", "warning")]
    assert kept_beside(path) == []
    raw = sqlite3.connect(path)
    assert raw.execute("PRAGMA user_version").fetchone() == (NEWEST,)
    raw.close()


def test_opening_twice_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Database.open(path).close()
    before = path.read_bytes()
    Database.open(path).close()
    assert path.read_bytes() == before


def test_triggers_with_inner_semicolons_stay_whole() -> None:
    text = (
        "CREATE TABLE a (x TEXT);\n"
        "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n  UPDATE a SET x = ';';\n  DELETE FROM a;\nEND;\n"
        "-- a comment; with a semicolon\nINSERT INTO a VALUES ('one\n;two');\n\n"
    )
    parts = list(statements(text))
    assert len(parts) == 3
    assert "DELETE FROM a;\nEND;" in parts[1]
    assert "".join(parts) == text.rstrip("\n") + "\n"


@pytest.mark.parametrize("number", NUMBERS)
def test_every_schema_file_splits_without_losing_a_character(number: int) -> None:
    text = dict(schema_files())[number]
    parts = list(statements(text))
    assert "".join(parts).strip() == text.strip()
    assert all(sqlite3.complete_statement(part) for part in parts)


@pytest.mark.parametrize("text", ["CREATE TABLE a (x TEXT)", "SELECT 1;\nCREATE TRIGGER t BEGIN SELECT 1;", "SELECT '"])
def test_a_file_that_ends_in_the_middle_of_a_statement_is_refused(text: str) -> None:
    with pytest.raises(LedgerError, match="in the middle of a statement"):
        list(statements(text))


@given(st.lists(st.sampled_from(["", "\n", "   \n"]), max_size=5))
def test_blank_text_holds_no_statement(blanks: list[str]) -> None:
    assert list(statements("".join(blanks))) == []
