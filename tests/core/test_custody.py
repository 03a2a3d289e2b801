"""The chain of custody events: whoever changes a line is found at that line."""

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.custody import GENESIS, JsonValue, event_line, line_digest, verify_chain

json_values: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
some_fields = st.dictionaries(
    st.text().filter(lambda key: key not in {"seq", "prev", "event"}), json_values, max_size=4
)


def chain(*fields: dict[str, JsonValue]) -> list[str]:
    lines: list[str] = []
    prev = GENESIS
    for seq, each in enumerate(fields, start=1):
        lines.append(event_line(seq, prev, "clip.listed", each))
        prev = line_digest(lines[-1])
    return lines


chains = st.lists(some_fields, min_size=1, max_size=4).map(lambda rows: chain(*rows))
FIVE = chain({"n": 0}, {"n": 1}, {"n": 2}, {"n": 3}, {"n": 4})


def fault_of(lines: list[str]) -> int | None:
    fault = verify_chain(lines).fault
    return None if fault is None else fault.seq


@settings(max_examples=40)
@given(chains)
def test_an_untouched_chain_holds_and_its_head_is_the_last_lines_digest(lines: list[str]) -> None:
    report = verify_chain(iter(lines))
    assert (report.events, report.fault) == (len(lines), None)
    assert report.head == hashlib.sha256(lines[-1].encode("ascii")).hexdigest()


def test_an_empty_chain_holds() -> None:
    report = verify_chain([])
    assert (report.events, report.head, report.fault) == (0, "0" * 64, None)


@given(some_fields, st.integers(1, 10**12))
def test_an_event_is_one_line_of_plain_ascii_json(fields: dict[str, JsonValue], seq: int) -> None:
    line = event_line(seq, GENESIS, "clip.listed", fields)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line) == {"seq": seq, "prev": GENESIS, "event": "clip.listed", **fields}


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_does_not_know_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        event_line(1, GENESIS, "x", {"n": number})


@settings(max_examples=40)
@given(chains, st.data())
def test_a_changed_character_is_found_at_its_line_or_at_the_one_that_names_it(
    lines: list[str], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(lines) - 1))
    line = lines[place]
    at = data.draw(st.integers(0, len(line) - 1))
    new = data.draw(st.characters(codec="ascii").filter(lambda c: c != line[at]))
    honest = verify_chain(lines).head
    tampered = [*lines[:place], line[:at] + new + line[at + 1 :], *lines[place + 1 :]]
    report = verify_chain(tampered)
    if report.fault is None:
        assert place == len(lines) - 1  # only the newest line has no follower, and the head gives it away
        assert report.head != honest
    else:
        assert report.fault.seq in (place + 1, place + 2)
        assert report.events == report.fault.seq - 1


def test_a_changed_number_or_a_changed_predecessor_is_found_at_that_very_line() -> None:
    for place in range(5):
        body = json.loads(FIVE[place])
        for change in ({"seq": 77}, {"prev": "f" * 64}):
            tampered = [*FIVE[:place], json.dumps(body | change), *FIVE[place + 1 :]]
            assert fault_of(tampered) == place + 1


@pytest.mark.parametrize("place", range(4))
def test_a_dropped_line_is_found_where_it_was(place: int) -> None:
    assert fault_of(FIVE[:place] + FIVE[place + 1 :]) == place + 1


@pytest.mark.parametrize("place", range(4))
def test_two_swapped_lines_are_found_at_the_first(place: int) -> None:
    swapped = [*FIVE[:place], FIVE[place + 1], FIVE[place], *FIVE[place + 2 :]]
    assert fault_of(swapped) == place + 1


@pytest.mark.parametrize("place", range(5))
def test_an_inserted_line_is_found_behind_it(place: int) -> None:
    prev = GENESIS if place == 0 else line_digest(FIVE[place - 1])
    forged = event_line(place + 1, prev, "clip.confirmed", {})
    assert fault_of([*FIVE[:place], forged, *FIVE[place:]]) == place + 2
    assert fault_of([*FIVE[: place + 1], *FIVE[place:]]) == place + 2


@pytest.mark.parametrize("place", range(5))
def test_a_line_cut_short_is_found(place: int) -> None:
    report = verify_chain([*FIVE[:place], FIVE[place][:-9], *FIVE[place + 1 :]])
    assert report.fault is not None
    assert (report.fault.seq, report.events) == (place + 1, place)
    assert report.fault.reason == "the line is not JSON"


@pytest.mark.parametrize("line", ["[]", "1", "null", '"text"', "[1]"])
def test_a_line_that_is_no_object_is_found(line: str) -> None:
    report = verify_chain([line])
    assert report.fault is not None
    assert (report.fault.seq, report.fault.reason) == (1, "the line is not an object")


def test_a_line_with_foreign_characters_is_a_fault_and_no_crash() -> None:
    """A person with an editor writes what we never would; the walk must still say where."""
    tampered = [FIVE[0], FIVE[1].replace('"n":1', '"n":"é"'), *FIVE[2:]]
    assert fault_of(tampered) in (2, 3)


def test_a_line_nested_beyond_reading_is_a_fault_and_no_crash() -> None:
    assert fault_of([FIVE[0], "[" * 200_000]) == 2
