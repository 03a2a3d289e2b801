import errno
import subprocess
import sys

import pytest

from agent.cli.failure import Exit, expected_in, report, report_system_error
from agent.config import ConfigErrors, ConfigProblem
from agent.core.errors import AgentError, ConfigError, LedgerBusy, SpoolUnsafe, StoreError
from tests.cli.command import ROOT, environment

CRASH = """
import sys
import agent.cli.main as command
@command.app.command()
def crash():
    raise {raised}
sys.argv[1:] = ["crash"]
sys.exit(command.main())
"""


def crash(raised: str, **changed: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", CRASH.format(raised=raised)]
    return subprocess.run(  # noqa: S603 - our own program
        program, capture_output=True, text=True, check=False, cwd=ROOT, env=environment(**changed), timeout=60
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("No."), 78),
        (ConfigErrors([ConfigProblem("a.toml", "station.id", "is missing")]), 78),
        (SpoolUnsafe("The spool lies on tmpfs."), 78),
        (LedgerBusy("The ledger is in use."), 1),
        (StoreError("The store is away."), 1),
    ],
)
def test_what_the_operator_must_configure_ends_with_78(error: AgentError, code: int) -> None:
    assert report(error) == code


def test_a_failure_says_what_happened_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    report(LedgerBusy("The ledger is in use."))
    said = capsys.readouterr()
    assert said.err == f"dock-agent: The ledger is in use. {LedgerBusy.hint}\n"
    assert said.out == ""


def test_each_configuration_problem_has_its_line_with_file_and_key(capsys: pytest.CaptureFixture[str]) -> None:
    report(ConfigErrors([ConfigProblem("a.toml", "wipe.enabled", "no\x1b[31m"), ConfigProblem("b.toml", "", "gone")]))
    assert capsys.readouterr().err == "dock-agent: a.toml: wipe.enabled: no\\x1b[31m\ndock-agent: b.toml: gone\n"


def test_what_the_system_refuses_names_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    error = PermissionError(errno.EACCES, "Permission denied", b"/srv/x\xff")
    assert report_system_error(error) is Exit.FAILED
    assert "Permission denied (/srv/x\\udcff)" in capsys.readouterr().err


def test_a_group_of_known_failures_is_told_as_its_first() -> None:
    first = LedgerBusy("busy")
    assert expected_in(BaseExceptionGroup("", [ExceptionGroup("", [first]), StoreError("away")])) is first


def test_a_group_with_an_unknown_failure_is_not_told_as_a_known_one() -> None:
    assert expected_in(BaseExceptionGroup("", [LedgerBusy("busy"), KeyError("x")])) is None


def test_a_known_failure_inside_a_group_gets_its_words_and_code() -> None:
    ended = crash("ExceptionGroup('', [command.AgentError('The store is away.', hint='Wait.')])")
    assert (ended.returncode, ended.stderr) == (1, "dock-agent: The store is away. Wait.\n")


def test_an_unexpected_error_shows_no_traceback() -> None:
    ended = crash("ExceptionGroup('two', [KeyError('x\\x1b')])")
    assert ended.returncode == 1
    assert ended.stderr.startswith("dock-agent: Internal error: KeyError: ")
    assert len(ended.stderr.splitlines()) == 1
    assert "\x1b" not in ended.stderr


def test_an_unexpected_error_shows_its_traceback_when_asked() -> None:
    ended = crash("OSError(28, 'No space left')", DOCK_AGENT_DEBUG="1")
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr


def test_a_full_disk_is_told_without_a_traceback() -> None:
    ended = crash("OSError(28, 'No space left on device', '/srv/log')")
    assert ended.returncode == 1
    assert ended.stderr.startswith("dock-agent: The system refused: No space left on device (/srv/log).")
