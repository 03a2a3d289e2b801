"""`python -m tests.bench NAME [--json]`: measures, and exits 1 below a bar."""

import argparse
import json
import sys

from tests.bench import offload

BENCHMARKS = {"offload": offload.measure}


def main() -> int:
    """Run one benchmark."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure; exit 1 below a bar.")
    parser.add_argument("name", choices=sorted(BENCHMARKS))
    parser.add_argument("--json", action="store_true", help="one JSON object")
    wanted = parser.parse_args()
    result = BENCHMARKS[wanted.name]()
    if wanted.json:
        print(json.dumps(result.as_json()))
    else:
        for row in result.rows:
            print("  ".join(f"{name} {value:8.3f}" for name, value in row.items()))
        for key, bar in result.bars.items():
            print(f"{'ok  ' if bar.ok else 'LOW '} {key}: {bar.value} (bar {bar.bar})")
    return 0 if result.ok else 1


if __name__ == "__main__":
    sys.exit(main())
