"""A ledger that cannot be read or written: said in words, at start or at the statement that meets it."""

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.errors import IllegalMove, LedgerDamaged, LedgerError, LedgerFull
from agent.ledger import doubts, fleet
from agent.ledger.custody import Recorder
from agent.ledger.database import Database, Tx
from agent.ledger.doubts import ROLLED_BACK
from agent.ledger.recovery import recover
from agent.ledger.spool import Spool
from agent.ledger.witness import Witness, newest
from tests.ledger.stage import CAMERA, Stage
from tests.ledger.tamper import page_of, smash

NOBODY = 65534


@pytest.fixture
def ledger(peopled: Stage) -> Path:
    peopled.close()
    return peopled.path


def test_a_smashed_header_ends_the_start_and_says_what_to_do(ledger: Path) -> None:
    smash(ledger, 1)
    with pytest.raises(LedgerDamaged, match="it is damaged") as caught:
        Database.open(ledger)
    for word in ("untouched", "newest backup", "move ledger.sqlite", "custody accept"):
        assert word in caught.value.told()


def test_a_smashed_table_is_met_by_the_statement_that_reads_it(ledger: Path) -> None:
    smash(ledger, page_of(ledger, "clips"))
    stage = Stage(ledger)
    with pytest.raises(LedgerDamaged, match="it is damaged"):
        stage.sql("SELECT * FROM clips")
    assert stage.one("SELECT count(*) FROM cameras") == 1
    stage.close()


def test_a_smashed_index_is_met_by_the_statement_that_reads_it(ledger: Path) -> None:
    smash(ledger, page_of(ledger, "clips_to_wipe"))
    stage = Stage(ledger)
    with pytest.raises(LedgerDamaged):
        stage.do(lambda tx: fleet.clips_to_wipe(tx, CAMERA, ["clip"], 9))
    stage.close()


def test_start_up_that_meets_damage_says_so(ledger: Path, tmp_path: Path) -> None:
    smash(ledger, page_of(ledger, "events"))
    spool = Spool.open(tmp_path / "spool", allow_unsafe=True, reserve_bytes=0)
    database = Database.open(ledger)
    with pytest.raises(LedgerDamaged):
        recover(database, spool, Recorder("hub7", "test"))
    database.close()


def test_a_wiped_out_write_ahead_log_is_a_rollback(stage: Stage, tmp_path: Path) -> None:
    """Power came back to a log full of zeros: SQLite goes on from before it, without a word."""
    stage.listing(stage.dock(), "a")
    with stage.database.standing_still():
        pass
    stage.spooled("a")
    mark = stage.do(newest)
    assert mark is not None
    crashed = tmp_path / "crashed" / "ledger.db"
    crashed.parent.mkdir()
    shutil.copy(stage.path, crashed)
    log = Path(f"{stage.path}-wal")
    Path(f"{crashed}-wal").write_bytes(bytes(log.stat().st_size))
    Witness(crashed).write(mark)
    again = Stage(crashed)
    recover(again.database, Spool.open(tmp_path / "spool", allow_unsafe=True, reserve_bytes=0), again.recorder)
    assert ROLLED_BACK in again.do(doubts.doubts)
    again.close()


def test_a_full_disk_undoes_the_work_and_the_ledger_goes_on_when_there_is_room(stage: Stage) -> None:
    stage.dock()
    pages = stage.one("PRAGMA page_count")
    stage.sql(f"PRAGMA max_page_count = {pages}")
    names = [f"clip-{n}" for n in range(200)]
    before = stage.everything()
    session = stage.one("SELECT max(id) FROM sessions")
    with pytest.raises(LedgerFull, match="full") as caught:
        stage.listing(session, *names)
    assert not isinstance(caught.value, IllegalMove)
    assert "goes on by itself" in caught.value.told()
    assert stage.everything() == before
    stage.sql("PRAGMA max_page_count = 1000000")
    assert stage.listing(session, *names).new == len(names)


SCRIPT = """
import os, sys, pathlib
from agent.core.errors import LedgerError
from agent.ledger.database import Database
from agent.ledger.migrations import schema_files
schema_files()  # imports what it needs while this user may still read it
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    Database.open(pathlib.Path(sys.argv[1])).close()
except LedgerError as error:
    print(error)
    sys.exit(42)
"""


def opened_by_a_plain_user(path: Path) -> subprocess.CompletedProcess[str]:
    """Open a ledger in a process that may not do everything, whoever runs the tests."""
    words = [sys.executable, "-c", SCRIPT, str(path)]
    return subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)  # noqa: S603 - our own


@pytest.fixture
def shared(ledger: Path) -> Iterator[Path]:
    """A ledger that belongs to a plain user, in a directory that such a user can reach."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state" / "ledger.sqlite"
        path.parent.mkdir()
        shutil.copy(ledger, path)
        path.with_suffix(".lock").touch(mode=0o600)
        Path(folder).chmod(0o755)
        if os.geteuid() == 0:
            for each in (path.parent, *path.parent.iterdir()):
                os.chown(each, NOBODY, NOBODY)
        yield path


def test_a_plain_user_can_open_a_ledger_of_his_own(shared: Path) -> None:
    done = opened_by_a_plain_user(shared)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_a_ledger_that_may_not_be_read_is_told(shared: Path) -> None:
    shared.chmod(0o000)
    done = opened_by_a_plain_user(shared)
    assert done.returncode == 42, done.stderr
    assert f"The ledger at {shared} cannot be opened" in done.stdout


def test_a_state_directory_that_may_not_be_written_is_told(shared: Path) -> None:
    shared.parent.chmod(0o500)
    done = opened_by_a_plain_user(shared)
    shared.parent.chmod(0o700)
    assert done.returncode == 42, done.stderr
    assert f"The ledger at {shared} cannot be opened" in done.stdout


def test_a_statement_outside_any_of_this_is_a_plain_ledger_error(stage: Stage) -> None:
    def work(_tx: Tx) -> None:
        raise sqlite3.ProgrammingError("no code at all")

    with pytest.raises(LedgerError) as caught:
        stage.do(work)
    assert type(caught.value) is LedgerError


def test_a_directory_that_cannot_be_synced_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_path: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    path = tmp_path / "ledger.sqlite"
    monkeypatch.setattr("agent.ledger.database.sync_directory", fail)
    with pytest.raises(LedgerError, match="cannot be opened: Input/output error"):
        Database.open(path)
    monkeypatch.undo()
    Database.open(path).close()
