"""Clocks that lie: the station's own, which steps while it runs, and those of cameras."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.config import Config
from agent.core.clip import Copy, Custody
from agent.ledger import doubts
from agent.ledger.custody import Recorder, from_us
from agent.services.disposal import purge_spool
from tests.scenarios.shift import Running, Shift

YEARS = timedelta(days=50 * 365)


class SteppedClock:
    """The wall clock, off by what a test says."""

    def __init__(self) -> None:
        self.off = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.off


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SteppedClock:
    """The clock of everything that the agent assembles."""
    made = SteppedClock()

    def recorder(config: Config) -> Recorder:
        return Recorder(config.station.id, "test", clock=made)

    monkeypatch.setattr("agent.app.make_recorder", recorder)
    monkeypatch.setattr("agent.app.utc_now", made)
    return made


@pytest.mark.parametrize("step", [YEARS, -YEARS], ids=["ahead", "back"])
async def test_a_clock_that_steps_by_fifty_years_holds_up_confirming_and_nothing_else(
    shift: Shift, clock: SteppedClock, step: timedelta
) -> None:
    first, second = shift.camera("CAM1"), shift.camera("CAM2")
    async with shift.station() as running:
        first.dock(shift.bay(1))
        await running.until_advice("1", "take")
        clock.off = step
        second.dock(shift.bay(2))
        await running.until_advice("2", "take, footage still aboard", "on the way")
        await running.until(lambda: _refused_for_the_clock(running), "the receipts do not fit the clock")
        assert {c.custody for c in await running.clips(second)} == {Custody.SPOOLED}
        assert len(shift.aboard(second)) == len(shift.truth(second)), "nothing is wiped meanwhile"
        clock.off = timedelta(0)
        running.agent.kit.ring()
        await running.until_advice("2", "take")
        assert [c.camera for c in await running.clips()] == sorted(c.camera for c in await running.clips())
        seqs = [e["seq"] for e in await running.events("clip.confirmed")]
        assert seqs == sorted(seqs)
        await running.chain_holds()
    shift.nothing_lost()


async def _refused_for_the_clock(running: Running) -> bool:
    said = [str(row.get("problem")) for row in await running.agent.desk.queue()]
    return any("clock" in problem for problem in said)


async def test_a_clock_that_jumps_ahead_purges_nothing_early(shift: Shift, clock: SteppedClock) -> None:
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take")
        assert await _trusted(running)
        for off in (YEARS, timedelta(days=2), -YEARS, timedelta(0)):
            clock.off = off
            assert await purge_spool(running.agent.kit) == 0
        assert await running.events("object.hold_restarted") == [], "the agent was not installed fifty years ago"
        assert {p.name for p in (shift.root / "state/spool/objects").rglob("?" * 64)} == shift.truth(camera)


async def test_a_station_that_was_switched_off_for_the_hold_time_purges_at_its_next_start(
    shift: Shift, clock: SteppedClock
) -> None:
    camera = shift.camera("CAM1")
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take")
    clock.off = timedelta(hours=23)
    async with shift.station() as running:
        await running.until(lambda: _trusted(running), "the ledger is audited")
        assert await purge_spool(running.agent.kit) == 0
    clock.off = timedelta(hours=25)
    async with shift.station() as running:
        await running.until(lambda: _trusted(running), "the ledger is audited")
        assert await purge_spool(running.agent.kit) == len(shift.truth(camera))


async def _trusted(running: Running) -> bool:
    return not await running.agent.kit.database.run(doubts.doubts)


CLAIMS = {
    "19700101_000000_0001": 0,
    "19691231_235959_0002": -1,
    "19010101_000000_0003": -(1 << 31),
    "20991231_235959_0004": 4_102_444_799,
    "20260329_013000_0005": 1_774_747_800,  # a time that no clock in the United Kingdom showed
    "20261025_013000_0006": 1_792_891_800,  # and one that each showed twice
    "20240229_120000_0007": 1_709_208_000,
    "20230229_120000_0008": 1_677_672_000,  # a day that was not
    "20161231_235960_0009": 1_483_228_800,  # a second that was, but not for computers
    "99999999_999999_0010": 1,
    "00000000_000000_0011": 2,
}


async def test_camera_clocks_are_claims_and_order_nothing(shift: Shift, clock: SteppedClock) -> None:
    camera = shift.camera("CAM1", clips=1)
    folder = camera.card / "DCIM" / "200TIME"
    folder.mkdir()
    for name, mtime_s in CLAIMS.items():
        file = folder / f"CAM1_000000_{name}.MP4"
        file.write_bytes(name.encode())
        os.utime(file, ns=(0, mtime_s * 1_000_000_000 + (1 if mtime_s >= 0 else 0)))
    times = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    async with shift.station() as running:
        camera.dock(shift.bay(1))
        await running.until_advice("1", "take")
        clips = [c for c in await running.clips() if b"200TIME" in c.entry.path]
        assert {(c.custody, c.copy) for c in clips} == {(Custody.CONFIRMED, Copy.GONE)}
        assert {Path(c.entry.path.decode()).name: c.entry.mtime_ns for c in clips} == times
        assert [c.entry.path for c in clips] == sorted(c.entry.path for c in clips), "in the order of the walk"
        copied = [e["clip"] for e in await running.events("clip.spooled")]
        assert copied == [c.id for c in await running.clips()], "and so they were copied"
        said = await running.agent.kit.database.run(
            lambda tx: dict(tx.conn.execute("SELECT CAST(path AS TEXT), started_at FROM clips").fetchall())
        )
        starts = {name.split("_000000_", 1)[1][:15]: at for name, at in said.items() if "200TIME" in name}
        confirmed = await running.agent.kit.database.run(
            lambda tx: tx.conn.execute("SELECT min(confirmed_us), max(confirmed_us) FROM objects").fetchone()
        )
    assert starts == {
        "19700101_000000": "1970-01-01T00:00:00Z",
        "19691231_235959": "1969-12-31T23:59:59Z",
        "19010101_000000": "1901-01-01T00:00:00Z",
        "20991231_235959": "2099-12-31T23:59:59Z",
        "20260329_013000": "2026-03-29T01:30:00Z",
        "20261025_013000": "2026-10-25T01:30:00Z",
        "20240229_120000": "2024-02-29T12:00:00Z",
        "20230229_120000": None,
        "20161231_235960": None,
        "99999999_999999": None,
        "00000000_000000": None,
    }
    assert all(abs(from_us(us) - clock()) < timedelta(hours=1) for us in confirmed), "the hold starts by our own clock"
