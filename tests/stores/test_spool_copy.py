"""The spool's bytes on their way out: in order, whole, and hashed whichever way the store makes us go."""

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from agent.core.clip import BayName, CameraId, ClipId
from agent.core.errors import SpoolCorrupt
from agent.core.object import Digest
from agent.ports import ClipLabel, Shipment, UploadStopped
from agent.stores.spool_copy import BLOCK_BYTES, SpoolCopy

CONTENT = hashlib.shake_256(b"spool copy").digest(5 * BLOCK_BYTES + 4321)
LABEL = ClipLabel(ClipId("c1"), CameraId("CAM1"), BayName("1"), "hub7", b"a.mp4", "clip", event=False,
                  started_at=None, ended_at=None)  # fmt: skip


@pytest.fixture
def stop() -> Event:
    return Event()


@pytest.fixture
def copy(tmp_path: Path, stop: Event) -> Iterator[SpoolCopy]:
    file = tmp_path / "object"
    file.write_bytes(CONTENT)
    shipment = Shipment(Digest(hashlib.sha256(CONTENT).hexdigest()), len(CONTENT), file, LABEL)
    with SpoolCopy(shipment, stop.is_set) as opened:
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
