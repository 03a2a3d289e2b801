"""Start-up refuses a custody log that was altered, or whose end was cut off."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.custody import line_digest
from agent.core.errors import LedgerError
from agent.ledger.recovery import Recovery
from agent.ledger.spool import Spool
from tests.ledger.stage import Stage
from tests.ledger.test_recovery import copied, ended, run


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool.open(tmp_path / "spool", allow_unsafe=True, reserve_bytes=0)


def alter(stage: Stage, statement: str) -> None:
    """What nobody can do through the ledger: change events behind its back."""
    stage.sql("DROP TRIGGER events_same")
    stage.sql("DROP TRIGGER IF EXISTS events_kept")
    stage.sql(statement)


def cut(stage: Stage, statement: str) -> Iterator[Stage]:
    """Remove events with another program, which knows no foreign keys, while the agent is down."""
    stage.close()
    raw = sqlite3.connect(stage.path)
    raw.execute("DROP TRIGGER events_kept")
    raw.execute(statement)
    raw.commit()
    raw.close()
    again = Stage(stage.path)
    yield again
    again.close()


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)", "DELETE FROM events"],
)
def test_a_log_whose_end_was_cut_off_stops_the_start(stage: Stage, spool: Spool, statement: str) -> None:
    copied(stage, spool, "a")
    newest = stage.one("SELECT max(seq) FROM events")
    for again in cut(stage, statement):
        with pytest.raises(LedgerError, match=f"event {newest} is missing: the end of the log was cut off"):
            run(again, spool)


def test_a_log_that_goes_on_after_the_newest_clip_is_whole(stage: Stage, spool: Spool) -> None:
    copied(stage, spool, "a")
    stage.dock()
    ended(stage)
    assert run(stage, spool) == Recovery()


def test_an_altered_newest_event_stops_the_start(stage: Stage, spool: Spool) -> None:
    copied(stage, spool, "a")
    alter(stage, "UPDATE events SET line = replace(line, 'hub7', 'hub8') WHERE seq = (SELECT max(seq) FROM events)")
    with pytest.raises(LedgerError, match="was altered"):
        run(stage, spool)


def test_an_altered_event_with_its_digest_is_found_by_its_follower(stage: Stage, spool: Spool) -> None:
    copied(stage, spool, "a")
    alter(stage, "UPDATE events SET digest = upper(digest) WHERE seq = 3")
    line = stage.one("SELECT line FROM events WHERE seq = 3")
    forged = line.replace("hub7", "hub8")
    stage.sql("UPDATE events SET line = ?, digest = ? WHERE seq = 3", forged, line_digest(forged))
    with pytest.raises(LedgerError, match="event 4 does not follow"):
        run(stage, spool)


def test_a_missing_event_is_found_by_its_follower(stage: Stage, spool: Spool) -> None:
    stage.dock()
    stage.dock()
    alter(stage, "DELETE FROM events WHERE seq = 2")
    with pytest.raises(LedgerError, match="event 3 does not follow"):
        run(stage, spool)


def test_an_event_with_foreign_characters_stops_the_start_with_a_clear_error(stage: Stage, spool: Spool) -> None:
    copied(stage, spool, "a")
    alter(stage, "UPDATE events SET line = replace(line, 'hub7', 'hüb7') WHERE seq = (SELECT max(seq) FROM events)")
    with pytest.raises(LedgerError, match="was altered"):
        run(stage, spool)
