"""The end of the demo: what an outside check finds, by its own code path, in the depot's and the cameras' files."""

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agent.core.profile import Role
from agent.simulate.rack import SimulatedCamera

WANTED = (Role.CLIP, Role.SIDECAR)


@dataclass(slots=True)
class CameraLine:
    """One camera's outcome."""

    camera: str
    profile: str
    files: int
    size_bytes: int
    confirmed: int
    wiped: int
    advice: str


@dataclass(slots=True)
class Report:
    """What the demo did and what the outside check found."""

    cameras: list[CameraLine] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    hashed: int = 0
    events: int = 0
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Nothing lost, nothing altered, everything confirmed and cleared."""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """The same for machines."""
        cameras = [{name: getattr(line, name) for name in CameraLine.__slots__} for line in self.cameras]
        return {
            "ok": self.ok,
            "cameras": cameras,
            "hashed": self.hashed,
            "custody_events": self.events,
            "seconds": round(self.seconds, 1),
            "problems": self.problems,
        }

    def show(self, console: Console) -> None:
        """Print the table and the verdict."""
        table = Table(title="What happened to each camera", title_justify="left", box=None, pad_edge=False)
        for heading in ("camera", "profile", "files", "MB", "confirmed", "wiped", "advice"):
            table.add_column(heading, justify="right" if heading in ("files", "MB", "confirmed", "wiped") else "left")
        for line in self.cameras:
            table.add_row(
                escape(line.camera),
                line.profile,
                str(line.files),
                f"{line.size_bytes / 1e6:.1f}",
                str(line.confirmed),
                str(line.wiped),
                line.advice,
            )
        console.print()
        console.print(table)
        console.print()
        if self.ok:
            console.print(
                f"[green]✔[/green] {self.hashed} files in the depot, hashed again, are what the cameras recorded.\n"
                f"[green]✔[/green] {self.events} custody events form one unbroken chain.\n"
                f"[green]✔[/green] Done in {self.seconds:.0f} s: nothing lost, nothing altered."
            )
        for problem in self.problems:
            console.print(f"[red]✘[/red] {escape(problem)}")

    def how_to_go_on(self, console: Console, root: Path, page: str, *, keep: bool) -> None:
        """Say what a person can try next."""
        if keep:
            console.print(
                f"\nEverything keeps running; Ctrl-C ends it.\n"
                f"  page      {page}\n"
                f"  status    dock-agent status --config {root / 'agent.toml'} --watch\n"
                f"  custody   dock-agent custody verify --config {root / 'agent.toml'}\n"
                f"  a camera  mv {root / 'rack' / '1'} {root / 'shelf'}/ takes one out, mv it back docks it",
                soft_wrap=True,
                highlight=False,
            )
        else:
            console.print(
                "\nTo go on:  ./scripts/demo --keep   leaves it running, with the page in a browser\n"
                "           dock-agent --help       (.venv/bin/dock-agent) lists what else it can do\n"
                "           README.md               says how to run it on a real station",
                highlight=False,
            )


def examine(root: Path, cameras: list[SimulatedCamera], view: dict[str, Any]) -> Report:
    """Compare cameras, depot and custody log. Trusts only files on disk and `custody verify`."""
    report = Report()
    held = {path.name: _digest(path) for path in (root / "depot" / "objects").iterdir()}
    report.hashed = len(held)
    report.problems += [f"depot object {name} has other bytes" for name, found in held.items() if name != found]
    bays = {b["camera"]: b for b in view["bays"] if b["occupied"]}
    clips = _clips(root)
    for camera in cameras:
        _examine_camera(report, camera, held, clips, bays)
    report.events = _verify_custody(report, root)
    return report


def _examine_camera(
    report: Report,
    camera: SimulatedCamera,
    held: dict[str, str],
    clips: list[dict[str, Any]],
    bays: dict[str, dict[str, Any]],
) -> None:
    serial = camera.truth.serial
    wanted = [f for f in camera.truth.files if f.role in WANTED]
    missing = [f for f in wanted if f.sha256 not in held]
    report.problems += [f"{serial}: {f.path!r} is not in the depot" for f in missing]
    aboard = [f for f in wanted if (camera.card / f.path.decode()).exists()]
    report.problems += [f"{serial}: {f.path!r} is still on the camera" for f in aboard]
    mine = [c for c in clips if c["camera"] == serial]
    advice = bays.get(serial, {}).get("advice", "not docked")
    if advice != "take":
        report.problems.append(f"{serial}: the bay says {advice!r}")
    report.cameras.append(
        CameraLine(
            camera=serial,
            profile=camera.truth.profile_name,
            files=len(wanted),
            size_bytes=sum(f.size for f in wanted),
            confirmed=sum(c["state"] == "confirmed" for c in mine),
            wiped=sum(c["camera_copy"] == "gone" for c in mine),
            advice=advice,
        )
    )


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _ask(root: Path, *words: str) -> Any:  # noqa: ANN401 - JSON
    command = [sys.executable, "-m", "agent", *words, "--config", str(root / "agent.toml"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - our own words
    return json.loads(done.stdout)


def _clips(root: Path) -> list[dict[str, Any]]:
    return list(_ask(root, "clips", "--limit", "10000"))


def _verify_custody(report: Report, root: Path) -> int:
    found = _ask(root, "custody", "verify")
    if found.get("fault") is not None or not found.get("events"):
        report.problems.append(f"the custody chain does not hold: {found}")
    return int(found.get("events", 0))
