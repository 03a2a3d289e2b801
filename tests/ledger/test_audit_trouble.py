"""An audit that could not be made says nothing about the ledger, and leaves it as it found it."""

import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.core.errors import LedgerDamaged, LedgerError
from agent.ledger.audit import audit
from tests.ledger.stage import Stage


@contextmanager
def files_no_larger_than(size_bytes: int) -> Iterator[None]:
    """Let the kernel itself refuse longer files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_ledger_that_cannot_be_written_out_goes_on_as_before(stage: Stage) -> None:
    stage.listing(stage.dock(), *(f"clip-{n}" for n in range(50)))
    size = stage.path.stat().st_size
    with files_no_larger_than(size), pytest.raises(LedgerError), stage.database.standing_still():
        pass
    assert stage.one("PRAGMA wal_autocheckpoint") == 1000
    with stage.database.standing_still() as path:
        assert path.stat().st_size > size
        assert audit(path, threading.Event()).fault is None


def test_a_file_that_cannot_be_opened_is_to_be_tried_again(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="could not be audited: unable to open") as caught:
        audit(tmp_path / "nothing", threading.Event())
    assert not isinstance(caught.value, LedgerDamaged)


SCRIPT = """
import pathlib, sqlite3, sys, threading
from agent.core.errors import LedgerError
from agent.ledger.audit import audit
sqlite3.connect(":memory:").execute("PRAGMA hard_heap_limit = 400000").fetchone()
try:
    print(audit(pathlib.Path(sys.argv[1]), threading.Event()))
except LedgerError as error:
    print(type(error).__name__, error)
"""


def test_too_little_memory_is_no_damage(peopled: Stage) -> None:
    """In a process of its own: SQLite never takes such a limit back."""
    peopled.close()
    words = [sys.executable, "-c", SCRIPT, str(peopled.path)]
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60)  # noqa: S603 - our own
    assert done.stdout.startswith("LedgerError The ledger at"), done.stdout
    assert "out of memory" in done.stdout
