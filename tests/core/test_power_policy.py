"""The power of a port is cut only for a camera that nobody forbids to touch."""

from dataclasses import replace
from itertools import product

import pytest

from agent.core.disposal_policy import Allow, Refuse
from agent.core.power_policy import REFUSALS, PowerFacts, may_cut_power

FREE = PowerFacts(
    at_usb_port=True,
    profile_allows=True,
    station_owns_port=True,
    identified=True,
    seized=False,
    any_seized=False,
    window_open=False,
    cut_often=False,
)


def test_a_camera_that_hangs_may_lose_its_power() -> None:
    assert may_cut_power(FREE) == Allow()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"at_usb_port": False}, "no_usb_port"),
        ({"seized": True}, "camera_seized"),
        ({"identified": False, "any_seized": True}, "may_be_seized"),
        ({"window_open": True}, "window_open"),
        ({"profile_allows": False}, "not_in_profile"),
        ({"station_owns_port": False}, "not_our_port"),
        ({"cut_often": True}, "cut_often"),
    ],
)
def test_each_doubt_leaves_the_power_on(change: dict[str, bool], reason: str) -> None:
    assert may_cut_power(replace(FREE, **change)) == Refuse(reason)


def test_an_unknown_camera_may_be_freed_while_nothing_is_seized() -> None:
    assert may_cut_power(replace(FREE, identified=False)) == Allow()


def test_no_facts_let_a_seized_camera_be_power_cycled() -> None:
    allowed = 0
    for values in product((False, True), repeat=8):
        facts = PowerFacts(*values)
        decision = may_cut_power(facts)
        if isinstance(decision, Refuse):
            assert decision.reason in REFUSALS
            continue
        allowed += 1
        assert not facts.seized
        assert facts.identified or not facts.any_seized
        assert not facts.window_open
        assert not facts.cut_often
    assert allowed > 0
