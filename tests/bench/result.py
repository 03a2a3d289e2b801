"""What a benchmark found: rows as measured, and bars that are reached or not."""

import os
import platform
import ssl
import statistics
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

Row = dict[str, float]
"""Figures of one round, or of one subject, by name."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure that should be at least `bar`, or at most if `most` says so."""

    value: float
    bar: float
    most: bool = False

    @property
    def ok(self) -> bool:
        return self.value <= self.bar if self.most else self.value >= self.bar


def median_ratio(rows: list[Row], over: str, under: str) -> float:
    """The middle of the rounds' ratios."""
    return round(statistics.median(row[over] / row[under] for row in rows), 3)


@dataclass(frozen=True, slots=True)
class Result:
    """One benchmark's outcome."""

    name: str
    rows: list[Row]
    bars: dict[str, Bar]
    tools: dict[str, str] = field(default_factory=dict)  # what else took part, with its version

    @property
    def ok(self) -> bool:
        """Whether all bars are reached; a comparison for which nobody was there has reached none."""
        return bool(self.bars) and all(bar.ok for bar in self.bars.values())

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "machine": machine(),
            "versions": versions() | self.tools,
            "rows": self.rows,
            "bars": {key: {"value": bar.value, "bar": bar.bar, "ok": bar.ok} for key, bar in self.bars.items()},
        }


def machine() -> dict[str, Any]:
    """The processor and its load: a figure without them says little."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return {"cpu": model, "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1), "kernel": os.uname().release}


def versions() -> dict[str, str]:
    """What was measured with what."""
    return {"agent": version("bwv-dock-agent"), "python": platform.python_version(), "openssl": ssl.OPENSSL_VERSION}
