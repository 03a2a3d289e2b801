from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.ledger.restored import note_restored, restoration, restored_at
from agent.ledger.snapshot import copy_ledger
from tests.ledger.stage import Stage
from tests.ledger.tamper import behind_its_back

MOMENT = datetime(2027, 1, 1, tzinfo=UTC)


def test_the_moment_is_kept_beside_the_ledger(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.sqlite"
    assert restored_at(ledger) is None
    note_restored(ledger, MOMENT)
    assert restored_at(ledger) == MOMENT
    file = note_restored(ledger, MOMENT + timedelta(days=1))
    assert restored_at(ledger) == MOMENT + timedelta(days=1)
    assert [path.name for path in tmp_path.iterdir()] == [file.name] == ["ledger.restored"]
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"at": 5}', '{"at": "soon"}', '{"at": "2027-01-01T00:00:00"}'])
def test_a_file_that_says_nothing_usable_means_that_stores_are_always_asked(tmp_path: Path, text: str) -> None:
    (tmp_path / "ledger.restored").write_text(text)
    found = restored_at(tmp_path / "ledger.sqlite")
    assert found is not None
    assert found.year == 9999


def test_a_file_that_cannot_be_read_means_the_same(tmp_path: Path) -> None:
    (tmp_path / "ledger.restored").mkdir()
    found = restored_at(tmp_path / "ledger.sqlite")
    assert found is not None
    assert found.year == 9999


def test_the_latest_that_is_known_counts_when_the_clock_is_behind(peopled: Stage, tmp_path: Path) -> None:
    """A restoration by a slow clock must not make the receipts in the copy look younger than it."""
    copy = tmp_path / "copy"
    copy_ledger(peopled.database, copy)
    (newest_us,) = peopled.sql("SELECT max(at_us) FROM events")[0]
    events = datetime.fromtimestamp(newest_us / 1e6, UTC)
    past = datetime(2001, 1, 1, tzinfo=UTC)
    assert abs(restoration(copy, past, past) - events) < timedelta(milliseconds=1)
    later = events + timedelta(days=400)
    assert restoration(copy, later, past) == later
    assert restoration(copy, past, later) == later


@pytest.mark.parametrize(("issued_us", "year"), [(4_102_444_800_000_000, 2100), (1 << 62, 9999)])
def test_a_receipt_that_is_dated_later_counts_too(peopled: Stage, tmp_path: Path, issued_us: int, year: int) -> None:
    copy = tmp_path / "copy"
    copy_ledger(peopled.database, copy)
    behind_its_back(copy, f"UPDATE receipts SET issued_us = {issued_us}")  # noqa: S608 - a number of our own
    assert restoration(copy, MOMENT, MOMENT).year == year
