"""The man pages name every verb, option, key, unit and exit code, and nothing that does not exist."""

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from agent.cli.failure import DEBUG, Exit
from agent.config import load_config
from tests.docs.commands import PROGRAM, Command, commands
from tests.docs.configuration import Key, keys

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "man").glob("*.scd"))
TEXTS = {page.name.removesuffix(".scd"): page.read_text("utf-8") for page in PAGES}
VERBS = [command for command in commands().walk() if command.path and command.stands_alone]
UNITS = {path.name for path in (ROOT / "config" / "systemd").iterdir()}
SHARED = {"--config", "--json", "--reason", "--actor"}
_SYNOPSIS = re.compile(rf"^\*{PROGRAM} ([a-z -]+)\*(.*)\n(?=\t)", re.MULTILINE)
_OPTION = re.compile(r"\*(--[a-z-]+)\*(?: _([^_\s]+)_)?")
_KEY = re.compile(r"^\*([a-z_]+)\* = _(.+)_ \((.*)\)$")


def bare(text: str) -> str:
    return text.replace("\\", "")


def synopses() -> dict[str, str]:
    """Verb to what stands behind it in the headline of its paragraph."""
    found = _SYNOPSIS.findall(TEXTS["dock-agent.1"])
    assert len({verb for verb, _ in found}) == len(found), "a verb has two paragraphs"
    return dict(found)


def paragraph(verb: str) -> str:
    """What is told about a verb: the indented lines below its headline."""
    _, _, rest = TEXTS["dock-agent.1"].partition(f"\n*{PROGRAM} {verb}*")
    lines = rest.split("\n")[1:]
    told = next((n for n, line in enumerate(lines) if line and not line.startswith("\t")), len(lines))
    return "\n".join(lines[:told])


def told_keys() -> list[Key]:
    """The keys of dock-agent.toml(5), each below the heading of its table."""
    found, table = [], ""
    for line in TEXTS["dock-agent.toml.5"].splitlines():
        if line.startswith("# "):
            table = line.removeprefix("# ")
        elif (key := _KEY.fullmatch(line)) is not None:
            found.append(Key(table, key[1], bare(key[3])))
    return found


def verb_name(command: Command) -> str:
    return " ".join(command.path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_scdoc_takes_the_page_and_names_it(page: Path) -> None:
    made = subprocess.run(
        ["scdoc"],  # noqa: S607 - scripts/tools installs it
        input=page.read_text("utf-8"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (made.returncode, made.stderr) == (0, "")
    name, section = page.name.removesuffix(".scd").rsplit(".", 1)
    assert re.search(rf'^\.TH "{re.escape(name)}" "{section}"', made.stdout, re.MULTILINE)
    assert f"\n{name} - " in made.stdout.replace("\\-", "-").replace("\\&", "")


def test_there_is_a_page_in_each_of_three_sections() -> None:
    assert set(TEXTS) == {"dock-agent.1", "dock-agent.8", "dock-agent.toml.5"}


def test_every_verb_has_its_paragraph_and_every_paragraph_its_verb() -> None:
    assert set(synopses()) == {verb_name(verb) for verb in VERBS}


@pytest.mark.parametrize("verb", VERBS, ids=verb_name)
def test_a_verb_is_shown_with_all_that_it_takes(verb: Command) -> None:
    line = synopses()[verb_name(verb)]
    told = dict(_OPTION.findall(line))
    assert set(told) == {option.name for option in verb.options}
    for option in verb.options:
        if option.metavar is not None:
            assert bare(told[option.name]) == option.metavar
        assert option.metavar is not None or bool(told[option.name]) == (option.takes != "nothing")
    behind = re.sub(r"\[?\*--[a-z-]+\*(?: _\S+?_)?\]?", "", line)
    for argument in verb.arguments:
        assert (argument.metavar or argument.name).strip("[]") in behind
    assert bool(behind.strip()) == bool(verb.arguments)


@pytest.mark.parametrize("verb", VERBS, ids=verb_name)
def test_what_only_some_verbs_take_is_explained_with_the_verb(verb: Command) -> None:
    text = paragraph(verb_name(verb))
    assert text.strip()
    for option in verb.options:
        if option.name not in SHARED:
            assert f"*{option.name}*" in text, f"{verb_name(verb)} does not say what {option.name} means"
    assert {name for name, _ in _OPTION.findall(text)} <= {option.name for option in verb.options}


@pytest.mark.parametrize("page", TEXTS, ids=str)
def test_no_page_names_an_option_or_a_verb_that_does_not_exist(page: str) -> None:
    known = {option.name for command in commands().walk() for option in command.options} | {"--help"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", TEXTS[page])) <= known
    said = re.findall(rf"\*{PROGRAM}((?: [a-z][a-z-]*)+)\*", re.sub(r"\s+", " ", TEXTS[page]))
    paths = {command.path for command in commands().walk()}
    assert {tuple(words.split()) for words in said} <= paths


def test_the_options_that_many_verbs_have_are_explained_once() -> None:
    _, _, options = TEXTS["dock-agent.1"].partition("\n# OPTIONS\n")
    heads = re.findall(r"^\*(--[a-z]+)\*", options.partition("\n# ")[0], re.MULTILINE)
    assert set(heads) == SHARED | {"--version", "--help"}


def test_every_key_of_the_configuration_is_told_with_its_default_and_bounds() -> None:
    told = told_keys()
    assert [key for key, times in Counter((k.table, k.name) for k in told).items() if times > 1] == []
    assert set(told) == set(keys())


def test_the_example_of_the_page_is_a_configuration(tmp_path: Path) -> None:
    block = re.search(r"^```\n(.*?)^```", TEXTS["dock-agent.toml.5"], re.MULTILINE | re.DOTALL)
    assert block is not None
    for name in ("central.pub", "central.credential", "ca.pem"):
        (tmp_path / name).touch(mode=0o600)
    (tmp_path / "agent.toml").write_text(block[1])
    assert load_config(tmp_path / "agent.toml").wipe.enabled


def test_every_unit_is_told_and_every_told_unit_is_there() -> None:
    assert set(re.findall(r"dock-[a-z0-9-]+@?\.(?:service|socket)", TEXTS["dock-agent.8"])) == UNITS


@pytest.mark.parametrize("page", ["dock-agent.1", "dock-agent.8"])
def test_every_exit_code_is_told(page: str) -> None:
    _, _, status = TEXTS[page].partition("\n# EXIT STATUS\n")
    told = re.findall(r"^\*(\d+)\*$", status.partition("\n# ")[0], re.MULTILINE)
    assert list(map(int, told)) == sorted(code.value for code in Exit)


def test_the_switch_for_debugging_is_told() -> None:
    assert f"*{DEBUG}*" in TEXTS["dock-agent.1"]
