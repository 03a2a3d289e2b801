"""The spool's bytes on their way out: in order, whole, and hashed whichever way the store makes us go."""

import ctypes
import hashlib
import itertools
import mmap
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from agent.core import piece_policy
from agent.core.clip import BayName, CameraId, ClipId
from agent.core.errors import SpoolCorrupt
from agent.core.object import Digest
from agent.core.piece_policy import LARGE_BYTES, SMALL_BYTES
from agent.files.kernel import file_system_of
from agent.ports import ClipLabel, Shipment, UploadStopped
from agent.stores.spool_copy import BLOCK_BYTES, SpoolCopy

CONTENT = hashlib.shake_256(b"spool copy").digest(5 * BLOCK_BYTES + 4321)
LABEL = ClipLabel(ClipId("c1"), CameraId("CAM1"), BayName("1"), "hub7", b"a.mp4", "clip", event=False,
                  started_at=None, ended_at=None)  # fmt: skip


@pytest.fixture
def stop() -> Event:
    return Event()


@pytest.fixture(params=[False, True], ids=["here", "beside"])
def copy(
    request: pytest.FixtureRequest, tmp_path: Path, stop: Event, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SpoolCopy]:
    """Hashed in the caller's thread, or in one of its own from the second block on."""
    monkeypatch.setattr(piece_policy, "WINDOW_BYTES", 1)
    monkeypatch.setattr(piece_policy, "FAST_BYTES_S", 1e-9)
    monkeypatch.setattr(piece_policy, "GIGABIT_BYTES_S", 0)
    file = tmp_path / "object"
    file.write_bytes(CONTENT)
    shipment = Shipment(Digest(hashlib.sha256(CONTENT).hexdigest()), len(CONTENT), file, LABEL)
    with SpoolCopy(shipment, stop.is_set, beside=request.param) as opened:
        yield opened


def taken(copy: SpoolCopy, end: int = len(CONTENT)) -> bytes:
    return b"".join(bytes(block) for block in copy.blocks(end))


def test_the_bytes_come_in_stretches_as_they_are(copy: SpoolCopy) -> None:
    cuts = [0, 1, BLOCK_BYTES, 3 * BLOCK_BYTES + 17, len(CONTENT)]
    assert [taken(copy, end) for end in cuts[1:]] == [CONTENT[a:b] for a, b in itertools.pairwise(cuts)]


@pytest.mark.parametrize("offset", [0, 5, BLOCK_BYTES, 2 * BLOCK_BYTES + 1])
def test_after_a_store_fell_back_everything_before_is_hashed_again(copy: SpoolCopy, offset: int) -> None:
    taken(copy, 4 * BLOCK_BYTES)
    copy.seek(offset)
    assert taken(copy) == CONTENT[offset:]  # the last block comes out, so the digest was right


def test_going_back_to_where_the_last_blocks_began_reads_nothing_before_it(copy: SpoolCopy) -> None:
    taken(copy, 2 * BLOCK_BYTES)
    taken(copy, 3 * BLOCK_BYTES)
    before = copy.moved_bytes
    copy.seek(2 * BLOCK_BYTES)
    assert copy.moved_bytes == before
    copy.seek(2 * BLOCK_BYTES + 5)
    assert taken(copy) == CONTENT[2 * BLOCK_BYTES + 5 :]


def test_blocks_are_large_as_soon_as_they_leave_fast(copy: SpoolCopy) -> None:
    sizes = [len(block) for block in copy.blocks(3 * LARGE_BYTES)]
    assert sizes == [SMALL_BYTES, LARGE_BYTES, LARGE_BYTES, LARGE_BYTES - SMALL_BYTES]


def test_blocks_stay_small_while_they_leave_slowly(copy: SpoolCopy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(piece_policy, "FAST_BYTES_S", float("inf"))
    assert {len(block) for block in copy.blocks(2 * LARGE_BYTES)} == {SMALL_BYTES}


def test_only_what_may_is_hashed_beside(copy: SpoolCopy, request: pytest.FixtureRequest) -> None:
    taken(copy, 2 * BLOCK_BYTES)
    expected = request.node.callspec.id.startswith("beside")
    assert any(thread.name == "hash" for thread in threading.enumerate()) == expected
    assert taken(copy) == CONTENT[2 * BLOCK_BYTES :]


def test_a_slow_line_has_no_thread_beside(copy: SpoolCopy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(piece_policy, "GIGABIT_BYTES_S", float("inf"))
    assert taken(copy) == CONTENT
    assert not any(thread.name == "hash" for thread in threading.enumerate())


def test_looking_ahead_tells_the_digest_of_a_stretch_and_changes_nothing(copy: SpoolCopy) -> None:
    start, end = taken(copy, BLOCK_BYTES), 3 * BLOCK_BYTES + 17
    found = copy.look_ahead(copy.position, end)
    assert (found.start, found.end) == (len(start), end)
    assert found.digest == hashlib.sha256(CONTENT[BLOCK_BYTES:end]).digest()
    assert start + taken(copy) == CONTENT


def test_a_wrong_object_that_is_looked_at_whole_is_found_out_before_its_first_byte_leaves(
    copy: SpoolCopy, tmp_path: Path
) -> None:
    with (tmp_path / "object").open("r+b") as raw:
        raw.write(bytes([CONTENT[0] ^ 1]))
    with pytest.raises(SpoolCorrupt, match="another digest"):
        copy.look_ahead(0, len(CONTENT))


@pytest.mark.parametrize("at", [0, 2 * BLOCK_BYTES + 5, len(CONTENT) - 1])
def test_the_last_block_of_an_altered_copy_stays_here(copy: SpoolCopy, tmp_path: Path, at: int) -> None:
    with (tmp_path / "object").open("r+b") as raw:
        raw.seek(at)
        raw.write(bytes([CONTENT[at] ^ 1]))
    assert len(taken(copy, 5 * BLOCK_BYTES)) == 5 * BLOCK_BYTES
    with pytest.raises(SpoolCorrupt, match="another digest"):
        next(copy.blocks(len(CONTENT)))


def test_a_stop_ends_the_bytes_before_the_next_block(copy: SpoolCopy, stop: Event) -> None:
    blocks = copy.blocks(len(CONTENT))
    next(blocks)
    stop.set()
    with pytest.raises(UploadStopped):
        next(blocks)


def pages_in_memory(file: Path) -> int:
    """How many pages of a file the page cache has. Source: mincore(2)."""
    with file.open("r+b") as stream, mmap.mmap(stream.fileno(), 0) as mapped:
        count = -(-len(mapped) // mmap.PAGESIZE)
        found = (ctypes.c_ubyte * count)()
        address = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
        assert ctypes.CDLL(None).mincore(ctypes.c_void_p(address), ctypes.c_size_t(len(mapped)), found) == 0
        return sum(page & 1 for page in found)


def test_what_was_sent_does_not_stay_in_memory(tmp_path: Path) -> None:
    if file_system_of(tmp_path) == "tmpfs":
        pytest.skip("there the file is nowhere but in memory")
    file = tmp_path / "object"
    file.write_bytes(CONTENT)
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
    assert pages_in_memory(file) > 0
    shipment = Shipment(Digest(hashlib.sha256(CONTENT).hexdigest()), len(CONTENT), file, LABEL)
    with SpoolCopy(shipment, Event().is_set) as copy:
        assert taken(copy) == CONTENT
    assert pages_in_memory(file) == 0
