"""`python -m tests.badwan`: a bad line for people; scripts/badwan starts it."""

import argparse
import asyncio
import json
import signal
import sys
import time
from threading import Thread

from tests.badwan.console import Console
from tests.badwan.options import faults, parser, shapes
from tests.badwan.proxy import Badwan


def main() -> int:
    """Run the line until it is told to end; 1 when it cannot listen."""
    found = parser().parse_args()
    try:
        asyncio.run(run(found))
    except OSError as error:
        print(f"badwan: cannot listen on {found.listen[0]}:{found.listen[1]}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


async def run(found: argparse.Namespace) -> None:
    """Carry connections until SIGINT, SIGTERM or `quit`. Raises OSError when it cannot listen."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    up, down = shapes(found)
    began = time.monotonic()
    async with Badwan(found.to, listen=found.listen, up=up, down=down, faults=faults(found)) as line:
        host, port = line.address
        if found.json:
            print(json.dumps({"listen": f"{host}:{port}"}), flush=True)
        else:
            print(f"badwan: {host}:{port} leads to {found.to[0]}:{found.to[1]}; Ctrl-C ends it", flush=True)
        if found.control:
            console = Console(line, over.set)
            Thread(target=_listen, args=(loop, console), daemon=True).start()
        await over.wait()
    passed_s = time.monotonic() - began
    if found.json:
        print(json.dumps({"seconds": round(passed_s, 3), **line.tally.as_json()}), flush=True)
    else:
        print(f"badwan: {line.tally.line(passed_s)}", flush=True)


def _listen(loop: asyncio.AbstractEventLoop, console: Console) -> None:
    """Hand each line of standard input to the loop; in a thread, because a file or a terminal may stand there."""

    def do(text: str) -> None:
        print(json.dumps(console.answer(text)), flush=True)

    for text in sys.stdin:
        if text.strip():
            loop.call_soon_threadsafe(do, text)


if __name__ == "__main__":
    sys.exit(main())
