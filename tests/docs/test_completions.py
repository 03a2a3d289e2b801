"""The completions are those of the parser, and real shells offer what they say."""

import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
from pathlib import Path

import pytest

from tests.docs.commands import Command, Takes, commands
from tests.docs.completions import BASH, FOLDER, ZSH, bash, zsh

COMMANDS = commands().walk()
PATIENCE_S = 60.0
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[=>])")
_ASK_BASH = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_dock_agent; printf '%s\\n' "${COMPREPLY[@]}"
"""
# What is offered is listed at once, and nothing is asked; a prompt that can be waited for.
_ZSHRC = """
PS1='ready> '; fpath=($COMPLETIONS $fpath); autoload -Uz compinit; compinit -D -u
unsetopt beep; setopt auto_list no_auto_menu; LISTMAX=0; zstyle ':completion:*' verbose no
"""


def bash_offers(*words: str, folder: Path | None = None) -> set[str]:
    """What bash would offer for the last of the words."""
    ended = subprocess.run(  # noqa: S603 - our own file
        ["/usr/bin/bash", "--norc", "-c", _ASK_BASH, "bash", BASH, *words],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
        cwd=folder,
    )
    assert ended.stderr == ""
    return {word for word in ended.stdout.splitlines() if word}


def zsh_shows(line: str, wanted: set[str], folder: Path) -> str:
    """What zsh writes when the key is pressed behind this line, until all wanted words are there."""
    (folder / ".zshrc").write_text(_ZSHRC)
    environment = {"TERM": "xterm", "PATH": os.environ["PATH"], "ZDOTDIR": str(folder), "COMPLETIONS": str(FOLDER)}
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe("zsh", ["zsh", "-d", "-i"], environment)  # noqa: S606, S607 - the machine's own shell
    try:
        termios.tcsetwinsize(terminal, (100, 200))
        _read_until(terminal, {"ready>"})
        os.write(terminal, line.encode() + b"\t")
        return _read_until(terminal, wanted)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.close(terminal)
        os.waitpid(pid, 0)


def _read_until(terminal: int, wanted: set[str]) -> str:
    seen, until = b"", time.monotonic() + PATIENCE_S
    while True:
        text = _ESCAPES.sub(" ", seen.decode("utf-8", "replace"))
        if wanted <= set(text.split()):
            return text
        assert time.monotonic() < until, text
        readable, _, _ = select.select([terminal], [], [], 1.0)
        seen += os.read(terminal, 65536) if readable else b""


def typed(command: Command) -> str:
    return " ".join(command.path) or "the program itself"


def test_the_completions_are_not_stale() -> None:
    assert BASH.read_text("utf-8") == bash(), "run scripts/completions"
    assert ZSH.read_text("utf-8") == zsh(), "run scripts/completions"


@pytest.mark.parametrize("command", COMMANDS, ids=typed)
def test_both_files_name_every_verb_and_every_option(command: Command) -> None:
    function = re.search(
        rf"^{'_'.join(('_dock-agent', *command.path))}\(\) \{{\n(.*?)^\}}", zsh(), re.MULTILINE | re.DOTALL
    )
    assert function is not None
    for option in command.options:
        assert f"{option.name}[" in function[1]
    for verb in command.verbs:
        assert f"'{verb.path[-1]}:" in function[1]
    if command.verbs:
        assert bash_offers(*command.words.split(), "") == {verb.path[-1] for verb in command.verbs}
    assert bash_offers(*command.words.split(), "--") == {option.name for option in command.options} | {"--help"}


def test_bash_offers_what_an_option_takes(tmp_path: Path) -> None:
    (tmp_path / "card with a space").mkdir()
    (tmp_path / "agent.toml").touch()
    states = {"listed", "spooled", "confirmed", "quarantined", "lost"}
    assert bash_offers("dock-agent", "clips", "--state", "") == states
    assert bash_offers("dock-agent", "clips", "--state", "=", "l") == {"listed", "lost"}
    assert bash_offers("dock-agent", "clips", "--limit", "") == set()
    assert bash_offers("dock-agent", "run", "--config", "", folder=tmp_path) == {"agent.toml", "card with a space"}
    assert bash_offers("dock-agent", "depot", "--dir", "", folder=tmp_path) == {"card with a space"}
    assert bash_offers("dock-agent", "offload", "c", folder=tmp_path) == {"card with a space"}
    assert bash_offers("dock-agent", "bays", "rules", "u") == {"udev", "usbguard"}


def test_bash_takes_no_options_value_for_a_verb() -> None:
    assert bash_offers("dock-agent", "depot", "--dir", "ls", "") == {"ls", "replace", "verify"}
    assert bash_offers("dock-agent", "depot", "--dir", "=", "ls", "") == {"ls", "replace", "verify"}
    assert "--limit" in bash_offers("dock-agent", "clips", "--camera", "run", "--")


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("dock-agent ", {verb.path[-1] for verb in COMMANDS[0].verbs}),
        ("dock-agent queue list --", {"--config", "--limit", "--json", "--help"}),
        ("dock-agent clips --state ", {"listed", "spooled", "confirmed", "quarantined", "lost"}),
    ],
)
def test_zsh_offers_verbs_options_and_values(tmp_path: Path, line: str, wanted: set[str]) -> None:
    assert "dock-agent" in zsh_shows(line, wanted, tmp_path)


def test_what_a_shell_cannot_know_is_not_guessed() -> None:
    takes = {option.name: option.takes for command in COMMANDS for option in command.options}
    assert takes["--json"] is Takes.NOTHING
    assert takes["--output"] is Takes.FILE
    assert takes["--dir"] is Takes.FOLDER
    assert takes["--reason"] is Takes.WORD
