"""The drawn states are those of the tables, and what the page names exists."""

import re

import pytest

from agent.core.clip import COPY_MOVES, MOVES, Copy, Custody
from agent.core.object import SPOOL_MOVES
from tests.core.state_diagram import COPY_SENTENCES, CUSTODY_SENTENCES, PAGE, page, section


def test_the_page_of_states_is_not_stale() -> None:
    assert PAGE.read_text("utf-8") == page(), "run scripts/diagram"


def test_every_move_is_drawn_once() -> None:
    text = page()
    for was, becomes in [*MOVES, *COPY_MOVES, *SPOOL_MOVES]:
        assert text.count(f"    {was} --> {becomes}\n") == 1
        assert text.count(f"- **{was} → {becomes}**: ") == 1


def test_a_move_without_its_sentence_is_an_error() -> None:
    moves = frozenset(MOVES | {(Custody.CONFIRMED, Custody.LISTED)})
    with pytest.raises(ValueError, match="confirmed → listed"):
        section("Custody", Custody, Custody.LISTED, moves, CUSTODY_SENTENCES)


def test_a_sentence_without_its_move_is_an_error() -> None:
    moves = frozenset(COPY_MOVES - {(Copy.MISSING, Copy.PRESENT)})
    with pytest.raises(ValueError, match="missing → present"):
        section("Copy", Copy, Copy.PRESENT, moves, COPY_SENTENCES)


def test_everything_that_the_page_names_exists() -> None:
    agent = PAGE.parents[1] / "agent"
    code = "\n".join(file.read_text("utf-8") for kind in ("*.py", "*.sql") for file in sorted(agent.rglob(kind)))
    prose = re.sub(r"```.*?```", "", page(), flags=re.DOTALL)
    for named in set(re.findall(r"`([^`]+)`", prose)):
        if "/" in named:
            assert (PAGE.parents[1] / named).exists(), named
            continue
        for word in named.split("."):
            said = rf"\b(?:def|class|TRIGGER|TABLE)\s+{re.escape(word)}\b|^  {re.escape(word)} (?:TEXT|INTEGER|BLOB)\b"
            assert re.search(said, code, re.MULTILINE), f"{named}: no function, class, trigger, table or column"
