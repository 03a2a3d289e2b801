"""The token bucket, in a time of its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.badwan.bucket import BURST_S, LEAST_BLOCK_BYTES, Bucket, block_bytes


@given(st.lists(st.tuples(st.integers(1, 100_000), st.floats(0, 0.5)), min_size=1), st.floats(1e4, 1e9))
def test_no_stretch_of_time_carries_more_than_rate_and_burst(blocks: list[tuple[int, float]], rate: float) -> None:
    bucket, now = Bucket(), 0.0
    left: list[tuple[float, int]] = []
    for size, pause in blocks:
        now = max(now + pause, left[-1][0] if left else 0.0)
        left.append((bucket.departure(size, rate, now), size))
    for first in range(len(left)):
        bits = 0
        for when, size in left[first:]:
            bits += size * 8
            begun = left[first][0] - left[first][1] * 8 / rate
            assert bits <= (when - begun + BURST_S) * rate * (1 + 1e-6) + 1


def test_blocks_that_follow_at_once_leave_at_the_rate() -> None:
    bucket = Bucket()
    times = [bucket.departure(1000, 8e6, 5.0) for _ in range(1000)]
    assert times[-1] == pytest.approx(5.0 + 1.0 - BURST_S)


def test_without_a_rate_everything_leaves_at_once() -> None:
    assert Bucket().departure(10**9, None, 7.0) == 7.0


@pytest.mark.parametrize(("rate", "expected"), [(None, 65536), (1e3, LEAST_BLOCK_BYTES), (8e6, 10_000), (1e10, 65536)])
def test_blocks_are_small_where_the_line_is_slow(rate: float | None, expected: int) -> None:
    assert block_bytes(rate, 65536) == expected
