"""What a bay tells the officer: every combination of facts."""

from dataclasses import replace
from itertools import product

import pytest

from agent.core.bay import Advice, BayAdvice, BayFacts, Phase, bay_advice

QUIET = BayFacts(
    phase=Phase.DONE,
    listed=0,
    spooled=0,
    confirmed=0,
    quarantined=0,
    wipe_pending=False,
    window_open=False,
    release_asked=False,
    problem=None,
    eta_s=None,
)
ALL = [
    BayFacts(
        phase=phase,
        listed=listed,
        spooled=spooled,
        confirmed=confirmed,
        quarantined=quarantined,
        wipe_pending=wipe_pending,
        window_open=window_open,
        release_asked=release_asked,
        problem=problem,
        eta_s=90.0,
    )
    for phase in Phase
    for listed, spooled, confirmed, quarantined in product((0, 1, 2), repeat=4)
    for wipe_pending, window_open, release_asked in product((False, True), repeat=3)
    for problem in (None, "the reader hangs")
]


def aboard(facts: BayFacts) -> int:
    return facts.listed + facts.spooled + facts.confirmed + facts.quarantined


def test_there_are_four_words_and_no_others() -> None:
    assert {advice.value for advice in Advice} == {"take", "take, footage still aboard", "wait", "do not remove"}


def test_every_combination_of_facts_gives_one_advice_with_a_reason() -> None:
    for facts in ALL:
        answer = bay_advice(facts)
        assert isinstance(answer.advice, Advice), facts
        assert answer.reason, facts


def test_do_not_remove_is_said_exactly_while_the_window_is_open() -> None:
    for facts in ALL:
        assert (bay_advice(facts).advice is Advice.DO_NOT_REMOVE) == facts.window_open, facts


def test_take_is_never_said_while_anything_is_aboard() -> None:
    for facts in ALL:
        advice = bay_advice(facts).advice
        assert advice is not Advice.TAKE or aboard(facts) == 0, facts
        unknown = facts.release_asked and facts.phase in (Phase.IDENTIFYING, Phase.LISTING)
        faulted = facts.phase is Phase.FAULTED or facts.problem is not None or unknown  # nobody knows what is aboard
        assert advice is not Advice.TAKE_ABOARD or faulted or aboard(facts) > 0, facts


@pytest.mark.parametrize("phase", [Phase.IDENTIFYING, Phase.LISTING])
@pytest.mark.parametrize("release_asked", [False, True])
def test_a_camera_whose_listing_is_not_complete_is_never_called_clear(phase: Phase, release_asked: bool) -> None:
    """Nothing counted yet is not the same as nothing aboard."""
    answer = bay_advice(replace(QUIET, phase=phase, release_asked=release_asked))
    assert answer.advice is not Advice.TAKE


def test_a_remaining_time_is_only_given_with_wait() -> None:
    for facts in ALL:
        answer = bay_advice(facts)
        assert answer.until_s is None or (answer.advice is Advice.WAIT and answer.until_s == facts.eta_s), facts


def test_a_problem_is_told_in_its_own_words_unless_a_person_asked_or_a_window_is_open() -> None:
    for facts in ALL:
        if facts.problem and not (facts.window_open or facts.release_asked or facts.phase is Phase.RELEASING):
            assert bay_advice(facts).reason == facts.problem, facts


def test_a_released_camera_may_be_taken_at_once() -> None:
    for facts in ALL:
        if facts.release_asked and aboard(facts) and not facts.window_open and facts.phase is not Phase.RELEASING:
            assert bay_advice(facts).advice is Advice.TAKE_ABOARD, facts


def test_clips_that_are_not_copied_keep_the_officer_waiting() -> None:
    for facts in ALL:
        plain = facts.problem is None and not (facts.window_open or facts.release_asked)
        if facts.listed and plain and facts.phase is not Phase.FAULTED:
            assert bay_advice(facts).advice is Advice.WAIT, facts


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, BayAdvice(Advice.TAKE, "all footage is in the evidence store; the camera is clear")),
        ({"phase": Phase.LISTING}, BayAdvice(Advice.WAIT, "finding out which camera this is and what is on it")),
        ({"listed": 1, "eta_s": 5.0}, BayAdvice(Advice.WAIT, "copying, 1 clip left", 5.0)),
        ({"listed": 7}, BayAdvice(Advice.WAIT, "copying, 7 clips left")),
        ({"phase": Phase.WIPING}, BayAdvice(Advice.WAIT, "checking and clearing the camera")),
        ({"wipe_pending": True, "confirmed": 1}, BayAdvice(Advice.WAIT, "checking and clearing the camera")),
        (
            {"wipe_pending": True, "confirmed": 1, "spooled": 1},
            BayAdvice(Advice.TAKE_ABOARD, "all copied; 1 clip on the way to the evidence store"),
        ),
        ({"quarantined": 2}, BayAdvice(Advice.TAKE_ABOARD, "2 clips could not be read; tell your supervisor")),
        (
            {"confirmed": 3},
            BayAdvice(Advice.TAKE_ABOARD, "all footage is in the evidence store; the camera was not cleared"),
        ),
        (
            {"confirmed": 3, "not_cleared": "a hold is on 3 clips"},
            BayAdvice(
                Advice.TAKE_ABOARD,
                "all footage is in the evidence store; the camera was not cleared: a hold is on 3 clips",
            ),
        ),
        (
            {"not_cleared": "a hold is on 3 clips"},
            BayAdvice(Advice.TAKE, "all footage is in the evidence store; the camera is clear"),
        ),
        (
            {"ledger_damaged": True},
            BayAdvice(Advice.TAKE_ABOARD, "the ledger is damaged: nobody can say what is kept; tell your supervisor"),
        ),
        (
            {"ledger_damaged": True, "release_asked": True},
            BayAdvice(Advice.TAKE_ABOARD, "released on request; the ledger is damaged: nobody can say what is kept"),
        ),
        (
            {"uncopied": 1, "confirmed": 2},
            BayAdvice(Advice.TAKE_ABOARD, "1 thing on the camera could not be copied; tell your supervisor"),
        ),
        (
            {"uncopied": 2, "release_asked": True},
            BayAdvice(
                Advice.TAKE_ABOARD,
                "released on request; 2 things on the camera could not be copied; tell your supervisor",
            ),
        ),
        ({"release_asked": True}, BayAdvice(Advice.TAKE, "released on request; the camera is clear")),
        (
            {"left": 2},
            BayAdvice(
                Advice.TAKE,
                "all footage that its profile names is in the evidence store; the camera is clear of it,"
                " but 2 other files are left on it",
            ),
        ),
        (
            {"left": 1, "release_asked": True},
            BayAdvice(
                Advice.TAKE,
                "released on request; the camera is clear of what its profile names, but 1 other file is left on it",
            ),
        ),
        (
            {"left": 1, "confirmed": 2, "not_cleared": "a hold is on 2 clips"},
            BayAdvice(
                Advice.TAKE_ABOARD,
                "all footage that its profile names is in the evidence store; the camera was not cleared:"
                " a hold is on 2 clips",
            ),
        ),
        ({"phase": Phase.RELEASING, "release_asked": True}, BayAdvice(Advice.WAIT, "coming to a safe point")),
        ({"phase": Phase.FAULTED}, BayAdvice(Advice.TAKE_ABOARD, "the bay has a fault")),
        ({"phase": Phase.FAULTED, "listed": 1}, BayAdvice(Advice.TAKE_ABOARD, "the bay has a fault")),
    ],
)
def test_the_words_of_common_situations(changes: dict[str, object], expected: BayAdvice) -> None:
    assert bay_advice(replace(QUIET, **changes)) == expected  # type: ignore[arg-type]
