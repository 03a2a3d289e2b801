"""What the locks pin, what pip-audit says of it, and what follows from that. Pure: no network, no clock."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

PROOF = ("jinja2", "2.10")
"""A library that has advisories: a service that has none of it does not answer, whatever it says of ours."""

_PIN = re.compile(r"(?m)^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)")


class Pin(NamedTuple):
    """One library in one version."""

    name: str
    version: str


class Accepted(NamedTuple):
    """An advisory that we live with until a day, that day included."""

    until: date
    why: str


@dataclass
class Verdict:
    """What an audit has found."""

    unasked: list[str] = field(default_factory=list)
    """Why the service did not answer, or of what."""
    concerns: list[str] = field(default_factory=list)
    """Advisories that concern a library, and acceptances that must go."""


def canonical(name: str) -> str:
    """A library's name as services write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lock: str) -> set[Pin]:
    """What a lock file pins."""
    return {Pin(canonical(name), version) for name, version in _PIN.findall(lock)}


def once_each(pins: Iterable[Pin]) -> list[list[Pin]]:
    """Lists in which no library is named twice: one in two versions is in two lists."""
    lists: list[dict[str, Pin]] = []
    for pin in sorted(pins):
        place = next((names for names in lists if pin.name not in names), None)
        if place is None:
            lists.append(place := {})
        place[pin.name] = pin
    return [list(names.values()) for names in lists]


def acceptances(text: str) -> dict[str, Accepted]:
    """What config/advisories.txt says. Raises ValueError, naming the line."""
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match line.split(maxsplit=2):
            case [name, until, why]:
                try:
                    found[name] = Accepted(date.fromisoformat(until), why)
                except ValueError as error:
                    raise ValueError(f"line {number}: {until} is no day such as 2027-03-31") from error
            case _:
                raise ValueError(f"line {number}: it needs an advisory's id, the last day, and why")
    return found


def judge(
    report: Mapping[str, Any], where: Mapping[Pin, Iterable[str]], accepted: Mapping[str, Accepted], today: date
) -> Verdict:
    """Decide about pip-audit's report of all pins and of PROOF. `where` are the locks of each pin."""
    verdict, used = Verdict(), set[str]()
    answers = {
        Pin(canonical(row["name"]), row["version"]): row["vulns"]
        for row in report["dependencies"]
        if "skip_reason" not in row
    }
    if not answers.get(Pin(*PROOF)):
        verdict.unasked.append(f"it knows no advisory of {PROOF[0]} {PROOF[1]}, which has some")
        return verdict
    missing = sorted(pin for pin in where if pin not in answers)
    verdict.unasked += [f"it says nothing of {pin.name} {pin.version}" for pin in missing]
    for pin in sorted(set(where) & set(answers)):
        for found in answers[pin]:
            names = [found["id"], *found.get("aliases", [])]
            ours = [name for name in names if name in accepted]
            used.update(ours)
            if not any(today <= accepted[name].until for name in ours):
                over = f" (accepted until {accepted[ours[0]].until})" if ours else ""
                mended = ", ".join(found.get("fix_versions", [])) or "no version yet"
                locks = ", ".join(sorted(where[pin]))
                verdict.concerns.append(f"{pin.name} {pin.version} in {locks}: {found['id']}{over}, mended in {mended}")
    if not missing:
        verdict.concerns += [
            f"{name} in config/advisories.txt concerns nothing that is locked; take it out"
            for name in sorted(set(accepted) - used)
        ]
    return verdict
