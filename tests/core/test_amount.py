"""Amounts of bytes as people read them."""

import pytest

from agent.core.amount import shown_bytes


@pytest.mark.parametrize(
    ("size_bytes", "expected"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (20_000_000, "20.0 MB"),
        (4_300_000_000, "4.3 GB"),
        (1_500_000_000_000, "1.5 TB"),
        (2e15, "2000.0 TB"),
    ],
)
def test_bytes_are_told_in_the_largest_unit_that_fits(size_bytes: float, expected: str) -> None:
    assert shown_bytes(size_bytes) == expected
