"""Making room on simulated lines: a queue in front of a link, others that come and go, and we.

Buffers hold more than the target: in a smaller one nobody waits long, and TCP itself makes room by its losses.
"""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.yield_policy import FLOOR_BYTES_S, MINUTES, STEP_S, TARGET_S, Base, Pace, next_pace

MBIT = 125_000
TICK_S = 0.05
SEEN_LATE_S = 0.15
"""The kernel's smoothed round trip follows the queue so much later."""


@dataclass
class Line:
    """A link of `rate` bytes per second behind a buffer that holds `buffer_s` of it; what does not fit is lost."""

    rate: float
    buffer_s: float
    ours: float  # what we would send without any limit
    waiting_bytes: float = 0.0
    shown_s: float = 0.0
    pace: Pace = field(default_factory=Pace)
    since_s: float = 0.0
    arrived_bytes: float = 0.0

    def run(self, seconds: float, others: float = 0.0) -> list[tuple[float, float]]:
        """Go on while others send so many bytes per second; the queue and what we sent, tick by tick."""
        seen = []
        for _ in range(round(seconds / TICK_S)):
            sent = min(self.ours, self.pace.limit or self.ours, self.rate * 1.5)  # TCP notices losses
            coming = (sent + others) * TICK_S
            room_bytes = self.buffer_s * self.rate - self.waiting_bytes + self.rate * TICK_S
            taken = min(1.0, room_bytes / coming) if coming else 1.0
            self.waiting_bytes = max(0.0, self.waiting_bytes + taken * coming - self.rate * TICK_S)
            part = sent / (sent + others)
            self.arrived_bytes += min(sent * taken, part * self.rate) * TICK_S
            queue_s = self.waiting_bytes / self.rate
            self.shown_s += (queue_s - self.shown_s) * min(1.0, TICK_S / SEEN_LATE_S)
            self.since_s += TICK_S
            if self.since_s >= STEP_S - 1e-9:
                arrived = self.arrived_bytes / self.since_s
                self.pace = next_pace(self.pace, self.shown_s, arrived, self.since_s)
                self.since_s = self.arrived_bytes = 0.0
            seen.append((queue_s, sent))
        return seen


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


LINES = st.builds(Line, st.floats(1 * MBIT, 1000 * MBIT), st.floats(0.15, 3.0), st.floats(0.1 * MBIT, 2000 * MBIT))


@given(LINES)
@settings(max_examples=60, deadline=None)
def test_alone_on_a_line_the_queue_settles_near_the_target_and_most_of_the_line_is_used(line: Line) -> None:
    line.run(60)
    seen = line.run(60)
    assert mean([queue for queue, _ in seen]) <= 1.5 * TARGET_S
    assert mean([min(sent, line.rate) for _, sent in seen]) >= 0.75 * min(line.ours, line.rate)


@given(LINES, st.floats(0.2, 0.9))
@settings(max_examples=60, deadline=None)
def test_others_get_their_share_soon_and_we_get_ours_back_when_they_have_gone(line: Line, share: float) -> None:
    line.run(60)
    others = share * line.rate
    line.run(20, others)
    seen = line.run(40, others)
    left = max(line.rate - others, FLOOR_BYTES_S)
    assert mean([sent for _, sent in seen]) <= 1.1 * left
    if left - FLOOR_BYTES_S > 0.02 * line.rate:
        assert mean([queue for queue, _ in seen]) <= 2 * TARGET_S
    assert min(sent for _, sent in seen) >= min(FLOOR_BYTES_S, line.ours)
    line.run(90)
    assert mean([min(sent, line.rate) for _, sent in line.run(30)]) >= 0.75 * min(line.ours, line.rate)


def test_a_call_that_begins_has_less_than_half_of_our_rate_beside_it_within_two_seconds() -> None:
    line = Line(rate=20 * MBIT, buffer_s=1.0, ours=100 * MBIT)
    line.run(60)
    seen = line.run(2.0, 18 * MBIT)
    assert seen[-1][1] < 10 * MBIT


PACES = st.builds(Pace, st.none() | st.integers(FLOOR_BYTES_S, 10**9), st.floats(0, 10))


@given(PACES, st.floats(0, 60), st.floats(0, 2e9), st.floats(STEP_S, 60))
def test_no_limit_is_ever_below_the_floor(pace: Pace, queue_s: float, arrived: float, elapsed_s: float) -> None:
    found = next_pace(pace, queue_s, arrived, elapsed_s)
    assert found.limit is None or found.limit >= FLOOR_BYTES_S
    assert found.queue_s == queue_s


def test_a_line_without_a_queue_is_never_limited() -> None:
    pace = Pace()
    for _ in range(100):
        pace = next_pace(pace, TARGET_S, 50 * MBIT, STEP_S)
    assert pace.limit is None


def test_a_limit_far_above_what_arrives_is_given_up() -> None:
    pace = Pace(10 * MBIT)
    for _ in range(60):
        pace = next_pace(pace, 0.0, 2 * MBIT, STEP_S)
    assert pace.limit is None


def test_a_queue_that_drains_is_waited_for() -> None:
    assert next_pace(Pace(MBIT, 1.0), 0.8, MBIT, STEP_S).limit == MBIT
    assert (next_pace(Pace(MBIT, 1.0), 0.95, MBIT, STEP_S).limit or 0) < MBIT


def test_the_least_round_trip_is_that_of_the_last_minutes() -> None:
    base = Base().with_seen(100, 0.020).with_seen(100, 0.030).with_seen(101, 0.050)
    assert base.queue_s(0.050) == 0.050 - 0.020
    later = base.with_seen(100 + MINUTES, 0.050)
    assert later.queue_s(0.060) == 0.060 - 0.050
    assert len(later.minutes) == 2


def test_before_anything_was_seen_there_is_no_queue() -> None:
    assert Base().queue_s(0.5) == 0.0
