"""Limits as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.rate import LEAST_BYTES_S, MOST_BYTES_S, parse_rate, rate_text


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("none", None),
        ("0", 0),
        ("5 Mbit/s", 625_000),
        ("5Mbit/s", 625_000),
        ("2.5 Mbit/s", 312_500),
        ("64 kbit/s", 8_000),
        ("1 Gbit/s", 125_000_000),
        ("100 Gbit/s", MOST_BYTES_S),
    ],
)
def test_a_limit_is_read_in_bits_per_second(text: str, rate: int | None) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "5 MB/s",
        "5 mbit/s",
        "5 Mbps",
        "5  Mbit/s",
        " 5 Mbit/s",
        "5 Mbit/s\n",
        "-5 Mbit/s",
        "1e3 Mbit/s",
        "5,5 Mbit/s",
        "5. Mbit/s",
        "\u0665 Mbit/s",
        "None",
        "00",
    ],
)
def test_what_is_not_written_like_a_limit_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match='"5 Mbit/s"'):
        parse_rate(text)


@pytest.mark.parametrize("text", ["0 Mbit/s", "63.999 kbit/s", "0.001 Mbit/s", "101 Gbit/s"])
def test_a_limit_that_cannot_be_meant_is_refused_with_its_bounds(text: str) -> None:
    with pytest.raises(ValueError, match="between 64 kbit/s and 100 Gbit/s"):
        parse_rate(text)


def test_what_is_no_rate_is_told_in_words() -> None:
    assert (rate_text(None), rate_text(0)) == ("no limit", "paused")
    assert [rate_text(n) for n in (8_000, 312_500, 125_000_000)] == ["64 kbit/s", "2.5 Mbit/s", "1 Gbit/s"]


@given(st.integers(LEAST_BYTES_S, MOST_BYTES_S))
def test_a_limit_that_is_told_is_read_back_within_a_thousandth(rate: int) -> None:
    read = parse_rate(rate_text(rate))
    assert read is not None
    assert abs(read - rate) <= rate / 1000


@given(st.text())
def test_no_text_gives_anything_but_a_limit_or_a_refusal(text: str) -> None:
    try:
        rate = parse_rate(text)
    except ValueError:
        return
    assert rate is None or rate == 0 or LEAST_BYTES_S <= rate <= MOST_BYTES_S
