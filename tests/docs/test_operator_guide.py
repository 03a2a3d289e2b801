"""The tables of docs/operator.md follow from its formulas, and what it quotes is what the agent says."""

import re
from pathlib import Path

import pytest

from agent.core.disposal_policy import MEDIUM_REFUSALS, REFUSALS
from agent.devices.usb_policy import REASONS
from tests.docs.commands import PROGRAM, commands

DOCS = Path(__file__).resolve().parents[2] / "docs"
TEXT = (DOCS / "operator.md").read_text("utf-8")
PAGES = ["operator.md", "security.md", "privacy.md", "hardware.md", "profiles.md"]
DAYS, KEPT_DAYS, SHIFT_GB, CAMERAS = 3, 1, 18.4, 8


def rows(first_column: str) -> list[list[str]]:
    """The rows of the table that begins with this heading."""
    _, _, rest = TEXT.partition(f"\n| {first_column} |")
    lines = rest.split("\n\n", maxsplit=1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_table_of_spools_follows_from_the_formula() -> None:
    found = rows("cameras a day")
    assert len(found) == 5
    for cameras, *sizes in found:
        wanted = [int(cameras) * SHIFT_GB / part * (DAYS + KEPT_DAYS) for part in (1, 2, 4)]
        assert sizes == [f"{gb:.0f}" for gb in wanted]


def test_the_table_of_lines_follows_from_the_formula() -> None:
    a_day = CAMERAS * SHIFT_GB
    for line, carried, days in rows("line"):
        number, unit = line.split()
        carries = float(number) * (1000 if unit == "Gbit/s" else 1) / 8 / 1000 * 86400 * 0.94
        assert carried == f"{carries:.0f}"
        assert days == ("never" if carries <= a_day else f"{DAYS * a_day / (carries - a_day):.1f}")


def test_what_the_guide_says_that_bays_say_is_what_they_say() -> None:
    said = " ".join([*REFUSALS.values(), *MEDIUM_REFUSALS.values(), *REASONS.values()])
    for quoted in (
        "no profile names this device",
        "it also brings",
        "it shows no storage",
        "nobody has claimed this camera yet",
        "two docked cameras showed this serial",
        "this kind of camera cannot be cleared by the station",
        "the camera's medium cannot be written to",
    ):
        assert f"| {quoted}" in TEXT
        assert quoted in said


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_no_verb_that_does_not_exist(page: str) -> None:
    text = (DOCS / page).read_text("utf-8")
    groups = {command.path for command in commands().walk() if command.verbs}
    paths = {command.path for command in commands().walk()}
    for words in re.findall(rf"(?:`|^){PROGRAM} ((?:[a-z][a-z-]* ?)+)", text, re.MULTILINE):
        first, *others = words.split()
        path = (first, *others[:1]) if (first,) in groups and others else (first,)
        assert path in paths, words


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_links_to_is_there(page: str) -> None:
    text = (DOCS / page).read_text("utf-8")
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (DOCS / target).exists(), target
    assert f"docs/{page}" in (DOCS.parent / "README.md").read_text("utf-8")
