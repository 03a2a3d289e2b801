"""Certificates that end: the steps at their edges, doubtful clocks, and that each step is told once."""

from datetime import UTC, datetime, timedelta

import pytest

from agent.core.renewal_policy import MOST_TOLD, Ending, Step, Subject, Told, ending_words, risen, step_of

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
DAY, TICK = timedelta(days=1), timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("left", "step"),
    [
        (30 * DAY + TICK, Step.FAR),
        (30 * DAY, Step.SOON),
        (7 * DAY + TICK, Step.SOON),
        (7 * DAY, Step.PRESSING),
        (DAY + TICK, Step.PRESSING),
        (DAY, Step.LAST_DAY),
        (TICK, Step.LAST_DAY),
        (timedelta(0), Step.ENDED),
        (-400 * DAY, Step.ENDED),
    ],
)
def test_each_step_begins_exactly_at_its_edge(left: timedelta, step: Step) -> None:
    assert step_of(NOW + left, NOW) is step
    assert (ending_words(NOW + left, NOW) is None) is (step is Step.FAR)


def test_steps_rise_in_severity_and_have_words_for_events() -> None:
    assert sorted(Step) == [Step.FAR, Step.SOON, Step.PRESSING, Step.LAST_DAY, Step.ENDED]
    assert Step.LAST_DAY.word == "last_day"


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (30 * DAY, "ends on 2026-12-27 12:00 UTC, in 30 days"),
        (DAY, "ends on 2026-11-28 12:00 UTC, in 1 day"),
        (DAY / 2, "in less than a day"),
        (timedelta(0), "has ended (2026-11-27 12:00 UTC)"),
    ],
)
def test_the_words_name_the_moment_and_what_is_left(left: timedelta, words: str) -> None:
    assert words in str(ending_words(NOW + left, NOW))


def test_a_clock_that_is_behind_makes_nothing_last_longer_and_the_words_say_that_it_is_wrong() -> None:
    behind = NOW - 100 * DAY
    assert step_of(NOW + 5 * DAY, behind) is Step.FAR
    assert step_of(NOW + 20 * DAY, behind, NOW) is Step.SOON
    assert step_of(NOW + 5 * DAY, behind, NOW) is Step.PRESSING
    assert "clock is wrong" in str(ending_words(NOW + 5 * DAY, behind, NOW))
    assert "clock" not in str(ending_words(NOW + 5 * DAY, NOW, NOW - DAY))


def test_a_clock_that_was_ahead_once_calls_nobody_in_the_night() -> None:
    assert step_of(NOW, NOW - 100 * DAY, NOW) is Step.PRESSING
    assert step_of(NOW - DAY, NOW - 100 * DAY, NOW + 1000 * DAY) is Step.PRESSING
    assert "cannot be told" in str(ending_words(NOW, NOW - 100 * DAY, NOW))
    assert step_of(NOW, NOW, NOW + DAY) is Step.ENDED  # the clock itself says so


def test_a_moment_that_passed_before_the_clocks_time_changes_nothing() -> None:
    assert step_of(NOW + 5 * DAY, NOW, NOW - 100 * DAY) is Step.PRESSING


def ending(step: Step, *, ends: datetime = NOW, store: str = "central", subject: Subject = Subject.STATION) -> Ending:
    return Ending(store, subject, ends, step)


def test_each_step_is_told_once_and_only_when_it_rises() -> None:
    told: Told = {}
    heard = []
    for step in (Step.FAR, Step.SOON, Step.SOON, Step.PRESSING, Step.SOON, Step.PRESSING, Step.ENDED, Step.ENDED):
        told, fresh = risen(told, [ending(step)])
        heard += [each.step for each in fresh]
    assert heard == [Step.SOON, Step.PRESSING, Step.ENDED]


def test_a_renewed_one_begins_anew_and_is_told_only_when_it_ends_soon_itself() -> None:
    told, _ = risen({}, [ending(Step.ENDED)])
    told, fresh = risen(told, [ending(Step.FAR, ends=NOW + 90 * DAY)])
    assert fresh == []
    told, fresh = risen(told, [ending(Step.SOON, ends=NOW + 90 * DAY)])
    assert [each.step for each in fresh] == [Step.SOON]
    _, fresh = risen(told, [ending(Step.SOON, ends=NOW + 20 * DAY)])  # exchanged for a shorter one
    assert [each.step for each in fresh] == [Step.SOON]


def test_certificates_that_alternate_are_told_once_each_and_again_only_when_a_step_rises() -> None:
    told: Told = {}
    heard = []
    ends = [NOW + count * DAY for count in range(MOST_TOLD)]
    for step in (Step.SOON, Step.PRESSING):
        for _ in range(20):
            for each in ends:
                told, fresh = risen(told, [ending(step, ends=each)])
                heard += [(one.ends, one.step) for one in fresh]
    assert heard == [(each, step) for step in (Step.SOON, Step.PRESSING) for each in ends]


def test_a_place_that_shows_another_one_for_ever_is_remembered_within_bounds() -> None:
    told: Told = {}
    for count in range(3 * MOST_TOLD):
        told, fresh = risen(told, [ending(Step.SOON, ends=NOW + count * DAY), ending(Step.FAR, ends=NOW - count * DAY)])
        assert [each.step for each in fresh] == [Step.SOON]
    assert [len(each) for each in told.values()] == [MOST_TOLD]


def test_what_cannot_be_seen_for_a_while_is_not_told_again() -> None:
    told, _ = risen({}, [ending(Step.SOON)])
    told, fresh = risen(told, [])
    assert fresh == []
    assert risen(told, [ending(Step.SOON)])[1] == []


def test_stores_and_subjects_are_told_apart() -> None:
    one, other = ending(Step.SOON), ending(Step.SOON, store="second")
    ca = ending(Step.SOON, subject=Subject.CA)
    assert risen({}, [one, other, ca])[1] == [one, other, ca]
