"""What the demo shows while it runs: a live table on a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

COLOURS = {
    "take": "bold green",
    "take, footage still aboard": "bold yellow",
    "wait": "bold blue",
    "do not remove": "bold white on red",
}


class Screen:
    """A context manager; `say` adds a sentence of the story, `update` shows the station's newest view."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        """Show on `console`; `quiet` shows nothing."""
        self._console = console
        self._quiet = quiet
        self._started = time.monotonic()
        self._view: dict[str, Any] = {}
        self._live: Live | None = None

    def __enter__(self) -> Self:
        """Start the live part on a terminal."""
        if not self._quiet and self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=8, transient=True, get_renderable=self._draw)
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Leave the terminal as it was."""
        self.close()

    def close(self) -> None:
        """End the live part; idempotent."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, sentence: str) -> None:
        """Tell the next step."""
        if not self._quiet:
            self._console.print(
                f"[dim]{time.monotonic() - self._started:5.1f} s[/dim]  {escape(sentence)}", soft_wrap=True
            )

    def update(self, view: dict[str, Any]) -> None:
        """Take over the newest view."""
        self._view = view

    def _draw(self) -> Group:
        return Group(bay_table(self._view.get("bays", [])), _store_line(self._view))


def bay_table(bays: list[dict[str, Any]]) -> Table:
    """One row for each bay."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("bay", "camera", "", "copied", "in the store", "advice", ""):
        table.add_column(heading, no_wrap=heading != "")
    for bay in bays:
        if not bay["occupied"]:
            table.add_row(bay["bay"], "[dim]empty[/dim]")
            continue
        done, total = bay["done_bytes"], bay["total_bytes"]
        clips = bay["clips"]
        table.add_row(
            bay["bay"],
            escape(bay["camera"] or "…"),
            ProgressBar(total=max(total, 1), completed=done, width=20),
            f"{done / 1e6:.1f} of {total / 1e6:.1f} MB",
            "" if not clips["spooled"] else f"{clips['spooled']} on the way",
            Text(bay["advice"].upper(), style=COLOURS[bay["advice"]]),
            Text(bay["reason"], style="dim"),
        )
    return table


def _store_line(view: dict[str, Any]) -> Text:
    station = view.get("station")
    if not station:
        return Text("")
    confirmed = station["totals"]["clips"].get("confirmed", {}).get("clips", 0)
    store = station["stores"][0]
    state = "answers" if store["ok"] else f"away (tried {store['failures']} times, the spool keeps everything)"
    style = "green" if store["ok"] else "yellow"
    return Text(f"store: {state} · confirmed {confirmed} clips · wiped {station['totals']['wiped']}", style=style)
