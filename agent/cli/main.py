"""The command `dock-agent`: puts the verbs together, and turns failures into words and exit codes."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.main import get_command

from agent.cli import bays, custody, depot, doctor, profile_trial, profiles, queue
from agent.cli.backup import backup
from agent.cli.check import check
from agent.cli.clips import clips
from agent.cli.demo import demo
from agent.cli.drain import drain
from agent.cli.enrol import enrol, renew
from agent.cli.failure import DEBUG, Exit, expected_in, report, report_system_error, report_unexpected
from agent.cli.offload import offload
from agent.cli.replace_station import replace_station
from agent.cli.restore import restore
from agent.cli.run import run
from agent.cli.setup import setup
from agent.cli.status import status
from agent.cli.support_bundle import support_bundle
from agent.cli.verbs import Verbs
from agent.core.errors import AgentError

app = Verbs(add_completion=False, pretty_exceptions_enable=False)


def _say_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"dock-agent {version('bwv-dock-agent')}")
        raise typer.Exit


@app.callback()
def dock_agent(
    _version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Take footage off body-worn cameras and prove that every byte arrived.

    Exit codes: 0 done, 1 failed (nothing is lost, the message says what to do), 2 usage,
    75 safe in the spool but not yet confirmed, 78 configuration, 130 interrupted with Ctrl-C.
    """


for _verb in (setup, run, check, offload, status, clips, drain, backup, restore, support_bundle, demo):
    app.command()(_verb)
app.command()(enrol)
app.command()(renew)
app.command()(replace_station)
for _name, _group in (
    ("bays", bays.app),
    ("queue", queue.app),
    ("custody", custody.app),
    ("profiles", profiles.app),
    ("profile", profile_trial.app),
    ("depot", depot.app),
    ("doctor", doctor.app),
):
    app.add_typer(_group, name=_name)


def carry_out(arguments: Sequence[str]) -> int:
    """Run one command; the exit code. What is no failure that we know is raised."""
    try:
        get_command(app).main(args=list(arguments), prog_name="dock-agent")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else Exit.FAILED if end.code else Exit.DONE
    except AgentError as error:
        return report(error)
    except BaseExceptionGroup as group:
        found = expected_in(group)
        if found is None:
            raise
        return report(found)
    except OSError as error:
        if os.environ.get(DEBUG) == "1":
            raise
        return report_system_error(error)
    return Exit.DONE


def main() -> int:
    """Start here. Whatever happens, an operator gets a sentence and not a traceback."""
    if os.environ.get(DEBUG) != "1":
        sys.excepthook = report_unexpected
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    return carry_out(sys.argv[1:])
