"""The exact lines of the custody log, from the running service or from the ledger of a stopped one."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.cli.reach import reach

PAGE = 2000
Page = Callable[[int, int], list[str]]
"""Gives at most so many lines with a number above the first argument."""


@contextmanager
def open_log(config_file: Path) -> Iterator[Callable[[], Iterator[str]]]:
    """Give a function that walks the whole log from its start, each time it is called.

    Raises LedgerBusy, LedgerError, NoLedger, ServiceFailed, ConfigErrors.
    """
    from agent.cli.service import Service

    station = reach(config_file)
    if isinstance(station, Service):
        with station:
            yield lambda: walk(station.custody_lines)
        return
    from agent.cli.stopped_station import ledger_of
    from agent.services.views import event_lines

    with ledger_of(station) as database:
        yield lambda: walk(lambda after, limit: database.run_blocking(lambda tx: event_lines(tx, after, limit)))


def walk(page: Page) -> Iterator[str]:
    """Fetch page after page, so that a log of any length needs little memory."""
    after = 0
    while lines := page(after, PAGE):
        for line in lines:
            # The chain is over ASCII bytes; an altered line may hold others, and must still have a digest.
            yield line.encode("utf-8", "surrogateescape").decode("ascii", "surrogateescape")
        after = max(after + len(lines), _number_of(lines[-1]))


def _number_of(line: str) -> int:
    """The number in a line, or 0 in one that was altered beyond reading."""
    try:
        seq = json.loads(line).get("seq")
    except (ValueError, AttributeError):
        return 0
    return seq if isinstance(seq, int) else 0
