"""Readers that lie, hang, die or never end, and cameras that fail at a chosen byte."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import pytest

from agent.core.clip import BayName, Entry
from agent.core.errors import (
    CameraError,
    CameraGone,
    ClipChanged,
    ClipUnreadable,
    ReaderFailed,
    ReaderStalled,
)
from agent.devices.drivers.driver import BLOCK_BYTES
from agent.devices.reader.camera import ReaderCamera, open_camera
from agent.ports import Camera, Docked, Refused

BAD_READER = Path(__file__).parent.parent / "fakes" / "bad_reader.py"
ENTRY = Entry(b"a.mp4", 1000, 1)
SHORT_STALL_S = 0.4
CLOSE_S = 15.0  # two seconds by promise, and a very busy machine; what is not bounded takes for ever

NONSENSE = [
    "garbage", "no_object", "deep", "huge_number", "not_a_number", "no_id", "later_id", "no_answer",
    "endless_line", "endless_lines", "endless_empty", "endless_full", "batch_too_large", "done_is_no_word",
    "rows_are_none", "row_is_text", "path_up", "path_absolute", "path_empty", "path_nul", "path_no_hex",
    "path_no_text", "path_endless", "size_negative", "size_true", "size_fraction", "size_beyond_all",
    "reason_is_prose", "unknown_problem", "floods_stderr", "hangs_up_and_lives",
]  # fmt: skip


async def bad_camera(mode: str) -> ReaderCamera:
    docked = Docked(BayName("1"), "folder", "/nowhere", "token")
    argv = (sys.executable, "-I", "-S", str(BAD_READER), mode)
    return await open_camera(docked, stall_s=10.0, argv=argv, rows_cap=2000)


async def listed(camera: Camera) -> list[Entry | Refused]:
    return [row async for batch in camera.list() for row in batch]


def nothing(_block: memoryview, /) -> None:
    pass


async def closes_in_time(camera: ReaderCamera) -> None:
    begun = time.monotonic()
    await camera.close()
    assert time.monotonic() - begun < CLOSE_S
    with pytest.raises(ProcessLookupError):
        os.kill(camera._process.pid, 0)


# ---- a hostile reader


@pytest.mark.parametrize("mode", NONSENSE)
async def test_a_reader_that_talks_nonsense_fails_its_session(mode: str) -> None:
    camera = await bad_camera(mode)
    with pytest.raises(ReaderFailed):
        await listed(camera)
    await closes_in_time(camera)


async def test_an_answer_that_comes_too_late_is_skipped() -> None:
    camera = await bad_camera("stale_answers_first")
    assert await listed(camera) == [ENTRY]
    await closes_in_time(camera)


async def test_of_two_answers_the_second_is_skipped() -> None:
    camera = await bad_camera("answers_twice")
    assert await listed(camera) == [ENTRY]
    assert await listed(camera) == [ENTRY]
    await closes_in_time(camera)


async def test_descriptors_that_a_reader_sends_do_not_arrive() -> None:
    camera = await bad_camera("sends_descriptors")
    before = open_descriptors()
    for _ in range(3):
        assert await listed(camera) == [ENTRY]
    assert open_descriptors() == before
    await closes_in_time(camera)


@pytest.mark.parametrize("end", ["close", "kill"])
async def test_what_a_reader_has_started_ends_with_it(end: str) -> None:
    camera = await bad_camera("leaves_children")
    leader = camera._process.pid
    assert await listed(camera) == [ENTRY]
    assert group_of(leader) > 1
    if end == "kill":
        camera._process.kill()
    await closes_in_time(camera)
    async with asyncio.timeout(10):
        while group_of(leader):  # noqa: ASYNC110 - the kernel tells nobody when they are gone
            await asyncio.sleep(0.01)


def group_of(leader: int) -> int:
    """How many processes of a group still live."""
    living = 0
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _parent, group = place.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        living += int(group) == leader and state != "Z"
    return living


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def test_a_reader_that_dies_leaves_its_status_and_last_words() -> None:
    camera = await bad_camera("dies")
    with pytest.raises(ReaderFailed, match="exit status 3; out of cheese"):
        await listed(camera)
    with pytest.raises(ReaderFailed):
        await camera.exists((b"a",))
    await closes_in_time(camera)


async def test_last_words_are_bounded_and_printable() -> None:
    camera = await bad_camera("chatters_at_exit")
    with pytest.raises(ReaderFailed) as caught:
        await listed(camera)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500
    await closes_in_time(camera)


async def test_a_hung_reader_that_ignores_sigterm_stalls_and_is_killed() -> None:
    camera = await bad_camera("hangs")
    camera.stall_s = SHORT_STALL_S  # the start of its process has its time
    with pytest.raises(ReaderStalled):
        await listed(camera)
    await closes_in_time(camera)


async def test_closing_ends_a_reader_that_hangs_right_now() -> None:
    camera = await bad_camera("hangs")
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        listing = group.create_task(fails_with_reader_failed(camera))
        await asyncio.sleep(0)
        await closes_in_time(camera)
    assert listing.done()


async def fails_with_reader_failed(camera: Camera) -> None:
    with pytest.raises(ReaderFailed):
        await listed(camera)


async def test_a_reader_without_facts_is_not_opened() -> None:
    with pytest.raises(ReaderFailed):
        await bad_camera("no_facts")


async def test_odd_facts_are_left_out_and_a_serial_can_always_be_stored() -> None:
    camera = await bad_camera("odd_facts")
    assert camera.facts.serial is not None
    assert camera.facts.serial.encode("utf-8").startswith(b"\\x00\\ud800xxx"), "a text may not end at its first byte"
    assert (camera.facts.model, camera.facts.battery_percent, camera.facts.capacity_bytes) == (None, None, None)
    await closes_in_time(camera)


async def test_a_camera_that_cannot_be_wiped_has_no_wiper() -> None:
    camera = await bad_camera("honest")
    assert camera.wiper is None
    await closes_in_time(camera)


async def test_a_path_that_was_not_asked_for_does_not_exist() -> None:
    camera = await bad_camera("honest")
    with pytest.raises(ReaderFailed):
        await camera.exists((b"a",))
    await closes_in_time(camera)


async def test_a_reader_that_cannot_be_started_says_so() -> None:
    docked = Docked(BayName("1"), "folder", "/nowhere", "token")
    with pytest.raises(ReaderFailed, match="could not be started"):
        await open_camera(docked, stall_s=1, argv=("/nonexistent/reader",))


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("sends_for_ever", ClipChanged),
        ("sends_one_more", ClipChanged),
        ("hangs_up_in_mid_reading", ReaderFailed),
        ("floods_stderr_in_mid_reading", ReaderFailed),
        ("sends_less_than_it_says", ReaderFailed),
        ("sends_less", ClipUnreadable),
        ("denies_what_it_sent", ReaderFailed),
        ("sends_half_and_dies", ReaderFailed),
    ],
)
async def test_our_own_count_of_bytes_decides(mode: str, expected: type[CameraError]) -> None:
    camera = await bad_camera(mode)
    with pytest.raises(expected):
        await camera.read(ENTRY, nothing)
    await closes_in_time(camera)


@pytest.mark.parametrize(
    "mode", ["mark_missing", "mark_empty", "mark_endless", "mark_no_text", "mark_two_lines", "mark_half_a_character"]
)
async def test_a_mark_that_is_none_is_not_taken(mode: str) -> None:
    camera = await bad_camera(mode)
    with pytest.raises(ReaderFailed, match="mark"):
        await camera.read(ENTRY, nothing)
    await closes_in_time(camera)


async def test_a_mark_is_handed_on_as_the_reader_gave_it() -> None:
    camera = await bad_camera("honest")
    assert await camera.read(ENTRY, nothing) == "1:2:3"
    await closes_in_time(camera)


@pytest.mark.parametrize("mode", ["sends_nothing", "sends_half_and_hangs", "has_no_finish", "keeps_the_pipe_open"])
async def test_a_reading_without_progress_stalls(mode: str) -> None:
    camera = await bad_camera(mode)
    camera.stall_s = SHORT_STALL_S
    with pytest.raises(ReaderStalled):
        await camera.read(ENTRY, nothing)
    await closes_in_time(camera)


async def test_the_sink_never_sees_more_than_was_listed() -> None:
    camera = await bad_camera("sends_for_ever")
    seen: list[int] = []
    with pytest.raises(ClipChanged):
        await camera.read(ENTRY, lambda block, /: seen.append(len(block)))
    assert sum(seen) <= ENTRY.size_bytes
    await closes_in_time(camera)


# ---- a simulated camera that fails as scripted

CLIP = os.urandom(300_000)


async def faulty_camera(bay: Path, *, rows_cap: int = 2000, **script: object) -> ReaderCamera:
    (bay / "card" / "DCIM").mkdir(parents=True)
    for name in ("a.mp4", "b.mp4"):
        (bay / "card" / "DCIM" / name).write_bytes(CLIP)
    (bay / ".camera.json").write_text(json.dumps({"serial": "BWV-1", **script}), "utf-8")
    docked = Docked(BayName("1"), "simulated", str(bay), "token")
    return await open_camera(docked, stall_s=10.0, rows_cap=rows_cap)


async def both_clips(camera: Camera) -> tuple[Entry, Entry]:
    first, second = await listed(camera)
    assert isinstance(first, Entry)
    assert isinstance(second, Entry)
    return first, second


async def read(camera: Camera, entry: Entry) -> bytes:
    got = bytearray()
    await camera.read(entry, got.extend)
    return bytes(got)


async def test_a_camera_vanishes_at_its_byte_and_stays_away(tmp_path: Path) -> None:
    camera = await faulty_camera(tmp_path, faults={"vanish_after_bytes": 300_001})
    first, second = await both_clips(camera)
    assert await read(camera, first) == CLIP
    got = bytearray()
    with pytest.raises(CameraGone):
        await camera.read(second, got.extend)
    assert got == CLIP[:1]
    with pytest.raises(CameraGone):
        await listed(camera)
    await closes_in_time(camera)


async def test_a_camera_that_stalls_for_ever_is_given_up(tmp_path: Path) -> None:
    camera = await faulty_camera(tmp_path, faults={"stall_after_bytes": 1000})
    first, _ = await both_clips(camera)
    camera.stall_s = SHORT_STALL_S
    with pytest.raises(ReaderStalled):
        await read(camera, first)
    await closes_in_time(camera)


async def test_a_stalled_reading_can_be_cancelled(tmp_path: Path) -> None:
    camera = await faulty_camera(tmp_path, faults={"stall_after_bytes": BLOCK_BYTES})
    (tmp_path / "card" / "DCIM" / "a.mp4").write_bytes(bytes(BLOCK_BYTES + 1))
    first, _ = await both_clips(camera)
    loop, begun = asyncio.get_running_loop(), asyncio.Event()

    def tell(_block: memoryview, /) -> None:
        loop.call_soon_threadsafe(begun.set)

    reading = asyncio.create_task(camera.read(first, tell))
    async with asyncio.timeout(10):
        await begun.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    await closes_in_time(camera)


async def test_garbage_in_mid_reading_ends_the_session(tmp_path: Path) -> None:
    camera = await faulty_camera(tmp_path, faults={"garbage_after_bytes": 1000})
    first, _ = await both_clips(camera)
    with pytest.raises(ReaderFailed):
        await read(camera, first)
    await closes_in_time(camera)


async def test_a_reader_that_dies_in_mid_reading_ends_the_session(tmp_path: Path) -> None:
    camera = await faulty_camera(tmp_path, faults={"die_after_bytes": 1000})
    first, _ = await both_clips(camera)
    with pytest.raises(ReaderFailed, match="exit status 70"):
        await read(camera, first)
    await closes_in_time(camera)


@pytest.mark.parametrize("lie", [-1, 1, 4096, 1 << 52])
async def test_a_camera_that_lies_about_sizes_gives_no_clip(tmp_path: Path, lie: int) -> None:
    camera = await faulty_camera(tmp_path, faults={"lie_about_size": lie})
    first, _ = await both_clips(camera)
    assert first.size_bytes == len(CLIP) + lie
    with pytest.raises(ClipUnreadable):
        await read(camera, first)
    await closes_in_time(camera)


async def test_a_size_that_is_too_small_is_seen_even_at_the_end_of_a_block(tmp_path: Path) -> None:
    camera = await faulty_camera(tmp_path, faults={"lie_about_size": -1})
    (tmp_path / "card" / "DCIM" / "a.mp4").write_bytes(bytes((1 << 20) + 1))
    first, _ = await both_clips(camera)
    with pytest.raises(ClipUnreadable):
        await read(camera, first)
    await closes_in_time(camera)


async def test_a_clip_that_grows_while_it_is_read_is_changed_and_the_next_is_fine(tmp_path: Path) -> None:
    camera = await faulty_camera(tmp_path, faults={"change_after_bytes": 1000})
    first, second = await both_clips(camera)
    with pytest.raises(ClipChanged):
        await read(camera, first)
    assert await read(camera, second) == CLIP
    await closes_in_time(camera)


async def test_a_rewrite_with_the_same_size_and_time_gives_no_clip_and_then_other_bytes(tmp_path: Path) -> None:
    camera = await faulty_camera(tmp_path, faults={"change_after_bytes": 300_001, "change": "rewrite"})
    first, _ = await both_clips(camera)
    assert await read(camera, first) == CLIP
    with pytest.raises(ClipChanged):
        await read(camera, first)
    assert await read(camera, first) != CLIP
    assert (await both_clips(camera))[0] == first
    await closes_in_time(camera)


async def test_a_bad_spot_costs_one_clip_only(tmp_path: Path) -> None:
    camera = await faulty_camera(tmp_path, faults={"medium_error_at": {"glob": "*/a.*", "offset": 5000}})
    first, second = await both_clips(camera)
    got = bytearray()
    with pytest.raises(ClipUnreadable) as caught:
        await camera.read(first, got.extend)
    assert not isinstance(caught.value, ClipChanged)
    assert got == CLIP[:5000]
    assert await read(camera, second) == CLIP
    await closes_in_time(camera)


async def test_a_folder_that_cannot_be_listed_costs_no_other(tmp_path: Path) -> None:
    camera = await faulty_camera(tmp_path, faults={"unreadable_folders": ["DCIM/bad"]})
    for folder in ("bad/below", "good"):
        (tmp_path / "card/DCIM" / folder).mkdir(parents=True)
        for name in ("c.mp4", "d.mp4"):
            (tmp_path / "card/DCIM" / folder / name).write_bytes(b"1")
    assert [row.path for row in await listed(camera) if isinstance(row, Entry)][2:] == [
        b"DCIM/good/c.mp4",
        b"DCIM/good/d.mp4",
    ]
    assert [row for row in await listed(camera) if isinstance(row, Refused)] == [Refused(b"DCIM/bad", "unreadable")]
    await closes_in_time(camera)


async def test_a_listing_without_end_is_ended(tmp_path: Path) -> None:
    camera = await faulty_camera(tmp_path, faults={"endless_listing": True})
    with pytest.raises(ReaderFailed, match="does not end"):
        await listed(camera)
    await closes_in_time(camera)


async def test_a_camera_whose_script_was_replaced_is_gone(tmp_path: Path) -> None:
    camera = await faulty_camera(tmp_path)
    other = tmp_path / "other.json"
    other.write_text("{}", "utf-8")
    other.rename(tmp_path / ".camera.json")
    with pytest.raises(CameraGone):
        await listed(camera)
    await closes_in_time(camera)


async def test_a_slow_camera_is_slow_but_whole(tmp_path: Path) -> None:
    camera = await faulty_camera(tmp_path, rate_bytes_s=100_000)
    first, _ = await both_clips(camera)
    camera.stall_s = 2.0
    begun = time.monotonic()
    assert await read(camera, first) == CLIP
    assert time.monotonic() - begun > camera.stall_s  # longer than a stall, with progress all the time
    await closes_in_time(camera)


@pytest.mark.parametrize("script", ["{", "[]", "\ufffe"])
async def test_a_broken_script_is_reported(tmp_path: Path, script: str) -> None:
    (tmp_path / "card").mkdir()
    (tmp_path / ".camera.json").write_text(script, "utf-8")
    with pytest.raises(CameraError):
        await open_camera(Docked(BayName("1"), "simulated", str(tmp_path), "t"), stall_s=10)
