"""Everything about uploads in one run: each `upload_*` benchmark, one after the other. It takes an hour.

One that breaks off is named as such and counts as missed; the others are measured all the same.
"""

import importlib
import subprocess

from tests.bench.result import Bar, Result, Row
from tests.bench.upload_run import RunFailed

PARTS = ("tls", "s3", "tus", "clips", "resume", "wan", "cuts", "crowd")


def measure() -> Result:
    """Run the benchmarks; their names stand before rows, bars and tools."""
    rows: list[Row] = []
    bars: dict[str, Bar] = {}
    tools: dict[str, str] = {}
    for name in PARTS:
        try:
            part: Result = importlib.import_module(f"tests.bench.upload_{name}").measure()
        except (RunFailed, OSError, AssertionError, subprocess.SubprocessError) as error:
            tools[name] = f"broke off: {error}"
            bars[f"{name}_done"] = Bar(0, 1)
            continue
        rows += [{f"{name}_{key}": value for key, value in row.items()} for row in part.rows]
        bars |= {f"{name}_{key}": bar for key, bar in part.bars.items()}
        tools |= {f"{name}_{key}": text for key, text in part.tools.items()}
    return Result("upload", rows, bars, tools)
