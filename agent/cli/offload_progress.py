"""The progress of an offload on a terminal: first bytes, then how many clips are confirmed."""

import sys
from types import TracebackType
from typing import Any, Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from agent.cli.terminal import console
from agent.cli.wording import count, duration, safe, size

_COPYING = frozenset({"listing", "offloading"})
_WORDS = {
    "identifying": "finding out which camera this is",
    "listing": "looking for clips",
    "offloading": "copying",
    "looking": "reading the camera once more",
    "wiping": "clearing the camera",
}


class OffloadProgress:
    """A bar on stderr while it is a terminal, nothing otherwise. A context manager."""

    def __init__(self) -> None:
        """Show nothing before the first object is taken."""
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[facts]}", markup=False),
            console=console(stderr=True),
            disable=not sys.stderr.isatty(),
            transient=True,
        )
        self._task: TaskID = self._bar.add_task("starting", total=None, facts="")
        self._clips = 0

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Take the bar away."""
        self._bar.stop()

    def take(self, view: dict[str, Any]) -> None:
        """Show one progress object."""
        if "result" in view:
            return
        phase = str(view.get("phase"))
        aboard = int(view.get("spooled") or 0) + int(view.get("confirmed") or 0)
        self._clips = max(self._clips, aboard)
        if phase in _WORDS:
            done, total = int(view.get("done_bytes") or 0), int(view.get("total_bytes") or 0)
            facts = _facts(view, done, total) if phase in _COPYING else ""
        else:
            total = self._clips
            done = total - int(view.get("spooled") or 0)
            facts = f"{done} of {count(total, 'clip')} confirmed"
        words = _WORDS.get(phase, "on the way to the evidence store")
        if view.get("problem"):
            facts = f"{facts} ({safe(str(view['problem']))})".strip()
        self._bar.update(self._task, description=words, completed=done, total=total or None, facts=facts)


def _facts(view: dict[str, Any], done: int, total: int) -> str:
    if not total:
        return ""
    text = f"{size(done)} of {size(total)}, {size(view.get('rate_bytes_s') or 0)}/s"
    eta = view.get("eta_s")
    return f"{text}, {duration(eta)} left" if isinstance(eta, int | float) else text
