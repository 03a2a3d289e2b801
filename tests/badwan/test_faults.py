"""Faults at exact bytes, seen from both ends."""

import asyncio
import contextlib

import pytest

from tests.badwan.far_end import FarEnd
from tests.badwan.fault import Ending, Fault, Kind
from tests.badwan.near_end import connect, how_it_ends, send, some_bytes
from tests.badwan.proxy import Badwan
from tests.badwan.shape import Shape, Way

MB = 10**6
QUIET_S = 0.3
"""So long nothing must arrive where nothing may."""


@pytest.mark.parametrize("ending", list(Ending))
@pytest.mark.parametrize("at", [0, 1, 4096, 65_536, 1_234_567])
async def test_a_cut_lets_exactly_its_bytes_through(far: FarEnd, at: int, ending: Ending) -> None:
    data = some_bytes(3 * MB)
    async with Badwan(far.address, faults=[Fault(Kind.CUT, at, ending=ending)]) as line:
        reader, writer = await connect(line)
        async with asyncio.TaskGroup() as group:
            group.create_task(send(writer, data))
            _, ended = await how_it_ends(reader)
        arrival = await far.until(0, ended=True)
        assert bytes(arrival.data) == data[:at]
        assert (ended, arrival.ended) == (ending.value, ending.value)
        assert line.tally.struck[Kind.CUT] == 1
        assert line.tally.delivered[Way.UP] == at
        writer.close()


async def test_a_cut_on_the_way_down_counts_that_way() -> None:
    data = some_bytes(2 * MB)
    async with FarEnd(says=data) as far, Badwan(far.address, faults=[Fault(Kind.CUT, 777_777, Way.DOWN)]) as line:
        reader, writer = await connect(line)
        assert await how_it_ends(reader) == (data[:777_777], "reset")
        writer.close()


@pytest.mark.parametrize(("every", "expected"), [(False, 2), (True, 0)])
async def test_a_fault_strikes_the_first_connection_or_each(far: FarEnd, every: bool, expected: int) -> None:
    async with Badwan(far.address, faults=[Fault(Kind.CUT, 1000, every=every)]) as line:
        whole = 0
        for number in range(3):
            _, writer = await connect(line)
            await send(writer, bytes(5000))
            if not writer.is_closing():
                with contextlib.suppress(OSError):
                    writer.write_eof()
            arrival = await far.until(number, ended=True)
            whole += len(arrival.data) == 5000
            writer.close()
        assert whole == expected


@pytest.mark.parametrize("at", [0, 1, 65_535, 65_536, 654_321, 999_999])
@pytest.mark.parametrize("rate", [None, 80e6])
async def test_exactly_one_byte_is_altered(far: FarEnd, at: int, rate: float | None) -> None:
    data = some_bytes(MB)
    async with Badwan(far.address, up=Shape(rate_bit_s=rate), faults=[Fault(Kind.CORRUPT, at)]) as line:
        _, writer = await connect(line)
        await send(writer, data)
        arrival = await far.until(0, has=MB)
        assert [n for n in range(MB) if arrival.data[n] != data[n]] == [at]
        writer.close()


async def test_a_byte_on_the_way_down_is_altered_there_only() -> None:
    data = some_bytes(1000)
    faults = [Fault(Kind.CORRUPT, 700, Way.DOWN)]
    async with FarEnd(says=data, echoes=True) as far, Badwan(far.address, faults=faults) as line:
        reader, writer = await connect(line)
        got = await reader.readexactly(1000)
        assert [n for n in range(1000) if got[n] != data[n]] == [700]
        writer.write(data)
        assert await reader.readexactly(1000) == data
        assert bytes((await far.until(0, has=1000)).data) == data
        writer.close()


async def test_a_black_hole_keeps_the_line_open_and_delivers_nothing_any_more(far: FarEnd) -> None:
    far._echoes = True
    async with Badwan(far.address, faults=[Fault(Kind.BLACK_HOLE, 50_000)]) as line:
        reader, writer = await connect(line)
        writer.write(bytes(1000))
        await reader.readexactly(1000)
        writer.write(bytes(79_000))
        await far.until(0, has=50_000)
        back = 1000
        with contextlib.suppress(TimeoutError):
            while data := await asyncio.wait_for(reader.read(1 << 16), QUIET_S):
                back += len(data)  # what was echoed before it struck
        writer.write_eof()  # not even the end gets through
        await asyncio.sleep(QUIET_S)
        arrival = far.arrivals[0]
        assert (len(arrival.data), arrival.ended) == (50_000, "")
        assert back <= 50_000
        assert not reader.at_eof()
        other_reader, other_writer = await connect(line)  # a fresh connection is not concerned
        other_writer.write(b"hello")
        assert await other_reader.readexactly(5) == b"hello"
        for each in (writer, other_writer):
            each.close()


async def test_a_stall_ends_after_its_time_and_loses_nothing(far: FarEnd) -> None:
    data = some_bytes(MB)
    async with Badwan(far.address, faults=[Fault(Kind.STALL, 300_000, for_s=0.5)]) as line:
        _, writer = await connect(line)
        await send(writer, data)
        arrival = await far.until(0, has=MB)
        assert bytes(arrival.data) == data
        reached = next(when for when, count in arrival.times if count == 300_000)
        onwards = next(when for when, count in arrival.times if count > 300_000)
        assert 0.45 <= onwards - reached < 1.0
        writer.close()


async def test_a_stall_without_a_time_lasts_until_resume(far: FarEnd) -> None:
    async with Badwan(far.address) as line:
        _, writer = await connect(line)
        writer.write(b"before")
        await far.until(0, has=6)
        line.stall()
        writer.write(b"after")
        await asyncio.sleep(QUIET_S)
        assert bytes(far.arrivals[0].data) == b"before"
        line.resume()
        await far.until(0, has=11)
        line.black_hole()
        line.resume()
        writer.write(b"never")
        await asyncio.sleep(QUIET_S)
        assert bytes(far.arrivals[0].data) == b"beforeafter"
        writer.close()


async def test_small_packets_pass_a_narrow_path_and_large_ones_never(far: FarEnd) -> None:
    far._echoes = True
    async with Badwan(far.address, up=Shape(small_only_bytes=1000)) as line:
        reader, writer = await connect(line)
        for _ in range(5):
            writer.write(bytes(900))
            await reader.readexactly(900)
        writer.write(bytes(5000))
        await asyncio.sleep(QUIET_S)
        writer.write(bytes(10))
        await asyncio.sleep(QUIET_S)
        assert len(far.arrivals[0].data) == 4500
        assert not reader.at_eof()
        writer.close()
