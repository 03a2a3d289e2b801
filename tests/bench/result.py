"""What a benchmark found: rows as measured, and bars that are reached or not."""

import os
import platform
import ssl
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure that should be at least `bar`."""

    value: float
    bar: float

    @property
    def ok(self) -> bool:
        return self.value >= self.bar


@dataclass(frozen=True, slots=True)
class Result:
    """One benchmark's outcome."""

    name: str
    rows: list[dict[str, float]]
    bars: dict[str, Bar]

    @property
    def ok(self) -> bool:
        return all(bar.ok for bar in self.bars.values())

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "machine": machine(),
            "versions": versions(),
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
