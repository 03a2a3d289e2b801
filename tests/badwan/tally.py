"""What went over the line, and what happened on it."""

from dataclasses import dataclass, field
from typing import Any

from tests.badwan.fault import Kind
from tests.badwan.shape import Way


@dataclass(slots=True)
class Tally:
    """`taken` came in at one end, `delivered` was handed to the other; what cuts lost is the difference."""

    connections: int = 0
    refused: int = 0  # there was no place, or nobody answered where the line leads
    taken: dict[Way, int] = field(default_factory=lambda: dict.fromkeys(Way, 0))
    delivered: dict[Way, int] = field(default_factory=lambda: dict.fromkeys(Way, 0))
    struck: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 0))

    def as_json(self) -> dict[str, Any]:
        return {
            "connections": self.connections,
            "refused": self.refused,
            "up": {"taken_bytes": self.taken[Way.UP], "delivered_bytes": self.delivered[Way.UP]},
            "down": {"taken_bytes": self.taken[Way.DOWN], "delivered_bytes": self.delivered[Way.DOWN]},
            "struck": {kind.value: count for kind, count in self.struck.items()},
        }

    def line(self, seconds: float) -> str:
        """Tell it in one line."""
        speeds = {way: count * 8e-6 / seconds for way, count in self.delivered.items()}
        moved = ", ".join(
            f"{self.delivered[way]} of {self.taken[way]} bytes {way} ({speeds[way]:.2f} mbit/s)" for way in Way
        )
        struck = ", ".join(f"{kind.value} {count}" for kind, count in self.struck.items())
        return f"{seconds:.1f} s, {self.connections} connections ({self.refused} refused); {moved}; {struck}"
