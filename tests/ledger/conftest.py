"""A fresh ledger, and one in which every state occurs."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ledger import clips
from tests.ledger.stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path / "state" / "ledger.db")
    made.gate()
    yield made
    made.close()


@pytest.fixture(scope="session")
def peopled_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger whose clips are named after the state they are in; the camera CAM-1 is docked."""
    stage = Stage(tmp_path_factory.mktemp("peopled") / "ledger.db")
    stage.gate()
    session = stage.dock()
    here = ("listed", "spooled", "confirmed", "looked", "intended", "gone", "quarantined", "held")
    stage.listing(session, *here, "missing", "lost")
    for name in ("spooled", "confirmed", "looked", "intended", "gone", "missing", "held"):
        stage.spooled(name)
    for name in ("confirmed", "looked", "intended", "gone", "held"):
        stage.proved(name)
    stage.quarantined("quarantined")
    stage.intended("gone")
    stage.unlinked("gone")
    session = stage.dock()
    stage.listing(session, *(name for name in here if name not in ("gone", "quarantined")))
    held = stage.clip("held").id
    stage.do(lambda tx: clips.hold(tx, stage.recorder, held, "case 12"))
    stage.sql("UPDATE clips SET looked_in = session WHERE path = ?", stage.clip("looked").entry.path)
    stage.intended("intended")
    stage.close()
    return stage.path


@pytest.fixture
def peopled(peopled_file: Path, tmp_path: Path) -> Iterator[Stage]:
    path = tmp_path / "ledger.db"
    shutil.copy(peopled_file, path)
    made = Stage(path)
    yield made
    made.close()
