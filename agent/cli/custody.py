"""`dock-agent custody`: prove that the record of events is whole, take it out, and read it."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.clip_life import clips_beginning, read_life, tell
from agent.cli.custody_log import open_log
from agent.cli.failure import Exit
from agent.cli.options import DEFAULT_CONFIG, Actor, AsJson, ClipName, ConfigFile, Reason
from agent.cli.request import ask
from agent.cli.terminal import print_json, say_error
from agent.cli.verbs import Verbs
from agent.cli.wording import count, safe
from agent.core.clip_name import clip_meant
from agent.core.custody import ChainReport, verify_chain
from agent.core.errors import AgentError, Remedy
from agent.files.durable import DurablePart

app = Verbs(help="The custody log.")
Output = Annotated[
    Path | None, typer.Option("--output", metavar="FILE", help="A file that does not exist yet; without it: stdout.")
]


class OutputTaken(AgentError):
    """There is a file where a new one was to be written; it was not touched."""

    code, remedy = "cli.output_taken", Remedy.HALT


@app.command()
def verify(config: ConfigFile = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Check that each event follows from the one before, from the first to the last."""
    with open_log(config) as walk:
        report = verify_chain(walk())
    fault = report.fault
    if as_json:
        shown_fault = None if fault is None else {"seq": fault.seq, "reason": fault.reason}
        print_json({"events": report.events, "head": report.head, "fault": shown_fault})
    else:
        _say(report)
    raise typer.Exit(Exit.DONE if fault is None else Exit.FAILED)


@app.command()
def export(config: ConfigFile = DEFAULT_CONFIG, output: Output = None) -> None:
    """Write the exact lines, one event each; their SHA-256 chain can be checked with any tool."""
    if output is not None and (output.exists() or output.is_symlink()):
        raise _taken(output)
    with open_log(config) as walk:
        if output is None:
            for line in walk():
                sys.stdout.buffer.write(_bytes(line))
            sys.stdout.flush()
            return
        number = _export(walk(), output)
    print(f"{count(number, 'event')} written to {safe(str(output))}.")


@app.command()
def show(clip: ClipName, config: ConfigFile = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Tell the life of one clip in plain words."""
    with open_log(config) as walk:
        life = read_life(walk, clip_meant(clip, clips_beginning(walk, clip), by="The custody log"))
    if as_json:
        print_json({"clip": life.clip, "events": list(life.events)})
        return
    print(f"clip {safe(life.clip)}")
    for event in life.events:
        print(tell(event))


@app.command()
def accept(reason: Reason, actor: Actor, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Take over a ledger that was restored from an older copy, so that cameras may be cleared again."""
    ask(config, "accept-ledger", actor=actor, reason=reason)


def _say(report: ChainReport) -> None:
    if report.fault is not None:
        say_error(
            f"The custody log does not hold: event {report.fault.seq}: {safe(report.fault.reason)}."
            f" The {count(report.events, 'event')} before it hold."
            " Keep the state directory as it is and tell the evidence manager."
        )
    elif report.events:
        print(f"The custody log holds: {count(report.events, 'event')}, head {report.head}.")
    else:
        print("The custody log is empty: nothing has been recorded yet.")


def _export(lines: Iterable[str], output: Path) -> int:
    """Write a new file that is whole or not there. Raises OutputTaken, OSError."""
    number = 0
    with DurablePart(output.with_name(f".{output.name}.part")) as part:
        for line in lines:
            part.write(_bytes(line))
            number += 1
        try:
            part.publish(output, mode=0o600)
        except FileExistsError as error:
            raise _taken(output) from error
    return number


def _taken(output: Path) -> OutputTaken:
    return OutputTaken(f"{safe(str(output))} exists already; give another name.")


def _bytes(line: str) -> bytes:
    return line.encode("ascii", "surrogateescape") + b"\n"
