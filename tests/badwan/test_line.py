"""What a line does to bytes, measured from both ends."""

import asyncio
import time

import pytest

from tests.badwan.far_end import FarEnd
from tests.badwan.near_end import connect, how_it_ends, send, some_bytes
from tests.badwan.proxy import Badwan
from tests.badwan.shape import Shape, Way

MB = 10**6


async def test_without_faults_every_byte_passes_both_ways_and_both_ends_are_told(far: FarEnd) -> None:
    data = some_bytes(5 * MB)
    far._echoes = True
    async with Badwan(far.address) as line:
        reader, writer = await connect(line)
        async with asyncio.TaskGroup() as group:
            group.create_task(send(writer, data))
            back = await reader.readexactly(len(data))
        writer.write_eof()
        assert await how_it_ends(reader) == (b"", "fin")
        arrival = await far.until(0, ended=True)
        assert (bytes(arrival.data), back, arrival.ended) == (data, data, "fin")
        assert line.tally.delivered == line.tally.taken == {Way.UP: len(data), Way.DOWN: len(data)}
        writer.close()


@pytest.mark.parametrize(("rate", "size"), [(16e6, 3 * MB), (2e6, 300_000), (200e6, 30 * MB)])
async def test_the_rate_is_kept_within_a_tenth(far: FarEnd, rate: float, size: int) -> None:
    async with Badwan(far.address, up=Shape(rate_bit_s=rate)) as line:
        _, writer = await connect(line)
        await send(writer, some_bytes(size))
        arrival = await far.until(0, has=size)
        (began, first), (ended, last) = arrival.times[0], arrival.times[-1]
        assert (last - first) * 8 / (ended - began) == pytest.approx(rate, rel=0.1)
        writer.close()


async def test_connections_share_the_rate_of_the_line(far: FarEnd) -> None:
    async with Badwan(far.address, up=Shape(rate_bit_s=16e6)) as line:
        writers = [(await connect(line))[1] for _ in range(4)]
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for writer in writers:
                group.create_task(send(writer, some_bytes(MB // 2)))
        for number in range(4):
            await far.until(number, has=MB // 2)
        assert 4 * (MB // 2) * 8 / (time.monotonic() - began) == pytest.approx(16e6, rel=0.1)
        for writer in writers:
            writer.close()


async def test_a_slow_way_up_leaves_the_way_down_alone() -> None:
    async with FarEnd(says=some_bytes(4 * MB)) as far, Badwan(far.address, up=Shape(rate_bit_s=80_000)) as line:
        reader, writer = await connect(line)
        began = time.monotonic()
        await send(writer, some_bytes(100_000))
        await reader.readexactly(4 * MB)
        assert time.monotonic() - began < 2
        assert len(far.arrivals[0].data) < 30_000
        writer.close()


@pytest.mark.parametrize(("up_s", "down_s"), [(0.05, 0.05), (0.2, 0.0), (0.0, 0.2)])
async def test_latency_is_that_of_each_way(far: FarEnd, up_s: float, down_s: float) -> None:
    far._echoes = True
    async with Badwan(far.address, up=Shape(up_s), down=Shape(down_s)) as line:
        reader, writer = await connect(line)
        there, back = [], []
        for number in range(5):
            sent = asyncio.get_running_loop().time()
            writer.write(b"ping")
            await reader.readexactly(4)
            arrived = far.arrivals[0].times[number][0]
            there.append(arrived - sent)
            back.append(asyncio.get_running_loop().time() - arrived)
        assert up_s <= min(there) < up_s + 0.03
        assert down_s <= min(back) < down_s + 0.03
        writer.close()


async def test_latency_delays_and_does_not_slow_down(far: FarEnd) -> None:
    async with Badwan(far.address, up=Shape(0.2)) as line:
        _, writer = await connect(line)
        began = time.monotonic()
        await send(writer, some_bytes(8 * MB))
        await far.until(0, has=8 * MB)
        assert 0.2 <= time.monotonic() - began < 1.5  # 123 blocks; one after the other they would take 25 s
        writer.close()


async def test_what_is_under_way_is_bounded_and_the_sender_waits(far: FarEnd) -> None:
    async with Badwan(far.address, up=Shape(60.0)) as line:
        _, writer = await connect(line)
        writer.write(some_bytes(40 * MB))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(writer.drain(), 2)
        assert line.tally.taken[Way.UP] < 17 * MB
        writer.transport.abort()


async def test_everything_can_be_changed_while_it_runs(far: FarEnd) -> None:
    async with FarEnd(says=b"other network") as other, Badwan(far.address) as line:
        reader, writer = await connect(line)
        writer.write(b"x")
        await far.until(0, has=1)
        line.lead_to(other.address)
        line.cut()
        assert await how_it_ends(reader) == (b"", "reset")
        writer.close()
        line.shape(Way.DOWN).latency_s = 0.3
        began = time.monotonic()
        reader, writer = await connect(line)
        assert await reader.readexactly(13) == b"other network"
        assert time.monotonic() - began >= 0.3
        writer.close()


async def test_a_line_that_leads_nowhere_refuses_and_goes_on(far: FarEnd) -> None:
    async with Badwan(("127.0.0.1", 1)) as line:
        reader, writer = await connect(line)
        assert (await how_it_ends(reader))[0] == b""
        writer.close()
        assert line.tally.refused == 1
        line.lead_to(far.address)
        _, writer = await connect(line)
        writer.write(b"x")
        await far.until(0, has=1)
        writer.close()


async def test_a_reset_at_one_end_is_a_reset_at_the_other(far: FarEnd) -> None:
    async with Badwan(far.address) as line:
        _, writer = await connect(line)
        writer.write(b"x")
        await far.until(0, has=1)
        line_socket = writer.get_extra_info("socket")
        line_socket.setsockopt(1, 13, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # SO_LINGER: close by a reset
        writer.transport.abort()
        assert (await far.until(0, ended=True)).ended == "reset"
