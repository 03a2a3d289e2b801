"""A card with more names than any memory should hold: listed and taken into the ledger batch by batch."""

import os
from pathlib import Path

from agent.core.clip import BayName, Entry
from agent.devices.reader.camera import ROWS_CAP, open_camera
from agent.ports import Docked
from agent.simulate.rack import SimulatedCamera
from tests.scenarios.shift import Running, Shift

FEW, MANY = 1_000, 100_000
MANY_IN_THE_LEDGER = 20_000
READER_KIB = 30 << 10
LISTING_GROWTH_KIB = 8 << 10
"""All 100,000 rows kept would be some 30 MiB."""
LEDGER_GROWTH_KIB = 2560
"""All 20,000 sightings kept would be some 4 MiB; ledger and session alone grow by less than 1."""


def peak_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", "ascii")


async def listed(camera: SimulatedCamera, names: int) -> tuple[int, int, int]:
    """List once; the number of rows, and the peaks of this process and of the reader, in KiB."""
    camera.script(faults={"long_listing": names})
    opened = await open_camera(Docked(BayName("1"), "simulated", str(camera.place), "t"), stall_s=30)
    forget_peak()
    rows = 0
    async for batch in opened.list():
        rows += sum(isinstance(row, Entry) for row in batch)
    peaks = peak_kib(os.getpid()), peak_kib(opened._process.pid)
    await opened.close()
    return rows, *peaks


async def test_a_hundred_thousand_names_are_listed_in_flat_memory(shift: Shift) -> None:
    camera = shift.camera("CAM1", clips=1)
    own = len(camera.truth.files)
    few, few_kib, few_reader_kib = await listed(camera, FEW)
    many, many_kib, many_reader_kib = await listed(camera, MANY)
    assert (few, many) == (FEW + own, MANY + own)
    assert many < ROWS_CAP
    assert many_kib - few_kib < LISTING_GROWTH_KIB
    assert many_reader_kib - few_reader_kib < LISTING_GROWTH_KIB
    assert many_reader_kib < READER_KIB


async def taken_in(running: Running, camera: SimulatedCamera, names: int) -> int:
    """Dock until the card is listed and the full spool stops the rest; this process's peak in KiB."""
    camera.script(faults={"long_listing": names})
    forget_peak()
    camera.dock(running.shift.bay(1))
    await running.until(
        lambda: "1" in running.bays() and running.slot("1").session.standing.problem, "it waits for the spool"
    )
    assert running.slot("1").session.listing.new == names + len(camera.truth.files)
    peak = peak_kib(os.getpid())
    camera.undock()
    await running.until_advice("1", None)
    return peak


async def test_a_long_listing_is_taken_into_the_ledger_in_flat_memory(shift: Shift) -> None:
    few, many = shift.camera("CAM1", clips=1), shift.camera("CAM2", clips=1)
    async with shift.station() as running:
        running.agent.kit.spool.reserve_bytes = 1 << 60
        few_kib = await taken_in(running, few, FEW)
        many_kib = await taken_in(running, many, MANY_IN_THE_LEDGER)
        assert many_kib - few_kib < LEDGER_GROWTH_KIB
