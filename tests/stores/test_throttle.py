"""Buckets with a clock that a test holds in its hand."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.yield_policy import LineLook
from agent.ports import UploadStopped
from agent.stores.throttle import (
    BURST_S,
    SLICE_S,
    UNSENT_LEAST_BYTES,
    WATCHED_BYTES,
    WATCHED_LEAST_BYTES,
    Bucket,
    Throttle,
)

MOST = 256 << 10
RATE = 100_000


def never() -> bool:
    return False


@dataclass
class Hand:
    """A clock that goes on only while somebody sleeps; `then` is called after each sleep."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)
    then: Callable[[], None] = lambda: None

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.then()

    def bucket(self, *limits: int | None) -> Bucket:
        """One that asks for its limit again each time; the last one stays."""
        left = list(limits)
        return Bucket(lambda: left.pop(0) if len(left) > 1 else left[0], self.clock)

    def throttle(self, *buckets: Bucket) -> Throttle:
        return Throttle(*buckets, clock=self.clock, sleep=self.sleep)

    def send(self, throttle: Throttle, size_bytes: int) -> None:
        while size_bytes:
            size_bytes -= throttle.grant(min(MOST, size_bytes), never).size_bytes


@dataclass
class Watching:
    """Somebody who wants to know how the line is, and slows down to what a test says."""

    wanted: bool = True
    rate: int | None = None
    looks: list[LineLook] = field(default_factory=list)

    def limit(self) -> int | None:
        return self.rate if self.wanted else None

    def seen(self, look: LineLook) -> None:
        self.looks.append(look)


LOOK = LineLook(0.03, 0.02, 1000, 0.1)


def test_a_watched_line_is_given_small_pieces_so_that_it_is_looked_at_often() -> None:
    hand, watch = Hand(), Watching()
    throttle = Throttle(hand.bucket(None), watch=watch, clock=hand.clock, sleep=hand.sleep)
    assert throttle.grant(MOST, never) == (WATCHED_BYTES, 0.0, WATCHED_BYTES)
    watch.rate = 1_000_000
    assert throttle.grant(MOST, never).size_bytes == 20_000
    watch.rate = 32_000
    assert throttle.grant(MOST, never).size_bytes == WATCHED_LEAST_BYTES
    throttle.look(lambda: LOOK)
    throttle.look(lambda: None)
    assert watch.looks == [LOOK]


def test_where_nobody_wants_to_know_nothing_is_asked_and_nothing_is_smaller() -> None:
    def asked() -> LineLook:
        raise AssertionError("asked")

    watch = Watching(wanted=False, rate=1000)
    for throttle in (Throttle(), Throttle(watch=watch)):
        assert throttle.grant(MOST, never) == (MOST, 0.0, 0)
        throttle.look(asked)


def test_without_a_limit_everything_leaves_at_once_and_the_kernel_keeps_its_way() -> None:
    hand = Hand()
    assert hand.throttle(hand.bucket(None), hand.bucket(None)).grant(MOST, never) == (MOST, 0.0, 0)
    assert Throttle().grant(MOST, never) == (MOST, 0.0, 0)
    assert hand.slept == []


@given(st.integers(8_000, 10**9), st.integers(1, 30))
def test_over_any_time_no_more_leaves_than_the_limit_and_one_burst(rate: int, seconds: int) -> None:
    hand = Hand()
    throttle, began = hand.throttle(hand.bucket(rate)), hand.now
    sent = 0
    for _ in range(400):
        sent += throttle.grant(MOST, never).size_bytes
        taken = hand.now - began
        assert sent <= rate * (taken + BURST_S) + 1
        if taken > seconds:
            assert sent >= rate * taken * 0.99 - MOST
            break


def test_a_limit_is_kept_by_two_senders_together_and_by_a_store_besides() -> None:
    hand = Hand()
    shared, own = hand.bucket(RATE), hand.bucket(RATE // 4)
    free, slow = hand.throttle(shared), hand.throttle(shared, own)
    began = hand.now
    hand.send(slow, RATE)
    assert hand.now - began == pytest.approx(4.0, abs=BURST_S)
    began = hand.now
    hand.send(free, RATE)
    assert hand.now - began == pytest.approx(1.0, abs=2 * BURST_S)


def test_idle_time_saves_up_no_more_than_a_burst() -> None:
    hand = Hand()
    throttle = hand.throttle(hand.bucket(RATE))
    hand.send(throttle, RATE)
    hand.now += 3600
    began = hand.now
    hand.send(throttle, RATE)
    assert hand.now - began == pytest.approx(1.0 - BURST_S, abs=0.001)


def test_pieces_and_what_the_socket_holds_back_are_a_tenth_of_a_second() -> None:
    hand = Hand()
    assert hand.throttle(hand.bucket(1_000_000)).grant(MOST, never)[::2] == (100_000, 100_000)
    assert hand.throttle(hand.bucket(8_000)).grant(MOST, never)[::2] == (800, UNSENT_LEAST_BYTES)
    assert hand.throttle(hand.bucket(10**9)).grant(MOST, never).size_bytes == MOST


def test_a_new_limit_holds_for_the_next_piece() -> None:
    hand = Hand()
    throttle = hand.throttle(hand.bucket(RATE, 10 * RATE, None))
    assert [throttle.grant(MOST, never).size_bytes for _ in range(3)] == [RATE // 10, RATE, MOST]


def test_a_stop_is_noticed_within_a_slice_and_gives_its_place_in_line_back() -> None:
    hand = Hand()
    bucket = hand.bucket(RATE)
    throttle = hand.throttle(bucket)
    throttle.grant(MOST, never)
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True

    hand.then = stop
    with pytest.raises(UploadStopped):
        throttle.grant(MOST, lambda: stopped)
    assert hand.slept == [SLICE_S]
    assert bucket.reserve(RATE // 10, RATE) == pytest.approx(BURST_S - SLICE_S)


def test_a_pause_that_begins_while_somebody_waits_ends_the_wait() -> None:
    hand = Hand()
    throttle = hand.throttle(hand.bucket(RATE, RATE, 0))
    throttle.grant(MOST, never)
    with pytest.raises(UploadStopped):
        throttle.grant(MOST, never)
    assert throttle.is_closed
    assert hand.slept == [SLICE_S]


@pytest.mark.parametrize("limits", [(0, None), (None, 0), (0, 8_000)])
def test_in_a_pause_nothing_leaves_and_nobody_waits(limits: tuple[int | None, int | None]) -> None:
    hand = Hand()
    throttle = hand.throttle(*map(hand.bucket, limits))
    assert throttle.is_closed
    with pytest.raises(UploadStopped):
        throttle.grant(MOST, never)
    assert hand.slept == []
