"""`dock-agent support-bundle`: what helps to find a fault, without a name, a secret or a frame of footage.

One readable JSON file, so that whoever sends it can look at all of it first. `core/redaction.py` says what may stand
in it.
"""

import json
import platform
import re
import secrets
import shutil
import sqlite3
import subprocess
from collections import Counter, deque
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.options import DEFAULT_CONFIG, AsJson, ConfigFile
from agent.cli.terminal import print_json
from agent.cli.wording import safe, size
from agent.core import errors
from agent.core.errors import AgentError, ConfigError, Remedy
from agent.core.redaction import Redactor, is_event

if TYPE_CHECKING:
    from agent.config import Config

UNIT = "dock-agent.service"
JOURNAL_S = 30.0
_LINE_MAX = 64 << 10
_FRAME = re.compile(r'File "[^"\n]*?/(agent/[a-z_/]+\.py)", line (\d{1,4}),')
_HOME = Path(__file__).parents[2]

Output = Annotated[Path, typer.Argument(metavar="FILE", help="A file that does not exist yet.")]
Log = Annotated[
    Path | None, typer.Option("--log", metavar="FILE", help="The service's log; without it systemd's journal is asked.")
]
Lines = Annotated[int, typer.Option("--lines", min=0, max=100_000, help="At most so many of its last lines.")]


class BundleRefused(AgentError):
    """No bundle was written."""

    code, remedy = "cli.bundle_refused", Remedy.HALT


def support_bundle(
    output: Output, log: Log = None, lines: Lines = 2000, config: ConfigFile = DEFAULT_CONFIG, as_json: AsJson = False
) -> None:
    """Write what helps to find a fault into one readable file.

    Names of people, cameras, clips, stores and hosts are tokens that mean something only within the file; secrets,
    keys and footage are never read. Works with and without a running service, and with a broken configuration.
    """
    output = output.absolute()
    if output.exists():
        raise BundleRefused(f"{output} is there already.", hint="Give the name of a file that does not exist yet.")
    bundle = _gather(config, log, lines)
    raw = (json.dumps(bundle, indent=1, allow_nan=False) + "\n").encode("ascii")
    from agent.files.durable import DurablePart

    part_path = output.with_name(f".{output.name}.part")
    part_path.unlink(missing_ok=True)
    with DurablePart(part_path) as part:
        part.write(raw)
        part.publish(output, mode=0o600)
    if as_json:
        print_json({"file": str(output), "bytes": len(raw), "log_lines": len(bundle["log"]["lines"])})
    else:
        print(f"Wrote {safe(str(output))} ({size(len(raw))}). It is plain text: look at it before you send it.")


def _gather(config_file: Path, log: Path | None, lines: int) -> dict[str, Any]:
    config, problems = _config(config_file)
    redactor = Redactor(secrets.token_bytes(32), keys=_config_keys(), sentences=_hints(AgentError))
    return {
        "format": "bwv-support/1",
        "machine": _machine(config),
        "configuration": {
            "problems": redactor.value(problems),
            "tables": None if config is None else redactor.value(config.model_dump(mode="json")),
        },
        "service": redactor.value(_service(config_file)),
        "ledger": _custody_log(config_file),
        "log": _log(_read_log(log, lines), redactor),
    }


def _config(file: Path) -> "tuple[Config | None, list[Any]]":
    from agent.app import check
    from agent.config import load_config

    try:
        config = load_config(file)
    except (ConfigError, OSError):
        config = None
    try:
        found = check(file).problems
    except (AgentError, OSError) as error:
        return config, [{"error": type(error).__name__}]
    return config, [{"path": p.key, "reason": p.reason} for p in found]


def _config_keys() -> set[str]:
    """Every key that may stand in the configuration: they are ours, their values are not."""
    from pydantic import BaseModel

    from agent.config.model import Config

    def below(kind: object) -> set[str]:
        found: set[str] = set()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            for name, field in kind.model_fields.items():
                found |= {name} | below(field.annotation)
        for inner in getattr(kind, "__args__", ()):
            found |= below(inner)
        return found

    return below(Config)


def _hints(kind: type[AgentError]) -> set[str]:
    """What errors advise, which has no name in it."""
    own = {kind.hint} if kind.__module__ == errors.__name__ else set()
    return own.union(*(_hints(each) for each in kind.__subclasses__()))


def _machine(config: "Config | None") -> dict[str, Any]:
    from agent.app import VERSION
    from agent.files.kernel import file_system_of
    from agent.ledger.migrations import newest_schema

    found: dict[str, Any] = {
        "agent": VERSION,
        "schema": newest_schema(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "machine": platform.machine(),
        "kernel": "".join(re.findall(r"^[\d.]+", platform.release())),
    }
    if config is not None and config.station.state_dir.is_dir():
        space = shutil.disk_usage(config.station.state_dir)
        found["disk"] = {"total_bytes": space.total, "free_bytes": space.free}
        found["file_system"] = file_system_of(config.station.state_dir)
    return found


def _service(config_file: Path) -> Any:  # noqa: ANN401 - views of the API
    """What the running service says, or why there is nothing."""
    from agent.cli.service import Service

    try:
        station = _reach(config_file)
        if not isinstance(station, Service):
            return None
        with station:
            names = ("station", "bays", "health", "queue")
            return {name: station.get(name) for name in names}
    except (AgentError, OSError) as error:
        return {"error": getattr(error, "code", None)}


def _reach(config_file: Path) -> Any:  # noqa: ANN401 - as `reach`
    from agent.cli.reach import reach

    return reach(config_file)


def _custody_log(config_file: Path) -> dict[str, Any]:
    """Whether the chain holds, and how often each event stands in it."""
    from agent.cli.custody_log import open_log
    from agent.core.custody import verify_chain

    try:
        with open_log(config_file) as walk:
            chain = verify_chain(walk())
            events = Counter(filter(is_event, map(_event_of, walk())))
    except (AgentError, OSError) as error:
        return {"error": getattr(error, "code", None)}
    fault = None if chain.fault is None else chain.fault.seq
    return {"events": chain.events, "first_fault": fault, "by_event": dict(sorted(events.items()))}


def _event_of(line: str) -> str:
    try:
        return str(json.loads(line)["event"])
    except (ValueError, KeyError, TypeError):
        return ""


def _read_log(file: Path | None, lines: int) -> list[str]:
    if file is not None:
        with file.open(encoding="utf-8", errors="replace") as stream:
            return list(deque(stream, maxlen=lines))
    command = ["journalctl", f"--unit={UNIT}", f"--lines={lines}", "--output=cat", "--no-pager", "--quiet"]
    try:
        ended = subprocess.run(command, capture_output=True, check=False, timeout=JOURNAL_S)  # noqa: S603 - fixed words
    except (OSError, subprocess.TimeoutExpired):
        return []
    return ended.stdout.decode("utf-8", "replace").splitlines()


def _log(lines: Iterable[str], redactor: Redactor) -> dict[str, Any]:
    """The lines that the agent wrote, redacted; others are counted only."""
    kept, others = [], 0
    for line in lines:
        told = _parsed(line)
        if told is None:
            others += 1
            continue
        trace = told.pop("exception", None)
        seen = redactor.value(told)
        if isinstance(trace, str) and isinstance(seen, dict):
            # The text of an error may look like a frame: only files that there are.
            seen["at"] = [f"{file}:{number}" for file, number in _FRAME.findall(trace) if (_HOME / file).is_file()]
        kept.append(seen)
    return {"lines": kept, "other_lines": others}


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        told = json.loads(line) if len(line) <= _LINE_MAX else None
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) and isinstance(told.get("event"), str) and is_event(told["event"]) else None
