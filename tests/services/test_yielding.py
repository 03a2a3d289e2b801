"""What connections show becomes a pace, once in a step, and only where the operator wants it."""

from dataclasses import dataclass

from agent.core.bandwidth_policy import BandwidthPolicy
from agent.core.yield_policy import STEP_S, LineLook
from agent.services.bandwidth import Bandwidth
from agent.services.yielding import STALE_S, Yielding
from tests.services.test_bandwidth import NOON

MBIT = 125_000
PIECE_S = 0.1


@dataclass
class Hand:
    """A clock that a test holds in its hand."""

    now: float = 10_000.0

    def clock(self) -> float:
        return self.now


def made(hand: Hand) -> Yielding:
    line = Yielding("central", hand.clock)
    line.wanted = True
    return line


def send(line: Yielding, hand: Hand, seconds: float, *, rtt_s: float, rate: float = 10 * MBIT) -> None:
    for _ in range(round(seconds / PIECE_S)):
        hand.now += PIECE_S
        line.seen(LineLook(rtt_s, 0.02, int(rate * PIECE_S), PIECE_S))


def test_a_queue_slows_uploads_down_within_a_second_and_people_are_told() -> None:
    hand = Hand()
    line = made(hand)
    send(line, hand, 5, rtt_s=0.03)
    assert (line.limit(), line.view()) == (None, None)
    send(line, hand, 2 * STEP_S, rtt_s=0.2)
    assert (line.limit() or 0) < 8 * MBIT
    view = line.view() or {}
    assert view["delay_ms"] == 180
    assert str(view["shown"]).endswith("to leave the line to others (180 ms of queue)")
    assert str(view["shown"]).startswith("slowed to ")


def test_one_late_answer_among_many_is_no_queue() -> None:
    hand = Hand()
    line = made(hand)
    for _ in range(20):
        send(line, hand, 0.4, rtt_s=0.03)
        send(line, hand, 0.1, rtt_s=0.5)
    assert line.limit() is None


def test_a_pause_between_uploads_is_not_taken_for_a_slow_line() -> None:
    hand = Hand()
    line = made(hand)
    send(line, hand, 1, rtt_s=0.2)
    send(line, hand, 1, rtt_s=0.03)
    before = line.limit() or 0
    hand.now += 5.0
    send(line, hand, 0.4, rtt_s=0.2)
    assert line.limit() == before
    send(line, hand, 0.2, rtt_s=0.2)
    assert (line.limit() or 0) > 0.5 * before


def test_what_was_seen_long_ago_is_not_told_any_more() -> None:
    hand = Hand()
    line = made(hand)
    send(line, hand, 2, rtt_s=0.2)
    assert line.view() is not None
    hand.now += STALE_S + 1
    assert line.view() is None


def test_a_changed_configuration_turns_it_on_and_off_at_once() -> None:
    bandwidth = Bandwidth()
    line = bandwidth.line("central")
    wanted = [line.wanted]
    for policy in (BandwidthPolicy(yields=True), BandwidthPolicy()):
        bandwidth.apply(policy, NOON)
        wanted.append(bandwidth.line("central").wanted)
    assert wanted == [False, True, False]
    assert bandwidth.line("central") is line
    assert bandwidth.line_view("central") is bandwidth.line_view("folder") is None


def test_switched_off_nothing_is_limited_any_more() -> None:
    hand = Hand()
    line = made(hand)
    send(line, hand, 2, rtt_s=0.2)
    assert line.limit() is not None
    line.wanted = False
    assert (line.limit(), line.view()) == (None, None)
