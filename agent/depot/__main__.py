"""`python -m agent.depot`: a depot on its own, with the least of options."""

import argparse
import asyncio
import sys
from pathlib import Path

from agent.depot.command import run_depot
from agent.depot.refusal import DepotError


def main() -> int:
    """Run a depot as the arguments say; 0 when it was stopped, 1 when it could not run."""
    parser = argparse.ArgumentParser(prog="python -m agent.depot", description=__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="where the evidence lies")
    parser.add_argument("--listen", default="127.0.0.1:0", help="HOST:PORT; port 0 picks one")
    parser.add_argument("--json", action="store_true", help="say one JSON object once ready")
    given = parser.parse_args()

    def out(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    try:
        return asyncio.run(run_depot(given.dir, given.listen, out=out, as_json=given.json))
    except DepotError as error:
        sys.stderr.write(f"{error}\n{error.hint}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
