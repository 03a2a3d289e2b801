import re
import subprocess
import sys

import pytest

from tests.cli.command import ROOT, Here, dock_agent, environment

HEAVY = ("cryptography", "httpx", "jinja2", "pydantic", "rich", "sqlite_utils", "starlette", "structlog", "uvicorn")
VERBS = (
    "setup",
    "drain",
    "backup",
    "support-bundle",
    "restore",
    "enrol",
    "renew",
    "replace-station",
    "run",
    "check",
    "offload",
    "status",
    "bays",
    "queue",
    "clips",
    "custody",
    "profiles",
    "profile",
    "depot",
    "doctor",
    "demo",
)


def test_help_names_every_verb_and_the_exit_codes() -> None:
    ended = dock_agent("--help")
    assert (ended.code, ended.err) == (0, "")
    listed = set(re.findall(r"(?m)^  (\S+)", ended.out.split("Commands:")[1]))
    assert listed == set(VERBS)
    assert "75 safe in the spool" in ended.out


@pytest.mark.parametrize("group", [(), ("bays",), ("queue",), ("custody",), ("depot",), ("doctor",), ("profile",)])
def test_the_list_of_verbs_cuts_no_sentence_off(group: tuple[str, ...]) -> None:
    listed = dock_agent(*group, "--help").out.split("Commands:")[1]
    assert "..." not in listed
    assert len(listed.splitlines()) > 1


def test_the_usage_line_is_written_as_in_the_man_page(here: Here) -> None:
    assert here("queue", "pause", "--help").out.startswith("Usage: dock-agent queue pause [OPTIONS] [STORE]\n")
    assert here("queue", "hold", "--help").out.startswith("Usage: dock-agent queue hold [OPTIONS] CLIP\n")


def test_a_wrong_word_is_told_in_our_own_words(here: Here) -> None:
    ended = here("clips", "--state", "gone")
    assert ended.code == 2
    assert "Invalid value for '--state': 'gone' is not one of 'listed', 'spooled'" in ended.err


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from agent.cli.main import carry_out\n"
        "carry_out(['--help'])\n"
        f"print(sorted(set({HEAVY!r}) & {{name.partition('.')[0] for name in sys.modules}}), file=sys.stderr)"
    )
    command = [sys.executable, "-c", code]
    ended = subprocess.run(  # noqa: S603 - our own program
        command, capture_output=True, text=True, check=True, cwd=ROOT, env=environment(), timeout=60
    )
    assert "Usage: dock-agent" in ended.stdout + ended.stderr
    assert ended.stderr.splitlines()[-1] == "[]"


def test_the_version_is_told(here: Here) -> None:
    assert here("--version").out.startswith("dock-agent 0.")


@pytest.mark.parametrize("words", [["fly"], ["offload"], ["bays", "seize", "X60A0001"], ["status", "--colour"]])
def test_what_cannot_be_understood_ends_with_usage(here: Here, words: list[str]) -> None:
    ended = here(*words)
    assert (ended.code, ended.out) == (2, "")
    assert "Usage: dock-agent" in ended.err


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(here: Here, verb: str) -> None:
    ended = here(verb, "--help")
    assert ended.code == 0
    assert f"Usage: dock-agent {verb}" in ended.out
