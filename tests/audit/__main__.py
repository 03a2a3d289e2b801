"""What scripts/audit runs: every lock, each public service until one answers, one verdict."""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.audit.advisories import PROOF, Pin, Verdict, acceptances, judge, once_each, pins

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / ".venv-audit/bin/pip-audit"
LOCKS = ROOT / "config/locks"
ACCEPTED = ROOT / "config/advisories.txt"
SERVICES = (("--vulnerability-service", "osv"), ("--vulnerability-service", "pypi"))
MOST_S = 600


def say(text: str) -> None:
    sys.stdout.write(f"audit: {text}\n")


def ask(where: Iterable[Pin], service: tuple[str, ...]) -> dict[str, Any] | str:
    """The report of pip-audit, or why there is none."""
    rows: list[dict[str, Any]] = []
    # A service that does not know even the proof is asked nothing more.
    for pins_of_one_call in ([Pin(*PROOF)], *once_each(where)):
        with tempfile.TemporaryDirectory(prefix="dock-audit-") as folder:
            file = Path(folder, "requirements.txt")
            file.write_text("".join(f"{pin.name}=={pin.version}\n" for pin in pins_of_one_call), "utf-8")
            words = ("--requirement", str(file), "--disable-pip", "--no-deps", "--format", "json")
            quiet = ("--progress-spinner", "off", "--cache-dir", folder)
            try:
                done = subprocess.run(  # noqa: S603 - our own words
                    [PROGRAM, *words, *quiet, *service], capture_output=True, text=True, timeout=MOST_S, check=False
                )
                rows += json.loads(done.stdout)["dependencies"]
            except OSError as error:
                return f"pip-audit cannot be started: {error.strerror}"
            except subprocess.TimeoutExpired:
                return f"no answer within {MOST_S} s"
            except ValueError:
                return "pip-audit gave no report but an error: it was not reached, or does not answer as it should"
        if not any(row.get("vulns") for row in rows):
            break
    return {"dependencies": rows}


def audit(services: tuple[tuple[str, ...], ...]) -> Verdict:
    """Ask one service after the other, until one says something of everything."""
    where: dict[Pin, list[str]] = {}
    for lock in sorted(LOCKS.glob("*.txt")):
        for pin in pins(lock.read_text("utf-8")):
            where.setdefault(pin, []).append(lock.name)
    accepted = acceptances(ACCEPTED.read_text("utf-8"))
    today = datetime.now(UTC).date()
    unasked, verdict = [], Verdict()
    for service in services:
        report = ask(where, service)
        verdict = Verdict([report]) if isinstance(report, str) else judge(report, where, accepted, today)
        if verdict.concerns or not verdict.unasked:
            break
        unasked += [f"{service[-1]}: {text}" for text in verdict.unasked]
    else:
        verdict = Verdict(unasked)
    if not verdict.unasked and not verdict.concerns:
        say(f"{len(where)} libraries of {LOCKS.name} are locked, and no published advisory concerns one")
    return verdict


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/audit", description="Advisories that concern locked libraries.")
    parser.add_argument("--required", action="store_true", help="fail where no service answers")
    parser.add_argument("--osv-url", metavar="URL", help="ask this service, which answers as osv.dev does")
    asked = parser.parse_args()
    services = (("--vulnerability-service", "osv", "--osv-url", asked.osv_url),) if asked.osv_url else SERVICES
    try:
        verdict = audit(services)
    except ValueError as error:
        say(f"config/advisories.txt, {error}")
        return 1
    for text in verdict.concerns:
        say(text)
    if verdict.concerns:
        say("renew the lock (its first lines say how), or accept it for a time in config/advisories.txt, with a reason")
        return 1
    for text in verdict.unasked[:5]:
        say(text)
    if verdict.unasked:
        say("NOT DONE: no service says something of every library, so nothing is known of them; see docs/package.md")
    return 1 if verdict.unasked and asked.required else 0


if __name__ == "__main__":
    sys.exit(main())
