"""What is not known to be ours leaves the station as a token only."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.disposal_policy import REFUSALS
from agent.core.redaction import EVENT_NOUNS, KEYS, MAX_DEPTH, WORDS, Redactor, is_event
from tests.fakes.desk import bay_view, station_view

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text("utf-8")
HINT = "Take the camera out and put it back."


@pytest.fixture
def redactor() -> Redactor:
    return Redactor(b"k" * 32, keys=["state_dir"], sentences=[HINT, "short"])


@pytest.mark.parametrize(
    "word",
    [
        "confirmed",
        "take, footage still aboard",
        "wipe_intended",
        "signed",
        "warning",
        "2027-01-01T00:00:00+00:00",
        "2027-01-01T00:00:00.123456Z",
        "08:00",
        "20 Mbit/s",
        "1209:bc01",
    ],
)
def test_words_of_our_own_stay(redactor: Redactor, word: str) -> None:
    assert redactor.text(word) == word


@pytest.mark.parametrize(
    "name",
    [
        "",
        "X60A0001",
        "DCIM/0001.MP4",
        "Sgt Miller",
        "john.smith",
        "12345",
        "2027-01-01",
        "20 Mbit/s x",
        "a" * 64,
        "\ud800",
    ],
)
def test_everything_else_is_a_token(redactor: Redactor, name: str) -> None:
    token = redactor.text(name)
    assert token.startswith("~")
    assert len(token) == 13
    assert token == redactor.text(name)
    assert token != Redactor(b"other").text(name)


def test_a_sentence_of_our_own_stays_beside_the_token(redactor: Redactor) -> None:
    told = redactor.text(f"Camera X60A0001 is gone. {HINT} short")
    assert told.endswith(f" {HINT}")
    assert "X60A0001" not in told
    reason = REFUSALS["camera_seized"]
    assert redactor.text(f"left: {reason}").endswith(reason)


def test_of_an_address_its_scheme_stays(redactor: Redactor) -> None:
    told = redactor.text("tus+https://evidence.example/files/")
    assert told.startswith("tus+https:~")
    assert "evidence" not in told


def test_a_number_that_may_be_a_name_is_a_token(redactor: Redactor) -> None:
    told = redactor.value({"camera": 20231234, "badge": 4711, "size": 7, "camera_seized": True, "bay": None})
    assert told == {
        "camera": redactor.token("20231234"),
        redactor.token("badge"): redactor.token("4711"),
        "size": 7,
        "camera_seized": True,
        "bay": None,
    }
    assert redactor.value({"size": float("inf")}) == {"size": redactor.token("inf")}


def test_an_event_is_one_only_where_events_stand(redactor: Redactor) -> None:
    told = redactor.value(
        {"event": "clip.confirmed", "code": "store.refused", "error": "smith.john", "bay": "desk.jones"}
    )
    assert told == {
        "event": "clip.confirmed",
        "code": "store.refused",
        "error": redactor.token("smith.john"),
        "bay": redactor.token("desk.jones"),
    }
    assert redactor.value(["station.kirkby"]) == [redactor.token("station.kirkby")]


def test_keys_are_names_too_until_they_are_known(redactor: Redactor) -> None:
    told = redactor.value({"state_dir": 1, "bay": {"Miller": 2}, "camera_seized": 3, "clip.lost": 4, "gone": 5})
    assert isinstance(told, dict)
    assert [key for key in told if not key.startswith("~")] == [
        "state_dir",
        "bay",
        "camera_seized",
        "gone",
    ]
    assert isinstance(told["bay"], dict)
    assert [key[0] for key in told["bay"]] == ["~"]


def test_numbers_stay_and_what_lies_too_deep_goes(redactor: Redactor) -> None:
    assert redactor.value([None, True, 7, 1.5, "confirmed"]) == [None, True, 7, 1.5, "confirmed"]
    assert redactor.value(["Miller"]) == [redactor.token("Miller")]
    deep: Any = "x"
    for _ in range(MAX_DEPTH + 2):
        deep = [deep]
    assert json.dumps(redactor.value(deep)).count("[") == MAX_DEPTH


def test_every_key_of_the_views_is_known() -> None:
    def keys(value: Any) -> set[str]:
        if isinstance(value, dict):
            return set(value).union(*map(keys, value.values()))
        return set().union(*map(keys, value)) if isinstance(value, list) else set()

    assert keys(station_view()) | keys(bay_view("1")) <= KEYS | WORDS


def test_every_event_of_the_documentation_is_known() -> None:
    names = [line[3:].partition("`")[0] for line in PAGE.splitlines() if line.startswith("- `")]
    assert len(names) > 90
    assert [name for name in names if not is_event(name)] == []
    assert not is_event("smith.john")
    assert "smith" not in EVENT_NOUNS


SCHEMES = re.compile(r"^(tus\+https?|s3\+https?|https?|file|axis):")


@given(st.text())
def test_no_text_comes_through_whole_that_is_not_ours(text: str) -> None:
    told = Redactor(b"k").text(text)
    assert told == text or SCHEMES.sub("", told, count=1).startswith("~")
