"""`python -m tests.bench NAME [--json]`: measures, and exits 1 below a bar."""

import argparse
import importlib
import json
import sys

BENCHMARKS = {
    name: name
    for name in ("offload", "upload", "depot", "latency", "footprint", "dock", "fleet", "bandwidth", "urgent", "queue")
} | {name: f"upload_{name}" for name in ("tls", "s3", "tus", "clips", "resume", "wan", "cuts", "crowd")}
"""Names and their modules of this package; each has `measure() -> Result`. `upload` is all of the second kind."""


def main() -> int:
    """Run one benchmark."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure; exit 1 below a bar.")
    parser.add_argument("name", choices=BENCHMARKS)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    wanted = parser.parse_args()
    result = importlib.import_module(f"tests.bench.{BENCHMARKS[wanted.name]}").measure()
    if wanted.json:
        print(json.dumps(result.as_json()))
    else:
        for row in result.rows:
            print("  ".join(f"{name} {value:8.3f}" for name, value in row.items()))
        for name, text in result.tools.items():
            print(f"{name}: {text}")
        for key, bar in result.bars.items():
            word = "at most" if bar.most else "at least"
            print(f"{'ok  ' if bar.ok else 'MISS'} {key}: {bar.value} ({word} {bar.bar})")
    return 0 if result.ok else 1


if __name__ == "__main__":
    sys.exit(main())
