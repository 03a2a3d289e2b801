"""A reader that the helper starts: it connects to a socket that exists for this start only."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from agent.core.errors import HelperUnreachable, ReaderFailed
from agent.devices.helper import HelperRefused, HelperSlow
from agent.devices.reader import unit
from agent.devices.reader.answers import Problem
from agent.devices.reader.unit import Unit, start_unit
from tests.devices.conftest import Pair

LIMIT_S = 20.0


async def ended(pair: Pair, bay: str) -> int:
    """How the bay's reader ended."""
    async with asyncio.timeout(LIMIT_S):
        return await asyncio.to_thread(pair.fake.reader(bay).wait)


async def test_a_reader_comes_up_and_reads_what_is_in_its_bay(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "card").mkdir()
    process = await start_unit(pair.client, pair.fake.readers, "1", "storage")
    assert process.pid == pair.fake.reader("1").pid
    address = bytes(tmp_path / "card").hex()
    answer = await process.ask({"verb": "open", "driver": "folder", "address": address}, within_s=LIMIT_S)
    assert not isinstance(answer, Problem)
    assert sorted(pair.fake.readers.iterdir()) == []  # nobody else can connect
    await process.close()
    assert await ended(pair, "1") == 0
    assert pair.fake.verbs() == ["reader"]  # it went by itself
    await process.close()


async def test_the_helper_is_told_kind_and_device(pair: Pair) -> None:
    pair.fake.script.devices["1-1.2"] = "2"
    for kind, device in (("ext4", ""), ("usb", "1-1.2")):
        process = await start_unit(pair.client, pair.fake.readers, "2", kind, device)
        asked = pair.fake.asked[-1]
        assert (asked.bay, asked.kind, asked.device) == ("2", kind, device)
        await process.close()


async def test_a_reader_that_dies_is_noticed_and_its_journal_named(pair: Pair) -> None:
    process = await start_unit(pair.client, pair.fake.readers, "1", "storage")
    pair.fake.reader("1").kill()
    with pytest.raises(ReaderFailed, match=r"more in the journal of dock-reader\*@1"):
        await process.ask({"verb": "list"}, within_s=LIMIT_S)
    await process.close()
    assert pair.fake.verbs() == ["reader"]  # there was nothing left to end


async def test_a_reader_that_does_not_go_is_ended_by_the_helper(pair: Pair) -> None:
    process = await start_unit(pair.client, pair.fake.readers, "1", "storage")
    pair.fake.reader("1").send_signal(signal.SIGSTOP)
    await process.close()
    assert pair.fake.verbs() == ["reader", "end_reader"]
    assert await ended(pair, "1") == -signal.SIGKILL


async def test_killing_waits_for_nothing(pair: Pair) -> None:
    process = await start_unit(pair.client, pair.fake.readers, "1", "storage")
    pair.fake.hang("end_reader")
    process.kill()
    await asyncio.to_thread(pair.fake.wait_asked, "end_reader")
    assert pair.fake.running("1")
    pair.fake.go_on()
    assert await ended(pair, "1") == -signal.SIGKILL
    await process.close()


async def test_a_helper_that_is_gone_or_hangs_does_not_keep_the_agent(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit, "_FORCE_S", 0.1)

    def hang() -> None:
        pair.fake.hang("end_reader")

    for away in (hang, pair.fake.stop):
        process = await start_unit(pair.client, pair.fake.readers, "1", "storage")
        reader = pair.fake.reader("1")
        reader.send_signal(signal.SIGSTOP)
        away()
        process.kill()
        async with asyncio.timeout(LIMIT_S):
            await process.close()
        reader.kill()
        await ended(pair, "1")
        pair.fake.go_on()


async def test_a_refusal_leaves_no_socket(pair: Pair) -> None:
    pair.fake.refuse("reader", "failed", "dock-reader@1.service does not start")
    with pytest.raises(HelperRefused, match=r"reader 1: dock-reader@1\.service does not start"):
        await start_unit(pair.client, pair.fake.readers, "1", "storage")
    assert sorted(pair.fake.readers.iterdir()) == []
    await asyncio.to_thread(pair.fake.wait_asked, "end_reader")


async def test_without_a_helper_there_is_no_reader(pair: Pair) -> None:
    pair.fake.stop()
    with pytest.raises(HelperUnreachable):
        await start_unit(pair.client, pair.fake.readers, "1", "storage")
    assert sorted(pair.fake.readers.iterdir()) == []


async def test_a_reader_that_never_connects_is_not_waited_for_without_end(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit, "_START_S", 2.0)  # also the time that the helper has to start a process
    pair.fake.script.program = lambda _: [sys.executable, "-Ic", ""]
    with pytest.raises(ReaderFailed, match=r"the reader of bay 1 did not come up within 2 s"):
        await start_unit(pair.client, pair.fake.readers, "1", "storage")
    assert sorted(pair.fake.readers.iterdir()) == []
    await asyncio.to_thread(pair.fake.wait_asked, "end_reader")
    assert pair.fake.verbs("1") == ["reader", "end_reader"]


async def test_a_reader_that_comes_up_too_late_is_ended(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit, "_START_S", 0.1)
    pair.fake.hang("reader")
    with pytest.raises(HelperSlow, match=r"no answer to 'reader' within 0.1 s"):
        await start_unit(pair.client, pair.fake.readers, "1", "storage")
    pair.fake.script.program = lambda _: [sys.executable, "-Ic", PATIENT]
    pair.fake.go_on()
    assert await ended(pair, "1") == -signal.SIGKILL


async def test_a_start_that_is_cancelled_leaves_no_reader_and_no_socket(pair: Pair) -> None:
    pair.fake.hang("reader")
    async with asyncio.TaskGroup() as group:
        starting = group.create_task(start_unit(pair.client, pair.fake.readers, "1", "storage"))
        await asyncio.to_thread(pair.fake.wait_asked, "reader")
        starting.cancel()
    assert sorted(pair.fake.readers.iterdir()) == []
    pair.fake.script.program = lambda _: [sys.executable, "-Ic", PATIENT]
    pair.fake.go_on()
    assert await ended(pair, "1") == -signal.SIGKILL  # that was asked for, and is done after the start


PATIENT = "import time; time.sleep(20)"


async def test_what_an_earlier_start_left_is_no_hindrance(pair: Pair) -> None:
    (pair.fake.readers / "1.sock").write_bytes(b"")
    process = await start_unit(pair.client, pair.fake.readers, "1", "storage")
    await process.close()


async def test_without_the_folder_for_readers_the_error_names_it(pair: Pair, tmp_path: Path) -> None:
    with pytest.raises(ReaderFailed, match=r"no socket for the reader of bay 1 at .*none/1\.sock: No such file"):
        await start_unit(pair.client, tmp_path / "none", "1", "storage")
    assert pair.fake.verbs() == []


async def test_a_reader_that_was_gone_before_we_looked_has_ended(pair: Pair) -> None:
    process = await start_unit(pair.client, pair.fake.readers, "1", "storage")
    pid = process.pid
    await process.close()
    await ended(pair, "1")
    assert Unit(pair.client, "1", pid).ended.is_set()
