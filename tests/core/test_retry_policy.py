"""When to try again: bounded, jittered, patient, and never giving up by itself."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.core.errors import (
    AgentError,
    ObjectRefused,
    ReceiptInvalid,
    Remedy,
    SpoolCorrupt,
    StoreBusy,
    StoreLied,
    StoreRefused,
    StoreUnreachable,
)
from agent.core.retry_policy import (
    BASE_S,
    CAP_S,
    HALTED_S,
    LIED_S,
    LIES,
    RETRY_AFTER_CAP_S,
    SET_ASIDE_S,
    STRIKES,
    RetryIn,
    SetAside,
    decide,
)

jitters = st.floats(0, 1, exclude_max=True)
attempts = st.integers(1, 10**6)


class Failure(AgentError):
    """A failure with a remedy of choice."""

    def __init__(self, remedy: Remedy, retry_after_s: float | None = None) -> None:
        super().__init__("it broke", retry_after_s=retry_after_s)
        self.remedy = remedy


def delay_s(error: AgentError, attempt: int, jitter: float = 0.0) -> float:
    answer = decide(error, attempt, jitter)
    assert isinstance(answer, RetryIn)
    return answer.delay_s


@given(st.sampled_from([r for r in Remedy if r is not Remedy.QUARANTINE]), attempts, jitters)
@example(Remedy.RETRY, 10**6, 0.999)
def test_footage_is_never_given_up_however_often_it_fails(remedy: Remedy, attempt: int, jitter: float) -> None:
    pause_s = delay_s(Failure(remedy), attempt, jitter)
    assert BASE_S / 2 <= pause_s <= max(CAP_S, HALTED_S)


@given(st.one_of(st.none(), st.floats()), attempts, jitters)
def test_what_a_person_must_look_at_is_set_aside_at_once_with_its_cause(
    retry_after_s: float | None, attempt: int, jitter: float
) -> None:
    for error in (Failure(Remedy.QUARANTINE, retry_after_s), SpoolCorrupt("it broke")):
        answer = decide(error, attempt, jitter)
        assert isinstance(answer, SetAside)
        assert answer.reason == "it broke"
        assert SET_ASIDE_S * 23 / 24 <= answer.delay_s <= SET_ASIDE_S


@pytest.mark.parametrize(
    ("error", "strikes"),
    [(ObjectRefused("too large"), STRIKES), (StoreLied("wrong offset"), LIES), (ReceiptInvalid("forged"), LIES)],
)
@given(attempt=attempts, jitter=jitters)
@example(attempt=2, jitter=0.0)
@example(attempt=3, jitter=0.0)
@example(attempt=5, jitter=0.0)
@example(attempt=6, jitter=0.0)
def test_an_object_that_its_store_refuses_again_and_again_is_set_aside(
    error: AgentError, strikes: int, attempt: int, jitter: float
) -> None:
    assert isinstance(decide(error, attempt, jitter), SetAside) == (attempt >= strikes)


@given(attempts, jitters)
def test_trouble_of_a_whole_store_sets_nothing_aside(attempt: int, jitter: float) -> None:
    for error in (StoreUnreachable("no answer"), StoreBusy("wait"), StoreRefused("no credential")):
        assert isinstance(decide(error, attempt, jitter), RetryIn)


@given(attempts, jitters)
def test_the_pause_lies_between_half_and_all_of_the_back_off(attempt: int, jitter: float) -> None:
    full_s = min(300.0, 2.0 * 2.0 ** min(attempt - 1, 20))
    pause_s = delay_s(StoreUnreachable("no answer"), attempt, jitter)
    assert full_s / 2 <= pause_s <= full_s
    assert math.isclose(pause_s, full_s / 2 + full_s / 2 * jitter)


def test_the_back_off_doubles_up_to_five_minutes() -> None:
    full = [2 * delay_s(StoreUnreachable("no answer"), attempt) for attempt in range(1, 11)]
    assert full == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


@given(st.integers(1, LIES - 1), jitters)
def test_an_object_that_is_contradicted_three_times_is_sent_once_an_hour_and_a_person_is_called(
    attempt: int, jitter: float
) -> None:
    for error in (StoreLied("wrong offset"), ReceiptInvalid("forged")):
        answer = decide(error, attempt, jitter)
        assert isinstance(answer, RetryIn)
        assert answer.alarm == (attempt >= 3)
        ceiling = LIED_S if attempt >= 3 else 2.0**attempt
        assert ceiling / 2 <= answer.delay_s <= ceiling


@pytest.mark.parametrize(("wish_s", "alarm"), [(RETRY_AFTER_CAP_S, False), (RETRY_AFTER_CAP_S + 1, True)])
def test_a_wish_for_more_than_an_hour_calls_a_person_at_once(wish_s: float, *, alarm: bool) -> None:
    answer = decide(StoreBusy("wait", retry_after_s=wish_s), 1, 0.0)
    assert isinstance(answer, RetryIn)
    assert answer.alarm is alarm


@given(attempts, jitters)
def test_after_a_refusal_the_mend_is_noticed_within_ten_minutes(attempt: int, jitter: float) -> None:
    answer = decide(StoreRefused("no credential"), attempt, jitter)
    assert isinstance(answer, RetryIn)
    assert HALTED_S / 2 <= answer.delay_s <= HALTED_S
    assert answer.alarm


@pytest.mark.parametrize("attempt", [1, 2, 3, 4, 100])
def test_the_alarm_comes_with_the_third_failure_in_a_row(attempt: int) -> None:
    assert STRIKES == 3
    for error in (StoreUnreachable("no answer"), StoreBusy("wait", retry_after_s=5)):
        answer = decide(error, attempt, 0.5)
        assert isinstance(answer, RetryIn)
        assert answer.alarm == (attempt >= 3)


@given(st.floats(1.0, RETRY_AFTER_CAP_S), attempts, jitters)
def test_a_wish_for_patience_is_kept_and_stretched_by_ten_seconds_at_most(
    wish_s: float, attempt: int, jitter: float
) -> None:
    pause_s = delay_s(StoreBusy("wait", retry_after_s=wish_s), attempt, jitter)
    kept_s = max(wish_s, BASE_S)
    assert kept_s <= pause_s <= kept_s + min(kept_s / 10, 10)


@given(st.floats(min_value=RETRY_AFTER_CAP_S), attempts, jitters)
@example(math.inf, 1, 0.0)
@example(10 * 365.0 * 86400, 1, 0.5)
def test_a_wish_for_years_is_cut_to_an_hour(wish_s: float, attempt: int, jitter: float) -> None:
    pause_s = delay_s(StoreBusy("wait", retry_after_s=wish_s), attempt, jitter)
    assert RETRY_AFTER_CAP_S <= pause_s <= RETRY_AFTER_CAP_S + 10


@given(st.floats(max_value=0.0), attempts, jitters)
@example(-math.inf, 1, 0.5)
def test_a_pause_is_never_negative(wish_s: float, attempt: int, jitter: float) -> None:
    assert delay_s(StoreBusy("wait", retry_after_s=wish_s), attempt, jitter) >= 0


@pytest.mark.parametrize("jitter", [0.0, 0.5])
def test_a_wish_that_is_no_number_still_gives_a_bounded_pause(jitter: float) -> None:
    pause_s = delay_s(StoreBusy("wait", retry_after_s=math.nan), 1, jitter)
    assert 0 <= pause_s <= RETRY_AFTER_CAP_S + 10


@pytest.mark.parametrize("wish_s", [0.0, -5.0])
def test_a_store_that_fails_again_and_again_without_wanting_a_pause_still_gets_one(wish_s: float) -> None:
    assert delay_s(StoreBusy("wait", retry_after_s=wish_s), 1000, 0.0) >= BASE_S / 2
