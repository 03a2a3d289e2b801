"""A bad line in a process of its own between a client and a store, and what was sent over it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

_END_S = 10


class Line:
    """Leads to one store; `sent_bytes` counts what clients put into it, heads of requests included."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """The process has just started."""
        self._process = process
        self._address = self._answer()["listen"]
        self._before = 0

    def carry(self, url: str) -> str:
        """The same URL, but over this line."""
        return urlunsplit(urlsplit(url)._replace(netloc=self._address))

    @property
    def sent_bytes(self) -> int:
        """Since `count_anew`."""
        return int(self._told({"resume": True})["up"]["taken_bytes"]) - self._before

    def count_anew(self) -> None:
        """Begin at nought."""
        self._before += self.sent_bytes

    def cut(self) -> None:
        """End all connections by a reset; what is under way is lost."""
        self._told({"cut": "reset"})

    def _told(self, wish: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(wish) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@contextmanager
def line(to: str, *shape: str) -> Iterator[Line]:
    """A line to the store at a URL; `shape` is as for scripts/badwan: `--rate 20mbit`, `--latency 25ms`."""
    command = [sys.executable, "-m", "tests.badwan", "--json", "--control", "--to", urlsplit(to).netloc, *shape]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            yield Line(process)
        finally:
            process.terminate()
            process.wait(_END_S)
