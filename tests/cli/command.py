"""`dock-agent` as a person or a script starts it."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from agent.cli.main import carry_out

ROOT = Path(__file__).resolve().parents[2]
END_S = 60


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that ran to its end."""

    code: int
    out: str
    err: str


def environment(**changed: str) -> dict[str, str]:
    """A quiet environment: nothing that asks for colours, widths or a traceback."""
    unwanted = {"FORCE_COLOR", "NO_COLOR", "COLUMNS", "DOCK_AGENT_DEBUG", "CLICOLOR_FORCE", "TTY_COMPATIBLE"}
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return {**kept, "PYTHONPATH": str(ROOT), "LOGNAME": "sgt.miller", **changed}


def start(
    *words: str | bytes,
    stdout: int | IO[str] = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
    stdin: int | None = None,
    env: dict[str, str] | None = None,
) -> subprocess.Popen[str]:
    """Start the real command; its output comes through pipes unless it is told where to go."""
    # Whoever runs the tests in the background ignores Ctrl-C, and what they start would inherit that.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "agent", *words]
    env = env or environment()
    return subprocess.Popen(  # noqa: S603 - our own program
        command, text=True, stdin=stdin, stdout=stdout, stderr=stderr, env=env, cwd=ROOT
    )


def dock_agent(*words: str | bytes, stdout: int | IO[str] = subprocess.PIPE) -> Ended:
    """Run the real command to its end."""
    with start(*words, stdout=stdout) as process:
        out, err = process.communicate(timeout=END_S)
    return Ended(process.returncode, out or "", err)


class Here:
    """Runs commands in this process, which is quicker; `capsys` is pytest's."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str) -> Ended:
        code = carry_out(words)
        out, err = self._capsys.readouterr()
        return Ended(int(code), out, err)


@contextmanager
def running(*words: str) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on until the block ends."""
    process = start(*words)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=END_S)


def has_control_codes(text: str) -> bool:
    return any(not c.isprintable() and c != "\n" for c in text)


def on_a_terminal(*words: str, typed: Sequence[str] | None = None, **changed: str) -> str:
    """Run the real command to its good end; what a terminal of 120 columns gets to see.

    `typed` answers its questions, each of which ends with a colon.
    """
    leader, follower = pty.openpty()
    env = environment(TERM="xterm-256color", COLUMNS="120", **changed)
    stdin, answers = None if typed is None else follower, list(typed or ())
    with start(*words, stdin=stdin, stdout=follower, stderr=follower, env=env) as process:
        os.close(follower)
        said = b""
        try:
            while block := os.read(leader, 65536):
                said += block
                if answers and said.endswith(b": "):
                    os.write(leader, f"{answers.pop(0)}\n".encode())
        except OSError:  # how a pseudo-terminal says that the other end has closed
            pass
        finally:
            os.close(leader)
        assert process.wait(END_S) == 0, said
    return said.decode()
