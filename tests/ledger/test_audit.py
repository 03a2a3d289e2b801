"""The audit passes every honest ledger and says what is wrong with any other."""

import os
import sqlite3
import threading
from pathlib import Path

import pytest

from agent.core.custody import line_digest
from agent.core.errors import LedgerError
from agent.ledger import audit as module
from agent.ledger import clips
from agent.ledger.audit import AuditReport, AuditStopped, audit
from agent.ledger.custody import verify
from tests.ledger.stage import Stage
from tests.ledger.tamper import behind_its_back, page_of, smash, without_index


@pytest.fixture
def ledger(peopled: Stage) -> Path:
    """A ledger in which every state occurs, and that nobody has open."""
    held = peopled.clip("listed").id
    peopled.do(lambda tx: clips.hold(tx, peopled.recorder, held, "case 1"))
    peopled.do(lambda tx: clips.unhold(tx, peopled.recorder, held, "over"))
    peopled.close()
    return peopled.path


def found_in(path: Path) -> str | None:
    return audit(path, threading.Event()).fault


def test_an_honest_ledger_passes_and_its_chain_is_the_one_that_everybody_can_verify(peopled: Stage) -> None:
    report = peopled.do(verify)
    peopled.close()
    assert audit(peopled.path, threading.Event()) == AuditReport(report.events, report.head, None)


def test_an_empty_ledger_passes(stage: Stage) -> None:
    stage.close()
    assert found_in(stage.path) is None


CONFIRMED = "(SELECT id FROM clips WHERE path = CAST('DCIM/confirmed.MP4' AS BLOB))"
SPOOLED = "(SELECT id FROM clips WHERE path = CAST('DCIM/spooled.MP4' AS BLOB))"
FIRST_EVENT = "(SELECT min(seq) FROM events WHERE clip = clips.id)"
HELD = "(SELECT id FROM clips WHERE hold IS NOT NULL)"


@pytest.mark.parametrize(
    ("change", "clip", "wrong"),
    [
        ("custody = 'confirmed'", SPOOLED, "custody"),
        ("copy = 'missing'", CONFIRMED, "camera copy"),
        ("sha256 = (SELECT max(sha256) FROM objects)", CONFIRMED, "digest"),
        ("size_bytes = size_bytes + 1", CONFIRMED, "size"),
        ("mtime_ns = mtime_ns + 1", CONFIRMED, "time"),
        ("path = CAST('DCIM/other' AS BLOB)", CONFIRMED, "path"),
        ("role = 'sidecar'", CONFIRMED, "role"),
        ("camera = 'CAM-9'", CONFIRMED, "camera"),
        ("hold = NULL", HELD, "hold"),
        ("hold = 'invented'", CONFIRMED, "hold"),
        ("last_event = 1", CONFIRMED, "newest event"),
        (f"custody = 'listed', sha256 = NULL, last_event = {FIRST_EVENT}", SPOOLED, "state"),
    ],
)
def test_a_clip_that_says_other_than_its_events_is_named(ledger: Path, change: str, clip: str, wrong: str) -> None:
    behind_its_back(ledger, f"UPDATE clips SET {change} WHERE id = {clip}")  # noqa: S608 - our own text
    found = found_in(ledger)
    assert found is not None
    assert found.endswith(f"was altered: its {wrong} is not what the custody log says.")


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ("kind = 1", "kind"),
        ("store = 'elsewhere'", "store"),
        ("place = 'tus+https://elsewhere.test/'", "store"),
        ("size_bytes = size_bytes + 1", "size"),
        ("event = (SELECT min(event) - 1 FROM receipts)", "event"),
        ("sha256 = (SELECT max(sha256) FROM objects WHERE sha256 <> receipts.sha256)", "event"),
    ],
)
def test_a_receipt_that_says_other_than_its_event_is_named(ledger: Path, change: str, wrong: str) -> None:
    behind_its_back(ledger, f"UPDATE receipts SET {change} WHERE event = (SELECT max(event) FROM receipts)")  # noqa: S608
    found = found_in(ledger)
    assert found is not None
    assert found.endswith(f"was altered: its {wrong} is not what the custody log says.")


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE events SET line = replace(line, 'hub7', 'hub8') WHERE seq = 5", "event 5 was altered"),
        ("UPDATE events SET line = 'rubbish' WHERE seq = 5", "event 5 was altered"),
        ("UPDATE events SET event = 'clip.lost' WHERE seq = 5", "event 5 was altered"),
        ("UPDATE events SET digest = upper(digest) WHERE seq = 5", "event 5 was altered"),
        ("UPDATE events SET clip = NULL WHERE seq = 5", "event 5 was altered"),
        ("UPDATE events SET clip = (SELECT min(clip) FROM events WHERE clip <> events.clip) WHERE seq = 5", "event 5"),
        ("UPDATE events SET digest = upper(digest) WHERE seq = (SELECT max(seq) FROM events)", "was altered"),
        ("DELETE FROM events WHERE seq = 5", "event 5 is missing"),
        ("DELETE FROM clips WHERE copy = 'gone'", "tells of 10 clips, the ledger has 9"),
        ("DELETE FROM receipts WHERE event = (SELECT max(event) FROM receipts)", "receipts, the ledger has"),
        ("UPDATE tallies SET clips = clips + 1", "tally of clips is wrong for camera CAM-1"),
        ("UPDATE tallies SET bytes = bytes + 1", "tally of clips is wrong for camera CAM-1"),
        ("DELETE FROM tallies WHERE custody = 'spooled'", "tally of clips is wrong for camera CAM-1"),
        ("INSERT INTO tallies VALUES ('CAM-9', 'clip', 'listed', 'present', 0, 1, 5)", "tally of clips is wrong for"),
        ("UPDATE spool_tally SET objects = objects + 1", "tally of the spool is wrong; objects in it are 7"),
        ("UPDATE spool_tally SET bytes = bytes + 1", "tally of the spool is wrong; objects in it are 7"),
        ("DELETE FROM spool_tally", "tally of the spool is wrong; objects in it are 7"),
        ("DELETE FROM uploads", "upload queue does not hold what is owed"),
        ("DROP INDEX clips_of_object", "index clips_of_object was removed or changed"),
        ("DROP VIEW current_receipts", "view current_receipts was removed or changed"),
        ("CREATE TRIGGER mute BEFORE INSERT ON doubts BEGIN SELECT RAISE(IGNORE); END", "trigger mute was added"),
        ("DELETE FROM sessions WHERE id = 1", "A row points to nothing: in table clips, to sessions"),
        ("DELETE FROM objects WHERE sha256 = (SELECT max(sha256) FROM objects)", "to objects"),
        ("DELETE FROM cameras WHERE id = 'CAM-1'", "tells of a camera that the ledger does not have: CAM-1"),
    ],
)
def test_what_cannot_be_is_named(ledger: Path, statement: str, found: str) -> None:
    behind_its_back(ledger, statement)
    told = found_in(ledger)
    assert told is not None
    assert found in told


def test_a_ledger_without_its_gate_is_damaged(ledger: Path) -> None:
    raw = sqlite3.connect(ledger)
    raw.execute("DROP TRIGGER clips_wipe")
    raw.commit()
    raw.close()
    assert found_in(ledger) == "The ledger's trigger clips_wipe was removed or changed."


def test_an_event_that_was_forged_together_with_its_digest_is_found_by_its_follower(ledger: Path) -> None:
    raw = sqlite3.connect(ledger)
    (line,) = raw.execute("SELECT line FROM events WHERE seq = 5").fetchone()
    raw.close()
    forged = line.replace("hub7", "hub8")
    behind_its_back(ledger, f"UPDATE events SET line = '{forged}', digest = '{line_digest(forged)}' WHERE seq = 5")  # noqa: S608
    found = found_in(ledger)
    assert found is not None
    assert "event 6 was altered, or does not follow" in found


@pytest.mark.parametrize(
    ("index", "table", "row"),
    [
        ("clips_of_object", "clips", f"id = {CONFIRMED}"),
        ("clips_to_wipe", "clips", f"id = {CONFIRMED}"),
        ("events_of_clip", "events", f"clip = {CONFIRMED}"),
    ],
)
def test_an_index_that_missed_a_change_is_damage(ledger: Path, index: str, table: str, row: str) -> None:
    without_index(ledger, index, f"DELETE FROM {table} WHERE {row}")  # noqa: S608
    found = found_in(ledger)
    assert found is not None
    assert f"Table {table} is damaged" in found


@pytest.mark.parametrize("page", ["header", "clips", "events", "receipts", "clips_of_object", "doubts"])
def test_a_smashed_page_is_damage(ledger: Path, page: str) -> None:
    smash(ledger, 1 if page == "header" else page_of(ledger, page))
    assert found_in(ledger) is not None


@pytest.mark.parametrize("keep", [0, 100, 4096, 10 * 4096])
def test_a_truncated_file_is_damage(ledger: Path, keep: int) -> None:
    with ledger.open("r+b") as file:
        file.truncate(keep)
    assert found_in(ledger) is not None


def test_more_rows_than_a_page_are_all_looked_at(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 3)
    stage.listing(stage.dock(), *"abcdefghijk")
    last = stage.clip("k").id
    stage.close()
    assert found_in(stage.path) is None
    behind_its_back(stage.path, f"UPDATE clips SET mtime_ns = 0 WHERE id = '{last}'")  # noqa: S608
    assert found_in(stage.path) == f"Clip {last} was altered: its time is not what the custody log says."


def test_the_main_file_stands_still_while_the_ledger_is_written(peopled: Stage) -> None:
    session = peopled.dock()
    with peopled.database.standing_still() as path:
        before = path.read_bytes()
        events = audit(path, threading.Event()).events
        peopled.listing(session, "new")
        peopled.sql(
            "INSERT INTO doubts VALUES ('ledger_damaged', hex(zeroblob(3000000)))"
        )  # more than SQLite's own bound
        assert peopled.one("SELECT count(*) FROM clips WHERE session = ?", session) == 1
        assert path.read_bytes() == before
        assert audit(path, threading.Event()) == audit(path, threading.Event())
        assert audit(path, threading.Event()).events == events
    assert peopled.one("PRAGMA wal_autocheckpoint") == 1000
    with peopled.database.standing_still() as path:
        report = audit(path, threading.Event())
    assert report.events == peopled.one("SELECT count(*) FROM events")
    assert report.fault is None


def locks_on(path: Path) -> list[str]:
    """The kinds and ranges of this process's POSIX locks on a file, as the kernel tells them."""
    rows = [row.split() for row in Path("/proc/locks").read_text().splitlines()]
    number = str(path.stat().st_ino)
    mine = [row for row in rows if row[1] == "POSIX" and row[4] == str(os.getpid())]
    return [" ".join([row[3], *row[6:]]) for row in mine if row[5].split(":")[2] == number]


def test_the_audit_leaves_the_locks_of_the_live_ledger_alone(stage: Stage) -> None:
    """Closing any handle on a file drops a process's POSIX locks on it; then another program may remove its log."""
    stage.dock()
    before = locks_on(stage.path)
    with stage.database.standing_still() as path:
        assert audit(path, threading.Event()).fault is None
        assert locks_on(path) == before
    assert len(before) == 1


def test_a_ledger_that_something_else_reads_cannot_stand_still(peopled: Stage) -> None:
    other = sqlite3.connect(peopled.path)
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM events").fetchone()
    peopled.dock()
    with pytest.raises(LedgerError, match="something else reads it"), peopled.database.standing_still():
        pass
    other.close()
    assert peopled.one("PRAGMA wal_autocheckpoint") == 1000


def test_a_ledger_that_cannot_be_told_to_stand_still_says_so(stage: Stage) -> None:
    with pytest.raises(LedgerError, match="failed"):
        stage.database._pragma("wal_checkpoint(")


class Unhurried(threading.Event):
    """Is asked to stop only in the middle of a statement."""

    def wait(self, timeout: float | None = None) -> bool:
        return timeout is None


@pytest.mark.parametrize("kind", [threading.Event, Unhurried])
def test_it_stops_when_it_is_asked_to(ledger: Path, kind: type[threading.Event]) -> None:
    stop = kind()
    stop.set()
    with pytest.raises(AuditStopped):
        audit(ledger, stop)
