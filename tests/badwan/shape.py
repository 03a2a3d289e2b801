"""How one direction of the line is while nothing special happens to it."""

from dataclasses import dataclass
from enum import StrEnum


class Way(StrEnum):
    """A direction: `up` runs from whoever connected to where the line leads."""

    UP = "up"
    DOWN = "down"


@dataclass(slots=True)
class Shape:
    """May be changed at any time; what is under way already keeps its time."""

    latency_s: float = 0.0
    rate_bit_s: float | None = None
    small_only_bytes: int | None = None
    """What is sent in larger bursts never arrives, and nothing after it: a path that drops large packets."""
