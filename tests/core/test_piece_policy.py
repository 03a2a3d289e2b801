"""How large the pieces are on their way to a socket."""

import pytest

from agent.core.piece_policy import FAST_BYTES_S, LARGE_BYTES, SMALL_BYTES, WINDOW_BYTES, Pieces

MB = 1_000_000


def after(sent_bytes: int, mb_s: float, before: Pieces | None = None) -> Pieces:
    pieces = before or Pieces()
    for _ in range(0, sent_bytes, SMALL_BYTES):
        pieces = pieces.after(SMALL_BYTES, SMALL_BYTES / (mb_s * MB))
    return pieces


@pytest.mark.parametrize(("mb_s", "expected"), [(0.01, SMALL_BYTES), (39, SMALL_BYTES), (41, LARGE_BYTES)])
def test_only_a_fast_line_gets_large_pieces(mb_s: float, expected: int) -> None:
    assert after(WINDOW_BYTES, mb_s).size_bytes == expected
    assert after(10 * WINDOW_BYTES, mb_s).size_bytes == expected


@pytest.mark.parametrize(("mb_s", "expected"), [(41, False), (127, False), (129, True)])
def test_a_thread_that_does_nothing_but_hash_is_for_more_than_a_gigabit(mb_s: float, *, expected: bool) -> None:
    assert after(WINDOW_BYTES, mb_s).outrun_one_thread is expected


def test_what_buffers_on_the_way_take_is_no_sign_of_a_fast_line() -> None:
    quickly = after(WINDOW_BYTES - SMALL_BYTES, 5000)
    assert (quickly.size_bytes, quickly.unsent_bytes) == (SMALL_BYTES, SMALL_BYTES)
    assert quickly.after(SMALL_BYTES, 0.0).size_bytes == LARGE_BYTES  # too short for the clock


def test_a_line_that_becomes_slow_has_small_ones_at_once() -> None:
    fast = after(3 * WINDOW_BYTES + SMALL_BYTES, 100)
    assert fast.size_bytes == LARGE_BYTES
    slow = fast.after(LARGE_BYTES, 0.25)
    assert slow.size_bytes == SMALL_BYTES
    assert after(WINDOW_BYTES - SMALL_BYTES, 100, slow).size_bytes == SMALL_BYTES
    assert after(WINDOW_BYTES, 100, slow).size_bytes == LARGE_BYTES


def test_a_store_that_takes_gulps_keeps_large_ones() -> None:
    pieces = after(WINDOW_BYTES, 1000)
    for _ in range(10):
        pieces = after(8 * MB, 1000, pieces.after(LARGE_BYTES, 0.1))
        assert pieces.size_bytes == LARGE_BYTES


def test_the_kernel_never_holds_more_than_a_fraction_of_a_second() -> None:
    assert after(WINDOW_BYTES, 100).unsent_bytes / FAST_BYTES_S < 0.06
