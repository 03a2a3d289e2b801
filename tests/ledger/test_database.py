"""The ledger's file: one holder, whole transactions, and refusal of what cannot be trusted."""

import asyncio
import hashlib
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agent.core.errors import IllegalMove, LedgerBusy, LedgerError
from agent.ledger import database as database_module
from agent.ledger.database import Database, Tx
from tests.ledger.stage import Stage

DEADLINE_S = 20


def count_cameras(tx: Tx) -> int:
    return int(tx.conn.execute("SELECT count(*) FROM cameras").fetchone()[0])


def add_camera(tx: Tx, ident: str = "CAM-7") -> None:
    tx.conn.execute("INSERT INTO cameras (id, profile, first_seen_us, last_seen_us) VALUES (?, 'p', 0, 0)", (ident,))


async def test_work_is_done_in_one_transaction_and_its_answer_comes_back(stage: Stage) -> None:
    await stage.database.run(add_camera)
    assert await stage.database.run(count_cameras) == 1


async def test_an_error_in_the_middle_undoes_the_whole_work(stage: Stage) -> None:
    def work(tx: Tx) -> None:
        add_camera(tx, "CAM-8")
        stage.recorder.record(tx, "camera.seen", {})
        add_camera(tx, "")

    with pytest.raises(IllegalMove, match="The ledger refused a change: CHECK"):
        await stage.database.run(work)
    assert await stage.database.run(count_cameras) == 0
    assert stage.events() == []


async def test_an_error_of_the_work_itself_undoes_it_and_comes_through(stage: Stage) -> None:
    def work(tx: Tx) -> None:
        add_camera(tx)
        raise KeyError("CAM-7")

    with pytest.raises(KeyError):
        await stage.database.run(work)
    assert await stage.database.run(count_cameras) == 0


async def test_a_statement_that_sqlite_cannot_read_is_a_ledger_error_and_no_illegal_move(stage: Stage) -> None:
    with pytest.raises(LedgerError, match="failed: no such table") as caught:
        await stage.database.run(lambda tx: tx.conn.execute("SELECT * FROM nowhere"))
    assert not isinstance(caught.value, IllegalMove)


async def test_a_write_that_has_begun_survives_the_cancellation_of_its_awaiter(stage: Stage) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def work(tx: Tx) -> None:
        begun.set()
        assert go_on.wait(DEADLINE_S)
        add_camera(tx)

    async def write() -> None:
        await stage.database.run(work)

    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        writer = group.create_task(write())
        while not begun.is_set():  # noqa: ASYNC110 - a thread sets it
            await asyncio.sleep(0.001)
        writer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writer
        go_on.set()
    assert await stage.database.run(count_cameras) == 1


async def test_a_write_that_still_waits_its_turn_is_done_whole_or_not_at_all_when_cancelled(stage: Stage) -> None:
    go_on = threading.Event()
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:

        async def hold_up() -> None:
            await stage.database.run(lambda _tx: go_on.wait(DEADLINE_S))

        async def write() -> None:
            await stage.database.run(add_camera)

        group.create_task(hold_up())
        queued = group.create_task(write())
        await asyncio.sleep(0)
        queued.cancel()
        go_on.set()
    assert await stage.database.run(count_cameras) in (0, 1)


def test_a_second_holder_in_this_process_is_turned_away(stage: Stage) -> None:
    with pytest.raises(LedgerBusy, match="in use by another process"):
        Database.open(stage.path)
    assert stage.one("SELECT 1") == 1


def test_a_second_holder_in_another_process_is_turned_away(stage: Stage) -> None:
    script = (
        "import sys, pathlib\n"
        "from agent.core.errors import LedgerBusy\n"
        "from agent.ledger.database import Database\n"
        "try:\n    Database.open(pathlib.Path(sys.argv[1]))\n"
        "except LedgerBusy:\n    sys.exit(42)\n"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter and text
        [sys.executable, "-c", script, str(stage.path)], check=False, timeout=DEADLINE_S * 3
    )
    assert done.returncode == 42


def test_closing_gives_up_the_lock_and_may_be_done_twice(tmp_path: Path) -> None:
    first = Database.open(tmp_path / "ledger.db")
    first.run_blocking(add_camera)
    first.close()
    first.close()
    second = Database.open(tmp_path / "ledger.db")
    assert second.run_blocking(count_cameras) == 1
    second.close()


def test_what_needs_room_is_done_under_the_lock_and_before_sqlite_writes(tmp_path: Path) -> None:
    """On a full disk the ledger opens only after unfinished copies are gone, and nobody else's may be taken."""
    path = tmp_path / "ledger.db"
    seen: list[bool] = []

    def make_room() -> None:
        seen.append(path.exists())
        with pytest.raises(LedgerBusy):
            Database.open(path)

    Database.open(path, before=make_room).close()
    assert seen == [False]


def test_what_comes_before_the_ledger_is_left_undone_while_another_holds_it(stage: Stage) -> None:
    called: list[bool] = []
    with pytest.raises(LedgerBusy):
        Database.open(stage.path, before=lambda: called.append(True))
    assert called == []


def test_the_file_is_private_and_its_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "ledger.db"
    database = Database.open(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    database.close()


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("mmap_size", 0), ("recursive_triggers", 1)],
)
def test_sqlite_runs_as_evidence_needs_it(stage: Stage, pragma: str, value: object) -> None:
    assert stage.one(f"PRAGMA {pragma}") == value


@pytest.mark.parametrize("in_the_way", ["state", "state/ledger.lock"])
def test_a_place_where_no_ledger_can_be_is_told_with_its_reason(tmp_path: Path, in_the_way: str) -> None:
    if in_the_way == "state":
        (tmp_path / "state").write_bytes(b"")
    else:
        (tmp_path / in_the_way).mkdir(parents=True)
    with pytest.raises(LedgerError, match=r"cannot be opened: (Not|Is) a directory"):
        Database.open(tmp_path / "state" / "ledger.db")


@pytest.mark.parametrize("content", [b"this is no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_file_that_is_no_ledger_is_refused_and_the_lock_is_free_again(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(content)
    with pytest.raises(LedgerError, match=r"cannot be opened|damaged"):
        Database.open(path)
    path.unlink()
    Database.open(path).close()


def test_a_ledger_of_a_newer_agent_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Database.open(path).close()
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA user_version = 9999")
    raw.commit()
    raw.close()
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(LedgerError, match="schema 9999") as caught:
        Database.open(path)
    assert "newer dock-agent" in caught.value.hint
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


def test_settings_that_sqlite_did_not_take_are_refused() -> None:
    raw = sqlite3.connect(":memory:")
    with pytest.raises(LedgerError, match="journal_mode = memory, the ledger needs wal"):
        database_module._assert_settings(raw)
    raw.close()


def test_a_preparation_that_fails_gives_the_lock_back(tmp_path: Path) -> None:
    def fail() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        Database.open(tmp_path / "ledger.sqlite", before=fail)
    Database.open(tmp_path / "ledger.sqlite").close()
