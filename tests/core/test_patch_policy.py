"""How large a PATCH is, and which uploads that will expire are begun anew."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.patch_policy import (
    LEAST_LOSSY_BYTES,
    MOST_BYTES,
    STEP_BYTES,
    after_loss,
    after_refusal,
    is_worth_going_on,
    patch_end,
    patch_size,
)

MIB = 1 << 20
RATES = st.floats(min_value=0, max_value=1e12)
SIZES = st.integers(min_value=0, max_value=1 << 40)


@pytest.mark.parametrize(
    ("mbit_s", "mib"), [(None, 16), (0, 16), (1, 16), (10, 16), (20, 48), (30, 80), (100, 288), (10_000, 512)]
)
def test_a_patch_takes_some_25_seconds_within_its_bounds(mbit_s: float | None, mib: int) -> None:
    assert patch_size(None if mbit_s is None else mbit_s * 125_000) == mib * MIB


@given(RATES)
def test_a_patch_is_a_multiple_of_any_stores_parts(rate: float) -> None:
    size = patch_size(rate)
    assert size % STEP_BYTES == 0
    assert STEP_BYTES <= size <= MOST_BYTES


@given(SIZES, SIZES, st.integers(min_value=1, max_value=MOST_BYTES))
def test_a_patch_always_goes_on_and_never_beyond_the_object(offset: int, left: int, patch_bytes: int) -> None:
    size_bytes = offset + left + 1
    end = patch_end(offset, size_bytes, patch_bytes)
    assert offset < end <= min(size_bytes, offset + patch_bytes)


@given(st.integers(min_value=0, max_value=1 << 40))
def test_after_a_refusal_a_patch_is_smaller_and_not_needlessly_so(refused_bytes: int) -> None:
    size = after_refusal(refused_bytes)
    if size is None:
        assert refused_bytes <= LEAST_LOSSY_BYTES
    else:
        assert LEAST_LOSSY_BYTES <= size < refused_bytes <= size * 2


@given(SIZES, RATES)
def test_after_a_cut_at_an_odd_place_the_next_patch_but_one_begins_at_a_whole_step(offset: int, rate: float) -> None:
    assert patch_end(offset, 1 << 50, patch_size(rate)) % STEP_BYTES == 0


@given(st.integers(min_value=1, max_value=MOST_BYTES))
def test_after_a_loss_what_follows_is_smaller_than_what_was_lost_as_far_as_that_helps(lost_bytes: int) -> None:
    size = after_loss(lost_bytes)
    assert LEAST_LOSSY_BYTES <= size <= STEP_BYTES
    assert size <= max(LEAST_LOSSY_BYTES, lost_bytes // 2)


@pytest.mark.parametrize(
    ("left", "rate", "life_s", "new_life_s", "goes_on"),
    [
        (1000, 10.0, None, math.inf, True),  # it never ends
        (1000, None, 1.0, math.inf, True),  # nobody knows how long it takes
        (1000, 10.0, 100.0, math.inf, True),  # just in time
        (1000, 10.0, 99.0, math.inf, False),
        (1000, 10.0, 99.0, 100.0, False),
        (1000, 10.0, 99.0, 99.0, True),  # a new one would not live longer
        (1000, 0.0, 99.0, math.inf, True),
        (0, 10.0, 0.0, math.inf, True),
    ],
)
def test_only_an_upload_that_would_die_in_mid_way_is_begun_anew(
    left: int, rate: float | None, life_s: float | None, new_life_s: float, *, goes_on: bool
) -> None:
    assert is_worth_going_on(left, rate, life_s, new_life_s) is goes_on
