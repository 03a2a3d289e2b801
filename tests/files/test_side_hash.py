import hashlib
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.files.side_hash import WORTH_BYTES, SideHash

SIZES = st.lists(st.sampled_from([0, 1, WORTH_BYTES - 1, WORTH_BYTES, 1 << 20]), max_size=8)


def hashing_threads() -> int:
    return sum(thread.name == "hash" for thread in threading.enumerate())


@given(sizes=SIZES)
def test_two_buffers_in_turn_give_the_digest_of_the_stream(sizes: list[int]) -> None:
    buffers, side, plain = [bytearray(1 << 20), bytearray(1 << 20)], SideHash(), hashlib.sha256()
    for number, size in enumerate(sizes):
        buffer = buffers[number % 2]
        buffer[:size] = bytes([number + 1]) * size  # while the other one is being hashed
        side.update(memoryview(buffer)[:size])
        plain.update(bytes([number + 1]) * size)
    assert side.hexdigest() == plain.hexdigest()
    side.close()


def test_small_blocks_need_no_thread() -> None:
    before, side = hashing_threads(), SideHash()
    side.update(memoryview(bytes(WORTH_BYTES - 1)))
    assert hashing_threads() == before
    side.update(memoryview(bytes(WORTH_BYTES)))
    assert hashing_threads() == before + 1
    side.close()


def test_the_thread_ends_with_close_which_may_come_twice() -> None:
    side = SideHash()
    side.update(memoryview(bytes(WORTH_BYTES)))
    (thread,) = [t for t in threading.enumerate() if t.name == "hash" and t is side._thread]
    side.close()
    side.close()
    thread.join(30)
    assert not thread.is_alive()


def test_memory_that_was_given_away_too_early_is_an_error_and_no_hang() -> None:
    side, view = SideHash(), memoryview(bytearray(WORTH_BYTES))
    side.update(view)
    side.hexdigest()
    view.release()
    side._busy = True
    side._given.put(view)  # as if it had been released between the two threads
    with pytest.raises(ValueError, match="released"):
        side.hexdigest()
    side.close()


def test_a_fork_goes_on_by_itself() -> None:
    side, more = SideHash(), memoryview(bytes(WORTH_BYTES))
    side.update(more)
    fork = side.fork()
    side.update_here(memoryview(b"x"))
    assert fork.hexdigest() == hashlib.sha256(more).hexdigest()
    fork.update(more)
    assert fork.hexdigest() == hashlib.sha256(bytes(2 * WORTH_BYTES)).hexdigest()
    side.close()
    fork.close()
