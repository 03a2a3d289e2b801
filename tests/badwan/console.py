"""Changes a line while it runs, by one JSON object for each change."""

import json
from collections.abc import Callable
from typing import Any

from tests.badwan.amount import NoAmount, seconds
from tests.badwan.fault import Ending
from tests.badwan.options import address, latency, rate
from tests.badwan.proxy import Badwan
from tests.badwan.shape import Way


class Console:
    """Takes commands as text; `quit` is called when it is asked for."""

    def __init__(self, line: Badwan, quit_: Callable[[], None]) -> None:
        """Change nothing yet."""
        self._line = line
        self._commands: dict[str, Callable[[Any], object]] = {
            "latency": self._latency,
            "rate": self._rate,
            "cut": lambda how: line.cut(Ending(how)),
            "stall": lambda time: line.stall(None if time is None else seconds(str(time))),
            "resume": lambda _: line.resume(),
            "black_hole": lambda _: line.black_hole(),
            "to": lambda place: line.lead_to(address(str(place))),
            "quit": lambda _: quit_(),
        }

    def answer(self, text: str) -> dict[str, Any]:
        """Do what a line says; the statistics, or what is wrong under `error`. A wrong line changes nothing."""
        try:
            wishes = json.loads(text)
            if not isinstance(wishes, dict) or len(wishes) != 1:
                return {"error": "a command is one JSON object with one key"}
            ((key, value),) = wishes.items()
            if key not in self._commands:
                return {"error": f"{key!r} is no command; known: {', '.join(self._commands)}"}
            self._commands[key](value)
        except (ValueError, NoAmount, RecursionError) as error:
            return {"error": str(error)}
        return self._line.tally.as_json()

    def _latency(self, text: object) -> None:
        for way, latency_s in zip(Way, latency(str(text)), strict=True):
            self._line.shape(way).latency_s = latency_s

    def _rate(self, text: object) -> None:
        rates = (None, None) if text is None else rate(str(text))
        for way, rate_bit_s in zip(Way, rates, strict=True):
            self._line.shape(way).rate_bit_s = rate_bit_s
