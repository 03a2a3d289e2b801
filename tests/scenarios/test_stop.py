"""A station that is stopped in the middle of what must not be cut off."""

import asyncio
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from agent.services.disposal import Disposal
from tests.scenarios.shift import Shift


async def test_a_station_that_is_stopped_in_an_open_window_finishes_it(
    shift: Shift, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by SIGTERM, for an upgrade: what was unlinked is known as gone, without another start."""
    camera = shift.camera("CAM1", "novatek-ro", clips=4)
    reached = asyncio.Event()
    real = Disposal._unlink

    async def slow(self: Disposal, *rest: Any) -> None:
        reached.set()
        await asyncio.sleep(0.3)
        await real(self, *rest)

    monkeypatch.setattr(Disposal, "_unlink", slow)
    async with shift.station():
        camera.dock(shift.bay(1))
        await reached.wait()
    with closing(sqlite3.connect(shift.root / "state" / "ledger.sqlite")) as ledger:
        copies = dict(ledger.execute("SELECT path, copy FROM clips").fetchall())
    assert set(copies.values()) <= {"gone", "present"}, "a wipe was left half done"
    assert "gone" in copies.values()
    aboard = {path for path in copies if (shift.bay(1) / "card" / path.decode()).exists()}
    assert {path for path, copy in copies.items() if copy == "present"} == aboard
    shift.nothing_lost()
