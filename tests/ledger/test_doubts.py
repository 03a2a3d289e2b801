"""Why nothing is destroyed by a ledger's word: each doubt, how it begins, and the only way in which it ends."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from agent.core.errors import IllegalMove, LedgerError, LedgerFull
from agent.ledger import doubts, objects
from agent.ledger.custody import Recorder
from agent.ledger.doubts import DAMAGED, ROLLED_BACK, UNAUDITED
from agent.ledger.recovery import recover
from agent.ledger.spool import Spool
from agent.ledger.witness import Mark, Witness, newest
from tests.ledger.careless import refuses, refuses_move
from tests.ledger.stage import Stage, digest_of

HEAD = "0" * 64


def held(stage: Stage) -> dict[str, str]:
    return stage.do(doubts.doubts)


def begun(stage: Stage, mark: Mark | None, recorder: Recorder | None = None) -> dict[str, str]:
    """The doubts after a start with this witness."""
    stage.do(lambda tx: doubts.begin(tx, recorder or stage.recorder, mark))
    return held(stage)


def mark_of(stage: Stage) -> Mark:
    found = stage.do(newest)
    assert found is not None
    return found


def test_every_start_begins_in_doubt_until_the_audit_ends_well(peopled: Stage) -> None:
    assert list(begun(peopled, mark_of(peopled))) == [UNAUDITED]
    peopled.do(lambda tx: doubts.audited(tx, peopled.recorder, 12, HEAD))
    assert held(peopled) == {}
    event = json.loads(peopled.one("SELECT line FROM events ORDER BY seq DESC"))
    assert (event["event"], event["events"], event["head"]) == ("ledger.audited", 12, HEAD)


@pytest.mark.parametrize("reason", [DAMAGED, ROLLED_BACK, UNAUDITED])
def test_a_ledger_in_doubt_refuses_wipes_and_purges_to_any_code(peopled: Stage, reason: str) -> None:
    peopled.sql("INSERT INTO doubts VALUES (?, 'found')", reason)
    refuses_move(peopled, "looked", "unsafe wipe", "copy = 'wipe_intended'")
    refuses(peopled, "unsafe purge", "UPDATE objects SET spool = 'absent' WHERE sha256 = ?", digest_of("confirmed"))


def test_without_a_doubt_the_same_is_allowed(peopled: Stage) -> None:
    peopled.intended("looked")
    peopled.do(lambda tx: objects.purged(tx, peopled.recorder, digest_of("confirmed")))


@pytest.mark.parametrize("reason", [DAMAGED, ROLLED_BACK, UNAUDITED])
def test_a_doubt_neither_goes_nor_changes_without_its_event(stage: Stage, reason: str) -> None:
    stage.sql("INSERT INTO doubts VALUES (?, 'found')", reason)
    stage.do(lambda tx: stage.recorder.record(tx, "ledger.accepted" if reason != ROLLED_BACK else "ledger.audited", {}))
    refuses(stage, "a doubt ends with its own custody event", "DELETE FROM doubts")
    other = DAMAGED if reason != DAMAGED else UNAUDITED
    refuses(stage, "a doubt never becomes another", "UPDATE doubts SET reason = ?", other)


def test_a_failed_audit_stays_a_doubt_until_a_later_one_ends_well(stage: Stage) -> None:
    begun(stage, None)
    stage.do(lambda tx: doubts.damaged(tx, stage.recorder, "Clip c1 was altered."))
    assert list(held(stage)) == [DAMAGED, UNAUDITED]
    assert begun(stage, None)[DAMAGED] == "Clip c1 was altered."
    stage.do(lambda tx: doubts.damaged(tx, stage.recorder, "Clip c2 was altered."))
    assert held(stage)[DAMAGED] == "Clip c2 was altered."
    with pytest.raises(IllegalMove, match="nothing to accept"):
        stage.do(lambda tx: doubts.accept(tx, stage.recorder, "sergeant", "it is fine"))
    stage.do(lambda tx: doubts.audited(tx, stage.recorder, 2, HEAD))
    assert held(stage) == {}
    assert stage.events() == ["ledger.damaged", "ledger.damaged", "ledger.audited"]


def test_a_ledger_that_ends_before_its_witness_was_rolled_back(peopled: Stage, tmp_path: Path) -> None:
    peopled.close()
    shutil.copy(peopled.path, tmp_path / "last-week.db")
    later = Stage(peopled.path)
    later.dock()
    mark = mark_of(later)
    later.close()
    restored = Stage(tmp_path / "last-week.db")
    reached = mark_of(restored).seq
    told = f"The ledger ends at custody event {reached}, but this station has written up to {mark.seq}."
    assert begun(restored, mark)[ROLLED_BACK] == told
    event = json.loads(restored.one("SELECT line FROM events ORDER BY seq DESC"))
    assert [event[key] for key in ("event", "found", "witness_seq", "witness_digest")] == [
        "ledger.rolled_back",
        told,
        mark.seq,
        mark.digest,
    ]
    restored.close()


def test_a_rollback_that_was_written_over_with_other_events_is_known(peopled: Stage) -> None:
    mark = Mark(mark_of(peopled).seq, "f" * 64)
    peopled.dock()
    assert begun(peopled, mark)[ROLLED_BACK] == f"Custody event {mark.seq} is not the one that this station wrote."


def test_an_event_that_is_not_there_at_the_witness_is_a_rollback(peopled: Stage) -> None:
    assert ROLLED_BACK in begun(peopled, Mark(0, HEAD))


def test_a_new_ledger_where_there_was_one_before_is_a_rollback(stage: Stage) -> None:
    assert begun(stage, Mark(7, HEAD))[ROLLED_BACK].startswith("The ledger ends at custody event 0")


def test_the_ledger_of_another_station_is_known_even_without_a_witness(peopled: Stage) -> None:
    found = begun(peopled, None, Recorder("hub8", "test"))
    assert found[ROLLED_BACK] == "The ledger was written by station 'hub7'; this is 'hub8'."


def test_only_a_person_ends_a_rollback_and_it_is_recorded_who_and_why(peopled: Stage) -> None:
    begun(peopled, Mark(10_000, HEAD))
    peopled.do(lambda tx: doubts.audited(tx, peopled.recorder, 1, HEAD))
    assert list(held(peopled)) == [ROLLED_BACK]
    assert list(begun(peopled, mark_of(peopled))) == [ROLLED_BACK, UNAUDITED]
    peopled.do(lambda tx: doubts.accept(tx, peopled.recorder, "sergeant", "disk replaced"))
    assert list(held(peopled)) == [UNAUDITED]
    event = json.loads(peopled.one("SELECT line FROM events ORDER BY seq DESC"))
    assert (event["event"], event["actor"], event["reason"]) == ("ledger.accepted", "sergeant", "disk replaced")


def test_start_up_asks_the_witness_and_a_missing_one_is_only_noted(stage: Stage, tmp_path: Path) -> None:
    spool = Spool.open(tmp_path / "spool", allow_unsafe=True, reserve_bytes=0)
    assert not recover(stage.database, spool, stage.recorder).witness_missing  # a new ledger has none
    stage.dock()
    assert recover(stage.database, spool, stage.recorder).witness_missing
    assert list(held(stage)) == [UNAUDITED]
    Witness(stage.path).write(Mark(10_000, HEAD))
    assert not recover(stage.database, spool, stage.recorder).witness_missing
    assert ROLLED_BACK in held(stage)


def test_the_witness_is_replaced_whole_and_read_back(tmp_path: Path) -> None:
    file = Witness(tmp_path / "ledger.sqlite")
    assert file.read() is None
    for seq in (1, 2):
        file.write(Mark(seq, HEAD))
        assert file.read() == Mark(seq, HEAD)
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.witness"]
    assert file.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", [b"", b"rubbish", b"[]", b"{}", b'{"seq": "x", "digest": ""}', b"\xff"])
def test_a_witness_that_holds_something_else_is_none(tmp_path: Path, text: bytes) -> None:
    file = Witness(tmp_path / "ledger.sqlite")
    file.path.write_bytes(text)
    assert file.read() is None


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, LedgerFull), (errno.EIO, LedgerError)])
def test_a_witness_that_cannot_be_written_is_told_and_the_old_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[LedgerError]
) -> None:
    file = Witness(tmp_path / "ledger.sqlite")
    file.write(Mark(1, HEAD))

    def fail(_fd: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(LedgerError, match="witness") as caught:
        file.write(Mark(2, HEAD))
    assert type(caught.value) is kind
    assert file.read() == Mark(1, HEAD)
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.witness"]


def test_a_restored_ledger_is_in_doubt_until_a_person_takes_it_over(peopled: Stage) -> None:
    peopled.do(lambda tx: doubts.restored(tx, peopled.recorder, "2027-01-01T00:00:00+00:00", HEAD))
    assert held(peopled) == {ROLLED_BACK: "The ledger was restored from a backup of 2027-01-01T00:00:00+00:00."}
    assert ROLLED_BACK in begun(peopled, None)
    event = json.loads(peopled.one("SELECT line FROM events WHERE event = 'ledger.restored'"))
    assert (event["made_at"], event["head"]) == ("2027-01-01T00:00:00+00:00", HEAD)
    peopled.do(lambda tx: doubts.accept(tx, peopled.recorder, "sergeant", "new disk"))
    assert list(held(peopled)) == [UNAUDITED]
