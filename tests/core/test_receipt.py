"""The signed statement as text: one way to write it, and nothing else is read."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agent.core.object import Digest
from agent.core.receipt import Statement, parse_statement

PLAIN = Statement(
    station="hub7",
    sha256=Digest("ab" * 32),
    size_bytes=1048576,
    upload="9f2c.~_-Z",
    nonce="0123456789abcdef" * 2,
    issued_at=datetime(2026, 3, 29, 1, 30, 5, tzinfo=UTC),
    key="00112233aabbccdd",
)
TEXT = (
    "bwv-receipt/1\n"
    "station hub7\n"
    f"sha256 {'ab' * 32}\n"
    "size 1048576\n"
    "upload 9f2c.~_-Z\n"
    "nonce 0123456789abcdef0123456789abcdef\n"
    "time 2026-03-29T01:30:05Z\n"
    "key 00112233aabbccdd\n"
)
names = st.text("ABCxyz019._-", min_size=1, max_size=64)
hexes = st.text("0123456789abcdef", min_size=64, max_size=64)
statements = st.builds(
    Statement,
    station=names,
    sha256=hexes.map(Digest),
    size_bytes=st.integers(0, 2**63 - 1),
    upload=st.text("ABCxyz019._~-", min_size=1, max_size=128),
    nonce=st.text("0123456789abcdef", min_size=32, max_size=64),
    issued_at=st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)).map(  # noqa: DTZ001 - made aware below
        lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
    ),
    key=st.text("0123456789abcdef", min_size=16, max_size=16),
)


def test_the_text_is_exactly_the_published_eight_lines() -> None:
    assert PLAIN.text() == TEXT
    assert parse_statement(TEXT) == PLAIN


@given(statements)
def test_a_statement_survives_being_written_and_read(statement: Statement) -> None:
    assert parse_statement(statement.text()) == statement


def test_the_time_is_written_in_utc_whatever_zone_it_came_in() -> None:
    elsewhere = PLAIN.issued_at.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert replace(PLAIN, issued_at=elsewhere).text() == TEXT


@given(statements, st.data())
def test_whatever_is_read_would_have_been_written_just_so(statement: Statement, data: st.DataObject) -> None:
    text = statement.text()
    at = data.draw(st.integers(0, len(text) - 1))
    new = data.draw(st.sampled_from(["", "\n", "\r", " ", "0", "9", "a", "A", "\t", "\0", "é", "٣", "-", "Z"]))
    near = text[:at] + new + text[at + 1 :]
    assume(near != text)
    try:
        read = parse_statement(near)
    except ValueError:
        return
    assert read.text() == near
    assert read != statement


@pytest.mark.parametrize("year", ["0001", "0999"])
def test_a_year_that_would_not_be_written_is_not_read(year: str) -> None:
    near = TEXT.replace("2026", year)
    try:
        read = parse_statement(near)
    except ValueError:
        return
    assert read.text() == near


@pytest.mark.parametrize(
    "near",
    [
        "",
        TEXT[:-1],
        TEXT + "\n",
        "\n" + TEXT,
        TEXT + TEXT,
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("receipt/1", "receipt/2"),
        TEXT.replace("station hub7\n", ""),
        TEXT.replace("station hub7\n", "station hub7\nstation hub8\n"),
        TEXT.replace("hub7", "hub 7"),
        TEXT.replace("hub7", "h" * 65),
        TEXT.replace("hub7", "hüb7"),
        TEXT.replace("size 1048576", "size 01048576"),
        TEXT.replace("size 1048576", "size -1"),
        TEXT.replace("size 1048576", "size +1"),
        TEXT.replace("size 1048576", "size 1e6"),
        TEXT.replace("size 1048576", "size " + "9" * 20),
        TEXT.replace("size 1048576", "size ١٢"),
        TEXT.replace("ab" * 32, "AB" * 32),
        TEXT.replace("ab" * 32, "ab" * 31),
        TEXT.replace("nonce 0123456789abcdef", "nonce "),
        TEXT.replace("2026-03-29T01:30:05Z", "2026-02-30T01:30:05Z"),
        TEXT.replace("2026-03-29T01:30:05Z", "2026-03-29T24:00:00Z"),
        TEXT.replace("2026-03-29T01:30:05Z", "2026-12-31T23:59:60Z"),
        TEXT.replace("2026-03-29T01:30:05Z", "2026-03-29T01:30:05+00:00"),
        TEXT.replace("2026-03-29T01:30:05Z", "2026-03-29T01:30:05.5Z"),
        TEXT.replace("2026-03-29T01:30:05Z", "2026-03-29 01:30:05Z"),
        TEXT.replace("00112233aabbccdd", "00112233aabbccd"),
        TEXT.replace("upload 9f2c", "upload /etc/passwd 9f2c"),
    ],
)
def test_a_near_miss_is_not_read(near: str) -> None:
    assert near != TEXT
    with pytest.raises(ValueError, match=r".+"):
        parse_statement(near)


@pytest.mark.parametrize(
    "changes",
    [
        {"station": ""},
        {"station": "hub7\nsize 1"},
        {"sha256": "AB" * 32},
        {"size_bytes": -1},
        {"size_bytes": 10**19},
        {"upload": "a b"},
        {"upload": "x" * 129},
        {"nonce": "ab"},
        {"key": "short"},
    ],
)
def test_a_field_that_does_not_fit_is_never_signed(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="receipt format"):
        replace(PLAIN, **changes).text()  # type: ignore[arg-type]
