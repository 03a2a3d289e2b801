"""A copy of a ledger for a backup: complete, and never believed unread."""

import sqlite3
from pathlib import Path

import pytest

from agent.core.errors import LedgerBusy, LedgerDamaged, LedgerError
from agent.ledger import custody, doubts
from agent.ledger.database import Database, refuse_busy, sole_owner
from agent.ledger.migrations import newest_schema
from agent.ledger.snapshot import copy_ledger, has_history, inspect, is_restored, lines_of, missing_clips, reading
from tests.ledger.stage import Stage, digest_of
from tests.ledger.tamper import behind_its_back


def test_a_copy_is_the_ledger_as_it_was_while_others_write_on(peopled: Stage, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    target.write_text("an older one")
    copy_ledger(peopled.database, target)
    before = peopled.do(custody.verify)
    peopled.dock()
    found = inspect(target)
    assert (found.schema, found.events, found.head) == (newest_schema(), before.events, before.head)
    assert target.stat().st_mode & 0o777 == 0o600
    with reading(target) as connection:
        assert len(list(lines_of(connection))) == found.events
    assert not target.with_name("copy.part").exists()


def test_a_copy_that_cannot_be_written_is_told(peopled: Stage, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="could not be copied"):
        copy_ledger(peopled.database, tmp_path / "none" / "copy")
    peopled.dock()  # the ledger goes on


def test_an_altered_copy_is_known_by_its_chain(peopled: Stage, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    copy_ledger(peopled.database, target)
    behind_its_back(target, "UPDATE events SET line = replace(line, 'hub7', 'hub8') WHERE seq = 3")
    with pytest.raises(LedgerDamaged, match="event 4"):
        inspect(target)


def test_what_is_no_ledger_is_no_copy(tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(b"rubbish" * 1000)
    with pytest.raises(LedgerDamaged, match="cannot be read"):
        inspect(tmp_path / "copy")


def test_the_clips_whose_bytes_are_not_in_the_spool_are_found(peopled: Stage, tmp_path: Path) -> None:
    target, spool = tmp_path / "copy", tmp_path / "spool"
    copy_ledger(peopled.database, target)
    everything = {clip for clip, *_ in missing_clips(target, spool)}
    there = digest_of("spooled")
    folder = spool / "objects" / there[:2]
    folder.mkdir(parents=True)
    (folder / there).touch()
    missing = missing_clips(target, spool)
    assert everything - {clip for clip, *_ in missing} == {peopled.clip("spooled").id}
    assert all(camera == "CAM-1" and path.startswith(b"DCIM/") for _, camera, path, _ in missing)
    assert "confirmed" in {custody for *_, custody in missing}


def test_a_ledger_with_an_event_has_a_history(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    assert not has_history(path)
    path.touch()
    assert not has_history(path)
    path.unlink()
    stage = Stage(path)
    stage.close()
    assert not has_history(path)
    stage = Stage(path)
    stage.dock()
    stage.close()
    assert has_history(path)


def test_what_cannot_be_read_or_is_something_else_has_a_history(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    log = tmp_path / "ledger.sqlite-wal"
    log.touch()
    assert not has_history(path)
    log.write_bytes(b"x")
    assert has_history(path)
    log.unlink()
    path.write_bytes(b"rubbish" * 1000)
    assert has_history(path)
    path.unlink()
    raw = sqlite3.connect(path)
    raw.execute("CREATE TABLE other (x)")
    raw.close()
    assert has_history(path)


def test_a_ledger_in_use_is_known_without_touching_it(tmp_path: Path) -> None:
    path = tmp_path / "state" / "ledger.sqlite"
    refuse_busy(path)
    assert not path.parent.exists()
    database = Database.open(path)
    with pytest.raises(LedgerBusy):
        refuse_busy(path)
    with pytest.raises(LedgerBusy), sole_owner(path):
        pass
    database.close()
    refuse_busy(path)
    with sole_owner(path):
        assert (path.parent / "ledger.lock").exists()
        with pytest.raises(LedgerBusy):
            Database.open(path)
    Database.open(path).close()


def test_a_restored_copy_is_known_until_something_is_recorded_in_it(tmp_path: Path) -> None:
    path, copy = tmp_path / "ledger.sqlite", tmp_path / "copy"
    stage = Stage(path)
    stage.dock()
    copy_ledger(stage.database, copy)
    taken = inspect(copy)
    stage.close()
    assert not is_restored(path, taken), "it is the ledger itself"
    assert not is_restored(tmp_path / "none", taken)
    stage = Stage(path)
    stage.do(lambda tx: doubts.restored(tx, stage.recorder, "2027-01-01T00:00:00+00:00", taken.head))
    stage.close()
    assert is_restored(path, taken)
    log = tmp_path / "ledger.sqlite-wal"
    log.write_bytes(b"x")
    assert not is_restored(path, taken), "more may stand in its log"
    log.write_bytes(b"")
    assert is_restored(path, taken)
    log.unlink()
    stage = Stage(path)
    stage.dock()
    stage.close()
    assert not is_restored(path, taken)
    path.write_bytes(b"rubbish" * 1000)
    assert not is_restored(path, taken)


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    """Root may be asked to take it, in a folder where the service's user can put links."""
    path, victim = tmp_path / "ledger.sqlite", tmp_path / "victim"
    path.with_suffix(".lock").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"), sole_owner(path):
        pass
    with pytest.raises(OSError, match="symbolic links"):
        refuse_busy(path)
    with pytest.raises(LedgerError, match="cannot be opened"):
        Database.open(path)
    assert not victim.exists()
