"""Where the verbs write: a terminal that shows colours, or a pipe that gets plain text.

Strings are shown as they are (no markup), because names of files and cameras are anybody's; callers pass them
through `wording.safe` first.
"""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

PIPED_WIDTH = 100
"""Columns where there is no terminal to ask; COLUMNS overrides it."""
_ANY_WIDTH = 100_000
_ADVICE_STYLES = {
    "take": "bold green",
    "take, footage still aboard": "bold yellow",
    "wait": "bold cyan",
    "do not remove": "bold red",
}


def console(*, stderr: bool = False, markup: bool = False) -> "Console":
    """Make a console for stdout or stderr; colours only on a terminal, none with NO_COLOR.

    `markup` is for callers that escape every name themselves.
    """
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _columns() or PIPED_WIDTH
    return Console(file=stream, width=width, markup=markup, emoji=False, highlight=False)


def show(what: "RenderableType") -> None:
    """Write tables to stdout. In a pipe a row stays one line, however long, for the programs behind it."""
    from rich.measure import Measurement

    out = console()
    if not sys.stdout.isatty() and not _columns():
        roomy = out.options.update(width=_ANY_WIDTH)
        out.width = max(PIPED_WIDTH, Measurement.get(out, roomy, what).maximum)
    out.print(what)


def _columns() -> int | None:
    wanted = os.environ.get("COLUMNS", "")
    return int(wanted) if wanted.isdecimal() and int(wanted) else None


def table(columns: Sequence[str], rows: "Iterable[Sequence[str | Text]]") -> "Table":
    """Lay out rows under headings, with lines only on a terminal; what is too long goes on below."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False, show_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold", justify="right" if column == "size" else "left")
    for row in rows:
        made.add_row(*row)
    return made


def advice_text(advice: str | None) -> "Text":
    """A bay's advice in words; the colour only repeats them."""
    from rich.text import Text

    return Text(advice or "empty", style=_ADVICE_STYLES.get(advice or "", "dim"))


def print_json(value: object) -> None:
    """Write one JSON value on one line of stdout, in ASCII."""
    print(json.dumps(value), flush=True)


def say_error(text: str) -> None:
    """Write `dock-agent: ...` to stderr, one line for each line of `text`."""
    from agent.cli.wording import safe

    for line in text.splitlines():
        print(f"dock-agent: {safe(line)}", file=sys.stderr, flush=True)
